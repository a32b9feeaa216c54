"""`icas.paint`: painting in the browser or in a notebook."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.common.registry import Entry, need
from icas.io.files import path_of
from icas.io.reading import as_image, write_image
from icas.notebook.page_server import PageServer
from icas.segmentimg.document.palette import PaintClass, class_line
from icas.segmentimg.formats.inputs import ImageFile, find_image_files
from icas.segmentimg.settings import SegmentSettings

SERVING = Entry("icas.web.painting:serving", "server of a painting session")
"""Loaded at first use: it needs the extra web, and imports this half of the package."""
PATHS = ("out", "palette", "class_file", "templates", "attentions", "segments", "masks")
OPEN_SECONDS = 300.0
"""Time after which `PaintServer.masks` stops waiting for the segments of an image."""
_running: WeakSet[PaintServer] = WeakSet()


class PaintServer(PageServer):
    """A running painting session, as `icas.paint` returns it.

    In a notebook it shows the page in a frame. It runs until `close`, or until Python ends; every
    change is saved at once, in the same files as by ``segmentimg``.

    Attributes
    ----------
    url : str
        Address with the token, for a browser on this machine.
    files : list of str
        Paths of the images; their order is that of the page.
    out : str
        Folder of the masks; of several the first.

    See Also
    --------
    icas.paint : Starts it, with its errors.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> with icas.paint(data.coffee(), out="painted") as server:
    ...     server.url.startswith("http://127.0.0.1:"), len(server.files), server.masks()
    (True, 1, {})
    >>> server.close()
    """

    def __init__(self, stack: ExitStack, server: Any, pictures: Sequence[ImageFile]) -> None:
        super().__init__(stack, server, "icas paint")
        self.files: list[str] = [str(picture.path) for picture in pictures]
        self.out: str = str(pictures[0].out)
        self._outs = {picture.out.resolve() for picture in pictures}
        self._painting: Any = server.painting

    def masks(self, image: int | str = 0) -> dict[str, NDArray[np.bool_]]:
        """Masks of an image as painted now, saved or not.

        Parameters
        ----------
        image : int or str, default 0
            Number of the image, or its file name.

        Returns
        -------
        dict of str to (h, w) bool ndarray
            Disjoint masks of the painted classes, by class name.

        Raises
        ------
        UsageError
            There is no such image, or several have that name.
        UnreadableImageError
            The image cannot be read.
        """
        number, end = self._number(image), time.monotonic() + OPEN_SECONDS
        opened = self._painting.wait(number, 0.5)
        while opened is None:
            if time.monotonic() > end:
                raise UsageError(f"image {image} is still being segmented: try again later")
            opened = self._painting.wait(number, 0.5)
        with self._painting.lock:
            painting = opened.painting()
            names = {number: painting.classes[number - 1].name for number in painting.painted()}
            class_map = painting.class_map.copy()
        return {name: class_map == number for number, name in names.items()}

    def _number(self, image: int | str) -> int:
        if isinstance(image, str):
            found = [n for n, file in enumerate(self.files) if image in (file, Path(file).name)]
            if len(found) != 1:
                count = "no" if not found else f"{len(found)}"
                raise UsageError(f"image {image!r}: {count} images of that name")
            return found[0]
        whole = isinstance(image, (int, np.integer)) and not isinstance(image, bool)
        if not whole or not 0 <= image < len(self.files):
            raise UsageError(f"image {image!r}: expected 0 to {len(self.files) - 1}")
        return int(image)

    def __repr__(self) -> str:
        count = len(self.files)
        images = f"{count:,} image{'' if count == 1 else 's'}"
        return f"<PaintServer of {images} -> {self.out}: {self.url}>"


def paint(
    images: Any,
    *,
    method: str = "superpixel",
    out: str | Path | None = None,
    classes: str | Path | Sequence[str] | Mapping[str, Sequence[int]] | None = None,
    sam_checkpoint: str | Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    **options: Any,
) -> PaintServer:
    """Paint images in a notebook or in the browser, like ``segmentimg serve``.

    Segments are filled by clicks on a page; brush, polygon, GrabCut and Segment Anything add to
    them. Every change is saved at once and can be undone. A session that is still running in the
    same folder, of this Python process, is closed.

    Parameters
    ----------
    images : str, Path, array_like, PIL image, or a sequence of those
        A folder, an image, or several. An image that is no file is written to a temporary folder
        as a PNG.
    method : str, default "superpixel"
        Method that makes the segments, as for `icas.segment`.
    out : str or Path, optional
        Folder of the masks. Default: ``<folder>_segmented`` beside the folder of the images; a
        temporary folder for images that are no files, removed by ``close``.
    classes : str, Path, sequence of str, or dict of str to (int, int, int), optional
        File with the classes; or their names, with RGB colors, 0-255, in a dict. Default: those of
        the folder, else 24 colors.
    sam_checkpoint : str or Path, optional
        Checkpoint for Segment Anything, or ``ENCODER.onnx,DECODER.onnx``. Default: that of
        ``segmentimg weights get mobile_sam``, if it is installed.
    host : str, default "127.0.0.1"
        Address to listen on.
    port : int, default 0
        Port to listen on; 0: any free one.
    **options
        Options of the method, as for `icas.segment`; and flags of ``segmentimg serve``, such as
        ``templates``, ``save`` and ``recursive``, dashes as underscores.

    Returns
    -------
    PaintServer
        The running server. A notebook shows its page in a frame; elsewhere open its ``url``.

    Raises
    ------
    MissingExtraError
        The extra ``web`` is not installed.
    UsageError
        No such image or folder, an image of another type, an option that is unknown or out of
        range, or no such host or port.
    ConflictError
        Another process paints in the same folder.

    See Also
    --------
    icas.PaintDocument : Painting by commands.
    icas.segment : The segments alone.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> server = icas.paint(data.coffee(), classes=["cup", "spoon"], region_size=30)
    >>> server.masks()
    {}
    >>> server.close()
    """
    need("icas.paint", "web", "starlette", "uvicorn")
    if not isinstance(host, str) or isinstance(port, bool) or not isinstance(port, int):
        raise UsageError(f"host {host!r}, port {port!r}: expected a name and a number")
    stack = ExitStack()
    try:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="icas-paint-")))
        paths = _paths_of(images, scratch)
        given = {"method": method, "out": out, "class_file": _class_file(classes, scratch)}
        settings = _settings({**given, **options})
        pictures = find_image_files(paths, settings.out, settings.recursive)
        _close_running(pictures)
        sam = {} if sam_checkpoint is None else {"checkpoint": os.fspath(sam_checkpoint)}
        where = {"host": host, "port": port, "embedded": True}
        server = stack.enter_context(SERVING.load()(paths, settings, sam, **where))
        running = PaintServer(stack, server, pictures)
    except BaseException:
        stack.close()
        raise
    _running.add(running)
    return running


def _paths_of(images: Any, scratch: Path) -> list[Path]:
    """The images as files; those that are none are written to a folder."""
    many = isinstance(images, Iterable) and not isinstance(images, (str, os.PathLike, np.ndarray))
    if many and not hasattr(images, "getexif"):  # a PIL image is iterable in some versions
        given = list(images)
        if given and not isinstance(given[0], (int, float, np.number)):
            return [_path_of(one, number, scratch) for number, one in enumerate(given)]
    if many and not hasattr(images, "getexif"):
        raise UsageError("images: expected at least one")
    return [_path_of(images, None, scratch)]


def _path_of(image: Any, number: int | None, scratch: Path) -> Path:
    if isinstance(image, (str, os.PathLike)):
        return path_of(image, "images")
    name = "image.png" if number is None else f"image{number:04}.png"
    path = scratch / "images" / name
    path.parent.mkdir(exist_ok=True)
    write_image(path, as_image(image))
    return path


def _class_file(classes: Any, scratch: Path) -> Path | None:
    """A file with the classes."""
    if classes is None or isinstance(classes, (str, os.PathLike)):
        return None if classes is None else path_of(classes, "classes")
    if isinstance(classes, Mapping):
        lines = [class_line(_class_of(name, color)) for name, color in classes.items()]
    else:
        lines = list(classes)
    wrong = [line for line in lines if not isinstance(line, str) or not line.strip()]
    if wrong or not lines:
        raise UsageError(f"classes: expected names, got {wrong[0]!r}" if wrong else "no classes")
    path = scratch / "classes.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _class_of(name: Any, color: Any) -> PaintClass:
    try:
        red, green, blue = (int(part) for part in color)
    except (TypeError, ValueError):
        red = green = blue = -1
    if not all(0 <= part <= 255 for part in (red, green, blue)):
        raise UsageError(f"classes: {name!r}: expected red, green and blue, 0 to 255")
    return PaintClass(str(name), (red, green, blue))


def _settings(given: Mapping[str, Any]) -> SegmentSettings:
    values = {name: value for name, value in given.items() if value is not None}
    for name in PATHS:
        if name in values:
            values[name] = path_of(values[name], name)
    if isinstance(values.get("save"), (list, str)):
        saves = values["save"]
        values["save"] = tuple(saves.split(",") if isinstance(saves, str) else saves)
    return SegmentSettings.of(values)


def _close_running(pictures: Sequence[ImageFile]) -> None:
    """Close the sessions of this process in the same folders, as of a cell that is run again."""
    outs = {picture.out.resolve() for picture in pictures}
    for server in [one for one in _running if one._outs & outs]:
        server.close()
        _running.discard(server)

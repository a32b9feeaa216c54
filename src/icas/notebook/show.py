"""What a sheet shows of each kind of thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UnreadableImageError, UsageError
from icas.io.arrays import as_image
from icas.io.reading import Image, find_images, read_image, resize
from icas.notebook.html import counted
from icas.notebook.sheet import Block, Sheet, Tile
from icas.segmentimg.document.document import PaintDocument
from icas.segmentimg.labels.label_map import at_size, fitted, mottled, plain
from icas.segmentimg.render.canvas import Canvas, Look
from icas.segmentimg.render.viewport import Viewport
from icas.segmentimg.segmenters.kmeans import KMeansColors
from icas.segmentimg.templates.paint import TemplatePaint
from icas.segmentimg.templates.templates import Template

Size = tuple[int, int]
PAINT = 0.6
"""Share of the paint over the picture."""
MARK = (255, 40, 40)
"""A mask over a picture, and the frames of places found in it."""
BLANK = 190
"""Gray in place of a file that cannot be read."""


@dataclass(frozen=True)
class InFolder:
    """One file of a folder that was given; it may be no picture."""

    path: Path


@singledispatch
def entries(thing: Any) -> Iterator[Any]:
    """The single things that one thing stands for: of a folder its images, of a list its items."""
    yield thing


@entries.register(str)
@entries.register(Path)
def _(thing: str | Path) -> Iterator[Any]:
    path = Path(thing)
    if path.is_dir():
        yield from map(InFolder, find_images(path))
    else:
        yield path


@entries.register(list)
def _(thing: list[Any]) -> Iterator[Any]:
    for one in thing:
        yield from entries(one)


@singledispatch
def tile(thing: Any, width: int) -> Tile | Block:
    """One thing as a picture at most `width` pixels wide, or as a piece of HTML.

    Raises
    ------
    UsageError
        Nothing that can be shown.
    """
    html = getattr(thing, "_repr_html_", None)
    made = html() if callable(html) and not isinstance(thing, type) else None
    if made is None:
        raise UsageError(
            f"cannot show {type(thing).__name__}: a picture, a path, a label map, a mask, a pair of"
            " a picture and one of these, or a result of icas is needed"
        )
    return Block("", str(made))


@tile.register(Path)
def _(thing: Path, width: int) -> Tile:
    try:
        return Tile(thing.name, _fit(read_image(thing), width))
    except UnreadableImageError as error:
        raise UsageError(f"cannot show {thing}: {error}") from None


@tile.register(InFolder)
def _(thing: InFolder, width: int) -> Tile:
    try:
        return Tile(thing.path.name, _fit(read_image(thing.path), width))
    except UnreadableImageError as error:
        blank = np.full((width // 2 + 1, width, 3), BLANK, np.uint8)
        return Tile(f"{thing.path.name}: {error}", blank, flat=True)


@tile.register(np.ndarray)
def _(thing: NDArray[Any], width: int) -> Tile:
    if thing.dtype == bool and thing.ndim == 2 and thing.size:
        return Tile("", _white_on_black(fitted(thing, _most(width))), flat=True)
    if _is_label_map(thing):
        labels = plain(thing)
        return Tile(
            counted(_count(labels), "label"), mottled(fitted(labels, _most(width))), flat=True
        )
    if thing.dtype.kind == "f" and thing.size:
        return Tile("", _fit(_of_shares(thing), width))
    return Tile("", _fit(as_image(thing), width))


@tile.register(KMeansColors)
def _(thing: KMeansColors, width: int) -> Tile:
    return Tile(counted(len(thing.centres), "colour"), _fit(thing.picture, width))


@tile.register(PaintDocument)
def _(thing: PaintDocument, width: int) -> Tile:
    segments = counted(_count(thing.labels), "segment")
    colors = counted(len(thing.masks()), "colour")
    return Tile(f"{segments}, {colors}", _in_window(thing, width))


@tile.register(TemplatePaint)
def _(thing: TemplatePaint, width: int) -> Tile:
    shown = _painted_places(np.zeros((*thing.painted.shape, 3), np.uint8), thing)
    return Tile(counted(len(thing.places), "place"), _fit(shown, width))


@tile.register(Template)
def _(thing: Template, width: int) -> Tile:
    return Tile(thing.name, _fit(thing.image, width))


@tile.register(tuple)
def _(thing: tuple[Any, ...], width: int) -> Tile:
    """A picture and what lies over it."""
    if len(thing) != 2:
        raise UsageError(f"a picture and what lies over it are two things, not {len(thing)}")
    below, over = thing
    image = read_image(below) if isinstance(below, (str, Path)) else as_image(below)
    title, draw = _laid_over(over)
    shape = over.painted.shape if isinstance(over, TemplatePaint) else np.shape(over)
    if tuple(shape) != image.shape[:2]:
        raise UsageError(f"the picture is {image.shape[:2]}, what lies over it {tuple(shape)}")
    return Tile(title, draw(image, width))


def _laid_over(over: Any) -> tuple[str, Callable[[Image, int], Image]]:
    """The title, and what draws a picture with `over` on it."""
    if isinstance(over, TemplatePaint):
        title = counted(len(over.places), "place")
        return title, lambda image, width: _fit(_painted_places(image, over), width)
    if isinstance(over, np.ndarray) and over.ndim == 2 and over.dtype == bool:
        return "", lambda image, width: _tinted(_fit(image, width), over)
    if isinstance(over, np.ndarray) and _is_label_map(over):
        labels = plain(over)
        title = counted(_count(labels), "segment")
        return title, lambda image, width: _in_window(PaintDocument(image, _dense(labels)), width)
    raise UsageError(
        f"cannot lay {type(over).__name__} over a picture: a label map, a mask (bool) or what"
        " icas.paint_templates gives is needed"
    )


def _is_label_map(array: NDArray[Any]) -> bool:
    """Whole numbers of more than 16 bits, or with a sign; uint8 and uint16 are gray pictures."""
    kind = array.dtype.kind
    return array.ndim == 2 and array.size > 0 and (kind == "i" or array.dtype in ("u4", "u8"))


def _most(width: int) -> Size:
    """Width and height: what is tall stays on the screen."""
    return width, 2 * width


def _fit(image: Image, width: int) -> Image:
    """No larger than `_most`."""
    height, own = image.shape[:2]
    share = min(1.0, *(most / side for most, side in zip(_most(width), (own, height), strict=True)))
    return resize(image, (max(1, round(own * share)), max(1, round(height * share))))


def _at_size_of(labels: NDArray[Any], image: Image) -> NDArray[Any]:
    return at_size(labels, (image.shape[1], image.shape[0]))


def _white_on_black(mask: NDArray[np.bool_]) -> Image:
    return np.repeat(np.where(mask, 255, 0).astype(np.uint8)[..., None], 3, axis=2)


def _of_shares(array: NDArray[Any]) -> Image:
    """Brightness from 0 to 1.

    Raises
    ------
    UsageError
        Values beyond.
    """
    low, high = float(np.nanmin(array)), float(np.nanmax(array))
    if not -0.001 <= low <= high <= 1.001:
        raise UsageError(f"numbers from {low:g} to {high:g} are no picture: 0 to 1 is needed")
    return as_image(np.rint(np.nan_to_num(array).clip(0, 1) * 255).astype(np.uint8))


def _tinted(image: Image, mask: NDArray[np.bool_]) -> Image:
    """The picture with a mask in `MARK`, and what is not in it paler."""
    inside = _at_size_of(mask, image)
    shown = np.where(inside[..., None], 0.55 * image + 0.45 * np.array(MARK), 0.6 * image + 70)
    return np.asarray(shown.clip(0, 255), np.uint8)


def _in_window(document: PaintDocument, width: int) -> Image:
    """As the painting window shows it: paint and thin borders over the picture."""
    height, own = document.labels.shape
    view = Viewport.whole((height, own), (_most(width)[1], min(own, width)))
    return Canvas(document, view, Look(PAINT)).picture


def _count(labels: NDArray[Any]) -> int:
    """How many labels above 0 there are."""
    return len(np.unique(labels[labels > 0]))


def _dense(labels: NDArray[Any]) -> NDArray[np.int32]:
    """The same pieces numbered without gaps; what is 0 stays 0."""
    values, place = np.unique(np.where(labels > 0, labels, 0), return_inverse=True)
    first = int(values[0] > 0)
    return np.asarray(place.reshape(labels.shape) + first, np.int32)


def _painted_places(image: Image, paint: TemplatePaint) -> Image:
    """The picture with what the templates paint, and a frame around every place."""
    import cv2

    colors = np.array([(0, 0, 0), *paint.colors], np.float32)[paint.painted]
    painted = (paint.painted > 0)[..., None]
    shown = np.where(painted, (1 - PAINT) * image + PAINT * colors, image).astype(np.uint8)
    thick = max(1, round(max(shown.shape[:2]) / 400))
    for place in paint.places:
        corner = (place.col + place.width - 1, place.row + place.height - 1)
        cv2.rectangle(shown, (place.col, place.row), corner, MARK, thick)
    return shown


MOST = 48
"""Things on one sheet."""
WIDTHS = ((1, 640), (2, 420), (4, 300), (12, 220), (MOST, 150))
"""Up to so many things, how wide each is at most."""


def show(
    *things: Any,
    titles: str | Sequence[str] | None = None,
    columns: int | None = None,
    width: int | None = None,
) -> Sheet:
    """Pictures, label maps, masks and results side by side, to be looked at in a notebook.

    Nothing is printed and no window opens: a notebook shows what comes back where it is the last
    line of a cell; elsewhere it can be saved.

    Parameters
    ----------
    *things
        Each of them one of these:

        - the path of a picture, or of a folder, which stands for its images;
        - a picture: (h, w, 3) RGB, (h, w, 4) RGBA or (h, w) gray, uint8 or uint16, or floats from
          0 to 1;
        - a label map: (h, w) integers of any other type, each label in a colour of its own, 0
          black; a mask: (h, w) bool, white on black;
        - a pair of a picture and a label map (its borders are drawn), a mask, or what
          `icas.paint_templates` gives;
        - a `PaintDocument`, `KMeansColors`, `TemplatePaint` or `Template`;
        - a `ClusterReport`, or anything else that notebooks show as HTML;
        - a list of such things.
    titles : str or sequence of str, optional
        One for each thing; default file names, or what is to be counted.
    columns : int, optional
        How many side by side; default as many as there is room for.
    width : int, optional
        Pixels that each is wide at most; default 640 for a single one down to 150 for many.

    Returns
    -------
    Sheet
        With ``.save(path)`` (``.png``, ``.jpg``, ``.html``) and ``.png()``. At most 48 things are
        shown; how many more there are is said below.

    Raises
    ------
    UsageError
        Something that cannot be shown, another number of titles, a width or columns below 1.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> image = data.coffee()
    >>> labels = icas.segment(image, "graph")
    >>> icas.show(image, (image, labels), titles=["coffee", "in segments"])
    <Sheet: 2 things>
    """
    for name, number in (("columns", columns), ("width", width)):
        if number is not None and number < 1:
            raise UsageError(f"{name} {number}: must be at least 1")
    single = list(chain.from_iterable(map(entries, things)))
    given = _titles(titles, len(single))
    shown = single[:MOST]
    wide = width or next(most for count, most in WIDTHS if len(shown) <= count)
    cells = [tile(thing, wide) for thing in shown]
    if given is not None:
        cells = [replace(one, title=title) for one, title in zip(cells, given, strict=False)]
    return Sheet(tuple(cells), columns, len(single) - len(shown))


def _titles(titles: str | Sequence[str] | None, count: int) -> list[str] | None:
    if titles is None:
        return None
    given = [titles] if isinstance(titles, str) else [str(one) for one in titles]
    if len(given) != count:
        raise UsageError(f"{len(given)} titles for {count} things: give one each")
    return given

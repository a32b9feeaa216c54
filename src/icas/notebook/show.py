"""`icas.show`: images, label maps, masks and results side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UnreadableImageError, UsageError
from icas.io.files import write_whole
from icas.io.find import find_images
from icas.io.reading import Image, as_image, read_image, resize
from icas.notebook.html import as_jpeg, as_png, at_size, counted, data_uri, fitted, mottled, text

GAP = 12
CAPTION = 26
CAPTIONED = "font-size:90%;overflow-wrap:anywhere"
LETTERS = 15
SMALL = 96
"""Smaller images are enlarged by a whole factor, up to this side."""


@dataclass(frozen=True)
class Tile:
    """One image (h, w, 3) of a sheet; `flat` if it has few colors and needs lossless encoding."""

    title: str
    picture: Image
    flat: bool = False

    @property
    def scale(self) -> int:
        """Factor by which it is enlarged."""
        longest: int = max(self.picture.shape[:2])
        return max(1, SMALL // longest)


@dataclass(frozen=True)
class Block:
    """Content of a sheet other than an image, as HTML."""

    title: str
    html: str


@dataclass(frozen=True, eq=False)
class Sheet:
    """Images side by side, as `icas.show` returns them.

    A notebook displays it as the last line of a cell, or by ``display``.

    Attributes
    ----------
    cells : sequence of Tile or Block
        Items shown.
    columns : int or None
        Number of columns; None: as many as fit.
    left_out : int
        Number of items not shown.
    """

    cells: Sequence[Tile | Block]
    columns: int | None = None
    left_out: int = 0

    def _repr_html_(self) -> str:
        """Self-contained HTML without scripts, for notebooks."""
        if self.columns is None:
            layout = "display:flex;flex-wrap:wrap;align-items:flex-start"
        else:
            layout = f"display:grid;grid-template-columns:repeat({self.columns},max-content)"
        inside = "".join(map(_cell, self.cells))
        more = f"<p>… and {self.left_out:,} more</p>" if self.left_out else ""
        return f'<div style="{layout};gap:{GAP}px;overflow-x:auto">{inside}</div>{more}'

    def png(self) -> bytes:
        """Return the sheet as a PNG file.

        Returns
        -------
        bytes

        Raises
        ------
        UsageError
            The sheet has items other than images.
        """
        return as_png(self._drawn())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the sheet to a file.

        Parameters
        ----------
        path : str or Path
            File with suffix ``.png``, ``.jpg`` or ``.html`` (self-contained).

        Raises
        ------
        UsageError
            Another suffix, or items other than images for ``.png`` and ``.jpg``.
        OSError
            The file cannot be written.
        """
        suffix = Path(path).suffix.lower()
        if suffix == ".html":
            page = f'<!doctype html><meta charset="utf-8"><body>{self._repr_html_()}</body>\n'
            write_whole(path, page.encode())
        elif suffix == ".png":
            write_whole(path, self.png())
        elif suffix in (".jpg", ".jpeg"):
            write_whole(path, as_jpeg(self._drawn()))
        else:
            raise UsageError(f"cannot save {path}: use .png, .jpg or .html")

    def _drawn(self) -> Image:
        """The images on white, each with its title below."""
        from PIL import Image as Pillow, ImageDraw, ImageFont

        tiles = [tile for tile in self.cells if isinstance(tile, Tile)]
        if len(tiles) < len(self.cells) or not tiles:
            raise UsageError("the sheet contains items other than images: save it as .html")
        large = [np.repeat(np.repeat(one.picture, one.scale, 0), one.scale, 1) for one in tiles]
        corners, size = _layout([one.shape[:2] for one in large], self.columns or len(large))
        drawn = Pillow.new("RGB", size, "white")
        draw, font = ImageDraw.Draw(drawn), ImageFont.load_default(LETTERS)
        for tile, picture, (left, top) in zip(tiles, large, corners, strict=True):
            drawn.paste(Pillow.fromarray(picture), (left, top))
            below = (left, top + picture.shape[0] + 4)
            draw.text(below, tile.title.replace("\n", " "), fill=(30, 30, 30), font=font)
        return np.asarray(drawn)

    def __repr__(self) -> str:
        more = f", {self.left_out} more not shown" if self.left_out else ""
        return f"<Sheet: {counted(len(self.cells), 'item')}{more}>"


def _cell(cell: Tile | Block) -> str:
    title = f'<figcaption style="{CAPTIONED}">{text(cell.title)}</figcaption>'
    if not cell.title:
        title = ""
    if isinstance(cell, Block):
        return f'<figure style="margin:0">{cell.html}{title}</figure>'
    width = max(SMALL, cell.picture.shape[1] * cell.scale)  # wide enough for the title
    return f'<figure style="margin:0;width:{width}px">{_image(cell)}{title}</figure>'


def _image(tile: Tile) -> str:
    height, width = (side * tile.scale for side in tile.picture.shape[:2])
    sharp = ";image-rendering:pixelated" if tile.scale > 1 else ""
    content = as_png(tile.picture) if tile.flat else as_jpeg(tile.picture)
    return (
        f'<img src="{data_uri(content)}" width="{width}" height="{height}"'
        f' alt="{text(tile.title or "picture")}" style="margin:0;max-width:none{sharp}">'
    )


def _layout(
    shapes: Sequence[tuple[int, ...]], columns: int
) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Upper left corner of each image in a grid, and the size of the whole."""
    rows = [shapes[start : start + columns] for start in range(0, len(shapes), columns)]
    widths = [max(shape[1] for shape in shapes[col::columns]) for col in range(len(rows[0]))]
    heights = [max(shape[0] for shape in row) for row in rows]
    lefts = np.cumsum([GAP, *(width + GAP for width in widths)]).tolist()
    tops = np.cumsum([GAP, *(height + CAPTION + GAP for height in heights)]).tolist()
    corners = [(lefts[at % columns], tops[at // columns]) for at in range(len(shapes))]
    return corners, (lefts[-1], tops[-1])


RENDERERS = {
    "KMeansColors": "icas.segmentimg.render.tiles:kmeans_tile",
    "PaintDocument": "icas.segmentimg.render.tiles:document_tile",
    "Template": "icas.segmentimg.render.tiles:template_tile",
    "TemplatePaint": "icas.segmentimg.render.tiles:template_paint_tile",
}
"""Class of icas -> function that makes its `Tile`, given the object and a width in pixels."""
OVERLAYS = {
    "ndarray": "icas.segmentimg.render.tiles:segments_overlay",
    "TemplatePaint": "icas.segmentimg.render.tiles:template_overlay",
}
"""Class -> function that makes the `Tile` of an image below it, given both and a width."""
MARK = (255, 40, 40)
"""Color of a mask over an image."""
BLANK = 190
"""Gray in place of a file that cannot be read."""
MOST = 48
"""Things on one sheet."""
WIDTHS = ((1, 640), (2, 420), (4, 300), (12, 220), (MOST, 150))
"""Up to so many things, the maximum width of each."""


def show(
    *things: Any,
    titles: str | Sequence[str] | None = None,
    columns: int | None = None,
    width: int | None = None,
) -> Sheet:
    """Show images, label maps, masks and results side by side in a notebook.

    A notebook displays the returned sheet as the last line of a cell. Elsewhere, save it to a file.

    Parameters
    ----------
    *things
        Items to show, each one of:

        - path of an image, or of a folder (all of its images);
        - image: (h, w, 3) RGB, (h, w, 4) RGBA or (h, w) gray, uint8, uint16, or float in [0, 1];
        - label map: (h, w) integers of another type; one color per label, 0 is black;
        - mask: (h, w) bool; white on black;
        - pair of an image and an overlay: label map (its borders are drawn), mask, or result of
          `icas.paint_templates`;
        - `PaintDocument`, `KMeansColors`, `TemplatePaint` or `Template`;
        - `ClusterReport`, or another object with an HTML representation;
        - list of such items.
    titles : str or sequence of str, optional
        One title per item. Default: file names, or counts.
    columns : int, optional
        Number of columns. Default: as many as fit.
    width : int, optional
        Maximum width of an item in pixels. Default: 640 for one item, down to 150 for many.

    Returns
    -------
    Sheet
        Has ``.save(path)`` (``.png``, ``.jpg``, ``.html``) and ``.png()``. At most 48 items are
        shown, with the number of others below.

    Raises
    ------
    UsageError
        An item that cannot be shown, a wrong number of titles, or `width` or `columns` below 1.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> image = data.coffee()
    >>> labels = icas.segment(image, "graph")
    >>> icas.show(image, (image, labels), titles=["coffee", "segments"])
    <Sheet: 2 items>
    """
    for name, number in (("columns", columns), ("width", width)):
        if number is not None and number < 1:
            raise UsageError(f"{name} {number}: must be at least 1")
    single = list(_flattened(things))
    if titles is not None:
        titles = [titles] if isinstance(titles, str) else list(map(str, titles))
        if len(titles) != len(single):
            raise UsageError(
                f"{len(titles)} titles for {len(single)} items: give one title per item"
            )
    shown = single[:MOST]
    wide = width or next(most for count, most in WIDTHS if len(shown) <= count)
    cells = [tile(thing, wide) for thing in shown]
    if titles is not None:
        cells = [replace(cell, title=title) for cell, title in zip(cells, titles, strict=False)]
    return Sheet(tuple(cells), columns, len(single) - len(shown))


@dataclass(frozen=True)
class _FolderEntry:
    """A file of a given folder, maybe not an image."""

    path: Path


def _flattened(things: Any) -> Iterator[Any]:
    """The single things: of a folder its images, of a list its items."""
    for thing in things:
        if isinstance(thing, list):
            yield from _flattened(thing)
        elif isinstance(thing, (str, Path)):
            path = Path(thing)
            yield from map(_FolderEntry, find_images(path)) if path.is_dir() else [path]
        else:
            yield thing


def tile(thing: Any, width: int) -> Tile | Block:
    """One thing as an image at most `width` pixels wide, or as a piece of HTML."""
    if isinstance(thing, (Path, _FolderEntry)):
        return _file_tile(thing, width)
    if isinstance(thing, np.ndarray):
        return _array_tile(np.asarray(thing), width)
    render = _registered(thing, RENDERERS)
    if render is not None:
        made: Tile = render(thing, width)
        return made
    if isinstance(thing, tuple):
        return _overlay_tile(thing, width)
    html = getattr(thing, "_repr_html_", None)
    shown = html() if callable(html) and not isinstance(thing, type) else None
    if shown is None:
        raise UsageError(
            f"cannot show {type(thing).__name__}: expected an image, path, label map, mask, pair"
            " of an image and an overlay, or result of icas"
        )
    return Block("", str(shown))


def _registered(thing: Any, table: dict[str, str]) -> Any:
    """The function that a table names for the class of `thing`; None if there is none."""
    for kind in type(thing).__mro__:
        if kind.__name__ in table and kind.__module__.partition(".")[0] in ("icas", "numpy"):
            module, function = table[kind.__name__].split(":")
            return getattr(import_module(module), function)
    return None


def _file_tile(file: Path | _FolderEntry, width: int) -> Tile:
    path = file if isinstance(file, Path) else file.path
    try:
        return Tile(path.name, fit(read_image(path), width))
    except UnreadableImageError as error:
        if isinstance(file, Path):
            raise UsageError(f"cannot show {path}: {error.message}") from None
        blank = np.full((width // 2 + 1, width, 3), BLANK, np.uint8)
        return Tile(f"{path.name}: {error.message}", blank, flat=True)


def _array_tile(array: NDArray[Any], width: int) -> Tile:
    if array.dtype == bool and array.ndim == 2 and array.size:
        gray = np.where(fitted(array, _most(width)), 255, 0).astype(np.uint8)
        return Tile("", np.repeat(gray[..., None], 3, axis=2), flat=True)
    if _is_label_map(array):
        title = counted(label_count(array), "label")
        return Tile(title, mottled(fitted(array, _most(width))), flat=True)
    if array.dtype.kind == "f" and array.size:
        low, high = float(np.nanmin(array)), float(np.nanmax(array))
        if not -0.001 <= low <= high <= 1.001:
            raise UsageError(
                f"image has values from {low:g} to {high:g}: float images must be in 0 to 1"
            )
        array = np.rint(np.nan_to_num(array).clip(0, 1) * 255).astype(np.uint8)
    return Tile("", fit(as_image(array), width))


def _overlay_tile(pair: tuple[Any, ...], width: int) -> Tile:
    """An image with a label map, a mask or found templates over it."""
    if len(pair) != 2:
        raise UsageError(f"an overlay needs a pair (image, overlay), got {len(pair)} items")
    below, over = pair
    image = read_image(below) if isinstance(below, (str, Path)) else as_image(below)
    is_mask = isinstance(over, np.ndarray) and over.ndim == 2 and over.dtype == bool
    render = _registered(over, OVERLAYS)
    if render is None or (isinstance(over, np.ndarray) and not is_mask and not _is_label_map(over)):
        raise UsageError(
            f"cannot use {type(over).__name__} as overlay: expected a label map, a bool mask, or"
            " a result of icas.paint_templates"
        )
    shape = tuple(np.shape(getattr(over, "painted", over)))
    if shape != image.shape[:2]:
        raise UsageError(
            f"the image has shape {image.shape[:2]}, the overlay {shape}: they must be equal"
        )
    if is_mask:
        return Tile("", _tinted(fit(image, width), over))
    made: Tile = render(image, over, width)
    return made


def _tinted(image: Image, mask: NDArray[np.bool_]) -> Image:
    """The image with a mask in `MARK`, and the rest of it paler."""
    inside = at_size(mask, (image.shape[1], image.shape[0]))
    shown = np.where(inside[..., None], 0.55 * image + 0.45 * np.array(MARK), 0.6 * image + 70)
    return np.asarray(shown.clip(0, 255), np.uint8)


def _is_label_map(array: NDArray[Any]) -> bool:
    """Integers of more than 16 bits, or signed; uint8 and uint16 are gray images."""
    kind = array.dtype.kind
    return array.ndim == 2 and array.size > 0 and (kind == "i" or array.dtype in ("u4", "u8"))


def label_count(labels: NDArray[Any]) -> int:
    """Number of different labels above 0."""
    return len(np.unique(labels[labels > 0]))


def _most(width: int) -> tuple[int, int]:
    """Maximum width and height."""
    return width, 2 * width


def fit(image: Image, width: int) -> Image:
    """The image at most `width` wide and twice that high."""
    height, own = image.shape[:2]
    share = min(1.0, width / own, 2 * width / height)
    return resize(image, (max(1, round(own * share)), max(1, round(height * share))))

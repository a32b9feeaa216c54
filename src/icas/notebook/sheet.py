"""Images side by side, as HTML for a notebook or as a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from icas.common.errors import UsageError
from icas.io.files import write_whole
from icas.io.reading import Image
from icas.notebook.html import as_jpeg, as_png, counted, data_uri, text

GAP = 12
CAPTION = 26
CAPTIONED = "font-size:90%;overflow-wrap:anywhere"
LETTERS = 15
SMALL = 96
"""Smaller images are enlarged by a whole factor, up to this side."""


@dataclass(frozen=True)
class Tile:
    """One image (h, w, 3) of a sheet; `flat` if it has few colors, to be encoded exactly."""

    title: str
    picture: Image
    flat: bool = False

    @property
    def scale(self) -> int:
        """How many times as large it is shown."""
        longest: int = max(self.picture.shape[:2])
        return max(1, SMALL // longest)


@dataclass(frozen=True)
class Block:
    """Something on a sheet that is no picture, as HTML."""

    title: str
    html: str


@dataclass(frozen=True, eq=False)
class Sheet:
    """Pictures side by side; what `icas.show` gives.

    A notebook shows it where it is the last line of a cell, or by ``display``.

    Attributes
    ----------
    cells : sequence of Tile or Block
    columns : int or None
        How many side by side; None: as many as there is room for.
    left_out : int
        How many things were given beyond those that are shown.
    """

    cells: Sequence[Tile | Block]
    columns: int | None = None
    left_out: int = 0

    def _repr_html_(self) -> str:
        """What a notebook shows: self-contained, without script."""
        if self.columns is None:
            layout = "display:flex;flex-wrap:wrap;align-items:flex-start"
        else:
            layout = f"display:grid;grid-template-columns:repeat({self.columns},max-content)"
        inside = "".join(map(_cell, self.cells))
        more = f"<p>… and {self.left_out:,} more</p>" if self.left_out else ""
        return f'<div style="{layout};gap:{GAP}px;overflow-x:auto">{inside}</div>{more}'

    def png(self) -> bytes:
        """The sheet as a PNG file.

        Raises
        ------
        UsageError
            Something on it is no picture.
        """
        return as_png(self._drawn())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the sheet to a file: ``.png``, ``.jpg``, or ``.html``, which is self-contained.

        Raises
        ------
        UsageError
            Another suffix, or something on it is no picture and the file is to be one.
        OSError
            It cannot be written.
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
            raise UsageError(f"cannot save {path}: .png, .jpg or .html is needed")

    def _drawn(self) -> Image:
        """The images on white, each with its title below."""
        from PIL import Image as Pillow, ImageDraw, ImageFont

        tiles = [tile for tile in self.cells if isinstance(tile, Tile)]
        if len(tiles) < len(self.cells) or not tiles:
            raise UsageError("the sheet holds something that is no picture: save it as .html")
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
        more = f", {self.left_out} more left out" if self.left_out else ""
        return f"<Sheet: {counted(len(self.cells), 'thing')}{more}>"


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

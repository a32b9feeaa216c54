"""The palette window: the classes to choose from, and the status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from icas.io.reading import Image
from icas.segmentimg.document.palette import Color, Palette
from icas.segmentimg.windows.text import (
    ACCENT,
    CHARACTER_WIDTH,
    DIM,
    FOREGROUND,
    blank,
    wrapped,
    write,
)

WIDTH = 252
CELL = 27
COLUMNS = 2
MAX_ROWS = 14
MARGIN = 8
FONT_SIZE = 13
CELL_WIDTH = (WIDTH - 2 * MARGIN) // COLUMNS


@dataclass(frozen=True)
class PaletteStatus:
    """What the palette window shows."""

    classes: Palette
    chosen: int
    """Index of the chosen class."""
    first_row: int
    """Row of classes on top."""
    name: str
    number: int
    pictures: int
    mode: str
    details: tuple[str, ...]
    unsaved: bool


def rows_of_classes(classes: Sequence[object]) -> int:
    """Number of rows of all classes."""
    return -(-len(classes) // COLUMNS)


def palette_image(status: PaletteStatus) -> Image:
    """(h, w, 3): the image of the window."""
    shown = min(MAX_ROWS, rows_of_classes(status.classes))
    name = wrapped(status.name, WIDTH - 2 * MARGIN, FONT_SIZE)[:3]
    top = 2 * MARGIN + shown * CELL
    image = blank(WIDTH, top + 104 + 18 * (len(name) + len(status.details)))
    for index in range(len(status.classes)):
        row = index // COLUMNS - status.first_row
        if 0 <= row < shown:
            _draw_cell(image, status, index, row)
    if shown < rows_of_classes(status.classes):
        write(image, (MARGIN, top - 12), "wheel: more colours", 10, DIM)
    _draw_chosen(image, status, top + 4)
    lines = [(status.mode, FOREGROUND)]
    lines += [(f"picture {status.number} of {status.pictures}", FOREGROUND)]
    lines += [(line, DIM) for line in (*name, *status.details)]
    lines += [("● not saved", ACCENT) if status.unsaved else ("saved or not painted", DIM)]
    for number, (line, color) in enumerate(lines):
        write(image, (MARGIN, top + 48 + 18 * number), line, FONT_SIZE, color)
    return image


def class_under(x: int, y: int, first_row: int, classes: Sequence[object]) -> int | None:
    """Index of the class whose cell is at a position in the window; None if there is none."""
    column, row = (x - MARGIN) // CELL_WIDTH, (y - MARGIN) // CELL
    shown = min(MAX_ROWS, rows_of_classes(classes))
    if not (0 <= column < COLUMNS and 0 <= row < shown):
        return None
    index = (row + first_row) * COLUMNS + column
    return index if index < len(classes) else None


def _draw_cell(image: Image, status: PaletteStatus, index: int, row: int) -> None:
    left = MARGIN + index % COLUMNS * CELL_WIDTH
    top = MARGIN + row * CELL
    chosen = index == status.chosen
    if chosen:
        image[top : top + CELL - 2, left : left + CELL_WIDTH - 3] = ACCENT
        image[top + 2 : top + CELL - 4, left + 2 : left + CELL_WIDTH - 5] = (62, 64, 68)
    _draw_swatch(image, left + 4, top + 4, CELL - 10, status.classes[index].color)
    characters = int((CELL_WIDTH - CELL - 4) / (CHARACTER_WIDTH * FONT_SIZE))
    name = status.classes[index].name
    name = name if len(name) <= characters else f"{name[: characters - 1]}…"
    write(image, (left + CELL, top + 5), name, FONT_SIZE, FOREGROUND if chosen else DIM)


def _draw_chosen(image: Image, status: PaletteStatus, top: int) -> None:
    chosen = status.classes[status.chosen]
    _draw_swatch(image, MARGIN, top, 34, chosen.color)
    write(image, (MARGIN + 44, top), chosen.name, FONT_SIZE + 2)
    rgb = ", ".join(map(str, chosen.color))
    write(image, (MARGIN + 44, top + 19), rgb, FONT_SIZE - 1, DIM)


def _draw_swatch(image: Image, left: int, top: int, side: int, color: Color) -> None:
    image[top - 1 : top + side + 1, left - 1 : left + side + 1] = np.uint8(120)
    image[top : top + side, left : left + side] = color

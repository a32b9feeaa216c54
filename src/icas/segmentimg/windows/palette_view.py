"""The colour window: the classes to choose from, and what is going on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from icas.io.reading import Image
from icas.segmentimg.document.palette import Palette
from icas.segmentimg.windows.text import ACCENT, DIM, LETTER_SHARE, WORDS, blank, wrapped, write

WIDTH = 252
CELL = 27
COLUMNS = 2
MOST_ROWS = 14
MARGIN = 8
LETTERS = 13


@dataclass(frozen=True)
class Status:
    """What the colour window tells.

    Attributes
    ----------
    classes : Palette
    chosen : int
        Place of the chosen class.
    first_row : int
        Row of classes that stands on top.
    name : str
        The picture's.
    number, pictures : int
        Which picture of how many, from 1.
    mode : str
        What a click does now.
    details : tuple of str
        Lines below.
    unsaved : bool
    """

    classes: Palette
    chosen: int
    first_row: int
    name: str
    number: int
    pictures: int
    mode: str
    details: tuple[str, ...]
    unsaved: bool


def rows_of_classes(classes: Sequence[object]) -> int:
    """Rows that the classes take."""
    return -(-len(classes) // COLUMNS)


def color_picture(status: Status) -> Image:
    """(h, w, 3): the window's picture."""
    shown = min(MOST_ROWS, rows_of_classes(status.classes))
    name = wrapped(status.name, WIDTH - 2 * MARGIN, LETTERS)[:3]
    top = 2 * MARGIN + shown * CELL
    picture = blank((WIDTH, top + 104 + 18 * (len(name) + len(status.details))))
    for place in range(len(status.classes)):
        row = place // COLUMNS - status.first_row
        if 0 <= row < shown:
            _draw_cell(picture, status, place, row)
    if shown < rows_of_classes(status.classes):
        write(picture, (MARGIN, top - 12), "wheel: more colours", 10, DIM)
    _draw_chosen(picture, status, top + 4)
    y = top + 48
    for line in (status.mode, f"picture {status.number} of {status.pictures}"):
        write(picture, (MARGIN, y), line, LETTERS)
        y += 18
    for line in (*name, *status.details):
        write(picture, (MARGIN, y), line, LETTERS, DIM)
        y += 18
    mark = ("● not saved", ACCENT) if status.unsaved else ("saved or not painted", DIM)
    write(picture, (MARGIN, y), mark[0], LETTERS, mark[1])
    return picture


def class_under(x: int, y: int, first_row: int, classes: Sequence[object]) -> int | None:
    """Place of the class whose cell lies at a place in the window; None for no cell."""
    column, row = (x - MARGIN) // _cell_width(), (y - MARGIN) // CELL
    shown = min(MOST_ROWS, rows_of_classes(classes))
    if not (0 <= column < COLUMNS and 0 <= row < shown):
        return None
    place = (row + first_row) * COLUMNS + column
    return place if place < len(classes) else None


def _cell_width() -> int:
    return (WIDTH - 2 * MARGIN) // COLUMNS


def _draw_cell(picture: Image, status: Status, place: int, row: int) -> None:
    left = MARGIN + place % COLUMNS * _cell_width()
    top = MARGIN + row * CELL
    if place == status.chosen:
        picture[top : top + CELL - 2, left : left + _cell_width() - 3] = ACCENT
        picture[top + 2 : top + CELL - 4, left + 2 : left + _cell_width() - 5] = (62, 64, 68)
    _swatch(picture, left + 4, top + 4, CELL - 10, status.classes[place].color)
    room = int((_cell_width() - CELL - 4) / (LETTER_SHARE * LETTERS))
    name = status.classes[place].name
    name = name if len(name) <= room else f"{name[: room - 1]}…"
    write(picture, (left + CELL, top + 5), name, LETTERS, WORDS if place == status.chosen else DIM)


def _draw_chosen(picture: Image, status: Status, top: int) -> None:
    one = status.classes[status.chosen]
    _swatch(picture, MARGIN, top, 34, one.color)
    write(picture, (MARGIN + 44, top), one.name, LETTERS + 2)
    red, green, blue = one.color
    write(picture, (MARGIN + 44, top + 19), f"{red}, {green}, {blue}", LETTERS - 1, DIM)


def _swatch(picture: Image, left: int, top: int, side: int, color: tuple[int, int, int]) -> None:
    picture[top - 1 : top + side + 1, left - 1 : left + side + 1] = np.uint8(120)
    picture[top : top + side, left : left + side] = color

"""The window with the file names: which images are painted, and a click to go to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from icas.io.reading import Image
from icas.segmentimg.session.session import Mark
from icas.segmentimg.windows.panels import (
    ACCENT,
    DIM,
    FOREGROUND,
    WIDTH,
    blank,
    font_of,
    write,
)

ROW, HEAD, FONT_SIZE, MARGIN = 20, 26, 13, 8
MARK_COLORS = {Mark.SAVED: (90, 200, 110), Mark.UNSAVED: ACCENT, Mark.NONE: (70, 72, 76)}
MARK_SIZE = 9


@dataclass(frozen=True)
class FileRow:
    """An image in the list."""

    name: str
    mark: Mark


def file_list_image(
    rows: Sequence[FileRow], first: int, current: int, count: int, height: int
) -> Image:
    """(h, w, 3): the visible rows, of which the first is image `first` (from 0) of `count`."""
    image = blank(WIDTH, HEAD + height * ROW)
    write(image, (MARGIN, 6), f"{count} images  (g: go to number, u: next unpainted)", 10, DIM)
    digits = len(str(count))
    for place, row in enumerate(rows[:height]):
        top, number = HEAD + place * ROW, first + place
        if number == current:
            image[top : top + ROW] = (62, 64, 68)
        middle = top + (ROW - MARK_SIZE) // 2
        image[middle : middle + MARK_SIZE, MARGIN : MARGIN + MARK_SIZE] = MARK_COLORS[row.mark]
        text = f"{number + 1:>{digits}}  {row.name}"
        color = FOREGROUND if number == current else DIM
        write(image, (MARGIN + 18, top + 2), _fitting(text, WIDTH - 34), FONT_SIZE, color)
    return image


def row_under(y: int, first: int, count: int, height: int) -> int | None:
    """Index of the image at a height in the window; None if there is none."""
    place = (y - HEAD) // ROW
    return first + place if y >= HEAD and place < height and first + place < count else None


def first_row(first: int, current: int, count: int, height: int) -> int:
    """The first row such that `current` is visible, near `first`."""
    first = min(max(first, current - height + 1), current)
    return max(0, min(first, count - height))


def _fitting(text: str, width: int) -> str:
    """The text, with … at its end if it is wider than `width` pixels."""
    font = font_of(FONT_SIZE)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"

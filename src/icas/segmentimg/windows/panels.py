"""Drawn panels: messages, help, palette window, debug window, loading screen."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.display import font_folder
from icas.common.errors import IcasError
from icas.io.reading import Image, resize, thumbnail
from icas.notebook.html import mottled
from icas.segmentimg.document.palette import Color, Palette
from icas.segmentimg.labels.label_map import cell_size, contact_sheet, overlay
from icas.segmentimg.labels.labels import count_of
from icas.segmentimg.labels.merge_tree import labels_at
from icas.segmentimg.render.canvas import Pyramid, Shape, Viewport
from icas.segmentimg.segmenters.segment import enlarge
from icas.segmentimg.session.open import OpenImage

FOREGROUND = (235, 235, 235)
DIM = (165, 165, 165)
BACKGROUND = (32, 33, 36)
ACCENT = (255, 214, 0)
CHARACTER_WIDTH = 0.56
"""Average width of a character as a share of the font size."""


@lru_cache(maxsize=8)
def font_of(size: int) -> Any:
    """matplotlib's DejaVu Sans if installed, for more than Latin characters, else Pillow's font."""
    from PIL import ImageFont

    folder = font_folder()
    if folder is not None and (folder / "DejaVuSans.ttf").is_file():
        return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), size)
    return ImageFont.load_default(size)


def blank(width: int, height: int) -> Image:
    """(h, w, 3): an empty panel."""
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def write(
    image: Image, position: tuple[int, int], text: str, size: int = 14, color: Color = FOREGROUND
) -> None:
    """Draw a line of text with its upper left corner at `position` (x, y)."""
    x, y = position
    mask = _text_mask(text, size)[: max(0, image.shape[0] - y), : max(0, image.shape[1] - x)]
    if mask.size:
        part = image[y : y + mask.shape[0], x : x + mask.shape[1]]
        part[:] = np.rint(part + mask * (np.array(color, np.float32) - part))


@lru_cache(maxsize=1024)
def _text_mask(text: str, size: int) -> NDArray[np.float32]:
    """(h, w, 1): opacity of the pixels of a text; most texts are drawn again and again."""
    from PIL import Image as PillowImage, ImageDraw

    font = font_of(size)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text, anchor="la"))
    if right <= left or bottom <= top:
        return np.empty((0, 0, 1), np.float32)
    drawn = PillowImage.new("L", (right + 2, bottom + 2))
    ImageDraw.Draw(drawn).text((0, 0), text, fill=255, font=font, anchor="la")
    return np.asarray(drawn, np.float32)[..., None] / np.float32(255)


def wrapped(text: str, width: int, size: int) -> list[str]:
    """`text` in lines of approximately `width` pixels at most."""
    return textwrap.wrap(text, max(8, int(width / (CHARACTER_WIDTH * size)))) or [""]


BAR = 28
"""Height of the bar below an image."""
BAR_FONT_SIZES = (14, 13, 12, 11)


def with_bar(image: Image, text: str, hint: str = "") -> Image:
    """(h + `BAR`, w, 3): an image with a message below it, or else a dim hint."""
    height, width = image.shape[:2]
    whole = np.empty((height + BAR, width, 3), np.uint8)
    whole[:height] = image
    bar = whole[height:]
    bar[:] = BACKGROUND
    words, color = (text, FOREGROUND) if text else (hint, DIM)
    room = width - 16
    size = next((s for s in BAR_FONT_SIZES if font_of(s).getlength(words) <= room), 10)
    lines = [words]
    if font_of(size).getlength(words) > room:
        lines = wrapped(words, room, size)[:2]
    step = BAR // len(lines)
    for number, line in enumerate(lines):
        write(bar, (8, number * step + (step - size) // 2 - 1), line, size, color)
    return whole


HELP_FONT_SIZES = (14, 13, 12, 11, 10, 9)
HEADING_COLOR = (120, 190, 255)


def help_over(image: Image, groups: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> Image:
    """(h, w, 3): a darkened image with tables of keys over it, in columns where needed."""
    room = image.shape[:2]
    tries = (
        _help_panel(groups, size, columns) for size in HELP_FONT_SIZES for columns in (1, 2, 3)
    )
    smallest = _help_panel(groups, HELP_FONT_SIZES[-1], 1)
    fitting = (one for one in tries if one.shape[0] <= room[0] and one.shape[1] <= room[1])
    panel = next(fitting, smallest)[: room[0], : room[1]]
    whole = image // 3
    top, left = ((side - part) // 2 for side, part in zip(room, panel.shape[:2], strict=True))
    whole[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
    return whole


def _help_panel(
    groups: Sequence[tuple[str, Sequence[tuple[str, str]]]], size: int, columns: int
) -> Image:
    """(h, w, 3): the groups below each other, in columns of about the same height."""
    step, gap = size + 7, size
    heights = [step * (1 + len(rows)) + gap for _, rows in groups]
    target = -(-sum(heights) // columns)
    parts: list[list[int]] = [[]]
    filled = 0
    for number, height in enumerate(heights):
        if parts[-1] and filled + height / 2 > target and len(parts) < columns:
            parts.append([])
            filled = 0
        parts[-1].append(number)
        filled += height
    drawn = [_help_column([groups[number] for number in part], size) for part in parts]
    width = sum(part.shape[1] for part in drawn) + 14
    panel = blank(width, max(part.shape[0] for part in drawn) + size + 22)
    write(panel, (14, 8), "Keys and mouse (h: close)", size + 3, ACCENT)
    left = 0
    for part in drawn:
        panel[size + 22 : size + 22 + part.shape[0], left : left + part.shape[1]] = part
        left += part.shape[1]
    return panel


def _help_column(groups: Sequence[tuple[str, Sequence[tuple[str, str]]]], size: int) -> Image:
    step, gap = size + 7, size
    font = font_of(size)
    rows = [row for _, rows in groups for row in rows]
    left, right = (max(map(font.getlength, column)) for column in zip(*rows, strict=True))
    column = blank(int(left + right) + 44, sum(step * (1 + len(rows)) + gap for _, rows in groups))
    top = 0
    for heading, lines in groups:
        write(column, (14, top), heading, size, HEADING_COLOR)
        for key, words in lines:
            top += step
            write(column, (14, top), key, size, ACCENT)
            write(column, (int(left) + 32, top), words, size)
        top += step + gap
    return column


WIDTH = 252
CELL, MARGIN = 27, 8
COLUMNS, MAX_ROWS = 2, 14
FONT_SIZE = 13
CELL_WIDTH = (WIDTH - 2 * MARGIN) // COLUMNS
FEW_SEGMENTS = 30
WAITING_FONT_SIZE = 17
ADD = "+"
"""Cell after those of the classes, which adds a class."""


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
    instance: int = 1
    """Object number of new paint."""
    entry: str | None = None
    """Text of a class that is being typed."""


def rows_of_classes(classes: Sequence[object]) -> int:
    """Number of rows of all classes."""
    return -(-len(classes) // COLUMNS)


def palette_image(status: PaletteStatus) -> Image:
    """(h, w, 3): the image of the window."""
    rows = rows_of_classes([*status.classes, ADD])
    shown = min(MAX_ROWS, rows)
    name = wrapped(status.name, WIDTH - 2 * MARGIN, FONT_SIZE)[:3]
    top = 2 * MARGIN + shown * CELL
    image = blank(WIDTH, top + 104 + 18 * (len(name) + len(status.details)))
    for index in range(len(status.classes)):
        row = index // COLUMNS - status.first_row
        if 0 <= row < shown:
            _draw_cell(image, status, index, row)
    row, column = divmod(len(status.classes), COLUMNS)
    if row - status.first_row < shown:
        place = (MARGIN + column * CELL_WIDTH + 8, MARGIN + (row - status.first_row) * CELL + 3)
        write(image, place, ADD, FONT_SIZE + 3, DIM)
    if shown < rows:
        write(image, (MARGIN, top - 12), "wheel: more colours", 10, DIM)
    chosen = status.classes[status.chosen]
    rgb = ", ".join(map(str, chosen.color))
    title, under = chosen.name, f"object {status.instance}  ({rgb})"
    if status.entry is not None:
        title, under = f"{status.entry[-22:]}_", "name,rrggbb  Enter: ok, Esc: cancel"
    _draw_swatch(image, MARGIN, top + 4, 34, chosen.color)
    typing = status.entry is not None
    write(image, (MARGIN + 44, top + 4), title, FONT_SIZE + 2, ACCENT if typing else FOREGROUND)
    write(image, (MARGIN + 44, top + 23), under, FONT_SIZE - (3 if typing else 1), DIM)
    bright = (status.mode, f"image {status.number} of {status.pictures}")
    lines = [(line, FOREGROUND) for line in bright]
    lines += [(line, DIM) for line in (*name, *status.details)]
    saved = ("no unsaved changes", DIM)
    lines += [("● unsaved changes", ACCENT) if status.unsaved else saved]
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
    if index < 9:  # the key that selects it
        write(image, (left + CELL_WIDTH - 15, top + 7), str(index + 1), FONT_SIZE - 3, DIM)
        characters -= 2
    name = status.classes[index].name
    name = name if len(name) <= characters else f"{name[: characters - 1]}…"
    color = FOREGROUND if chosen else DIM
    write(image, (left + CELL, top + 5), name, FONT_SIZE, color)


def _draw_swatch(image: Image, left: int, top: int, side: int, color: Color) -> None:
    image[top - 1 : top + side + 1, left - 1 : left + side + 1] = np.uint8(120)
    image[top : top + side, left : left + side] = color


def debug_image(opened: OpenImage, max_size: Shape) -> Image:
    """(h, w, 3): image, segments, segments before cuts, few segments, classes, edges."""
    document = opened.document
    size = cell_size(document.image)
    small = resize(document.image, size)
    now, first = enlarge(document.labels, size), enlarge(document.first, size)
    few = enlarge(labels_at(opened.tree, FEW_SEGMENTS), size)
    classes = enlarge(document.class_map().astype(np.int32), size)
    colors = np.array([(60, 60, 60), *document.colors], np.uint8)
    cells = [
        (opened.picture.path.name, small),
        (f"{count_of(document.labels)} segments now", overlay(small, now)),
        (f"{count_of(document.first)} original segments", mottled(first)),
        (f"{FEW_SEGMENTS} segments (merge tree)", mottled(few)),
        ("painted", np.asarray(colors[classes], np.uint8)),
        ("edges", np.repeat(np.where(now == 0, 255, 0).astype(np.uint8)[..., None], 3, axis=2)),
    ]
    sheet = contact_sheet(cells, columns=3, background=BACKGROUND, text=FOREGROUND)
    share = min(1.0, max_size[0] / sheet.shape[0], max_size[1] / sheet.shape[1])
    return resize(sheet, (round(share * sheet.shape[1]), round(share * sheet.shape[0])))


def waiting_image(path: Path, error: str, size: Shape, smooth: bool | None = None) -> Image:
    """(h, w, 3): the darkened image with a message while it is not open."""
    image = _darkened(path, size, smooth)
    height, width = size
    status = f"cannot open: {error}" if error else "segmenting …"
    y = height // 2 - 2 * WAITING_FONT_SIZE
    for line in (path.name, status, "n: next, p: previous, q: quit"):
        color = ACCENT if line == path.name else FOREGROUND
        for part in wrapped(line, width - 40, WAITING_FONT_SIZE):
            write(image, (20, y), part, WAITING_FONT_SIZE, color)
            y += WAITING_FONT_SIZE + 8
    return image


def _darkened(path: Path, size: Shape, smooth: bool | None) -> Image:
    """The image where it will be; an empty panel if it cannot be read."""
    try:
        small = thumbnail(path, max(size))
    except IcasError:
        return blank(size[1], size[0])
    view = Viewport.fitted((small.shape[0], small.shape[1]), size, smooth)
    return np.asarray(Pyramid(small).seen(view, smooth) // 3, np.uint8)

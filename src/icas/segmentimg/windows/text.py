"""Text drawn into windows by Pillow: lines, messages at the bottom, panels with tables."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from icas.cli.display import font_folder
from icas.io.reading import Image
from icas.segmentimg.document.palette import Color

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
    from PIL import Image as PillowImage, ImageDraw

    font = font_of(size)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text, anchor="la"))
    x, y = position
    width, height = min(image.shape[1] - x, right + 2), min(image.shape[0] - y, bottom + 2)
    if width <= 0 or height <= 0 or right <= left or bottom <= top:
        return
    part = image[y : y + height, x : x + width]
    drawn = PillowImage.fromarray(part)
    ImageDraw.Draw(drawn).text((0, 0), text, fill=color, font=font, anchor="la")
    part[:] = np.asarray(drawn)


def wrapped(text: str, width: int, size: int) -> list[str]:
    """`text` in lines of approximately `width` pixels at most."""
    return textwrap.wrap(text, max(8, int(width / (CHARACTER_WIDTH * size)))) or [""]


def notice(image: Image, text: str, size: int = 15) -> None:
    """Draw a message over the bottom of an image."""
    lines = wrapped(text, image.shape[1] - 16, size)
    step = size + 6
    height = min(image.shape[0], len(lines) * step + 8)
    band = image[image.shape[0] - height :]
    band[:] = (0.2 * band + 0.8 * np.array(BACKGROUND)).astype(np.uint8)
    for number, line in enumerate(lines):
        write(image, (8, image.shape[0] - height + 5 + number * step), line, size)


def help_over(image: Image, rows: Sequence[tuple[str, str]]) -> Image:
    """(h, w, 3): a darkened image, enlarged where needed, with a table of keys over it."""
    size = 14
    step = size + 7
    left, right = (max(map(font_of(size).getlength, column)) for column in zip(*rows, strict=True))
    panel = blank(int(left + right) + 52, 38 + size + step * len(rows))
    write(panel, (14, 8), "Keys and buttons (h closes)", size + 3, ACCENT)
    for number, (key, words) in enumerate(rows):
        top = 26 + size + number * step
        write(panel, (14, top), key, size, ACCENT)
        write(panel, (int(left) + 32, top), words, size)
    height, width = (max(sides) for sides in zip(image.shape[:2], panel.shape[:2], strict=True))
    whole = blank(width, height)
    whole[: image.shape[0], : image.shape[1]] = image // 3
    top, left = (height - panel.shape[0]) // 2, (width - panel.shape[1]) // 2
    whole[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
    return whole

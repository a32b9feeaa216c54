"""Words in windows: panels of text and lines at the bottom, drawn by Pillow, alike everywhere."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from icas.cli.display import font_folder
from icas.cli.options import Size
from icas.io.reading import Image

WORDS = (235, 235, 235)
DIM = (165, 165, 165)
GROUND = (32, 33, 36)
ACCENT = (255, 214, 0)
LETTER_SHARE = 0.56
"""Width of an average letter as a share of the font's size."""


@lru_cache(maxsize=8)
def font_of(size: int) -> Any:
    """The font that all windows use, with more than Latin letters where matplotlib's is there."""
    from PIL import ImageFont

    folder = font_folder()
    if folder is not None and (folder / "DejaVuSans.ttf").is_file():
        return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), size)
    return ImageFont.load_default(size)


def blank(size: Size) -> Image:
    """(h, w, 3): an empty panel of a width and a height."""
    return np.full((size[1], size[0], 3), GROUND, np.uint8)


def write(
    picture: Image,
    place: tuple[int, int],
    text: str,
    size: int = 14,
    color: tuple[int, int, int] = WORDS,
) -> None:
    """Write a line into a picture, its upper left corner at `place` (x, y)."""
    from PIL import Image as Pictures, ImageDraw

    font = font_of(size)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text, anchor="la"))
    x, y = place
    width, height = picture.shape[1] - x, picture.shape[0] - y
    width, height = min(width, right + 2), min(height, bottom + 2)
    if width <= 0 or height <= 0 or right <= left or bottom <= top:
        return
    part = picture[y : y + height, x : x + width]
    drawn = Pictures.fromarray(part)
    ImageDraw.Draw(drawn).text((0, 0), text, fill=color, font=font, anchor="la")
    part[:] = np.asarray(drawn)


def wrapped(text: str, width: int, size: int) -> list[str]:
    """`text` in lines that fit into `width` pixels, about."""
    return textwrap.wrap(text, max(8, int(width / (LETTER_SHARE * size)))) or [""]


def notice(picture: Image, text: str, size: int = 15) -> None:
    """Lay a message over the bottom of a picture."""
    lines = wrapped(text, picture.shape[1] - 16, size)
    step = size + 6
    height = min(picture.shape[0], len(lines) * step + 8)
    band = picture[picture.shape[0] - height :]
    band[:] = (0.2 * band + 0.8 * np.array(GROUND)).astype(np.uint8)
    for number, line in enumerate(lines):
        write(picture, (8, picture.shape[0] - height + 5 + number * step), line, size)


def table_panel(title: str, rows: Sequence[tuple[str, str]], size: int = 14) -> Image:
    """(h, w, 3): a heading, and below it two columns of text."""
    step, first = size + 7, 18 + size
    left = max(font_of(size).getlength(key) for key, _ in rows)
    right = max(font_of(size).getlength(words) for _, words in rows)
    panel = blank((int(left + right) + 52, first + 12 + step * len(rows) + 8))
    write(panel, (14, 8), title, size + 3, ACCENT)
    for number, (key, words) in enumerate(rows):
        top = first + 8 + number * step
        write(panel, (14, top), key, size, ACCENT)
        write(panel, (int(left) + 32, top), words, size)
    return panel


def laid_over(picture: Image, panel: Image) -> Image:
    """(h, w, 3): a darkened picture with a panel on it, made larger where the panel has no room."""
    height = max(picture.shape[0], panel.shape[0])
    width = max(picture.shape[1], panel.shape[1])
    whole = blank((width, height))
    whole[: picture.shape[0], : picture.shape[1]] = picture // 3
    top, left = (height - panel.shape[0]) // 2, (width - panel.shape[1]) // 2
    whole[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
    return whole

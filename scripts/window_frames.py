"""Pictures of windows set side by side, each below its name; the pointer drawn where it is.

Screens without a person have no window manager, so title bars and the pointer are drawn here. What
is in the windows is what the program shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures, ImageDraw, ImageFile, ImageFont

Image = NDArray[np.uint8]
Point = tuple[int, int]

ImageFile.MAXBLOCK = 2**23  # what Pillow needs to write dense pictures of lines
MARGIN, BAR, GAP = 10, 26, 14
BAR_COLOR, RIM, WORDS = (228, 228, 231), (160, 160, 166), (45, 45, 48)
ARROW = ((0, 0), (0, 17), (4, 13), (7, 19), (10, 18), (7, 12), (12, 12))
QUALITIES = (92, 88, 84, 80, 75, 70, 65, 60, 55, 50)
"""Of JPEG files: the best that keeps a file within its size."""
FULL_COLOR = 84
"""Below this quality colours are kept at half the size, which shows less than worse quality."""


@dataclass(frozen=True)
class Shot:
    """What one window shows.

    Attributes
    ----------
    name : str
        Of the window.
    picture : (h, w, 3) uint8 ndarray
    pointer : (int, int) or None
        Row and column in the picture.
    """

    name: str
    picture: Image
    pointer: Point | None = None

    def part(self, top: int, bottom: int, left: int, right: int) -> Shot:
        """The same window, only a rectangle of it."""
        at = None if self.pointer is None else (self.pointer[0] - top, self.pointer[1] - left)
        return Shot(self.name, self.picture[top:bottom, left:right], at)


def side_by_side(shots: Sequence[Shot]) -> Image:
    """(h, w, 3): framed windows in a row on white, their upper edges level."""
    framed = [_framed(shot) for shot in shots]
    height = max(one.height for one in framed) + 2 * MARGIN
    width = sum(one.width for one in framed) + GAP * (len(framed) - 1) + 2 * MARGIN
    sheet = Pictures.new("RGB", (width, height), "white")
    left = MARGIN
    for one in framed:
        sheet.paste(one, (left, MARGIN))
        left += one.width + GAP
    return np.asarray(sheet)


def write_picture(path: Path, picture: Image, most: int) -> int:
    """Write a file of at most `most` bytes, as good as that allows; its size.

    PNG files get 256 colours of their own.
    """
    if path.suffix == ".png":
        Pictures.fromarray(picture).quantize(256).save(path, optimize=True)
        return path.stat().st_size
    for quality in QUALITIES:
        halved = 0 if quality >= FULL_COLOR else 2
        Pictures.fromarray(picture).save(path, quality=quality, subsampling=halved, optimize=True)
        if path.stat().st_size <= most:
            return path.stat().st_size
    raise SystemExit(f"{path}: more than {most} bytes at quality {QUALITIES[-1]}")


def _framed(shot: Shot) -> Any:
    height, width = shot.picture.shape[:2]
    if not shot.name:  # a whole screen
        return Pictures.fromarray(shot.picture)
    frame = Pictures.new("RGB", (width + 2, height + BAR + 1), RIM)
    draw = ImageDraw.Draw(frame)
    draw.rectangle((1, 1, width, BAR - 2), fill=BAR_COLOR)
    draw.text((width // 2 + 1, BAR // 2), shot.name, WORDS, _font(14), anchor="mm")
    inside = Pictures.fromarray(shot.picture)
    if shot.pointer is not None:
        _draw_arrow(inside, shot.pointer)
    frame.paste(inside, (1, BAR))
    return frame


def _draw_arrow(picture: Any, place: Point) -> None:
    row, col = place
    corners = [(col + x, row + y) for x, y in ARROW]
    ImageDraw.Draw(picture).polygon(corners, fill="white", outline="black", width=1)


def _font(size: int) -> Any:
    from icas.segmentimg.windows.panels import font_of

    return font_of(size) or ImageFont.load_default(size)

"""What the painting window shows while a picture is being cut, or when it cannot be opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from icas.common.errors import IcasError
from icas.common.images import Image, thumbnail
from icas.segmentimg.windows.lettering import ACCENT, WORDS, blank, wrapped, write
from icas.segmentimg.windows.viewport import Shape, Viewport

LEAST = (240, 420)
LETTERS = 17


def waiting_picture(path: Path, error: str, most: Shape) -> Image:
    """(h, w, 3): a dimmed picture with words on it."""
    dim = _dimmed(path, most)
    height, width = max(dim.shape[0], LEAST[0]), max(dim.shape[1], LEAST[1])
    picture = blank((width, height))
    picture[: dim.shape[0], : dim.shape[1]] = dim
    told = f"cannot be opened: {error}" if error else "is being cut into segments …"
    y = height // 2 - 2 * LETTERS
    for color, text in ((ACCENT, path.name), (WORDS, told), (WORDS, "n next, p previous, q quit")):
        for line in wrapped(text, width - 40, LETTERS):
            write(picture, (20, y), line, LETTERS, color)
            y += LETTERS + 8
    return picture


def _dimmed(path: Path, most: Shape) -> Image:
    """The picture as the window will show it, dark; an empty one where it cannot be read."""
    try:
        small = thumbnail(path, max(most))
    except IcasError:
        return blank((LEAST[1], LEAST[0]))
    size = Viewport.whole((small.shape[0], small.shape[1]), most).size
    import cv2

    shown = cv2.resize(small, size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(shown // 3, np.uint8)

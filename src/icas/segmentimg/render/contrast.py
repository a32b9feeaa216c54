"""Colors that are visible on an image: measured as distances in CIELAB."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.document.palette import Color

HUES: tuple[tuple[Color, Color], ...] = (
    ((255, 226, 64), (112, 84, 0)),
    ((64, 236, 255), (0, 72, 112)),
    ((255, 128, 255), (112, 0, 112)),
    ((150, 255, 120), (0, 88, 16)),
)
"""Light and dark variant of the colors for lines: yellow, cyan, magenta, green."""
BRIGHT = 120
"""Luma from which a line is drawn in the dark variant."""
LUMA = np.array((0.299, 0.587, 0.114), np.float32)
WORST = 10
"""Percentage of pixels with the least contrast, by which colors are compared."""
SAMPLES = 20_000
CLEAR = 20.0
"""Distance in CIELAB between paint and image that is seen at a glance."""
MAX_OPACITY = 0.7


@dataclass(frozen=True)
class LineColors:
    """Color of lines on dark and on bright pixels, float32."""

    light: NDArray[np.float32]
    dark: NDArray[np.float32]

    @classmethod
    def on(cls, image: Image, share: float) -> LineColors:
        """The hue with the best contrast to an image, drawn at an opacity of `share`."""
        pixels = _sample(image)
        best = max(HUES, key=lambda hue: line_contrast(pixels, hue, share))
        return cls(np.array(best[0], np.float32), np.array(best[1], np.float32))


def line_contrast(pixels: Image, hue: tuple[Color, Color], share: float) -> float:
    """Contrast of lines on (n, 1, 3) pixels where it is least."""
    bright = is_bright(pixels)
    light, dark = (np.array(color, np.float32) for color in hue)
    color = np.where(bright[..., None], dark, light)
    drawn = pixels * np.float32(1 - share) + color * np.float32(share)
    return float(np.percentile(distances(pixels, drawn.astype(np.uint8)), WORST))


def is_bright(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels (..., 3) on which lines are dark."""
    return np.asarray(pixels @ LUMA >= BRIGHT)


def paint_opacity(image: Image, color: Color, opacity: float) -> float:
    """The opacity at which paint of a color is clear on an image: `opacity` or more."""
    pixels = _sample(image)
    for share in np.arange(opacity, max(opacity, MAX_OPACITY) + 0.01, 0.1):
        drawn = (1 - share) * pixels + share * np.array(color, np.float32)
        # a quarter of the image: the object itself may have the color of the paint
        if np.percentile(distances(pixels, drawn.astype(np.uint8)), 25) >= CLEAR:
            return float(share)
    return max(opacity, MAX_OPACITY)


def distances(before: Image, after: Image) -> NDArray[np.float32]:
    """Distances in CIELAB between the pixels of two images."""
    import cv2

    first, second = (
        cv2.cvtColor(part.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for part in (before, after)
    )
    return np.asarray(np.linalg.norm(first - second, axis=2), np.float32)


def _sample(image: Image) -> Image:
    """(n, 1, 3): pixels from all over an image."""
    step = max(1, int(np.sqrt(image.shape[0] * image.shape[1] / SAMPLES)))
    return np.ascontiguousarray(image[::step, ::step].reshape(-1, 1, 3))

"""The part of an image that a window shows, and coordinates of both."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.labels.labels import Box

Shape = tuple[int, int]
"""Height and width in pixels."""

TINY = 160
"""Images with no side above this start enlarged, by a whole factor."""
TINY_SHOWN = 480
LARGEST_PIXEL = 40.0
"""Maximum scale: window pixels per image pixel."""


@dataclass(frozen=True)
class Viewport:
    """The visible part of an image.

    `shape` is that of the image, `most` the maximum height and width of the window, `scale` the
    window pixels per image pixel; `top` and `left` are the image coordinates of the window's
    upper left corner.
    """

    shape: Shape
    most: Shape
    scale: float
    top: float = 0.0
    left: float = 0.0

    @classmethod
    def whole(cls, shape: Shape, most: Shape) -> Viewport:
        """The whole image: at its own size if it fits, tiny images enlarged."""
        fitting = min(most[0] / shape[0], most[1] / shape[1])
        factor = TINY_SHOWN // max(shape) if max(shape) <= TINY else 1
        return cls(shape, most, min(fitting, float(factor)))

    @property
    def size(self) -> Shape:
        """Height and width of the window."""
        height, width = (
            min(most, max(1, round(side * self.scale)))
            for side, most in zip(self.shape, self.most, strict=True)
        )
        return height, width

    def to_picture(self, x: int, y: int) -> tuple[int, int]:
        """Row and column of the image pixel at a window pixel; outside the window maybe beyond."""
        height, width = self.size
        row = math.floor(self.top + (y + 0.5) / self.scale)
        col = math.floor(self.left + (x + 0.5) / self.scale)
        # the window's last pixels may reach a little beyond the image
        return (
            min(row, self.shape[0] - 1) if y < height else row,
            min(col, self.shape[1] - 1) if x < width else col,
        )

    def to_window(self, row: int, col: int) -> tuple[int, int]:
        """Window coordinates (x, y) of the center of an image pixel; maybe outside."""
        return (
            math.ceil((col + 0.5 - self.left) * self.scale) - 1,
            math.ceil((row + 0.5 - self.top) * self.scale) - 1,
        )

    def box_in_window(self, box: Box) -> Box:
        """A rectangle of the image in window coordinates, with a margin of one pixel."""
        height, width = self.size
        top, bottom = ((edge - self.top) * self.scale for edge in box[:2])
        left, right = ((edge - self.left) * self.scale for edge in box[2:])
        return (
            min(height, max(0, math.floor(top) - 1)),
            min(height, max(0, math.ceil(bottom) + 1)),
            min(width, max(0, math.floor(left) - 1)),
            min(width, max(0, math.ceil(right) + 1)),
        )

    def rows(self, start: int, stop: int) -> NDArray[np.intp]:
        """Image rows of the window rows from `start` to before `stop`."""
        return _indices(start, stop, self.top, self.scale, self.shape[0])

    def columns(self, start: int, stop: int) -> NDArray[np.intp]:
        """Image columns of the window columns from `start` to before `stop`."""
        return _indices(start, stop, self.left, self.scale, self.shape[1])

    def zoomed(self, factor: float, x: int, y: int) -> Viewport:
        """Zoomed by a factor; the image under (x, y) stays there if the edges allow."""
        least = Viewport.whole(self.shape, self.most).scale
        scale = min(max(self.scale * factor, least), max(LARGEST_PIXEL, least))
        row, col = self.top + (y + 0.5) / self.scale, self.left + (x + 0.5) / self.scale
        moved = replace(
            self, scale=scale, top=row - (y + 0.5) / scale, left=col - (x + 0.5) / scale
        )
        return moved._inside()

    def panned(self, right: float, down: float) -> Viewport:
        """Moved over the image by some window pixels, not beyond its edges."""
        top, left = self.top + down / self.scale, self.left + right / self.scale
        return replace(self, top=top, left=left)._inside()

    def _inside(self) -> Viewport:
        height, width = self.size
        top = min(self.top, self.shape[0] - height / self.scale)
        left = min(self.left, self.shape[1] - width / self.scale)
        return replace(self, top=max(0.0, top), left=max(0.0, left))


def _indices(start: int, stop: int, first: float, scale: float, count: int) -> NDArray[np.intp]:
    indices = np.floor(first + (np.arange(start, stop) + 0.5) / scale)
    return np.asarray(indices.clip(0, count - 1), np.intp)

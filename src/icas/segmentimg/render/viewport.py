"""Which part of a picture a window shows, and how large: a scale and a shift, to and fro."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.labels.boxes import Box

Shape = tuple[int, int]
"""Height and width in pixels."""

TINY = 160
"""Pictures with no side above this start enlarged, by a whole factor."""
TINY_SHOWN = 480
LARGEST_PIXEL = 40.0
"""Screen pixels to a side that a picture's pixel is shown with at most."""


@dataclass(frozen=True)
class Viewport:
    """A window onto a picture.

    Attributes
    ----------
    shape : (int, int)
        Height and width of the picture.
    most : (int, int)
        Height and width that the window has at most.
    scale : float
        Window pixels to a picture pixel.
    top, left : float
        Place in the picture, in its pixels, of the window's upper left corner.
    """

    shape: Shape
    most: Shape
    scale: float
    top: float = 0.0
    left: float = 0.0

    @classmethod
    def whole(cls, shape: Shape, most: Shape) -> Viewport:
        """The whole picture: at its own size where the window has room, tiny ones enlarged."""
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
        """Row and column of the picture's pixel that a place in the window shows.

        A place outside the window may lie outside the picture.
        """
        height, width = self.size
        row = math.floor(self.top + (y + 0.5) / self.scale)
        col = math.floor(self.left + (x + 0.5) / self.scale)
        # the window's last pixels may reach a little beyond the picture
        return (
            min(row, self.shape[0] - 1) if y < height else row,
            min(col, self.shape[1] - 1) if x < width else col,
        )

    def to_window(self, row: int, col: int) -> tuple[int, int]:
        """Place (x, y) in the window of the middle of a picture's pixel; may lie outside."""
        return (
            math.ceil((col + 0.5 - self.left) * self.scale) - 1,
            math.ceil((row + 0.5 - self.top) * self.scale) - 1,
        )

    def box_in_window(self, box: Box) -> Box:
        """The part of the window that shows a rectangle of the picture, with a pixel around it."""
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
        """Rows of the picture that the window's rows from `start` to before `stop` show."""
        return _places(start, stop, self.top, self.scale, self.shape[0])

    def columns(self, start: int, stop: int) -> NDArray[np.intp]:
        """Columns of the picture that some of the window's columns show."""
        return _places(start, stop, self.left, self.scale, self.shape[1])

    def zoomed(self, factor: float, x: int, y: int) -> Viewport:
        """Larger or smaller; what is under the pointer stays there as far as the edges allow."""
        least = Viewport.whole(self.shape, self.most).scale
        scale = min(max(self.scale * factor, least), max(LARGEST_PIXEL, least))
        row, col = self.top + (y + 0.5) / self.scale, self.left + (x + 0.5) / self.scale
        moved = replace(
            self, scale=scale, top=row - (y + 0.5) / scale, left=col - (x + 0.5) / scale
        )
        return moved._inside()

    def panned(self, right: float, down: float) -> Viewport:
        """Moved over the picture by some window pixels, not beyond its edges."""
        top, left = self.top + down / self.scale, self.left + right / self.scale
        return replace(self, top=top, left=left)._inside()

    def _inside(self) -> Viewport:
        height, width = self.size
        top = min(self.top, self.shape[0] - height / self.scale)
        left = min(self.left, self.shape[1] - width / self.scale)
        return replace(self, top=max(0.0, top), left=max(0.0, left))


def _places(start: int, stop: int, first: float, scale: float, count: int) -> NDArray[np.intp]:
    found: NDArray[np.intp] = np.floor(first + (np.arange(start, stop) + 0.5) / scale).astype(
        np.intp
    )
    return found.clip(0, count - 1)

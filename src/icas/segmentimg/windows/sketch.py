"""What a person draws to say what they mean: boxes, strokes, points; the last can be taken back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.commands import Box


@dataclass(frozen=True)
class Stroke:
    """A line drawn with a round brush: (row, column) after (row, column).

    Attributes
    ----------
    value : int
        What it says, see `icas.segmentimg.cutout.annotation`.
    radius : int
        In pixels of the picture.
    """

    value: int
    radius: int
    places: tuple[tuple[int, int], ...]

    def draw(self, target: NDArray[np.uint8], start: int = 0) -> None:
        """Put the value into a map, from a place of the line on."""
        import cv2

        places = [(col, row) for row, col in self.places[max(0, start - 1) :]]
        cv2.circle(target, places[0], self.radius, self.value, cv2.FILLED)
        for before, after in pairwise(places):
            cv2.line(target, before, after, self.value, 2 * self.radius + 1)
            cv2.circle(target, after, self.radius, self.value, cv2.FILLED)


@dataclass(frozen=True)
class Click:
    """A point: row, column, and whether it lies on what is meant (1) or not (0)."""

    row: int
    col: int
    label: int


Mark = Box | Stroke | Click


class Sketch:
    """Marks on a picture of `shape` (h, w), in the order in which they were made."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._marks: list[Mark] = []
        self._map = np.zeros(shape, np.uint8)

    def add(self, mark: Mark) -> None:
        """One more mark."""
        self._marks.append(mark)
        if isinstance(mark, Stroke):
            mark.draw(self._map)

    def lengthen(self, place: tuple[int, int]) -> None:
        """Draw the last stroke on to another place."""
        last = self._marks[-1]
        if isinstance(last, Stroke) and last.places[-1] != place:
            longer = Stroke(last.value, last.radius, (*last.places, place))
            self._marks[-1] = longer
            longer.draw(self._map, start=len(last.places))

    def undo(self) -> bool:
        """Take the last mark back; whether there was one."""
        if not self._marks:
            return False
        self._marks.pop()
        self._map[:] = 0
        for mark in self._marks:
            if isinstance(mark, Stroke):
                mark.draw(self._map)
        return True

    def reset(self) -> None:
        """Take all marks back."""
        self._marks.clear()
        self._map[:] = 0

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes."""
        return tuple(mark for mark in self._marks if isinstance(mark, tuple))

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The points."""
        return tuple(mark for mark in self._marks if isinstance(mark, Click))

    @property
    def strokes(self) -> NDArray[np.uint8]:
        """(h, w) uint8: the strokes' values, later over earlier; not to be written into."""
        return self._map

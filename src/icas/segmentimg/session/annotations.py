"""Annotations of an image for GrabCut and Segment Anything: boxes, strokes, points; with undo."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.grabcut.annotation import Annotation
from icas.segmentimg.labels.labels import Box
from icas.segmentimg.sam.predictor import Prompts


@dataclass(frozen=True)
class Stroke:
    """A line drawn with a round brush, through pixels (row, column)."""

    value: int
    """As in `icas.segmentimg.grabcut.annotation`."""
    radius: int
    pixels: tuple[tuple[int, int], ...]

    def draw(self, target: NDArray[np.uint8], start: int = 0) -> None:
        """Draw the value into a map, from a pixel of the line on."""
        import cv2

        points = [(col, row) for row, col in self.pixels[max(0, start - 1) :]]
        cv2.circle(target, points[0], self.radius, self.value, cv2.FILLED)
        for before, after in pairwise(points):
            cv2.line(target, before, after, self.value, 2 * self.radius + 1)
            cv2.circle(target, after, self.radius, self.value, cv2.FILLED)


@dataclass(frozen=True)
class Click:
    """A point on the object (label 1) or on the background (0)."""

    row: int
    col: int
    label: int


Drawn = Box | Stroke | Click
"""A box, first row, last row + 1, first column, last column + 1; a stroke; or a point."""


class AnnotationLayer:
    """Annotations of an image of a shape (h, w), in order, with undo."""

    def __init__(self, shape: tuple[int, int], marks: Iterable[Drawn] = ()) -> None:
        self._marks: list[Drawn] = []
        self.strokes = np.zeros(shape, np.uint8)
        """Values of the strokes, later over earlier; read only."""
        for mark in marks:
            self.add(mark)

    def __len__(self) -> int:
        return len(self._marks)

    def add(self, mark: Drawn) -> None:
        """Add a box, a stroke or a point."""
        self._marks.append(mark)
        if isinstance(mark, Stroke):
            mark.draw(self.strokes)

    def extend(self, pixel: tuple[int, int]) -> None:
        """Extend the last stroke to a pixel."""
        last = self._marks[-1] if self._marks else None
        if isinstance(last, Stroke) and last.pixels[-1] != pixel:
            longer = Stroke(last.value, last.radius, (*last.pixels, pixel))
            self._marks[-1] = longer
            longer.draw(self.strokes, start=len(last.pixels))

    def undo(self) -> bool:
        """Remove the last annotation; False if there is none."""
        if not self._marks:
            return False
        self._marks.pop()
        self.strokes[:] = 0
        for mark in self._marks:
            if isinstance(mark, Stroke):
                mark.draw(self.strokes)
        return True

    def reset(self) -> None:
        """Remove all annotations."""
        self._marks.clear()
        self.strokes[:] = 0

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes."""
        return tuple(mark for mark in self._marks if isinstance(mark, tuple))

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The points."""
        return tuple(mark for mark in self._marks if isinstance(mark, Click))

    def annotation(self) -> Annotation:
        """The boxes and strokes, for GrabCut."""
        return Annotation(self.boxes, self.strokes.copy())

    def prompts(self) -> list[Prompts | None]:
        """Boxes and points after each annotation, for Segment Anything.

        None while they select no object. UsageError for wrong ones.
        """
        steps: list[Prompts | None] = []
        boxes: list[tuple[int, int, int, int]] = []
        points: list[tuple[int, int, int]] = []
        for mark in self._marks:
            if isinstance(mark, Click):
                points.append((mark.col, mark.row, mark.label))
            elif not isinstance(mark, Stroke):
                top, bottom, left, right = mark
                boxes.append((left, top, right, bottom))
            selected = boxes or any(label for _, _, label in points)
            steps.append(Prompts(tuple(boxes), tuple(points)) if selected else None)
        return steps

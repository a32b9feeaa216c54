"""Annotations of an image: boxes, strokes and points with undo; and computing in the background."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.labels.labels import Box


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


class AnnotationLayer:
    """Annotations of an image of a shape (h, w), in order, with undo."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._marks: list[Box | Stroke | Click] = []
        self.strokes = np.zeros(shape, np.uint8)
        """Values of the strokes, later over earlier; read only."""

    def __len__(self) -> int:
        return len(self._marks)

    def add(self, mark: Box | Stroke | Click) -> None:
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


class BackgroundTask:
    """Computations in a thread of its own, one at a time; of those that wait, only the newest."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="icas-annotate")
        self._future: Future[Any] | None = None
        self._next: Callable[[], Any] | None = None
        self._started = 0.0

    @property
    def busy(self) -> bool:
        """Whether a computation is in progress."""
        return self._future is not None

    @property
    def seconds(self) -> float:
        """Time since its start."""
        return self._clock() - self._started

    def start(self, compute: Callable[[], Any]) -> None:
        """Start a computation, after the one in progress, whose result is dropped."""
        if self.busy:
            self._next = compute
        else:
            self._started, self._future = self._clock(), self._pool.submit(compute)

    def run_between(self, function: Callable[[], object]) -> None:
        """Run something in the thread after the present computation; no result is collected."""
        self._pool.submit(function)

    def collect(self) -> Any:
        """The result of a computation that has ended, once, or what it raised; else None."""
        if self._future is None or not self._future.done():
            return None
        future, self._future = self._future, None
        if self._next is not None:
            compute, self._next = self._next, None
            self.start(compute)
            return None
        return future.result()

    def discard(self) -> None:
        """Ignore the result of the computation in progress, and start none after it."""
        self._future = self._next = None

    def close(self) -> None:
        """Start nothing more."""
        self.discard()
        self._pool.shutdown(wait=False, cancel_futures=True)

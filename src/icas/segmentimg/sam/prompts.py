"""Prompts: boxes and points, grouped by object."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels of the image: left, top, right, bottom."""
Point = tuple[float, float, int]
"""x, y, label: 1 = foreground, 0 = background."""


@dataclass(frozen=True)
class Prompt:
    """One input of the model: at most one box, and points."""

    box: Box | None
    points: tuple[Point, ...]

    def arrays(self) -> dict[str, NDArray[Any] | None]:
        """Arguments of `SamPredictor.predict`."""
        places = np.array([(x, y) for x, y, _ in self.points], float) if self.points else None
        labels = np.array([label for _, _, label in self.points]) if self.points else None
        box = None if self.box is None else np.array(self.box, float)
        return {"point_coords": places, "point_labels": labels, "box": box}

    def extends(self, other: Prompt) -> bool:
        """Whether it is `other` with points added."""
        return self.box == other.box and set(self.points) >= set(other.points)


@dataclass(frozen=True)
class Prompts:
    """Boxes and points in any combination; checked, UsageError for wrong ones."""

    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "boxes", tuple(map(as_box, self.boxes)))
        object.__setattr__(self, "points", tuple(map(as_point, self.points)))

    def __bool__(self) -> bool:
        return bool(self.boxes or self.points)

    def split(self) -> tuple[Prompt, ...]:
        """Inputs of the model, whose masks are to be united; UsageError without foreground.

        Each box is a prompt with the points in it; a point in several boxes belongs to each. The
        foreground points outside of all boxes are one more prompt. Background points outside of
        all boxes belong to every prompt. Points keep their order.
        """
        outside = [p for p in self.points if not any(in_box(p, box) for box in self.boxes)]
        everywhere = {p for p in outside if p[2] == 0}
        prompts = [
            Prompt(box, tuple(p for p in self.points if p in everywhere or in_box(p, box)))
            for box in self.boxes
        ]
        if any(label == 1 for _, _, label in outside):
            prompts.append(Prompt(None, tuple(outside)))
        if not prompts:
            raise UsageError("nothing is pointed at: a box or a foreground point is needed")
        return tuple(prompts)

    def within(self, size: tuple[int, int]) -> Prompts:
        """Clipped to an image of `size` (h, w); UsageError for a point or a box outside of it."""
        height, width = size
        for x, y, _ in self.points:
            if not (0 <= x < width and 0 <= y < height):
                raise UsageError(f"point {x:g},{y:g} lies outside the picture of {width}x{height}")
        boxes = []
        for x0, y0, x1, y1 in self.boxes:
            if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
                raise UsageError(
                    f"box {x0:g},{y0:g},{x1:g},{y1:g} lies outside the picture of {width}x{height}"
                )
            boxes.append((max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)))
        return Prompts(tuple(boxes), self.points)


def in_box(point: Point, box: Box) -> bool:
    """Whether a point is in a box or on its border."""
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def as_box(given: Sequence[Any]) -> Box:
    """A box of four numbers, corners in any order; UsageError for wrong ones."""
    numbers = _numbers(given, 4, "box", "x0,y0,x1,y1")
    (x0, x1), (y0, y1) = sorted(numbers[0::2]), sorted(numbers[1::2])
    if x0 == x1 or y0 == y1:
        raise UsageError(f"box {_text(given)} has no area")
    return x0, y0, x1, y1


def as_point(given: Sequence[Any]) -> Point:
    """A point of three numbers, or two for foreground; UsageError for wrong ones."""
    whole = (*given, 1) if _length(given) == 2 else given
    x, y, label = _numbers(whole, 3, "point", "x,y,label")
    if label not in (0, 1):
        raise UsageError(f"point {_text(given)}: the label is 1 (foreground) or 0 (background)")
    return x, y, int(label)


def _numbers(given: Sequence[Any], count: int, what: str, form: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(value) for value in given)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UsageError(f"{what} {_text(given)}: {count} numbers are needed, {form}")
    return numbers


def _length(given: Any) -> int:
    return len(given) if hasattr(given, "__len__") else -1


def _text(given: Any) -> str:
    if isinstance(given, Iterable) and not isinstance(given, str):
        return ",".join(str(value) for value in given)
    return str(given)

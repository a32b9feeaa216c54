"""Annotations of an object: rectangles and strokes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.segmentimg.labels.labels import Box, rows_of

NONE, FOREGROUND, BACKGROUND, PROBABLE_FOREGROUND, PROBABLE_BACKGROUND = range(5)
"""Values of a map of strokes."""

Strokes = NDArray[np.uint8]
"""(h, w) uint8: one of the five values above."""

Corners = tuple[int, int, int, int]
"""Rectangle on the command line: x0, y0, x1, y1; x1 and y1 are exclusive."""

Point = tuple[int, int, int]
"""A click: x, y, label; label 1 is foreground, 0 background."""


@dataclass(frozen=True, eq=False)
class Annotation:
    """Rectangles and strokes on one image.

    All outside of the rectangles is background. They are inside the image and not empty.
    """

    boxes: tuple[Box, ...]
    strokes: Strokes

    def __post_init__(self) -> None:
        strokes = self.strokes
        if strokes.ndim != 2 or strokes.dtype != np.uint8 or strokes.max(initial=0) > 4:
            raise UsageError(
                f"strokes must be an (h, w) uint8 array, 0 to 4, got {strokes.dtype}"
                f" of shape {strokes.shape}"
            )
        height, width = strokes.shape
        for row0, row1, col0, col1 in self.boxes:
            if not (0 <= row0 < row1 <= height and 0 <= col0 < col1 <= width):
                raise UsageError(
                    f"box {col0},{row0},{col1},{row1}: must have x0 < x1 and y0 < y1, inside the"
                    f" image ({width}x{height})"
                )

    @property
    def empty(self) -> bool:
        """Whether there is neither a rectangle nor a stroke."""
        return not self.boxes and not self.strokes.any()

    def inside(self) -> NDArray[np.bool_]:
        """(h, w) bool: pixels in at least one rectangle."""
        inside = np.zeros(self.strokes.shape, bool)
        for box in self.boxes:
            inside[rows_of(box)] = True
        return inside


def box_of(corners: Corners, shape: tuple[int, int]) -> Box:
    """The part of a rectangle inside an image of `shape` (h, w); corners in any order."""
    if len(corners) != 4:
        raise UsageError(f"box {','.join(map(str, corners))}: expected four numbers x0,y0,x1,y1")
    height, width = shape
    name = "box " + ",".join(str(value) for value in corners)
    (x0, x1), (y0, y1) = sorted(corners[::2]), sorted(corners[1::2])
    if x0 == x1 or y0 == y1:
        raise UsageError(f"{name} has no area: x0 and x1, y0 and y1 must differ")
    box = (max(0, y0), min(height, y1), max(0, x0), min(width, x1))
    if box[0] >= box[1] or box[2] >= box[3]:
        raise UsageError(f"{name} is outside the image ({width}x{height})")
    return box


def boxes_of(given: Any, shape: tuple[int, int]) -> tuple[Box, ...]:
    """One rectangle (x0, y0, x1, y1), or a sequence of them, as boxes in the image."""
    if given is None:
        return ()
    try:
        numbers = np.asarray(given, float)
    except (TypeError, ValueError):
        raise UsageError(f"box {given!r}: expected four numbers x0, y0, x1, y1") from None
    if numbers.size == 0:
        return ()
    if numbers.shape[-1] != 4 or numbers.ndim > 2 or not np.isfinite(numbers).all():
        raise UsageError(f"box {given!r}: expected four numbers x0, y0, x1, y1")
    rows = np.rint(numbers.reshape(-1, 4)).astype(int).tolist()
    return tuple(box_of((x0, y0, x1, y1), shape) for x0, y0, x1, y1 in rows)


def parse_box(text: str | Sequence[int]) -> Corners:
    """``"10,20,200,150"`` -> ``(10, 20, 200, 150)``: x0, y0, x1, y1."""
    form = "a box like 10,20,200,150 (x0,y0,x1,y1)"
    x0, y0, x1, y1 = _whole_numbers(text, 4, form)
    return x0, y0, x1, y1


def parse_point(text: str | Sequence[int]) -> Point:
    """``"120,80,1"`` -> ``(120, 80, 1)``: x, y, and 1 for foreground or 0 for background."""
    form = "a point like 120,80,1 (x,y,label; label 1 = foreground, 0 = background)"
    x, y, label = _whole_numbers(text, 3, form)
    if label not in (0, 1):
        raise ValueError(form)
    return x, y, label


def _whole_numbers(text: str | Sequence[int], count: int, form: str) -> list[int]:
    parts = text.split(",") if isinstance(text, str) else list(text)
    try:
        numbers = [int(part) for part in parts]
    except (TypeError, ValueError):
        raise ValueError(form) from None
    if len(numbers) != count:
        raise ValueError(form)
    return numbers


def point_strokes(points: Iterable[Point], shape: tuple[int, int]) -> Strokes:
    """Strokes of clicks: small discs, later over earlier ones."""
    import cv2

    strokes = np.zeros(shape, np.uint8)
    height, width = shape
    for x, y, label in points:
        if not (0 <= x < width and 0 <= y < height):
            raise UsageError(f"point {x},{y},{label} is outside the image ({width}x{height})")
        value = FOREGROUND if label else BACKGROUND
        cv2.circle(strokes, (int(x), int(y)), disc_radius(shape), value, cv2.FILLED)
    return strokes


def disc_radius(shape: tuple[int, int]) -> int:
    """Radius of the disc of a click: 3 pixels in an image of 481x321."""
    return round(3 * float(np.sqrt(shape[0] * shape[1] / (481 * 321))))


def strokes_of(
    shape: tuple[int, int],
    foreground: NDArray[Any] | None,
    background: NDArray[Any] | None,
    probable_foreground: NDArray[Any] | None = None,
    probable_background: NDArray[Any] | None = None,
) -> Strokes:
    """One map of several masks; sure over probable, background over foreground."""
    strokes = np.zeros(shape, np.uint8)
    for name, mask, value in (
        ("probable_foreground", probable_foreground, PROBABLE_FOREGROUND),
        ("probable_background", probable_background, PROBABLE_BACKGROUND),
        ("foreground", foreground, FOREGROUND),
        ("background", background, BACKGROUND),
    ):
        if mask is None:
            continue
        given = np.asarray(mask)
        if given.shape != shape:
            raise UsageError(f"shape mismatch: {name} {given.shape}, image {shape}")
        strokes[given != 0] = value
    return strokes

"""Rectangles of pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""Row and column ranges: first row, end row, first column, end column; ends are exclusive."""


def rows_of(box: Box) -> tuple[slice, slice]:
    """The rectangle as an index of an array."""
    return slice(box[0], box[1]), slice(box[2], box[3])


def bounding_box(mask: NDArray[np.bool_]) -> Box:
    """Bounding box of the True pixels of a mask; empty, (0, 0, 0, 0), where there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return 0, 0, 0, 0
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def union(boxes: list[Box]) -> Box:
    """The least rectangle that holds all `boxes`."""
    tops, bottoms, lefts, rights = zip(*boxes, strict=True)
    return min(tops), max(bottoms), min(lefts), max(rights)


def swept(box: Box, start: tuple[int, int], end: tuple[int, int], radius: int) -> NDArray[np.bool_]:
    """Pixels of `box` within `radius` of the line from `start` to `end` (row, column)."""
    rows, columns = np.ogrid[box[0] : box[1], box[2] : box[3]]
    down, right = rows - start[0], columns - start[1]
    along = (end[0] - start[0], end[1] - start[1])
    length = along[0] ** 2 + along[1] ** 2
    share = np.clip((down * along[0] + right * along[1]) / max(length, 1), 0, 1)
    return np.asarray((down - share * along[0]) ** 2 + (right - share * along[1]) ** 2 <= radius**2)

"""Pixels of polygons by the rule of COCO's own library, pycocotools."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError

_FINE = 5
"""Steps per pixel in which the border is followed."""
_MAX_STEPS = 1 << 24


def polygon_mask(coordinates: Sequence[float], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(h, w) bool: pixels inside a polygon x0, y0, x1, y1, …, by the even-odd rule.

    The border is followed in steps of a fifth of a pixel. Where it crosses the middle of a column,
    the column changes between outside and inside.
    """
    corners = np.asarray(coordinates, np.float64)
    if corners.ndim != 1 or corners.size < 6:
        raise UsageError("polygon with fewer than 3 points")
    if corners.size % 2:
        raise UsageError("polygon with an odd number of coordinates")
    if not np.isfinite(corners).all() or np.abs(corners).max() > 8 * max(*size, 1000):
        raise UsageError("points far outside the image")
    height, width = size
    points = np.trunc(_FINE * corners.reshape(-1, 2) + 0.5).astype(np.int64)
    x, y = _border(points)
    moved = np.flatnonzero(x[1:] != x[:-1]) + 1
    column = (np.minimum(x[moved], x[moved - 1]) + 0.5) / _FINE - 0.5
    row = (np.minimum(y[moved], y[moved - 1]) + 0.5) / _FINE - 0.5
    inside = (column == np.floor(column)) & (column >= 0) & (column <= width - 1)
    starts = np.ceil(row[inside].clip(0, height)).astype(np.int64)
    places = column[inside].astype(np.int64) * height + starts
    changes = np.bincount(places[places < height * width], minlength=height * width)
    return np.ascontiguousarray((np.cumsum(changes) % 2 == 1).reshape(width, height).T)


def _border(corners: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """x and y of the points along the closed border, in fine steps."""
    steps = np.abs(np.diff(corners, axis=0, append=corners[:1])).max(axis=1)
    if int(steps.sum()) > _MAX_STEPS:
        raise UsageError("polygon with too long a border")
    parts = [
        _side(start, end) for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True)
    ]
    points = np.concatenate(parts)
    return points[:, 0], points[:, 1]


def _side(start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n, 2): points from one corner to the next, both included."""
    span = np.abs(end - start)
    long = 0 if span[0] >= span[1] else 1
    flip = start[long] > end[long]
    first, last = (end, start) if flip else (start, end)
    steps = np.arange(span[long] + 1)
    slope = (last[1 - long] - first[1 - long]) / span[long] if span[long] else 0.0
    points = np.empty((len(steps), 2), np.int64)
    points[:, long] = first[long] + steps
    points[:, 1 - long] = np.trunc(first[1 - long] + slope * steps + 0.5)
    return points[::-1] if flip else points

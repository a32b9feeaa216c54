"""Loops that find the corners ORB looks for: FAST, the best by Harris' measure, their orientation.

The answer is OpenCV's, bit for bit: all is whole numbers up to Harris' measure, which is computed
in float32 in OpenCV's order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.kernels.jit import compiled
from icas.clusterimg.kernels.orb_pixels import (
    PIXELS,
    SIDE,
    gradients,
    lowest,
    moments,
    peaks,
    score,
)

BORDER = 16
"""Mirrored pixels around a level of the pyramid: half a patch reaches that far."""
RIGHT = BORDER + PIXELS
"""Pixels behind the right edge of a level: corners are looked for in whole runs."""
HARRIS = np.float32(0.04)
DEGREES = np.float32(180 / np.pi)
ARCTAN = (
    np.float32(0.9997878412794807) * DEGREES,
    np.float32(-0.3258083974640975) * DEGREES,
    np.float32(0.1555786518463281) * DEGREES,
    np.float32(-0.04432655554792128) * DEGREES,
)
"""Of the powers 1, 3, 5, 7, in degrees."""
TINY = np.float32(np.finfo(np.float64).eps)
NONE = np.uint64(0)
ONE = np.uint64(1)


class Corners(NamedTuple):
    """Corners of one level of the pyramid, row by row.

    Attributes
    ----------
    x, y : (n,) int32 ndarray
    response : (n,) float32 ndarray
        Harris' measure.
    angle : (n,) float32 ndarray
        From the corner to the centroid of the patch around it, in degrees.
    cut : bool
        There were more.
    """

    x: NDArray[np.int32]
    y: NDArray[np.int32]
    response: NDArray[np.float32]
    angle: NDArray[np.float32]
    cut: bool


@compiled
def corners(level: NDArray[np.uint8], edge: int, threshold: int, most: int) -> Corners:
    """Corners of a level of the pyramid that FAST finds.

    Parameters
    ----------
    level : (h, w) uint8 ndarray
        With `BORDER` mirrored pixels around it, `RIGHT` on the right.
    edge : int
        Pixels beside the level's edge without corners.
    threshold : int
        Of FAST.
    most : int
        Corners wanted, at least 1, by the score of FAST; those as good as the last come on top.
    """
    x, y, scores = _fast(level, edge, threshold)
    least = _least_score(scores, most)
    response = np.empty(len(x), np.float32)
    angle = np.empty(len(x), np.float32)
    sums = np.empty(3, np.int32)
    row, start = level.strides[0], level.ctypes.data + BORDER * level.strides[0] + BORDER
    count = 0
    for corner in range(len(x)):
        if scores[corner] >= least:
            x[count], y[count] = x[corner], y[corner]
            middle = start + y[corner] * row + x[corner]
            gradients(middle - SIDE // 2 * row - SIDE // 2, row, sums.ctypes.data)
            response[count] = _harris(sums)
            moments(middle, row, sums.ctypes.data)
            angle[count] = _direction(sums[0], sums[1])
            count += 1
    return Corners(x[:count], y[:count], response[:count], angle[:count], count < len(x))


@compiled
def _fast(
    level: NDArray[np.uint8], edge: int, threshold: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]:
    """Corners by FAST that stand out among their neighbours."""
    height, width = level.shape[0] - 2 * BORDER, level.shape[1] - BORDER - RIGHT
    across = width - 2 * edge
    runs = -(-(across + 2) // PIXELS)
    scores = np.zeros((height - 2 * edge + 2, runs * PIXELS + PIXELS), np.uint8)
    row, line = level.strides[0], scores.strides[0]
    first = level.ctypes.data + (BORDER + edge - 1) * row + BORDER + edge - 1
    for y in range(len(scores)):
        score(first + y * row, row, runs, threshold, scores.ctypes.data + y * line)
    most = (len(scores) // 2 + 1) * (across // 2 + 1)
    xs, ys, found = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.uint8)
    count = 0
    for y in range(1, len(scores) - 1):
        for start in range(1, across + 1, PIXELS):
            mask = peaks(scores.ctypes.data + y * line + start, line)
            x = start + lowest(mask)
            while x <= across and mask != NONE:
                xs[count], ys[count], found[count] = x + edge - 1, y + edge - 1, scores[y, x]
                count += 1
                mask &= mask - ONE
                x = start + lowest(mask)
    return xs[:count], ys[:count], found[:count]


@compiled
def _least_score(scores: NDArray[np.uint8], most: int) -> int:
    """The least of the `most` highest."""
    counts = np.zeros(256, np.int64)
    for place in range(len(scores)):
        counts[scores[place]] += 1
    least, held = 256, 0
    while least > 0 and held < most:
        least -= 1
        held += counts[least]
    return least


@compiled
def _harris(sums: NDArray[np.int32]) -> np.float32:
    a, b, c = np.float32(sums[0]), np.float32(sums[1]), np.float32(sums[2])
    scale = np.float32(1) / np.float32(4 * SIDE * 255)
    return (a * b - c * c - HARRIS * (a + b) * (a + b)) * (scale * scale * scale * scale)


@compiled
def _direction(down: int, across: int) -> np.float32:
    """Angle in degrees, by the polynomial for arctangents that OpenCV uses."""
    y, x = np.float32(down), np.float32(across)
    high, wide = abs(y), abs(x)
    ratio = min(high, wide) / (max(high, wide) + TINY)
    square = ratio * ratio
    angle = (((ARCTAN[3] * square + ARCTAN[2]) * square + ARCTAN[1]) * square + ARCTAN[0]) * ratio
    if wide < high:
        angle = np.float32(90) - angle
    if x < 0:
        angle = np.float32(180) - angle
    if y < 0:
        angle = np.float32(360) - angle
    return angle


def warm_up() -> None:
    """Run each loop once on arrays of the types that it is for."""
    level = np.zeros((40 + 2 * BORDER, 40 + BORDER + RIGHT), np.uint8)
    level[40:, 40:] = 200
    corners(level, 12, 7, 1)

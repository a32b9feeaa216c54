"""ORB features of one picture: corners, spread evenly, and their descriptors; all are OpenCV's.

Numba kernels find the same corners as OpenCV's detector, bit for bit, in a third of the time;
they are used where they have shown that they do, and once so many pictures were seen that they
are worth their start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.kernels import Bytes, Floats, Longs
from icas.clusterimg.kernels.numba_support import compiled_kernels
from icas.clusterimg.methods.orb_matching import FACTOR, LEVELS, Features

EDGE = 12
"""Pixels beside the edge of a level without features; OpenCV mirrors what descriptors lack."""
PATCH = 31
FAST_THRESHOLD = 7
"""Gray levels that a FAST corner must stand out by; low, so that soft images have features too."""
CELLS = 8
"""Cells along the long side, over which the features are spread."""
CANDIDATES = 10
"""Corners found for each feature kept: the choice that spreading has."""
SAVED = 0.002
"""Seconds a picture that numba kernels save, roughly."""


class Corners(NamedTuple):
    """Corners of a picture, a structure of arrays of equal length.

    x, y: (n,) float32, in pixels of the picture; response: (n,) float32, Harris' measure; level:
    (n,) int64, of the pyramid.
    """

    x: Floats
    y: Floats
    response: Floats
    level: Longs


Find = Callable[[Bytes, int], Sequence[Any]]
"""Picture, features wanted -> keypoints to describe."""


def described(gray: Bytes, wanted: int, find: Find) -> Features | None:
    """Features of a picture, at most `wanted`; None where there are none."""
    points, descriptors = detector(wanted).compute(gray, find(gray, wanted))
    if not points:
        return None
    places = np.asarray(cv2.KeyPoint.convert(points), np.float64) / max(gray.shape)
    angles = np.array([point.angle for point in points])
    levels = np.array([point.octave for point in points], np.int8)
    turns = np.rint(angles * (256 / 360)).astype(np.int64) & 255
    return Features(
        np.asarray(descriptors, np.uint8),
        np.array(len(points), np.int32),
        places.astype(np.float32),
        turns.astype(np.uint8),
        levels,
    )


def fastest_find() -> Find:
    """The way to find corners that is fastest now: with numba kernels where they pay."""
    kernels = compiled_kernels("orb.corners", SAVED)
    if kernels is None or not as_opencv(kernels):
        return found_by_opencv
    return lambda gray, wanted: found_by_numba(gray, wanted, kernels)


def detector(wanted: int) -> Any:
    """OpenCV's, which finds the candidates for so many features."""
    return cv2.ORB.create(
        nfeatures=wanted * CANDIDATES,
        scaleFactor=FACTOR,
        nlevels=LEVELS,
        edgeThreshold=EDGE,
        patchSize=PATCH,
        fastThreshold=FAST_THRESHOLD,
    )


def found_by_opencv(gray: Bytes, wanted: int) -> list[Any]:
    """Keypoints of a picture, by OpenCV alone."""
    points = detector(wanted).detect(gray, None)
    if len(points) <= wanted:
        return list(points)
    x, y = np.asarray(cv2.KeyPoint.convert(points), np.float32).T
    response = np.array([point.response for point in points], np.float32)
    level = np.array([point.octave for point in points])
    chosen = spread(Corners(x, y, response, level), max(gray.shape), wanted)
    return [points[index] for index in chosen]


def found_by_numba(gray: Bytes, wanted: int, kernels: ModuleType) -> list[Any]:
    """The same keypoints, by numba kernels."""
    parts, cut = [], False
    for level, (picture, scale, most) in enumerate(_pyramid(gray, wanted)):
        if most == 0 or min(picture.shape) <= 2 * EDGE:
            continue
        around = (kernels.BORDER, kernels.BORDER, kernels.BORDER, kernels.RIGHT)
        bordered = cv2.copyMakeBorder(picture, *around, cv2.BORDER_REFLECT_101)
        result = kernels.corners(bordered, EDGE, FAST_THRESHOLD, 2 * most)
        best = _best(result.response, most)
        cut |= result.cut or len(best) < len(result.response)
        x, y = (axis[best].astype(np.float32) * scale for axis in (result.x, result.y))
        parts.append((x, y, result.response[best], np.full(len(best), level), result.angle[best]))
    if not parts:
        return []
    x, y, response, levels, angles = (np.concatenate(part) for part in zip(*parts, strict=True))
    chosen = np.arange(len(x))
    if len(x) > wanted:
        chosen = spread(Corners(x, y, response, levels), max(gray.shape), wanted)
    elif cut:
        return found_by_opencv(gray, wanted)  # the order of what it leaves is its own
    # Level by level, as OpenCV describes them.
    chosen = chosen[np.argsort(levels[chosen], kind="stable")]
    return _keypoints(np.stack([x, y], 1)[chosen], response[chosen], levels[chosen], angles[chosen])


def _keypoints(places: Floats, response: Floats, levels: Longs, angles: Floats) -> list[Any]:
    """Objects of OpenCV; those of a level by one call, as each lets other threads in."""
    points: list[Any] = []
    made: Any = cv2.KeyPoint.convert
    ends = np.searchsorted(levels, np.arange(LEVELS + 1))
    for level, (start, end) in enumerate(pairwise(ends)):
        points += made(places[start:end], PATCH, 1, level)
    for point, strength, angle in zip(points, response.tolist(), angles.tolist(), strict=True):
        point.response, point.angle = strength, angle
    return points


def _pyramid(gray: Bytes, wanted: int) -> Iterator[tuple[Bytes, np.float32, int]]:
    """Each level, its scale, and how many corners of it are kept at most; as OpenCV has them."""
    factor = float(np.float32(FACTOR))
    smaller = np.float32(1 / factor)
    candidates = wanted * CANDIDATES
    share = np.float32(candidates) * (1 - smaller) / (1 - np.float32(float(smaller) ** LEVELS))
    left, picture = candidates, gray
    for level in range(LEVELS):
        scale = np.float32(factor**level)
        if level:
            size = [int(np.rint(np.float32(side) * (1 / scale))) for side in gray.shape[::-1]]
            below = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR_EXACT)
            picture = np.asarray(below, np.uint8)
        most = int(np.rint(share)) if level < LEVELS - 1 else max(left, 0)
        yield picture, scale, most
        left -= most
        share *= smaller


def _best(response: Floats, most: int) -> Longs:
    """Indices of the highest, and of those equal to the last of them."""
    if len(response) <= most:
        return np.arange(len(response))
    last = len(response) - most
    return np.flatnonzero(response >= np.partition(response, last)[last])


@cache
def as_opencv(kernels: ModuleType) -> bool:
    """Whether the kernels find what OpenCV does: versions of it may differ in what they round."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    picture = np.asarray(cv2.resize(noise, (243, 129), interpolation=cv2.INTER_CUBIC), np.uint8)
    for wanted in (7, 200):
        left, right = (found_by_numba(picture, wanted, kernels), found_by_opencv(picture, wanted))
        if sorted(map(_values, left)) != sorted(map(_values, right)):
            return False
    return True


def _values(point: Any) -> tuple[float, ...]:
    return (*point.pt, point.angle, point.response, point.octave)


def spread(corners: Corners, side: int, wanted: int) -> Longs:
    """`wanted` of the corners, evenly over the image: the strongest of every cell, then the second.

    side: long side of the image in pixels; wanted: most corners to keep. Gives (m,) int64, their
    indices.
    """
    order = np.argsort(-corners.response)
    ordered = corners.response[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.lexsort((corners.level, corners.x, corners.y, -corners.response))
    column, row = (
        (axis[order].astype(np.float64) * (CELLS / side)).astype(np.int64)
        for axis in (corners.x, corners.y)
    )
    rank = _rank_within(row * CELLS + column)
    return order[np.argsort(rank, kind="stable")[:wanted]]


def _rank_within(cells: Longs) -> NDArray[np.integer[Any]]:
    """How many earlier entries have the same value, for each entry; `cells` are few and small."""
    # Short numbers are sorted by their bytes, which takes a fraction of the time.
    order = np.argsort(cells.astype(np.uint16), kind="stable")
    sizes = np.bincount(cells)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    rank = np.empty(len(cells), np.int64)
    rank[order] = np.arange(len(cells)) - first
    return rank.astype(np.uint16 if len(cells) < 1 << 16 else np.int64)

"""Polygons around masks: one ring a part, holes and parts joined to one ring by bridges."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.labels.labels import connected

Ring = NDArray[np.float64]
"""(n, 2): x and y of the corners in pixels from the upper left corner of the image."""
TOLERANCE = 0.25
"""Distance, in pixels, that a simplified border may have from the exact one."""


@dataclass
class Part:
    """A connected region: its border, and those of its holes."""

    border: Ring
    holes: list[Ring] = field(default_factory=list)


def outlines(mask: NDArray[np.bool_], left: int = 0, top: int = 0) -> list[Part]:
    """The parts of a mask (h, w), whose first pixel is at column `left` and row `top`.

    A border runs midway between the centers of pixels inside and outside, and simplifying it moves
    it over no center. Pixels that touch at corners only are different parts.
    """
    from skimage.measure import find_contours

    padded = np.pad(mask, 1)
    offset = np.array([left, top])
    labels = connected(padded.astype(np.int32), edges=True)
    rings = find_contours(padded.astype(np.float32), 0.5)  # type: ignore[no-untyped-call]
    parts: dict[int, Part] = {}
    holes: list[tuple[int, Ring]] = []
    for ring in rings:
        low, high = np.floor(ring[0]).astype(int), np.ceil(ring[0]).astype(int)
        label = max(int(labels[tuple(low)]), int(labels[tuple(high)]))
        corners = ring[:-1, ::-1] - 0.5  # from centers of the padded mask to corners of `mask`
        if _signed_area(corners) > 0:
            parts[label] = Part(_simplified(corners) + offset)
        else:
            holes.append((label, _simplified(corners) + offset))
    for label, hole in holes:
        parts[label].holes.append(hole)
    return [parts[label] for label in sorted(parts)]


def pixel_outlines(mask: NDArray[np.bool_], left: int = 0, top: int = 0) -> list[Part]:
    """The parts of a mask, with borders through the centers of their outermost pixels.

    Coordinates are those of pixels: (0, 0) is the center of the first one. For readers that count
    the pixels on the border as inside, such as labelme.
    """
    import cv2

    rings, tree = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parts: dict[int, Part] = {}
    parents = tree[0, :, 3].tolist()
    for place in sorted(range(len(rings)), key=lambda place: parents[place] >= 0):
        corners = rings[place][:, 0].astype(np.float64) + np.array([left, top])
        ring = np.concatenate([corners, np.repeat(corners[-1:], max(0, 3 - len(corners)), axis=0)])
        if parents[place] < 0:
            parts[place] = Part(ring)
        else:
            parts[parents[place]].holes.append(ring)
    return list(parts.values())


def bridged(parts: Sequence[Part]) -> Ring:
    """One ring around all parts and holes, connected by bridges without width.

    By the even-odd rule it has the same pixels inside. Each part is joined to the one before it.
    """
    chain = [_joined(part) for part in sorted(parts, key=lambda one: float(one.border[:, 0].min()))]
    for before, after in itertools.pairwise(chain):
        before.attach(after)
    corners = []
    path = [chain[0].around(0)]  # of rings around each of which we are
    while path:
        step = next(path[-1], None)
        if step is None:
            path.pop()
        elif isinstance(step, tuple):
            corners.append(step)
        else:
            path.append(step)
    return np.array(corners)


@dataclass
class _Joined:
    """A ring, and the rings that are reached over bridges from its corners."""

    ring: Ring
    bridges: dict[int, list[tuple[_Joined, int]]] = field(default_factory=dict)

    def attach(self, other: _Joined) -> None:
        """Reach `other` over the shortest bridge."""
        here, there = _nearest(self.ring, other.ring)
        self.bridges.setdefault(here, []).append((other, there))

    def around(self, start: int) -> Iterator[Any]:
        """The corners from `start` on, and iterators around the rings reached from each."""
        ring = self.ring.tolist()
        for place in (*range(start, len(ring)), *range(start)):
            corner = tuple(ring[place])
            yield corner
            for other, there in self.bridges.get(place, ()):
                yield other.around(there)
                yield tuple(other.ring[there].tolist())
                yield corner


def _joined(part: Part) -> _Joined:
    joined = _Joined(part.border)
    for hole in part.holes:
        joined.attach(_Joined(hole))
    return joined


def _nearest(first: Ring, second: Ring) -> tuple[int, int]:
    """Indices of the two corners that are nearest to each other."""
    from scipy.spatial import cKDTree

    distances, places = cKDTree(first).query(second)
    there = int(np.argmin(distances))
    return int(places[there]), there


def _simplified(ring: Ring) -> Ring:
    import cv2

    points = np.ascontiguousarray(ring, np.float32)[:, None]
    fewer = cv2.approxPolyDP(points, TOLERANCE, closed=True)[:, 0].astype(np.float64)
    return fewer if len(fewer) >= 4 else ring


def _signed_area(ring: Ring) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))

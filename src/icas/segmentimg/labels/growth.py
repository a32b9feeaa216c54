"""Growing a selection around a segment, in even steps along a merge tree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.labels.merge_tree import MergeTree, SegmentGraph

STEP = 1.25
"""A step makes the group larger or smaller by at least this factor, in pixels."""
SEED_COLOR = 1.0
"""Weight of the distance from the color of the first segment, beside the steps of color."""
PER_SIDE = 1.0
"""Cost of a way from one segment to the next, whatever their colors."""
_REMEMBERED = 256
"""Segments whose order of growth is kept."""


@dataclass(frozen=True, eq=False)
class _Order:
    """Segments in the order in which a group around one of them takes them in."""

    segments: NDArray[np.int32]
    levels: NDArray[np.float64]
    """Level at which each is taken in; non-decreasing."""
    pixels: NDArray[np.float64]
    """Pixels of the group with each and those before."""
    steps: NDArray[np.float64]
    """Levels of the steps, from 0 to that of everything."""


class Growth:
    """Groups of segments around one of them, at any level of a merge tree.

    A level is the number of merges done, cheapest first: at 0 every segment is a group, at K - 1
    all are one. Where a merge makes a group larger than a step, levels between two whole numbers
    take in the other side bit by bit: first what is similar to the segment and connected with
    the group by similar segments.
    """

    def __init__(self, tree: MergeTree, graph: SegmentGraph) -> None:
        count, merges = tree.count, len(tree.merges)
        self._count, self._graph = count, graph
        self._children = tree.merges[:, :2].astype(np.int64)
        self._parent = np.full(count + merges, -1, np.int64)
        self._parent[self._children.T] = np.arange(count, count + merges)
        self._sizes = np.concatenate([graph.sizes[1 : count + 1], tree.merges[:, 3]])
        touching = graph.touching
        self._a, self._b = touching.a - 1, touching.b - 1
        self._change = np.linalg.norm(
            graph.colors[touching.a] - graph.colors[touching.b], axis=1
        ).reshape(-1)
        self._order = lru_cache(maxsize=_REMEMBERED)(self._ordered)

    def group(self, segment: int, level: float) -> NDArray[np.int32]:
        """Segments in the group around `segment` at a level, sorted."""
        if level <= 0:
            return np.array([segment], np.int32)
        order = self._order(segment)
        return np.sort(order.segments[: np.searchsorted(order.levels, level, side="right")])

    def steps(self, segment: int) -> NDArray[np.float64]:
        """Levels of the steps around `segment`, from 0 to that of everything."""
        return self._order(segment).steps

    def grown(self, segment: int, level: float) -> float:
        """The lowest level at which the group around `segment` is a step larger, or everything."""
        order = self._order(segment)
        wanted = STEP * _pixels(order, level)
        larger = order.steps[_pixels(order, order.steps) >= wanted]
        return max(level, float(larger[0] if len(larger) else order.steps[-1]))

    def shrunk(self, segment: int, level: float) -> float:
        """The level at which the group around `segment` is a step smaller; 0: only the segment."""
        order = self._order(segment)
        smaller = order.steps[STEP * _pixels(order, order.steps) <= _pixels(order, level)]
        return float(smaller[-1]) if len(smaller) else 0.0

    def _ordered(self, segment: int) -> _Order:
        node, levels = segment - 1, np.zeros(self._count)
        inside = np.zeros(self._count, bool)
        inside[node] = True
        while (parent := int(self._parent[node])) >= 0:
            first, second = self._children[parent - self._count].tolist()
            joined = self._leaves(second if first == node else first)
            levels[joined] = parent - self._count + 1
            if self._sizes[parent] > STEP * self._sizes[node] and len(joined) > 1:
                levels[joined] += self._shares(segment - 1, inside, joined) - 1
            inside[joined] = True
            node = parent
        return self._stepped(levels)

    def _stepped(self, levels: NDArray[np.float64]) -> _Order:
        order = np.argsort(levels, kind="stable")
        sorted_levels = levels[order]
        pixels = np.cumsum(self._sizes[: self._count][order])
        last = np.append(np.diff(sorted_levels) > 0, True)
        steps, size = [], 0.0
        for level, now in zip(sorted_levels[last].tolist(), pixels[last].tolist(), strict=True):
            if now >= STEP * size:
                steps.append(level)
                size = now
        if steps[-1] < sorted_levels[-1]:
            steps.append(float(sorted_levels[-1]))
        return _Order((order + 1).astype(np.int32), sorted_levels, pixels, np.array(steps))

    def _shares(
        self, start: int, inside: NDArray[np.bool_], joined: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Share of the joined pixels that are taken in up to each of `joined`, in (0, 1]."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import dijkstra

        allowed = inside.copy()
        allowed[joined] = True
        used = allowed[self._a] & allowed[self._b]
        a, b = self._a[used], self._b[used]
        colors = self._graph.colors[1:]
        away = np.linalg.norm(colors - colors[start], axis=1)
        costs = self._change[used] + SEED_COLOR * np.maximum(away[a], away[b]) + PER_SIDE
        ends = np.r_[a, b], np.r_[b, a]
        ways = coo_matrix((np.r_[costs, costs], ends), (self._count, self._count))
        lengths = dijkstra(ways.tocsr(), indices=start)[joined]
        order = np.argsort(lengths, kind="stable")
        shares = np.empty(len(joined))
        taken = np.cumsum(self._sizes[joined[order]])
        shares[order] = taken / taken[-1]
        return shares

    def _leaves(self, top: int) -> NDArray[np.int64]:
        stack, leaves = [top], []
        while stack:
            node = stack.pop()
            if node < self._count:
                leaves.append(node)
            else:
                stack.extend(self._children[node - self._count].tolist())
        return np.array(leaves, np.int64)


def _pixels(order: _Order, level: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels of the group at a level."""
    count = np.searchsorted(order.levels, level, side="right")
    return np.asarray(order.pixels[np.maximum(count, 1) - 1], np.float64)

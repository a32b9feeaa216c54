"""Growing and shrinking what lies under the pointer, along the merge tree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.tree import MergeTree

STEP = 1.4
"""A step makes the group at least so much larger or smaller, in pixels."""


class Growth:
    """Groups of segments at any level of a merge tree.

    A level is a number of merges that are done, the cheapest first: 0 leaves every segment alone,
    K - 1 makes one group of all. So one level means groups of one kind all over the picture.

    Parameters
    ----------
    tree : MergeTree
    sizes : (K + 1,) int64 ndarray
        Pixels of each segment, the edge's first.
    """

    def __init__(self, tree: MergeTree, sizes: NDArray[np.int64]) -> None:
        count = tree.count
        merges = len(tree.merges)
        self._count = count
        self._children = tree.merges[:, :2].astype(np.int64)
        self._parent = np.full(count + merges, -1, np.int64)
        self._parent[self._children.T] = np.arange(count, count + merges)
        self._sizes = np.concatenate([sizes[1 : count + 1], tree.merges[:, 3]])

    def group(self, segment: int, level: int) -> NDArray[np.int32]:
        """Segments that are one group with `segment` at a level, in order."""
        return self._leaves(self._node(segment, level))

    def grown(self, segment: int, level: int) -> int:
        """The least level at which the group of `segment` is a step larger, or all there is."""
        node = self._node(segment, level)
        wanted = STEP * self._sizes[node]
        while self._parent[node] >= 0:
            node = int(self._parent[node])
            if self._sizes[node] >= wanted:
                break
        return max(level, self._level(node))

    def shrunk(self, segment: int, level: int) -> int:
        """The level at which the group of `segment` is a step smaller; 0 is the segment alone."""
        wanted = self._sizes[self._node(segment, level)] / STEP
        node, best = segment - 1, 0
        while node >= 0 and self._sizes[node] <= wanted:
            best = self._level(node)
            node = int(self._parent[node])
        return best

    def _level(self, node: int) -> int:
        return max(0, node - self._count + 1)

    def _node(self, segment: int, level: int) -> int:
        node = segment - 1
        while (parent := int(self._parent[node])) >= 0 and self._level(parent) <= level:
            node = parent
        return node

    def _leaves(self, top: int) -> NDArray[np.int32]:
        waiting, found = [top], []
        while waiting:
            node = waiting.pop()
            if node < self._count:
                found.append(node + 1)
            else:
                waiting.extend(self._children[node - self._count].tolist())
        return np.array(sorted(found), np.int32)

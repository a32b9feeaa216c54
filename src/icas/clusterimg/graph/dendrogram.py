"""Single-linkage dendrogram: the merges of a maximum spanning forest, edge by edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.graph.forest import Forest


@dataclass(frozen=True)
class Merges:
    """The merges of single-link clusters, the most similar first; merge i makes cluster i."""

    similarity: NDArray[np.float32]  # (m,) at which each happens, descending
    sizes: NDArray[np.int64]  # (m, 2) images of the two that merge
    parent: NDArray[np.int64]  # (m,) the merge that takes the cluster in; -1 for the last
    # (n, n) the merge that puts two images together; m on the diagonal and where none does
    meeting: NDArray[np.int64]

    @classmethod
    def of(cls, forest: Forest) -> Merges:
        """The merges of `forest`, whose edges come in descending order."""
        count, steps = forest.count, len(forest.similarity)
        members = [np.array([image]) for image in range(count)]
        made = np.full(count, -1)  # the merge that made the cluster of each owner
        owner = np.arange(count)
        parent = np.full(steps, -1)
        sizes = np.empty((steps, 2), np.int64)
        meeting = np.full((count, count), steps)
        for step, (a, b) in enumerate(zip(forest.a, forest.b, strict=True)):
            large, small = owner[a], owner[b]
            if len(members[large]) < len(members[small]):
                large, small = small, large
            inner, outer = members[large], members[small]
            sizes[step] = len(inner), len(outer)
            meeting[np.ix_(inner, outer)] = meeting[np.ix_(outer, inner)] = step
            for cluster in (large, small):
                if made[cluster] >= 0:
                    parent[made[cluster]] = step
            made[large] = step
            owner[outer] = large
            members[large] = np.concatenate([inner, outer])
            members[small] = outer[:0]
        return cls(forest.similarity, sizes, parent, meeting)

    def __len__(self) -> int:
        return len(self.similarity)

    @property
    def distinct(self) -> NDArray[np.bool_]:
        """(m,) whether a threshold can stop after each merge: the next is at a lower similarity."""
        return np.append(self.similarity[1:] < self.similarity[:-1], True)[: len(self)]

    @property
    def clustered(self) -> NDArray[np.int64]:
        """(m,) images in clusters after each merge."""
        return np.asarray(np.cumsum((self.sizes == 1).sum(axis=1)), np.int64)

    @property
    def largest(self) -> NDArray[np.int64]:
        """(m,) size of the largest cluster after each merge."""
        return np.asarray(np.maximum.accumulate(self.sizes.sum(axis=1)), np.int64)

    def alive(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(m,) sum of the `values` of all clusters that are there after each merge."""
        change = np.zeros(len(self) + 1)
        np.add.at(change, np.arange(len(self)), values)
        inside = self.parent >= 0
        np.add.at(change, self.parent[inside], -values[inside])
        return np.cumsum(change)[: len(self)]

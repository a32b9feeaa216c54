"""Links: pairs of images that are similar enough, and how similar they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PART = 1 << 22
"""Links looked at in one go."""
LINK_DTYPE = np.dtype([("a", np.int64), ("b", np.int64), ("similarity", np.float32)])


@dataclass(frozen=True)
class Links:
    """Pairs of images and their similarity, a structure of arrays of equal length m."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    similarity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.a)

    def structured(self) -> NDArray[Any]:
        """(m,) structured array with the fields a, b, similarity."""
        packed = np.empty(len(self), LINK_DTYPE)
        packed["a"], packed["b"], packed["similarity"] = self.a, self.b, self.similarity
        return packed

    def at_least(self, threshold: float) -> Links:
        """The links at or above `threshold`."""
        keep = self.similarity >= np.float32(threshold)
        return Links(self.a[keep], self.b[keep], self.similarity[keep])

    def renumbered(self, numbers: NDArray[np.int64]) -> Links:
        """The same links between other numbers: image i becomes ``numbers[i]``, a < b kept."""
        first, second = numbers[self.a], numbers[self.b]
        return Links(np.minimum(first, second), np.maximum(first, second), self.similarity)

    def select(self, rows: NDArray[Any]) -> Links:
        """Those of given rows, or where a mask is true."""
        return Links(self.a[rows], self.b[rows], self.similarity[rows])

    def shifted(self, start: int) -> Links:
        """The same links between images numbered from `start`."""
        return self if start == 0 else Links(self.a + start, self.b + start, self.similarity)

    def part(self, start: int, end: int) -> Links:
        """Links number `start` to `end`, without a copy."""
        return Links(self.a[start:end], self.b[start:end], self.similarity[start:end])

    def parts(self, size: int = PART) -> Iterator[Links]:
        """All links, at most `size` at a time: what is made of each then needs little memory."""
        for start in range(0, len(self), size):
            yield self.part(start, start + size)


NONE = Links(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


def join_links(parts: Iterable[Links]) -> Links:
    """All links of `parts`, sorted by a, then b."""
    kept = [part for part in parts if len(part)]
    if not kept:
        return NONE
    a = np.concatenate([part.a for part in kept])
    b = np.concatenate([part.b for part in kept])
    similarity = np.concatenate([part.similarity for part in kept])
    if _sorted(a, b):
        return Links(a, b, similarity)
    order = np.lexsort((b, a))
    return Links(a[order], b[order], similarity[order])


def _sorted(a: NDArray[np.int64], b: NDArray[np.int64]) -> bool:
    later = a[1:] > a[:-1]
    return bool(np.all(later | ((a[1:] == a[:-1]) & (b[1:] >= b[:-1]))))


def links_in(values: NDArray[np.float32], threshold: float, *, triangle: bool = False) -> Links:
    """Links in a matrix of similarities, sorted by row, then column.

    values: (n, m) float32; threshold: compared as float32; triangle: rows and columns are the same
    images: only pairs above the diagonal count.
    """
    linked = values >= np.float32(threshold)
    if triangle:
        linked = np.triu(linked, 1)
    rows, columns = np.nonzero(linked)
    return Links(rows, columns, values[rows, columns])

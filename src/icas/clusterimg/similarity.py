"""Similarities by the tile: blocks of pairs -> links at or above a threshold, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet, concatenate
from icas.clusterimg.methods.base import Method
from icas.common.executors import Workers

ALONE = Workers(None, 1)
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


def join_links(parts: Iterable[Links]) -> Links:
    """All links of `parts`, sorted by a, then b."""
    kept = [part for part in parts if len(part)]
    if not kept:
        none = np.empty(0, np.int64)
        return Links(none, none, np.empty(0, np.float32))
    a = np.concatenate([part.a for part in kept])
    b = np.concatenate([part.b for part in kept])
    similarity = np.concatenate([part.similarity for part in kept])
    order = np.lexsort((b, a))
    return Links(a[order], b[order], similarity[order])


def tiles(rows: int, columns: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Blocks that cover a (rows, columns) matrix, each at most `side` high and wide."""
    for top in range(0, rows, side):
        for left in range(0, columns, side):
            yield slice(top, min(top + side, rows)), slice(left, min(left + side, columns))


def upper_tiles(count: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Blocks that cover the upper triangle of a (count, count) matrix, its diagonal included."""
    for rows, columns in tiles(count, count, side):
        if columns.start >= rows.start:
            yield rows, columns


def sides_of(features: FeatureSet, rows: slice, columns: slice) -> tuple[FeatureSet, FeatureSet]:
    """Both sides of a tile; on the diagonal one and the same, of which a method may do half."""
    side = features[rows]
    return side, side if rows == columns else features[columns]


def links_within(
    method: Method, features: FeatureSet, threshold: float, workers: Workers | None = None
) -> Iterator[Links]:
    """Links among the images of one FeatureSet, tile by tile; a < b.

    Every pair is compared once. Nothing larger than a tile a worker is held, beside the links.
    """
    tasks = (
        (method, *sides_of(features, rows, columns), threshold, rows.start, columns.start)
        for rows, columns in upper_tiles(len(features), method.tile)
    )
    yield from (workers or ALONE).ordered(_tile_links, tasks)


def links_between(
    method: Method,
    a: FeatureSet,
    b: FeatureSet,
    threshold: float,
    workers: Workers | None = None,
) -> Iterator[Links]:
    """Links of the images of `a` with those of `b`, tile by tile; b is counted from len(a) on."""
    tasks = (
        (method, a[rows], b[columns], threshold, rows.start, len(a) + columns.start)
        for rows, columns in tiles(len(a), len(b), method.tile)
    )
    yield from (workers or ALONE).ordered(_tile_links, tasks)


def _tile_links(
    method: Method, a: FeatureSet, b: FeatureSet, threshold: float, first: int, second: int
) -> Links:
    """Links of one tile; the images are numbered from `first` and `second`."""
    values = method.similarity(a, b)
    linked = values >= np.float32(threshold)
    if first == second:
        linked = np.triu(linked, 1)
    rows, columns = np.nonzero(linked)
    return Links(rows + first, columns + second, values[rows, columns])


def all_links(
    method: Method, features: FeatureSet, threshold: float, workers: Workers | None = None
) -> Links:
    """Every pair of `features` at or above `threshold`, sorted by a, then b; a < b."""
    return join_links(links_within(method, features, threshold, workers))


def links_across(
    method: Method, parts: Sequence[FeatureSet], threshold: float, workers: Workers = ALONE
) -> tuple[Links, int]:
    """Links between images of different parts, and how many pairs were compared.

    The images are numbered through all parts.
    """
    together = concatenate(list(parts))
    starts = starts_of([len(part) for part in parts])
    found: list[Links] = []
    compared = 0
    for start, end in pairwise(starts[1:]):
        earlier, later = together[:start], together[start:end]
        found.extend(links_between(method, earlier, later, threshold, workers))
        compared += len(earlier) * len(later)
    return join_links(found), compared


def starts_of(lengths: Sequence[int]) -> NDArray[np.int64]:
    """Number of the first image of each batch, and behind them the number of all images."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

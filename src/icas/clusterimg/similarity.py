"""Similarities by the tile: blocks of pairs -> links at or above a threshold, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet, concatenate
from icas.clusterimg.links import Links, join_links, links_in
from icas.clusterimg.methods.base import Linking, Method
from icas.common.executors import Workers

ALONE = Workers(None, 1)


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


def side_of(method: Method, count: int, jobs: int) -> int:
    """Images a side of the blocks in which links among `count` images are looked for.

    As large as the method can take, but so small that every worker has several.
    """
    largest = method.links_tile if isinstance(method, Linking) else method.tile
    shared = -(-count // math.isqrt(8 * jobs + 8))
    return min(largest, max(shared, min(method.tile, largest)))


def tile_count(method: Method, count: int, jobs: int) -> int:
    """How many parts `links_within` gives."""
    across = -(-count // side_of(method, count, jobs))
    return across * (across + 1) // 2


def links_within(
    method: Method, features: FeatureSet, threshold: float, workers: Workers = ALONE
) -> Iterator[Links]:
    """Links among the images of one FeatureSet, tile by tile; a < b.

    Every pair is compared once. Nothing larger than a tile a worker is held, beside the links.
    """
    side = side_of(method, len(features), workers.jobs)
    tasks = (
        (
            method,
            features[rows],
            None if rows == columns else features[columns],
            threshold,
            rows.start,
            columns.start,
        )
        for rows, columns in upper_tiles(len(features), side)
    )
    yield from workers.ordered(_tile_links, tasks)


def links_between(
    method: Method,
    a: FeatureSet,
    b: FeatureSet,
    threshold: float,
    workers: Workers = ALONE,
) -> Iterator[Links]:
    """Links of the images of `a` with those of `b`, tile by tile; b is counted from len(a) on."""
    side = side_of(method, max(len(a), len(b)), workers.jobs)
    tasks = (
        (method, a[rows], b[columns], threshold, rows.start, len(a) + columns.start)
        for rows, columns in tiles(len(a), len(b), side)
    )
    yield from workers.ordered(_tile_links, tasks)


def _tile_links(
    method: Method, a: FeatureSet, b: FeatureSet | None, threshold: float, first: int, second: int
) -> Links:
    """Links of one tile, of `a` with itself without `b`; numbered from `first` and `second`."""
    other = a if b is None else b
    if isinstance(method, Linking):
        found = method.links(a, other, threshold)
    else:
        found = links_in(method.similarity(a, other), threshold, triangle=b is None)
    return Links(found.a + first, found.b + second, found.similarity)


def all_links(
    method: Method, features: FeatureSet, threshold: float, workers: Workers = ALONE
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

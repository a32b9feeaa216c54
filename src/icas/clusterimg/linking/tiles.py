"""Links at or above a threshold, computed by tiles (blocks of pairs) in bounded memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links, join_links
from icas.clusterimg.data.memory import side_within
from icas.clusterimg.methods.base import Method
from icas.parallel.executors import ALONE, BlockCache, Workers

Span = tuple[int, int]
"""A block of images: number of the first one, and one past the last."""


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


def similarities(
    method: Method, a: FeatureSet, b: FeatureSet, workers: Workers
) -> NDArray[np.float32]:
    """(n, m) similarities of features, computed in tiles."""
    matrix = np.empty((len(a), len(b)), np.float32)
    blocks = list(tiles(len(a), len(b), method.tile))
    tasks = ((a[rows], b[columns]) for rows, columns in blocks)
    parts = workers.ordered(method.similarity, tasks)
    for (rows, columns), values in zip(blocks, parts, strict=True):
        matrix[rows, columns] = values
    return matrix


def side_of(method: Method, count: int, jobs: int) -> int:
    """Images a side of the tiles of `count` images: as large as fits, but several a worker."""
    shared = -(-count // math.isqrt(8 * jobs + 8))
    return min(method.links_tile, max(shared, min(method.tile, method.links_tile)))


def side_for(method: Method, features: FeatureSet, threshold: float, jobs: int) -> int:
    """`side_of` for all of `features`: `links_within` gives tiles that are so many images a side.

    Less where blocks of mapped features would not fit the budget, and where every pair is a link.
    """
    side = side_of(method, len(features), jobs)
    if threshold == -np.inf:
        side = min(side, method.tile)
    return side_within(features, side, jobs)


def tile_count(method: Method, features: FeatureSet, threshold: float, jobs: int) -> int:
    """Number of tiles of `links_within`."""
    across = -(-len(features) // side_for(method, features, threshold, jobs))
    return across * (across + 1) // 2


def links_within(
    method: Method, features: FeatureSet, threshold: float, workers: Workers = ALONE
) -> Iterator[Links]:
    """Links among the images of one FeatureSet, tile by tile; a < b.

    Every pair is compared once. Nothing larger than a tile a worker is held, beside the links;
    workers elsewhere are sent a block of images once, for all of its tiles.
    """
    side = side_for(method, features, threshold, workers.jobs)
    across, bare = -(-len(features) // side), _bare(features)
    block_cache: BlockCache[Span] = BlockCache(
        workers, lambda span: bare[slice(*span)], lambda _: across
    )
    tasks = (
        (_spans(rows, columns), (method, threshold, rows.start, columns.start))
        for rows, columns in upper_tiles(len(features), side)
    )
    yield from block_cache.ordered(_tile_links, tasks)


def _bare(features: FeatureSet) -> FeatureSet:
    """The features without the names of the files: no comparison needs them."""
    return replace(features, files=(), unreadable=())


def _spans(rows: slice, columns: slice) -> tuple[Span, ...]:
    """The blocks of a tile; one where it compares a block with itself."""
    first, second = (rows.start, rows.stop), (columns.start, columns.stop)
    return (first,) if first == second else (first, second)


def _tile_links(
    method: Method,
    threshold: float,
    first: int,
    second: int,
    a: FeatureSet,
    b: FeatureSet | None = None,
) -> Links:
    """Links of one tile, of `a` with itself without `b`; numbered from `first` and `second`."""
    other = a if b is None else b
    links = method.links(a, other, threshold)
    a.release()
    other.release()
    return Links(links.a + first, links.b + second, links.similarity)


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
    lengths = [len(part) for part in parts]
    compared = (sum(lengths) ** 2 - sum(length**2 for length in lengths)) // 2
    return join_links(tiles_across(method, parts, threshold, workers)), compared


def tiles_across(
    method: Method, parts: Sequence[FeatureSet], threshold: float, workers: Workers = ALONE
) -> Iterator[Links]:
    """As `links_across`, tile by tile; a tile's links are sorted by a, then b.

    The parts are not concatenated: a block is sliced when its first tile is computed.
    """
    starts, spans, part_of = _blocks_across(method, parts, workers.jobs)
    sizes = Counter(part_of.values())
    bare = [_bare(part) for part in parts]
    block_cache: BlockCache[Span] = BlockCache(
        workers,
        lambda span: _block_of(bare, starts, span),
        lambda span: len(spans) - (0 if part_of[span] is None else sizes[part_of[span]]),
    )
    tasks = (
        (
            (rows,) if rows == columns else (rows, columns),
            (method, threshold, rows, columns, starts),
        )
        for number, rows in enumerate(spans)
        for columns in spans[number:]
        if part_of[rows] is None or part_of[rows] != part_of[columns]
    )
    yield from block_cache.ordered(_tile_across, tasks)


def count_across(method: Method, parts: Sequence[FeatureSet], jobs: int) -> int:
    """Number of tiles of `tiles_across`."""
    _, spans, part_of = _blocks_across(method, parts, jobs)
    sizes = Counter(part for part in part_of.values() if part is not None)
    inside = sum(count * (count + 1) // 2 for count in sizes.values())
    return len(spans) * (len(spans) + 1) // 2 - inside


def _blocks_across(
    method: Method, parts: Sequence[FeatureSet], jobs: int
) -> tuple[NDArray[np.int64], list[Span], dict[Span, int | None]]:
    """Starts of the parts, all images in blocks, and the part of each block."""
    starts = starts_of([len(part) for part in parts])
    side = side_of(method, int(starts[-1]), jobs)
    spans = _blocks(starts, min(side_within(part, side, jobs) for part in parts))
    return starts, spans, {span: _part_of(starts, span) for span in spans}


def _blocks(starts: NDArray[np.int64], side: int) -> list[Span]:
    """All images in blocks of at most `side`: long parts by themselves, short ones together."""
    edges = [0]
    for begin, end in pairwise(starts.tolist()):
        if end - edges[-1] > side and begin > edges[-1]:
            edges.append(begin)
        while end - edges[-1] > side:
            edges.append(edges[-1] + side)
    return list(pairwise([*edges, int(starts[-1])])) if starts[-1] > edges[-1] else []


def _part_of(starts: NDArray[np.int64], span: Span) -> int | None:
    """The part of a block, None where it holds images of several."""
    first, last = np.searchsorted(starts, [span[0], span[1] - 1], side="right") - 1
    return int(first) if first == last else None


def _block_of(parts: Sequence[FeatureSet], starts: NDArray[np.int64], span: Span) -> FeatureSet:
    """The images of a block; those of several parts are concatenated in memory."""
    begin, end = span
    pieces = [
        part[max(0, begin - start) : end - start]
        for part, start in zip(parts, starts.tolist(), strict=False)
        if start < end and start + len(part) > begin
    ]
    if len(pieces) == 1:
        return pieces[0]
    names = pieces[0].arrays
    arrays = {name: np.concatenate([piece.arrays[name] for piece in pieces]) for name in names}
    return replace(pieces[0], arrays=arrays)


def _tile_across(
    method: Method,
    threshold: float,
    rows: Span,
    columns: Span,
    starts: NDArray[np.int64],
    a: FeatureSet,
    b: FeatureSet | None = None,
) -> Links:
    """Links of a tile between images of different parts; without `b` both blocks are `a`."""
    other = a if b is None else b
    behind = starts[np.searchsorted(starts, rows[1])]
    # From the first part behind block a on, all of a is compared with all that follows.
    edges = starts[(starts > columns[0]) & (starts < columns[1]) & (starts <= behind)]
    links = []
    for begin, end in pairwise([columns[0], *np.unique(edges).tolist(), columns[1]]):
        part = int(starts[np.searchsorted(starts, begin, side="right") - 1])
        count = min(part, rows[1]) - rows[0]
        if count > 0:
            some = other[begin - columns[0] : end - columns[0]]
            links.append(_tile_links(method, threshold, rows[0], begin, a[:count], some))
    return join_links(links)


def starts_of(lengths: Sequence[int]) -> NDArray[np.int64]:
    """Number of the first image of each batch, and behind them the number of all images."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

"""Similarities by the tile: blocks of pairs -> links at or above a threshold, in bounded memory."""

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
"""Numbers of the first image of a block and of the one behind its last."""


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
    largest = method.links_tile
    shared = -(-count // math.isqrt(8 * jobs + 8))
    return min(largest, max(shared, min(method.tile, largest)))


def side_for(method: Method, features: FeatureSet, threshold: float, jobs: int) -> int:
    """`side_of` for all of `features`: `links_within` gives tiles that are so many images a side.

    Less where blocks of mapped features would not fit the budget, and where every pair is a link.
    """
    side = side_of(method, len(features), jobs)
    if threshold == -np.inf:
        side = min(side, method.tile)
    return side_within(features, side, jobs)


def tile_count(method: Method, features: FeatureSet, threshold: float, jobs: int) -> int:
    """How many tiles `links_within` gives."""
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
    ours, theirs = (rows.start, rows.stop), (columns.start, columns.stop)
    return (ours,) if ours == theirs else (ours, theirs)


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
    found = method.links(a, other, threshold)
    a.release()
    other.release()
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
    lengths = [len(part) for part in parts]
    compared = (sum(lengths) ** 2 - sum(length**2 for length in lengths)) // 2
    return join_links(tiles_across(method, parts, threshold, workers)), compared


def tiles_across(
    method: Method, parts: Sequence[FeatureSet], threshold: float, workers: Workers = ALONE
) -> Iterator[Links]:
    """As `links_across`, tile by tile; a tile's links are sorted by a, then b.

    The parts are not put together: a block is cut out of them when its first tile is made.
    """
    starts, spans, homes = _blocks_across(method, parts, workers.jobs)
    alike = Counter(homes.values())
    bare = [_bare(part) for part in parts]
    block_cache: BlockCache[Span] = BlockCache(
        workers,
        lambda span: _cut_out(bare, starts, span),
        lambda span: len(spans) - (0 if homes[span] is None else alike[homes[span]]),
    )
    tasks = (
        ((ours,) if ours == theirs else (ours, theirs), (method, threshold, ours, theirs, starts))
        for place, ours in enumerate(spans)
        for theirs in spans[place:]
        if homes[ours] is None or homes[ours] != homes[theirs]
    )
    yield from block_cache.ordered(_tile_across, tasks)


def count_across(method: Method, parts: Sequence[FeatureSet], jobs: int) -> int:
    """How many tiles `tiles_across` gives."""
    _, spans, homes = _blocks_across(method, parts, jobs)
    alike = Counter(home for home in homes.values() if home is not None)
    apart = sum(count * (count + 1) // 2 for count in alike.values())
    return len(spans) * (len(spans) + 1) // 2 - apart


def _blocks_across(
    method: Method, parts: Sequence[FeatureSet], jobs: int
) -> tuple[NDArray[np.int64], list[Span], dict[Span, int | None]]:
    """Starts of the parts, all images in blocks, and the part that each block lies in."""
    starts = starts_of([len(part) for part in parts])
    side = side_of(method, int(starts[-1]), jobs)
    spans = _blocks(starts, min(side_within(part, side, jobs) for part in parts))
    return starts, spans, {span: _home(starts, span) for span in spans}


def _blocks(starts: NDArray[np.int64], side: int) -> list[Span]:
    """All images in blocks of at most `side`: long parts by themselves, short ones together."""
    edges = [0]
    for begin, end in pairwise(starts.tolist()):
        if end - edges[-1] > side and begin > edges[-1]:
            edges.append(begin)
        while end - edges[-1] > side:
            edges.append(edges[-1] + side)
    return list(pairwise([*edges, int(starts[-1])])) if starts[-1] > edges[-1] else []


def _home(starts: NDArray[np.int64], span: Span) -> int | None:
    """The part that a block lies in, None where it holds images of several."""
    first, last = np.searchsorted(starts, [span[0], span[1] - 1], side="right") - 1
    return int(first) if first == last else None


def _cut_out(parts: Sequence[FeatureSet], starts: NDArray[np.int64], span: Span) -> FeatureSet:
    """The images of a block; those of several parts are put together in memory."""
    begin, end = span
    pieces = [
        part[max(0, begin - start) : end - start]
        for part, start in zip(parts, starts.tolist(), strict=False)
        if start < end and start + len(part) > begin
    ]
    if len(pieces) == 1:
        return pieces[0]
    first = pieces[0].arrays
    together = {name: np.concatenate([one.arrays[name] for one in pieces]) for name in first}
    return replace(pieces[0], arrays=together)


def _tile_across(
    method: Method,
    threshold: float,
    ours: Span,
    theirs: Span,
    starts: NDArray[np.int64],
    a: FeatureSet,
    b: FeatureSet | None = None,
) -> Links:
    """Links of a tile between images of different parts; without `b` both blocks are `a`."""
    other = a if b is None else b
    behind = starts[np.searchsorted(starts, ours[1])]
    # From the first part behind block a on, all of a is compared with all that follows.
    cuts = starts[(starts > theirs[0]) & (starts < theirs[1]) & (starts <= behind)]
    found = []
    for begin, end in pairwise([theirs[0], *np.unique(cuts).tolist(), theirs[1]]):
        part = int(starts[np.searchsorted(starts, begin, side="right") - 1])
        rows = min(part, ours[1]) - ours[0]
        if rows > 0:
            columns = other[begin - theirs[0] : end - theirs[0]]
            found.append(_tile_links(method, threshold, ours[0], begin, a[:rows], columns))
    return join_links(found)


def starts_of(lengths: Sequence[int]) -> NDArray[np.int64]:
    """Number of the first image of each batch, and behind them the number of all images."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

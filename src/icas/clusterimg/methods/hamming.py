"""Hamming distances of packed codes, by numba or by NumPy with the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.links import NONE, Links, appended, join_links
from icas.clusterimg.kernels import Bytes, Floats, Longs, Shorts, Words
from icas.clusterimg.kernels.multi_index import search as multi_index
from icas.clusterimg.kernels.numba_support import compiled_kernels

BAND = 1 << 17
"""Pairs that NumPy compares at a time: few enough for the cache, enough to hide what a step costs.
"""
CACHED = 1 << 15
"""Bytes of a block of columns: most of a core's first cache."""

Room = tuple[Longs, Longs, Floats]


def as_words(codes: Bytes) -> Words:
    """(n, bytes) as (n, words) of eight bytes, filled with zeros; a copy."""
    missing = -codes.shape[1] % 8
    return np.ascontiguousarray(np.pad(codes, ((0, 0), (0, missing)))).view(np.uint64)


def filled_up(words: Words, multiple: int) -> Words:
    """The codes filled with zeros to a multiple of so many words; a copy."""
    return np.ascontiguousarray(np.pad(words, ((0, 0), (0, -words.shape[1] % multiple))))


def column_blocks(words: Words) -> Words:
    """(m, words) as (t, words, side): so many codes a block, one a column, filled with zeros."""
    width = words.shape[1]
    side = min(256, max(128, CACHED // (8 * width)))
    filled = np.pad(words, ((0, -len(words) % side), (0, 0)))
    return np.ascontiguousarray(filled.reshape(-1, side, width).transpose(0, 2, 1))


def counts_for(rows: int, blocks: int) -> Shorts:
    """Zeros, one for each row and block of columns."""
    return np.zeros((rows, blocks), np.uint16)


def room_for(counts: Shorts) -> Room:
    """Arrays of as many links as were counted: row, column, similarity."""
    total = int(counts.sum(dtype=np.int64))
    return np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.float32)


def bands(rows: int, columns: int) -> list[tuple[int, int]]:
    """First row and end of each band of rows that NumPy compares with all columns at a time."""
    step = max(1, BAND // max(1, columns))
    return [(start, min(start + step, rows)) for start in range(0, rows, step)]


def links_by_bands(
    rows: int, columns: int, same: bool, links_of_band: Callable[[slice, int], Links]
) -> Links:
    """Links by NumPy, some rows at a time; `links_of_band` gets the rows and the first column.

    same: the columns are the rows, and those before the first row have been compared with it.
    """
    parts = []
    for first, end in bands(rows, columns):
        start = first if same else 0
        links = links_of_band(slice(first, end), start)
        parts.append(Links(links.a + first, links.b + start, links.similarity))
    return appended(parts)


WORDS_A_SECOND = 1e9
"""Approximate number of words that NumPy compares per second."""
SHORT_SIDE = 1024
"""Columns of a block of codes of one word: a fraction of a core's first cache."""


def shares_by_distance(bits: int, width: int) -> Floats:
    """Share of equal bits for each distance that codes of `width` bytes can have.

    `bits` of them count; the others are zeros in every code, or the share would be below 0.
    """
    distances = np.arange(8 * width + 1)
    return np.maximum(1 - distances / bits, 0).astype(np.float32)


def radius_of(shares: Floats, threshold: float) -> int:
    """The greatest distance whose share is at or above float32(`threshold`); -1 where none is."""
    return int(np.count_nonzero(shares >= np.float32(threshold))) - 1


def hamming(a: Bytes, b: Bytes) -> Longs:
    """Number of different bits of each row of `a` with each of `b`.

    a, b: (n, bytes) and (m, bytes) uint8. Gives (n, m) int64.
    """
    left, right = as_words(a), as_words(b).T.copy()
    distances = np.empty((len(a), len(b)), np.int64)
    for start, end in bands(len(a), len(b)):
        distances[start:end] = _distances(left[start:end], right)
    return distances


def hamming_of_pairs(a: Bytes, b: Bytes) -> Longs:
    """Number of different bits of each row of `a` with that of `b` at its place, (n,) int64."""
    different = np.bitwise_count(as_words(a) ^ as_words(b))
    return np.asarray(different.sum(axis=1, dtype=np.int64))


def shares_of(a: Bytes, b: Bytes, shares: Floats) -> Floats:
    """Similarity of each row of `a` with each of `b`, by the table `shares`.

    Gives (n, m) float32.
    """
    result = np.empty((len(a), len(b)), np.float32)
    if not result.size:
        return result
    kernels = _kernels(a, b)
    left = as_words(a)
    if kernels is None:
        right = as_words(b).T.copy()
        for start, end in bands(len(a), len(b)):
            result[start:end] = shares[_distances(left[start:end], right)]
    elif left.shape[1] == 1:
        kernels.shares_short(left[:, 0].copy(), as_words(b)[:, 0].copy(), shares, result)
    else:
        blocks = column_blocks(filled_up(as_words(b), 4))
        kernels.shares_long(filled_up(left, 4), blocks, shares, result)
    return result


def links_of(a: Bytes, b: Bytes, shares: Floats, threshold: float, *, same: bool) -> Links:
    """Pairs whose share is at or above float32(`threshold`), sorted by row, then column.

    a, b: (n, bytes) and (m, bytes) uint8; shares: (8 * bytes + 1,) float32, similarity by distance,
    never rising; same: `b` is `a`: only pairs with row < column.
    """
    radius = radius_of(shares, threshold)
    if radius < 0 or not len(a) or not len(b):
        return NONE
    kernels = _kernels(a, b)
    if kernels is None:
        return _by_numpy(a, b, shares, radius, same)
    return _by_numba(kernels, a, b, shares, radius, same)


def _kernels(a: Bytes, b: Bytes) -> ModuleType | None:
    words = -(-a.shape[1] // 8)
    return compiled_kernels("hamming", len(a) * len(b) * words / WORDS_A_SECOND)


def _by_numba(
    kernels: ModuleType, a: Bytes, b: Bytes, shares: Floats, radius: int, same: bool
) -> Links:
    left, right = as_words(a), as_words(b)
    within = np.uint64(radius)
    if left.shape[1] == 1:
        codes, columns, side = left[:, 0].copy(), right[:, 0].copy(), SHORT_SIDE
        parts = multi_index.cheapest(codes, columns, 8 * a.shape[1], radius)
        if parts is not None:
            return join_links(_near(codes, columns, parts, shares, radius, same))
        counts = counts_for(len(a), -(-len(b) // side))
        kernels.count_short(codes, columns, side, within, same, counts)
        links = room_for(counts)
        kernels.emit_short(codes, columns, side, within, same, counts, shares, links)
        return Links(*links)
    codes, blocks = filled_up(left, 4), column_blocks(filled_up(right, 4))
    counts = counts_for(len(a), len(blocks))
    kernels.count_long(codes, blocks, len(b), within, same, counts)
    links = room_for(counts)
    kernels.emit_long(codes, blocks, len(b), within, same, counts, shares, links)
    return Links(*links)


def _near(
    a: Words,
    b: Words,
    parts: Sequence[multi_index.Part],
    shares: Floats,
    radius: int,
    same: bool,
) -> Iterator[Links]:
    """Links of one-word codes by multi-index search, in no order, some at a time."""
    kernels = compiled_kernels("multi_index.near_pairs", np.inf)
    assert kernels is not None
    for rows, columns, distances in multi_index.near(kernels, a, b, parts, radius, same=same):
        yield Links(rows, columns, shares[distances])


def spanning_links_of(
    a: Bytes, b: Bytes, shares: Floats, threshold: float, *, same: bool
) -> Iterator[Links] | None:
    """Links that have the maximum spanning forest of all, in no order, some at a time.

    Of equal codes only the first is compared with others; the rest are linked with it. None where
    multi-index search does not pay or numba is missing.
    """
    radius = radius_of(shares, threshold)
    words = as_words(a), as_words(b)
    if radius < 0 or words[0].shape[1] != 1 or _kernels(a, b) is None:
        return None
    rows = _Distinct.of(words[0][:, 0])
    columns = rows if same else _Distinct.of(words[1][:, 0])
    parts = multi_index.cheapest(rows.codes, columns.codes, 8 * a.shape[1], radius)
    if parts is None:
        return None
    return _spanning(rows, columns, parts, shares, radius, same)


def _spanning(
    rows: _Distinct,
    columns: _Distinct,
    parts: Sequence[multi_index.Part],
    shares: Floats,
    radius: int,
    same: bool,
) -> Iterator[Links]:
    copies = np.flatnonzero(columns.first[columns.place] != np.arange(len(columns.place)))
    if not same:
        at = np.searchsorted(rows.codes, columns.codes)
        at[at == len(rows.codes)] = 0
        equal = rows.codes[at] == columns.codes
        copies = copies[equal[columns.place[copies]]]
    place = columns.place[copies]
    firsts = rows.first[place if same else at[place]]
    yield Links(firsts, copies, np.full(len(copies), shares[0], np.float32))
    for links in _near(rows.codes, columns.codes, parts, shares, radius, same):
        first, second = rows.first[links.a], columns.first[links.b]
        if same:
            first, second = np.minimum(first, second), np.maximum(first, second)
        yield Links(first, second, links.similarity)


class _Distinct(NamedTuple):
    """Different codes, ascending, the first image with each; (n,) the code of each image."""

    codes: Words
    first: Longs
    place: Longs

    @classmethod
    def of(cls, words: Words) -> _Distinct:
        order = np.argsort(words)  # far faster than np.unique with its stable sort
        codes = words[order]
        fresh = np.append(True, codes[1:] != codes[:-1])[: len(codes)]
        starts = np.flatnonzero(fresh)
        first = np.minimum.reduceat(order, starts) if len(starts) else order
        place = np.empty(len(words), np.int64)
        place[order] = np.cumsum(fresh) - 1
        return cls(codes[starts], first, place)


def _by_numpy(a: Bytes, b: Bytes, shares: Floats, radius: int, same: bool) -> Links:
    codes, columns = as_words(a), as_words(b).T.copy()

    def links_of_band(rows: slice, start: int) -> Links:
        distances = _distances(codes[rows], columns[:, start:])
        near = distances <= radius
        if same:
            near = np.triu(near, 1)
        row, column = np.divmod(np.flatnonzero(near), near.shape[1])
        return Links(row, column, shares[distances[row, column]])

    return links_by_bands(len(a), len(b), same, links_of_band)


def _distances(left: Words, right: Words) -> Bytes | NDArray[np.uint32]:
    """Distances of (n, words) codes to (words, m) ones: (n, m)."""
    if len(right) == 1:
        return np.asarray(np.bitwise_count(left ^ right), np.uint8)
    distances = np.zeros((len(left), right.shape[1]), np.uint32)
    for word in range(len(right)):
        distances += np.bitwise_count(left[:, word, None] ^ right[word])
    return distances

"""Packed codes as the compiled loops and NumPy take them: words, blocks of columns, bands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.links import Links

BAND = 1 << 17
"""Pairs that NumPy compares at a time: few enough for the cache, enough to hide what a step costs.
"""
CACHED = 1 << 15
"""Bytes of a block of columns: most of a core's first cache."""

Words = NDArray[np.uint64]
Counts = NDArray[np.uint16]
Room = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


def as_words(codes: NDArray[np.uint8]) -> Words:
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


def counts_for(rows: int, blocks: int) -> Counts:
    """Zeros, one for each row and block of columns."""
    return np.zeros((rows, blocks), np.uint16)


def room_for(counts: Counts) -> Room:
    """Arrays of as many links as were counted: row, column, similarity."""
    total = int(counts.sum(dtype=np.int64))
    return np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.float32)


def bands(rows: int, columns: int) -> list[tuple[int, int]]:
    """First row and end of each band of rows that NumPy compares with all columns at a time."""
    step = max(1, BAND // max(1, columns))
    return [(start, min(start + step, rows)) for start in range(0, rows, step)]


def above_diagonal(linked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`linked` of some rows with the columns from the first of these rows on: row < column."""
    side = len(linked)
    linked[:, :side] = np.triu(linked[:, :side], 1)
    return linked


def appended(parts: list[Links]) -> Links:
    """The links of `parts`, which are in order already, one after the other."""
    return Links(
        np.concatenate([np.empty(0, np.int64), *(part.a for part in parts)]),
        np.concatenate([np.empty(0, np.int64), *(part.b for part in parts)]),
        np.concatenate([np.empty(0, np.float32), *(part.similarity for part in parts)]),
    )

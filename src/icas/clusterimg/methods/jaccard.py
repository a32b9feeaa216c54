"""Jaccard similarity of sets of small numbers, stored as bitmaps: integers and one division.

By numba kernels or by NumPy: the answer is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import NONE, Links, links_in
from icas.clusterimg.kernels import Floats, Longs, Words
from icas.clusterimg.kernels.numba_support import compiled_kernels
from icas.clusterimg.methods.hamming import (
    as_words,
    bands,
    column_blocks,
    counts_for,
    filled_up,
    links_by_bands,
    room_for,
)

WORDS_A_SECOND = 5e8
"""What NumPy compares, roughly."""
SCALE = 1 << 20
"""The kernels' part of 1."""
ROUNDED = 1 - 2.0**-22
"""Less than what a division that was rounded to float32 may be above the true ratio."""
NO_DIGEST = 1
"""Marks a missing digest in rows; columns have 0, so that none is equal."""


class Bitmaps(NamedTuple):
    """Sets of n images.

    bitmaps: (n, words) uint64, a bit for each number that is in the set; sizes: (n,) int64,
    elements of each set, at least 1; digests: (n,) uint64, the one element of a set that is
    outside the bitmaps, as it is no small number; else 0.
    """

    bitmaps: Words
    sizes: Longs
    digests: Words

    @classmethod
    def of(cls, features: FeatureSet) -> Bitmaps:
        return cls(*(features.arrays[name] for name in cls._fields))


def bitmaps_of(sets: Sequence[Words], numbers: int) -> Bitmaps:
    """Sets of numbers below `numbers`, or of one number that is not, as bitmaps.

    sets: different elements; m > 0.
    """
    codes = np.zeros((len(sets), -(-numbers // 8)), np.uint8)
    digests = np.zeros(len(sets), np.uint64)
    for row, elements in enumerate(sets):
        if elements[0] < numbers:
            held = np.zeros(numbers, bool)
            held[elements.astype(np.int64)] = True
            codes[row] = np.packbits(held)
        else:
            digests[row] = elements[0]
    sizes = np.array([len(elements) for elements in sets], np.int64)
    return Bitmaps(as_words(codes), sizes, digests)


def similarities_of(a: Bitmaps, b: Bitmaps) -> Floats:
    """Intersection over union of each set of `a` with each of `b`, (n, m) float32."""
    result = np.empty((len(a.sizes), len(b.sizes)), np.float32)
    if not result.size:
        return result
    kernels = _kernels(a, b)
    if kernels is None:
        for start, end in bands(*result.shape):
            result[start:end] = _similarities(_some(a, slice(start, end)), b)
    else:
        blocks, columns = _columns(b, 0)
        kernels.similarities(_rows(a), blocks, columns, result)
    return result


def links_of(a: Bitmaps, b: Bitmaps, threshold: float, *, same: bool) -> Links:
    """Pairs at or above float32(`threshold`), sorted by row, then column.

    same: `b` is `a`: only pairs with row < column.
    """
    limit = np.float32(threshold)
    if not limit <= 1 or not len(a.sizes) or not len(b.sizes):
        return NONE
    kernels = _kernels(a, b)
    if kernels is not None:
        return _by_numba(kernels, a, b, limit, same)

    def links_of_band(rows: slice, start: int) -> Links:
        values = _similarities(_some(a, rows), _some(b, slice(start, None)))
        return links_in(values, threshold, triangle=same)

    return links_by_bands(len(a.sizes), len(b.sizes), same, links_of_band)


def _kernels(a: Bitmaps, b: Bitmaps) -> ModuleType | None:
    return compiled_kernels("jaccard", len(a.sizes) * b.bitmaps.size / WORDS_A_SECOND)


def _by_numba(
    kernels: ModuleType, a: Bitmaps, b: Bitmaps, threshold: np.float32, same: bool
) -> Links:
    least = _least_share(float(threshold))
    blocks, columns = _columns(b, least)
    rows, limit = _rows(a), (np.uint64(least), threshold)
    counts = counts_for(len(a.sizes), len(blocks))
    kernels.count_similar(rows, blocks, columns, len(b.sizes), limit, same, counts)
    links = room_for(counts)
    kernels.emit_similar(rows, blocks, columns, len(b.sizes), limit, same, counts, links)
    return Links(*links)


def _least_share(threshold: float) -> int:
    """So much of the sum of two sizes the intersection of a link is at least, in 1 / `SCALE`."""
    true = max(threshold, 0.0) * ROUNDED
    return int(true / (1 + true) * SCALE)


def _rows(sets: Bitmaps) -> tuple[Words, Words, Words]:
    digests = np.where(sets.digests == 0, np.uint64(NO_DIGEST), sets.digests)
    return filled_up(sets.bitmaps, 4), np.array(sets.sizes, np.uint64), digests


def _columns(sets: Bitmaps, least: int) -> tuple[Words, tuple[Words, Words, Words]]:
    """Blocks of the bitmaps; sizes, their shares that are needed, and digests, to whole blocks."""
    blocks = column_blocks(filled_up(sets.bitmaps, 4))
    missing = len(blocks) * blocks.shape[2] - len(sets.sizes)
    sizes = np.pad(sets.sizes.astype(np.uint64), (0, missing))
    return blocks, (sizes, sizes * np.uint64(least), np.pad(sets.digests, (0, missing)))


def _some(sets: Bitmaps, rows: slice) -> Bitmaps:
    return Bitmaps._make(array[rows] for array in sets)


def _similarities(a: Bitmaps, b: Bitmaps) -> Floats:
    shared = np.zeros((len(a.sizes), len(b.sizes)), np.uint32)
    right = b.bitmaps.T.copy()
    for word in range(len(right)):
        shared += np.bitwise_count(a.bitmaps[:, word, None] & right[word])
    shared += (a.digests[:, None] == b.digests) & (b.digests != 0)
    union = a.sizes[:, None] + b.sizes - shared
    # Whole numbers below 2^24 and one division: the same on every machine.
    return np.asarray(shared.astype(np.float32) / union.astype(np.float32), np.float32)

"""Jaccard similarities of sets stored as bitmaps, by numba.

Links are found in two passes: count, then write. Integers exclude most pairs: where intersection /
(sum of sizes - intersection) is at least t, the intersection is at least t / (1 + t) of the sum of
sizes. A set may have a single element outside its bitmap, its digest (0 = none).
"""

from __future__ import annotations

import numpy as np

from icas.clusterimg.kernels import Floats, Longs, Shorts, Words
from icas.clusterimg.kernels.hamming import popcount
from icas.clusterimg.kernels.numba_support import compiled

SIGN = np.uint64(63)
"""The bit that a difference has where it would be below 0."""
NONE = np.uint64(0)
ONE = np.uint64(1)
SCALE = np.uint64(20)
"""Bits behind the point of `least`."""


@compiled
def _intersections(
    a: tuple[Words, Words, Words],
    i: int,
    k: int,
    block: Words,
    b: tuple[Words, Words, Words],
    start: int,
    least: np.uint64,
    sums: Words,
) -> bool:
    """Intersections of sets `i` and `k` with those of a block; whether any pair may be a link.

    a: (n, words), (n,), (n,) uint64, bitmaps, sizes and digests; here a set without a digest has 1,
    which none is; block: (words, side) uint64, bitmaps of the block, one a column; `words` is a
    multiple of four; b: (m,), (m,), (m,) uint64, sizes, `least` times these, and digests, filled
    with zeros to whole blocks; start: first column of the block; least: so much of the sum of sizes
    a link's intersection is at least, times 2 to the `SCALE`; sums: (2, side) uint64, filled in.
    """
    bitmaps, sizes, digests = a
    _, floors, right = b
    side = block.shape[1]
    sums[:] = NONE
    if digests[i] != ONE or digests[k] != ONE:
        for j in range(side):
            sums[0, j] = np.uint64(right[start + j] == digests[i])
            sums[1, j] = np.uint64(right[start + j] == digests[k])
    for g in range(0, block.shape[0], 4):
        a0, a1, a2, a3 = bitmaps[i, g], bitmaps[i, g + 1], bitmaps[i, g + 2], bitmaps[i, g + 3]
        c0, c1, c2, c3 = bitmaps[k, g], bitmaps[k, g + 1], bitmaps[k, g + 2], bitmaps[k, g + 3]
        for j in range(side):
            b0, b1, b2, b3 = block[g, j], block[g + 1, j], block[g + 2, j], block[g + 3, j]
            left = popcount(a0 & b0) + popcount(a1 & b1) + popcount(a2 & b2) + popcount(a3 & b3)
            others = popcount(c0 & b0) + popcount(c1 & b1) + popcount(c2 & b2) + popcount(c3 & b3)
            left += sums[0, j]
            others += sums[1, j]
            sums[0, j] = left
            sums[1, j] = others
    floor, floor_k = least * sizes[i] - ONE, least * sizes[k] - ONE
    near = NONE
    for j in range(side):
        of_theirs = floors[start + j]
        near |= (floor + of_theirs - (sums[0, j] << SCALE)) | (
            floor_k + of_theirs - (sums[1, j] << SCALE)
        )
    return bool(near >> SIGN)


@compiled
def _jaccard(shared: np.uint64, size: np.uint64, other: np.uint64) -> np.float32:
    """Whole numbers below 2^24 and one division: the same on every machine."""
    return np.float32(np.float32(shared) / np.float32(size + other - shared))


@compiled
def count_similar(
    a: tuple[Words, Words, Words],
    blocks: Words,
    b: tuple[Words, Words, Words],
    columns: int,
    limit: tuple[np.uint64, np.float32],
    same: bool,
    counts: Shorts,
) -> None:
    """Count the pairs at or above a threshold, by row and by block of columns.

    a, b: as for the intersections above; blocks: (t, words, side) uint64, bitmaps of the columns,
    `side` of them a block, one a column; the last filled up; columns: how many there are; limit:
    `least`, and the threshold; same: the columns are the rows: only pairs with row < column count;
    counts: (n, t) uint16, filled in; zeros before.
    """
    least, threshold = limit
    sizes = a[1]
    side = blocks.shape[2]
    sums = np.empty((2, side), np.uint64)
    for t in range(blocks.shape[0]):
        start, end = t * side, min((t + 1) * side, columns)
        rows = min(len(sizes), end) if same else len(sizes)
        for i in range(0, rows, 2):
            k = min(i + 1, rows - 1)
            if not _intersections(a, i, k, blocks[t], b, start, least, sums):
                continue
            for row in range(i, k + 1):
                result = 0
                for j in range(max(start, row + 1) if same else start, end):
                    shared = sums[row - i, j - start]
                    both = sizes[row] + b[0][j]
                    if shared << SCALE >= least * both:
                        result += int(_jaccard(shared, sizes[row], b[0][j]) >= threshold)
                counts[row, t] = result


@compiled
def emit_similar(
    a: tuple[Words, Words, Words],
    blocks: Words,
    b: tuple[Words, Words, Words],
    columns: int,
    limit: tuple[np.uint64, np.float32],
    same: bool,
    counts: Shorts,
    links: tuple[Longs, Longs, Floats],
) -> None:
    """Write the pairs that `count_similar` counted into `links`: row, column, similarity."""
    least, threshold = limit
    sizes = a[1]
    rows, others, values = links
    side = blocks.shape[2]
    sums = np.empty((2, side), np.uint64)
    place = 0
    for i in range(len(sizes)):
        for t in range(blocks.shape[0]):
            if counts[i, t] == 0:
                continue
            start, end = t * side, min((t + 1) * side, columns)
            _intersections(a, i, i, blocks[t], b, start, least, sums)
            for j in range(max(start, i + 1) if same else start, end):
                similarity = _jaccard(sums[0, j - start], sizes[i], b[0][j])
                if similarity >= threshold:
                    rows[place], others[place], values[place] = i, j, similarity
                    place += 1


@compiled
def similarities(
    a: tuple[Words, Words, Words], blocks: Words, b: tuple[Words, Words, Words], out: Floats
) -> None:
    """Similarity of each of `a` with each column, into (n, m) `out`."""
    sizes = a[1]
    side = blocks.shape[2]
    sums = np.empty((2, side), np.uint64)
    for t in range(blocks.shape[0]):
        start, end = t * side, min((t + 1) * side, out.shape[1])
        for i in range(0, len(sizes), 2):
            k = min(i + 1, len(sizes) - 1)
            _intersections(a, i, k, blocks[t], b, start, NONE, sums)
            for row in range(i, k + 1):
                for j in range(start, end):
                    out[row, j] = _jaccard(sums[row - i, j - start], sizes[row], b[0][j])


def warm_up() -> None:
    """Compile each kernel."""
    ones, bitmaps, blocks = (
        np.ones(2, np.uint64),
        np.zeros((2, 4), np.uint64),
        np.zeros((1, 4, 2), np.uint64),
    )
    a, b, limit = (bitmaps, ones, ones), (ones, ones, ones), (ONE, np.float32(0.5))
    counts = np.zeros((2, 1), np.uint16)
    links = np.zeros(4, np.int64), np.zeros(4, np.int64), np.zeros(4, np.float32)
    count_similar(a, blocks, b, 2, limit, False, counts)
    emit_similar(a, blocks, b, 2, limit, False, counts, links)
    similarities(a, blocks, b, np.zeros((2, 2), np.float32))

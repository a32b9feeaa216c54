"""Population count of words by one processor instruction, also vectorized.

Only modules that are loaded through `compiled_kernels` import this one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba.extending import intrinsic

from icas.clusterimg.kernels import Floats, Longs, Shorts, Words
from icas.clusterimg.kernels.lookup import (
    HALVES,
    ROWS,
    TABLES,
    fill_planes,
    fill_tables,
    maybe_within,
    within,
)
from icas.clusterimg.kernels.numba_support import compiled


def _popcount(typing_context: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return word(word), generate


popcount = cast(Callable[[np.uint64], np.uint64], intrinsic(_popcount))
"""Number of ones in a word; of the word's type. LLVM writes it out where there is no such one."""


FAR = np.uint64(1 << 62)
"""Above any distance."""
SIGN = np.uint64(63)
"""The bit that a difference has where it would be below 0. To gather these bits of many distances
takes fewer and, on most processors, faster steps than to find the least distance."""
NONE = np.uint64(0)
RUN = 64
"""Columns looked at together before any one of them."""
PASSING = 4
"""Part of the bits is looked at first while no more than one in so many blocks passes."""


@compiled
def _count_short_by_words(
    a: Words, b: Words, side: int, radius: np.uint64, same: bool, counts: Shorts
) -> None:
    beyond = np.uint64(radius + np.uint64(1))
    for t in range(counts.shape[1]):
        start = t * side
        block = b[start : min(start + side, len(b))]
        rows = min(len(a), start + len(block)) if same else len(a)
        # Four rows at once: each word of the block is loaded once for them.
        for i in range(0, rows, 4):
            i1, i2, i3 = min(i + 1, rows - 1), min(i + 2, rows - 1), min(i + 3, rows - 1)
            w0, w1, w2, w3 = a[i], a[i1], a[i2], a[i3]
            near = NONE
            for j in range(len(block)):
                word = block[j]
                near |= popcount(w0 ^ word) - beyond
                near |= popcount(w1 ^ word) - beyond
                near |= popcount(w2 ^ word) - beyond
                near |= popcount(w3 ^ word) - beyond
            if not near >> SIGN:
                continue
            for row in range(i, min(i + 4, rows)):
                first = max(0, row + 1 - start) if same else 0
                counts[row, t] = _count_in(a[row], block[first:], radius)


@compiled
def _count_short_by_tables(
    a: Words, b: Words, side: int, radius: np.uint64, same: bool, counts: Shorts
) -> None:
    tables = np.empty((ROWS // 2, HALVES, 2), np.uint64)
    codes = np.empty((ROWS, 1), np.uint64)
    where, most = tables.ctypes.data, int(radius)
    # Most rows are far from a whole block by part of the bits, if the radius is small.
    tested, passed = 1, 0
    for t in range(counts.shape[1]):
        start = t * side
        block = b[start : min(start + side, len(b))]
        width = -(-len(block) // RUN) * RUN
        planes = np.empty((HALVES, width), np.uint8)
        fill_planes(block.reshape(-1, 1), len(block), planes)
        columns = planes.ctypes.data
        rows = min(len(a), start + len(block)) if same else len(a)
        for i in range(0, rows, ROWS):
            for row in range(ROWS):
                codes[row, 0] = a[min(i + row, rows - 1)]
            fill_tables(codes, tables)
            if passed * PASSING <= tested:
                tested += 1
                if not maybe_within(where, columns, width, most):
                    continue
                passed += 1
            near = within(where, columns, width, most)
            for row in range(i, min(i + ROWS, rows)):
                if near >> (row - i) & 1:
                    first = max(0, row + 1 - start) if same else 0
                    counts[row, t] = _count_in(a[row], block[first:], radius)


count_short = _count_short_by_tables if TABLES else _count_short_by_words
"""``(a, b, side, radius, same, counts)``: count the pairs within `radius` of one-word codes, by row
and by block of columns.

a, b: (n,), (m,) uint64; side: columns of a block; at most 65535; counts: (n, ceil(m / side))
uint16, filled in; zeros before.
"""


@compiled
def _count_in(word: np.uint64, block: Words, radius: np.uint64) -> np.uint64:
    result = NONE
    for j in range(len(block)):
        result += np.uint64(popcount(word ^ block[j]) <= radius)
    return result


@compiled
def emit_short(
    a: Words,
    b: Words,
    side: int,
    radius: np.uint64,
    same: bool,
    counts: Shorts,
    shares: Floats,
    links: tuple[Longs, Longs, Floats],
) -> None:
    """Write the pairs that `count_short` counted into `links`: row, column, share.

    shares: (65 or more,) float32, similarity by distance; links: (int64, int64, float32), each as
    long as the sum of `counts`.
    """
    rows, columns, values = links
    beyond = np.uint64(radius + np.uint64(1))
    near = np.empty(RUN, np.int64)
    place = 0
    for i in range(counts.shape[0]):
        word = a[i]
        for t in range(counts.shape[1]):
            if counts[i, t] == 0:
                continue
            end = min((t + 1) * side, len(b))
            first = max(t * side, i + 1) if same else t * side
            for start in range(first, end, RUN):
                stop = min(start + RUN, end)
                if not _any_in(word, b[start:stop], beyond):
                    continue
                result = 0
                for j in range(start, stop):
                    # Without a branch, which would often be mispredicted.
                    near[result] = j
                    result += int(popcount(word ^ b[j]) <= radius)
                for j in near[:result]:
                    rows[place], columns[place] = i, j
                    values[place] = shares[popcount(word ^ b[j])]
                    place += 1


@compiled
def _any_in(word: np.uint64, block: Words, beyond: np.uint64) -> bool:
    near = NONE
    for j in range(len(block)):
        near |= popcount(word ^ block[j]) - beyond
    return bool(near >> SIGN)


@compiled
def shares_short(a: Words, b: Words, shares: Floats, out: Floats) -> None:
    """Similarity of each one-word code of `a` with each of `b`, into (n, m) `out`."""
    for i in range(len(a)):
        word, row = a[i], out[i]
        for j in range(len(b)):
            row[j] = shares[popcount(word ^ b[j])]


@compiled
def _distances(a: Words, i: int, k: int, block: Words, radius: np.uint64, sums: Words) -> bool:
    """Distances of codes `i` and `k` to those of a block, unless all of them exceed `radius`.

    block: (words, side) uint64, the codes of the block, one a column; sums: (2, side) uint64,
    filled in, unless False is returned.
    """
    side = block.shape[1]
    beyond = np.uint64(radius + np.uint64(1))
    sums[:] = NONE
    for g in range(0, block.shape[0], 4):
        a0, a1, a2, a3 = a[i, g], a[i, g + 1], a[i, g + 2], a[i, g + 3]
        c0, c1, c2, c3 = a[k, g], a[k, g + 1], a[k, g + 2], a[k, g + 3]
        near = NONE
        for j in range(side):
            b0, b1, b2, b3 = block[g, j], block[g + 1, j], block[g + 2, j], block[g + 3, j]
            left = popcount(a0 ^ b0) + popcount(a1 ^ b1) + popcount(a2 ^ b2) + popcount(a3 ^ b3)
            others = popcount(c0 ^ b0) + popcount(c1 ^ b1) + popcount(c2 ^ b2) + popcount(c3 ^ b3)
            left += sums[0, j]
            others += sums[1, j]
            sums[0, j] = left
            sums[1, j] = others
            near |= (left - beyond) | (others - beyond)
        if not near >> SIGN:
            return False
    return True


@compiled
def count_long(
    a: Words, blocks: Words, columns: int, radius: np.uint64, same: bool, counts: Shorts
) -> None:
    """Count the pairs within `radius` of codes of many words, by row and by block of columns.

    a: (n, words) uint64, `words` is a multiple of four; blocks: (t, words, side) uint64, the codes
    of the columns, `side` of them a block, one a column; the last filled up; columns: how many
    there are; counts: (n, t) uint16, filled in; zeros before.
    """
    side = blocks.shape[2]
    sums = np.empty((2, side), np.uint64)
    for t in range(blocks.shape[0]):
        start, end = t * side, min((t + 1) * side, columns)
        rows = min(a.shape[0], end) if same else a.shape[0]
        for i in range(0, rows, 2):
            k = min(i + 1, rows - 1)
            if not _distances(a, i, k, blocks[t], radius, sums):
                continue
            for row in range(i, k + 1):
                first = max(start, row + 1) if same else start
                result = NONE
                for j in range(first - start, end - start):
                    result += np.uint64(sums[row - i, j] <= radius)
                counts[row, t] = result


@compiled
def emit_long(
    a: Words,
    blocks: Words,
    columns: int,
    radius: np.uint64,
    same: bool,
    counts: Shorts,
    shares: Floats,
    links: tuple[Longs, Longs, Floats],
) -> None:
    """Write the pairs that `count_long` counted into `links`; as `emit_short`."""
    rows, others, values = links
    side = blocks.shape[2]
    sums = np.empty((2, side), np.uint64)
    near = np.empty(side, np.int64)
    place = 0
    for i in range(a.shape[0]):
        for t in range(blocks.shape[0]):
            if counts[i, t] == 0:
                continue
            _distances(a, i, i, blocks[t], FAR, sums)
            start, end = t * side, min((t + 1) * side, columns)
            first = max(start, i + 1) if same else start
            result = 0
            for j in range(first - start, end - start):
                near[result] = j
                result += int(sums[0, j] <= radius)
            for j in near[:result]:
                rows[place], others[place], values[place] = i, start + j, shares[sums[0, j]]
                place += 1


@compiled
def shares_long(a: Words, blocks: Words, shares: Floats, out: Floats) -> None:
    """Similarity of each code of `a` with each of `blocks`, into (n, m) `out`."""
    side = blocks.shape[2]
    sums = np.empty((2, side), np.uint64)
    for t in range(blocks.shape[0]):
        start, end = t * side, min((t + 1) * side, out.shape[1])
        for i in range(0, a.shape[0], 2):
            k = min(i + 1, a.shape[0] - 1)
            _distances(a, i, k, blocks[t], FAR, sums)
            for row in range(i, k + 1):
                for j in range(end - start):
                    out[row, start + j] = shares[sums[row - i, j]]


def warm_up() -> None:
    """Compile each kernel."""
    a, radius = np.zeros((2, 4), np.uint64), np.uint64(1)
    short, blocks = a[:, 0].copy(), np.zeros((1, 4, 2), np.uint64)
    counts, shares = np.zeros((2, 1), np.uint16), np.ones(300, np.float32)
    links = np.zeros(4, np.int64), np.zeros(4, np.int64), np.zeros(4, np.float32)
    out = np.zeros((2, 2), np.float32)
    count_short(short, short, 2, radius, False, counts)
    emit_short(short, short, 2, radius, False, counts, shares, links)
    shares_short(short, short, shares, out)
    count_long(a, blocks, 2, radius, False, counts)
    emit_long(a, blocks, 2, radius, False, counts, shares, links)
    shares_long(a, blocks, shares, out)

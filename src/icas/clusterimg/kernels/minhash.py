"""MinHash signatures and the share of their equal components, by numba.

Links are found in two passes: count, then write. The lowest `PLANES` bits of each component are
stored bit by bit, 64 components a word: components differ where one of these bits does. Only pairs
that may still be links are compared component by component.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.kernels import Floats, Longs, Shorts, Words
from icas.clusterimg.kernels.hamming import popcount
from icas.clusterimg.kernels.numba_support import compiled

Signatures = NDArray[np.uint32]

PLANES = 4
"""Bits of a component that are compared first: they differ for all but 1 in 16 random pairs."""
SIGN = np.uint64(63)
"""The bit that a difference has where it would be below 0."""
NONE = np.uint64(0)


@compiled
def planes(signatures: Signatures, out: Words) -> None:
    """Lowest bits of the components, 64 components a word and a bit of each.

    signatures: (n, k) uint32; out: (n, words) uint64, filled in; zeros before. Word ``PLANES * g +
    p`` of an image holds bit p of its components 64 g to 64 g + 63.
    """
    for i in range(signatures.shape[0]):
        for c in range(signatures.shape[1]):
            component, place = np.uint64(signatures[i, c]), np.uint64(c % 64)
            for p in range(PLANES):
                bit = (component >> np.uint64(p)) & np.uint64(1)
                out[i, c // 64 * PLANES + p] |= bit << place


@compiled
def _surely_different(a: Words, i: int, k: int, block: Words, most: np.uint64, sums: Words) -> bool:
    """Components in which signatures `i` and `k` surely differ from those of a block.

    False as soon as these are more than `most` for all of the block; `sums`, (2, side) uint64, is
    filled in otherwise.
    """
    side = block.shape[1]
    beyond = np.uint64(most + np.uint64(1))
    sums[:] = NONE
    for g in range(0, block.shape[0], 8):
        a0, a1, a2, a3 = a[i, g], a[i, g + 1], a[i, g + 2], a[i, g + 3]
        a4, a5, a6, a7 = a[i, g + 4], a[i, g + 5], a[i, g + 6], a[i, g + 7]
        c0, c1, c2, c3 = a[k, g], a[k, g + 1], a[k, g + 2], a[k, g + 3]
        c4, c5, c6, c7 = a[k, g + 4], a[k, g + 5], a[k, g + 6], a[k, g + 7]
        near = NONE
        for j in range(side):
            b0, b1, b2, b3 = block[g, j], block[g + 1, j], block[g + 2, j], block[g + 3, j]
            b4, b5, b6, b7 = block[g + 4, j], block[g + 5, j], block[g + 6, j], block[g + 7, j]
            left = popcount((a0 ^ b0) | (a1 ^ b1) | (a2 ^ b2) | (a3 ^ b3))
            left += popcount((a4 ^ b4) | (a5 ^ b5) | (a6 ^ b6) | (a7 ^ b7)) + sums[0, j]
            others = popcount((c0 ^ b0) | (c1 ^ b1) | (c2 ^ b2) | (c3 ^ b3))
            others += popcount((c4 ^ b4) | (c5 ^ b5) | (c6 ^ b6) | (c7 ^ b7)) + sums[1, j]
            sums[0, j] = left
            sums[1, j] = others
            near |= (left - beyond) | (others - beyond)
        if not near >> SIGN:
            return False
    return True


@compiled
def _different(a: Signatures, i: int, b: Signatures, j: int) -> np.uint32:
    """Components in which signature i of `a` differs from signature j of `b`."""
    result = np.uint32(0)
    for c in range(a.shape[1]):
        result = np.uint32(result + np.uint32(a[i, c] != b[j, c]))
    return result


@compiled
def count_near(
    a: Signatures,
    b: Signatures,
    bits: Words,
    blocks: Words,
    most: np.uint64,
    same: bool,
    counts: Shorts,
) -> None:
    """Count the pairs that differ in at most `most` components, by row and by block of columns.

    a, b: (n, k), (m, k) uint32; bits: (n, words) uint64, of `a`, as `planes` makes them; `words` is
    a multiple of eight; blocks: (t, words, side) uint64, the same of `b`, `side` images a block,
    one a column; the last block filled up; same: `b` is `a`: only pairs with row < column count;
    counts: (n, t) uint16, filled in; zeros before.
    """
    side = blocks.shape[2]
    sums = np.empty((2, side), np.uint64)
    for t in range(blocks.shape[0]):
        start, end = t * side, min((t + 1) * side, b.shape[0])
        rows = min(a.shape[0], end) if same else a.shape[0]
        for i in range(0, rows, 2):
            k = min(i + 1, rows - 1)
            if not _surely_different(bits, i, k, blocks[t], most, sums):
                continue
            for row in range(i, k + 1):
                result = 0
                for j in range(max(start, row + 1) if same else start, end):
                    if sums[row - i, j - start] <= most:
                        result += int(_different(a, row, b, j) <= most)
                counts[row, t] = result


@compiled
def emit_near(
    a: Signatures,
    b: Signatures,
    bits: Words,
    blocks: Words,
    most: np.uint64,
    same: bool,
    counts: Shorts,
    shares: Floats,
    links: tuple[Longs, Longs, Floats],
) -> None:
    """Write the pairs that `count_near` counted into `links`: row, column, share.

    shares: (k + 1,) float32, similarity by the number of components that differ; links: (int64,
    int64, float32), each as long as the sum of `counts`.
    """
    rows, columns, values = links
    side = blocks.shape[2]
    sums = np.empty((2, side), np.uint64)
    place = 0
    for i in range(a.shape[0]):
        for t in range(blocks.shape[0]):
            if counts[i, t] == 0:
                continue
            _surely_different(bits, i, i, blocks[t], most, sums)
            start, end = t * side, min((t + 1) * side, b.shape[0])
            for j in range(max(start, i + 1) if same else start, end):
                if sums[0, j - start] > most:
                    continue
                different = _different(a, i, b, j)
                if different <= most:
                    rows[place], columns[place], values[place] = i, j, shares[different]
                    place += 1


@compiled
def shares_of_all(a: Signatures, b: Signatures, side: int, shares: Floats, out: Floats) -> None:
    """Similarity of each of `a` with each of `b`, into (n, m) `out`; `side` columns at a time."""
    for start in range(0, b.shape[0], side):
        last = min(start + side, b.shape[0]) - 1
        for i in range(a.shape[0]):
            # Four columns at once: each component of the row is loaded once for them.
            for j in range(start, last + 1, 4):
                j1, j2, j3 = min(j + 1, last), min(j + 2, last), min(j + 3, last)
                d0 = d1 = d2 = d3 = np.uint32(0)
                for c in range(a.shape[1]):
                    component = a[i, c]
                    d0 = np.uint32(d0 + np.uint32(component != b[j, c]))
                    d1 = np.uint32(d1 + np.uint32(component != b[j1, c]))
                    d2 = np.uint32(d2 + np.uint32(component != b[j2, c]))
                    d3 = np.uint32(d3 + np.uint32(component != b[j3, c]))
                out[i, j], out[i, j1], out[i, j2], out[i, j3] = (
                    shares[d0],
                    shares[d1],
                    shares[d2],
                    shares[d3],
                )


@compiled
def least_mixed(elements: Words, keys: Words, out: Signatures) -> None:
    """Low half of the least of `elements` under each permutation.

    elements: (m,) uint64, mixed once; m > 0; keys: (k,) uint64; out: (k,) uint32, filled in.
    """
    for c in range(len(keys)):
        key, least = keys[c], ~NONE
        for j in range(len(elements)):
            mixed = elements[j] ^ key
            mixed ^= mixed >> np.uint64(30)
            mixed *= np.uint64(0xBF58476D1CE4E5B9)
            mixed ^= mixed >> np.uint64(27)
            mixed *= np.uint64(0x94D049BB133111EB)
            mixed ^= mixed >> np.uint64(31)
            least = min(least, mixed)
        out[c] = np.uint32(least & np.uint64(0xFFFFFFFF))


def warm_up() -> None:
    """Compile each kernel."""
    a, most = np.zeros((2, 3), np.uint32), np.uint64(1)
    bits, blocks = np.zeros((2, 8), np.uint64), np.zeros((1, 8, 2), np.uint64)
    counts, shares = np.zeros((2, 1), np.uint16), np.ones(4, np.float32)
    links = np.zeros(4, np.int64), np.zeros(4, np.int64), np.zeros(4, np.float32)
    planes(a, bits)
    count_near(a, a, bits, blocks, most, False, counts)
    emit_near(a, a, bits, blocks, most, False, counts, shares, links)
    shares_of_all(a, a, 1, shares, np.zeros((2, 2), np.float32))
    least_mixed(np.ones(2, np.uint64), np.ones(3, np.uint64), np.zeros(3, np.uint32))

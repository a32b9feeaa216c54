"""Near pairs of one-word codes, found in buckets of codes that agree in a part of their bits.

Only modules that are loaded through `compiled_kernels` import this one.
"""

from __future__ import annotations

import numpy as np

from icas.clusterimg.kernels import Bytes, Longs, Words
from icas.clusterimg.kernels.hamming import NONE, SIGN, popcount
from icas.clusterimg.kernels.numba_support import compiled

Side = tuple[Words, Longs]
"""Codes in the order of their keys; for each key the first of its codes, and behind them the end.
"""


@compiled
def near_pairs(
    a: Side,
    b: Side,
    masks: Longs,
    earlier: Words,
    earlier_radii: Words,
    radius: np.uint64,
    same: bool,
    start: Longs,
    pairs: tuple[Longs, Longs, Bytes],
) -> int:
    """Write pairs of codes whose keys differ by one of `masks` and that are within `radius`.

    Stops where `pairs` may not hold those of the next row, and notes in `start` where: key, mask,
    row of its bucket; key = number of keys at the end. Called again, it goes on there.

    earlier, earlier_radii: (p,) uint64, bits of the parts before this one, and within how many
    different bits a pair was found by them: such pairs are left out; same: `b` is `a`: each pair
    once; pairs: places in `a` and `b`, distances. Returns the number of pairs written.
    """
    a_codes, a_starts = a
    b_codes, b_starts = b
    rows, columns, distances = pairs
    keys = len(a_starts) - 1
    beyond = np.uint64(radius + np.uint64(1))
    written = 0
    key, number, row = start[0], start[1], start[2]
    while key < keys:
        first, end = a_starts[key], a_starts[key + 1]
        if first == end:
            key, number, row = key + 1, 0, 0
            continue
        while number < len(masks):
            other = key ^ masks[number]
            left, right = b_starts[other], b_starts[other + 1]
            if left == right or (same and other < key):
                number, row = number + 1, 0
                continue
            block = b_codes[left:right]
            inside = same and other == key
            for i in range(first + row, end, 4):
                i1, i2, i3 = min(i + 1, end - 1), min(i + 2, end - 1), min(i + 3, end - 1)
                w0, w1, w2, w3 = a_codes[i], a_codes[i1], a_codes[i2], a_codes[i3]
                near = NONE
                for j in range(len(block)):
                    word = block[j]
                    near |= popcount(w0 ^ word) - beyond
                    near |= popcount(w1 ^ word) - beyond
                    near |= popcount(w2 ^ word) - beyond
                    near |= popcount(w3 ^ word) - beyond
                if not near >> SIGN:
                    continue
                if len(rows) - written < 4 * len(block):
                    start[0], start[1], start[2] = key, number, i - first
                    return written
                for r in range(i, min(i + 4, end)):
                    word = a_codes[r]
                    for j in range(r + 1 - left if inside else 0, len(block)):
                        difference = word ^ block[j]
                        distance = popcount(difference)
                        if distance > radius:
                            continue
                        fresh = True
                        for p in range(len(earlier)):
                            if popcount(difference & earlier[p]) <= earlier_radii[p]:
                                fresh = False
                                break
                        if fresh:
                            rows[written] = r
                            columns[written] = left + j
                            distances[written] = distance
                            written += 1
            number, row = number + 1, 0
        key, number, row = key + 1, 0, 0
    start[0] = keys
    return written


def warm_up() -> None:
    """Compile each kernel."""
    codes, starts = np.zeros(2, np.uint64), np.array([0, 2, 2], np.int64)
    side, nothing = (codes, starts), np.empty(0, np.uint64)
    pairs = np.empty(9, np.int64), np.empty(9, np.int64), np.empty(9, np.uint8)
    masks, start = np.array([0], np.int64), np.zeros(3, np.int64)
    near_pairs(side, side, masks, nothing, nothing, np.uint64(1), True, start, pairs)

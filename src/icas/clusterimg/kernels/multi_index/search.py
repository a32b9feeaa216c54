"""All pairs of one-word codes within a radius, without comparing all pairs: multi-index search.

Codes are divided into parts of some bits, with a radius r_k for each part k, so that the sum of all
r_k + 1 is r + 1. Codes that differ in at most r bits then differ in at most r_k bits of some part.
So only codes that nearly agree in a part are compared, and no pair is missed (M. Norouzi,
A. Punjani and D. J. Fleet, Fast search in Hamming space with multi-index hashing, CVPR 2012).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.kernels import Bytes, Longs, Words

MOST_BITS = 16
"""Bits of a part: 2^16 buckets fit the cache, and keys of 16 bits are sorted fast."""
MOST_PARTS = 8
LOOKUP = 40
"""What finding a bucket costs, in pairs that are compared in the same time."""
LEAST_PAIRS = 1 << 28
"""Pairs from which on sorting into buckets can pay."""
SAMPLE, COUNTED = 256, 1 << 16
"""Codes by which the pairs to compare are estimated: of one side and of the other."""
PAIRS = 1 << 20
"""Pairs that are found before they are passed on."""

Found = tuple[Longs, Longs, Bytes]
"""Rows, columns and distances of pairs."""


@dataclass(frozen=True)
class Part:
    """Bits of a code: `width` bits from bit `shift` on, in which at most `radius` differ."""

    shift: int
    width: int
    radius: int

    def keys(self, codes: Words) -> NDArray[np.uint16]:
        """(n,) these bits of each code."""
        return ((codes >> np.uint64(self.shift)) & np.uint64(self.keys_count - 1)).astype(np.uint16)

    @property
    def keys_count(self) -> int:
        return 1 << self.width

    @property
    def bits(self) -> int:
        """The bits of the part within a code."""
        return (self.keys_count - 1) << self.shift

    def masks(self) -> Longs:
        """Differences of keys within the radius."""
        return np.array(
            [
                sum(1 << bit for bit in bits)
                for different in range(self.radius + 1)
                for bits in combinations(range(self.width), different)
            ],
            np.int64,
        )

    @property
    def lookups(self) -> int:
        return sum(math.comb(self.width, different) for different in range(self.radius + 1))


@dataclass(frozen=True)
class Buckets:
    """Codes sorted by the key of a part.

    codes: (n,) uint64; starts: (keys + 1,) int64; order: (n,) int64, their former places.
    """

    codes: Words
    starts: Longs
    order: Longs

    @classmethod
    def of(cls, codes: Words, part: Part) -> Buckets:
        keys = part.keys(codes)
        order = np.argsort(keys, kind="stable")
        starts = np.zeros(part.keys_count + 1, np.int64)
        starts[1:] = np.cumsum(np.bincount(keys, minlength=part.keys_count))
        return cls(codes[order], starts, order)


def parts_of(bits: int, radius: int, count: int) -> tuple[Part, ...]:
    """`count` parts of codes of so many bits; those that need no look-up are left out."""
    parts, shift = [], 0
    for number in range(count):
        width = bits // count + (number < bits % count)
        own = (radius + 1) // count + (number < (radius + 1) % count) - 1
        if own >= 0:
            parts.append(Part(shift, width, min(own, width)))
        shift += width
    return tuple(parts)


def cheapest(a: Words, b: Words, bits: int, radius: int) -> tuple[Part, ...] | None:
    """The parts with which pairs within `radius` are found fastest; None: compare all pairs.

    Codes of images are not random, so the pairs to compare are counted for some of them.
    """
    if len(a) * len(b) < LEAST_PAIRS or radius >= bits:
        return None
    sample, columns = _spread(a, SAMPLE), _spread(b, COUNTED)
    best, least = None, float(len(b))
    for count in range(-(-bits // MOST_BITS), MOST_PARTS + 1):
        parts = parts_of(bits, radius, count)
        if sum(part.lookups for part in parts) * LOOKUP < least:
            cost = sum(_cost(part, sample, columns, len(b)) for part in parts)
            if cost < least:
                best, least = parts, cost
    return best


def _spread(codes: Words, most: int) -> Words:
    """At most so many codes, evenly spread."""
    return codes[np.linspace(0, len(codes) - 1, min(most, len(codes))).astype(np.int64)]


def _cost(part: Part, sample: Words, columns: Words, count: int) -> float:
    """Look-ups and comparisons of a code with `count` codes like `columns`, in comparisons."""
    sizes = np.bincount(part.keys(columns), minlength=part.keys_count)
    keys = part.keys(sample).astype(np.int64)
    compared = sizes[keys[:, None] ^ part.masks()].sum(axis=1).mean()
    return LOOKUP * part.lookups + float(compared) * count / len(columns)


def near(
    kernels: ModuleType,
    a: Words,
    b: Words,
    parts: Sequence[Part],
    radius: int,
    *,
    same: bool,
) -> Iterator[Found]:
    """All pairs of codes of `a` and `b` within `radius`, each once, some at a time.

    same: `b` is `a`: only pairs with row < column.
    """
    for number, part in enumerate(parts):
        rows = Buckets.of(a, part)
        columns = rows if same else Buckets.of(b, part)
        most = max(PAIRS, 4 * int(np.diff(columns.starts).max()))
        pairs = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.uint8)
        earlier = np.array([one.bits for one in parts[:number]], np.uint64)
        radii = np.array([one.radius for one in parts[:number]], np.uint64)
        start, masks = np.zeros(3, np.int64), part.masks()
        while start[0] < part.keys_count:
            written = kernels.near_pairs(
                (rows.codes, rows.starts),
                (columns.codes, columns.starts),
                masks,
                earlier,
                radii,
                np.uint64(radius),
                same,
                start,
                pairs,
            )
            first = rows.order[pairs[0][:written]]
            second = columns.order[pairs[1][:written]]
            if same:
                first, second = np.minimum(first, second), np.maximum(first, second)
            yield first, second, pairs[2][:written].copy()

"""MinHash signatures of sets of numbers: how they are made, and how many components they share.

By compiled loops or by NumPy: the answer is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.kernels.loading import compiled_kernels
from icas.clusterimg.links import Links, links_in
from icas.clusterimg.methods.blocks import (
    above_diagonal,
    appended,
    bands,
    column_blocks,
    counts_for,
    room_for,
)

COMPARED_A_SECOND = 1e9
"""Components that NumPy compares, roughly."""
MIXED_A_SECOND = 4e8
"""Elements that NumPy mixes, roughly."""
PLANES = 4
"""Words that the loops take for 64 components."""
CACHED = 1 << 15
"""Bytes of the signatures that are compared with one another while a core's first cache has them.
"""

Elements = NDArray[np.uint64]
Signatures = NDArray[np.uint32]
Table = NDArray[np.float32]


def permutation_keys(count: int, seed: int) -> Elements:
    """`count` numbers of 64 bits, one a permutation; the same for the same `seed`, everywhere."""
    # SplitMix64 itself: NumPy's generators may draw otherwise in another version.
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return _mixed(_mixed(np.array([seed], np.uint64)) + steps)


def signatures_of(sets: Sequence[Elements], keys: Elements) -> Signatures:
    """Signatures of some sets, (n, k) uint32: each as `signature` makes it."""
    found = np.empty((len(sets), len(keys)), np.uint32)
    work = len(keys) * sum(map(len, sets))
    loops = compiled_kernels("minhash_loops", work / MIXED_A_SECOND)
    for elements, row in zip(sets, found, strict=True):
        if loops is None:
            row[:] = signature(elements, keys)
        else:
            loops.least_mixed(_mixed(elements), keys, row)
    return found


def signature(elements: Elements, keys: Elements) -> Signatures:
    """Least element of a set under each permutation: the low half of its mixed 64 bits.

    Parameters
    ----------
    elements : (m,) uint64 ndarray
        The set; m > 0.
    keys : (k,) uint64 ndarray
        One a permutation.

    Returns
    -------
    (k,) uint32 ndarray
        The low half is as good as random, even where the whole is a least value; two different
        least elements agree in it once in 2^32.
    """
    least = _mixed(_mixed(elements) ^ keys[:, None]).min(axis=1)
    return np.asarray(least & np.uint64(0xFFFFFFFF), np.uint32)


def _mixed(values: Elements) -> Elements:
    """The finishing step of SplitMix64: a permutation of the 64-bit numbers."""
    mixed = values ^ (values >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def shares_of(a: Signatures, b: Signatures) -> NDArray[np.float32]:
    """Share of equal components of each of `a` with each of `b`, (n, m) float32."""
    found = np.empty((len(a), len(b)), np.float32)
    if not found.size:
        return found
    loops, shares = _loops(a, b), _shares_by_difference(a.shape[1])
    if loops is None:
        for row, ours in enumerate(a):
            found[row] = shares[np.count_nonzero(b != ours, axis=1)]
    else:
        side = max(4, CACHED // a[0].nbytes)
        loops.shares_of_all(_own(a), _own(b), side, shares, found)
    return found


def links_of(a: Signatures, b: Signatures, threshold: float, *, same: bool) -> Links:
    """Pairs whose share is at or above float32(`threshold`), sorted by row, then column.

    Parameters
    ----------
    a, b : (n, k) and (m, k) uint32 ndarray
    threshold : float
    same : bool
        `b` is `a`: only pairs with row < column.
    """
    shares = _shares_by_difference(a.shape[1])
    most = int(np.count_nonzero(shares >= np.float32(threshold))) - 1
    if most < 0 or not len(a) or not len(b):
        return appended([])
    loops = _loops(a, b)
    if loops is None or most == a.shape[1]:
        return _by_bands(a, b, threshold, same)
    return _by_loops(loops, _own(a), _own(b), shares, most, same)


def _shares_by_difference(components: int) -> Table:
    """Share of equal components by the number of those that differ."""
    equal = np.arange(components, -1, -1)
    return (equal / components).astype(np.float32)


def _loops(a: Signatures, b: Signatures) -> ModuleType | None:
    return compiled_kernels("minhash_loops", len(a) * b.size / COMPARED_A_SECOND)


def _own(signatures: Signatures) -> Signatures:
    """As the loops were compiled for: a contiguous array in memory, not read-only."""
    return np.require(signatures, np.uint32, ["C", "W", "E"])


def _by_loops(
    loops: ModuleType, a: Signatures, b: Signatures, shares: Table, most: int, same: bool
) -> Links:
    bits = _planes(loops, a)
    blocks = column_blocks(bits if same else _planes(loops, b))
    counts = counts_for(len(a), len(blocks))
    loops.count_near(a, b, bits, blocks, np.uint64(most), same, counts)
    links = room_for(counts)
    loops.emit_near(a, b, bits, blocks, np.uint64(most), same, counts, shares, links)
    return Links(*links)


def _planes(loops: ModuleType, signatures: Signatures) -> NDArray[np.uint64]:
    """Lowest bits of the components; as many words as the loops take at once, or twice, ..."""
    words = PLANES * 2 * -(-signatures.shape[1] // 128)
    bits = np.zeros((len(signatures), words), np.uint64)
    loops.planes(signatures, bits)
    return bits


def _by_bands(a: Signatures, b: Signatures, threshold: float, same: bool) -> Links:
    """Links by all similarities, some rows at a time."""
    parts = []
    for first, end in bands(len(a), len(b)):
        start = first if same else 0
        values = shares_of(a[first:end], b[start:])
        if same:
            linked = above_diagonal(values >= np.float32(threshold))
            rows, columns = np.nonzero(linked)
            found = Links(rows, columns, values[rows, columns])
        else:
            found = links_in(values, threshold)
        parts.append(Links(found.a + first, found.b + start, found.similarity))
    return appended(parts)

"""Numba kernels that compare ORB features of each two images of two sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.kernels import Bytes, Floats, Ints, Words
from icas.clusterimg.kernels.lookup import TABLES
from icas.clusterimg.kernels.numba_support import compiled, uncounted
from icas.clusterimg.kernels.orb.matching import (
    Bench,
    bench_for,
    in_rows,
    lay_out,
    match,
    room_for,
)
from icas.clusterimg.kernels.orb.simd import RUN
from icas.clusterimg.kernels.orb.voting import (
    WHOLE,
    Ballot,
    Pair,
    Placed,
    Rules,
    ballot_for,
    heaviest,
    most_turned,
    total_weight,
)

TOGETHER = 1 << 16
"""Descriptors of the first set that are laid out at a time."""
SPARED = 0.75 if TABLES else 0.5
"""The last features of an image, fewer than `RUN`, are looked at only where they may decide. That
pays unless their weight may be more than this share of what is needed."""


class Described(NamedTuple):
    """Features of n images for comparison.

    words: (n, K, 4) uint64, Descriptors; counts: (n,) int32, features of each image; digest: (n,)
    uint64, equal for the same pixels; placed: where the features lie.
    """

    words: Words
    counts: Ints
    digest: Words
    placed: Placed


@compiled
def similarities(
    a: Described,
    b: Described,
    most_bits: int,
    rules: Rules,
    threshold: np.float32,
    same: bool,
    into: Floats,
) -> None:
    """Similarity of each of `a` with each of `b` where it is at or above `threshold`.

    most_bits: in which two matched features may differ; at most 254; same: `a` is `b`: only pairs
    with row <= column are looked at; into: (len(a), len(b)) float32, written to where a similarity
    is at or above the threshold.
    """
    most = max(a.words.shape[1], b.words.shape[1])
    bench, ballot = bench_for(most, most), ballot_for(most)
    right = room_for(b.words.shape[1])
    together = max(1, TOGETHER // max(1, a.words.shape[1]))
    for start in range(0, len(a.words), together):
        end = min(start + together, len(a.words))
        left = in_rows(a.words[start:end], a.counts[start:end])
        for column in range(start if same else 0, len(b.words)):
            lay_out(b.words[column], int(b.counts[column]), right)
            for row in range(start, min(end, column + 1) if same else end):
                if a.digest[row] == b.digest[column]:
                    result = np.float32(1)
                else:
                    result = _similarity(
                        Pair(a.placed, row, b.placed, column),
                        left[row - start],
                        int(a.counts[row]),
                        right,
                        int(b.counts[column]),
                        most_bits,
                        rules,
                        threshold,
                        bench,
                        ballot,
                    )
                if result >= threshold:
                    into[row, column] = result


@uncounted
def _similarity(
    pair: Pair,
    left: Bytes,
    count: int,
    right: Bytes,
    other: int,
    most_bits: int,
    rules: Rules,
    threshold: np.float32,
    bench: Bench,
    ballot: Ballot,
) -> np.float32:
    """Similarity of two images with different pixels; below the threshold anything below it, or 0.

    Pairs with too little weight are skipped early: by the number of features, by the
    weight of all matches, by that of those with the same turn.
    """
    needed = _needed(count + other, threshold)
    least = max(needed, 1)
    if min(count, other) * WHOLE < least:
        return np.float32(0)
    # A feature has one match at most, and a match weighs no more than a whole one.
    left_out = other % RUN
    if left_out == other or left_out * WHOLE > SPARED * least:
        left_out = 0
    looked, spare = other - left_out, left_out * WHOLE
    matches = match(left, count, right, 0, looked, most_bits, bench)
    if not _may_weigh(pair, bench, matches, least - spare, rules, ballot):
        return np.float32(0)
    if left_out > 0:
        matches = match(left, count, right, looked, other, most_bits, bench)
        if not _may_weigh(pair, bench, matches, least, rules, ballot):
            return np.float32(0)
    weight = heaviest(pair, bench, matches, needed, rules, ballot)
    return _share(weight, count + other)


@uncounted
def _may_weigh(
    pair: Pair, bench: Bench, matches: int, least: int, rules: Rules, ballot: Ballot
) -> bool:
    """Whether matches that agree may weigh `least` or more."""
    if total_weight(bench, matches, rules.weights) < least:
        return False
    return most_turned(pair, bench, matches, rules, ballot) >= least


@uncounted
def _share(weight: int, features: int) -> np.float32:
    return np.float32(2 * (weight / WHOLE) / max(features, 1))


@uncounted
def _needed(features: int, threshold: np.float32) -> int:
    """Least weight, in parts of a `WHOLE`, that brings so many features to the threshold."""
    if threshold <= 0:
        return 0
    most = WHOLE * features + 1
    if _share(most, features) < threshold:
        return most
    needed = max(int(threshold * features * (WHOLE // 2)) - 2, 0)
    while _share(needed, features) < threshold:
        needed += 1
    return needed


def described(arrays: Mapping[str, NDArray[Any]]) -> Described:
    """The arrays of `Orb.extract` as the kernels take them: in C order and writeable.

    Other arrays would have the kernels compiled once more.
    """
    ready = {name: np.require(array, None, ["C", "A", "W"]) for name, array in arrays.items()}
    placed = Placed(ready["places"], ready["angles"], ready["levels"])
    words = ready["descriptors"].view(np.uint64)
    return Described(words, ready["counts"], ready["digest"], placed)


def warm_up() -> None:
    """Compile each kernel on arrays of the types that it is for."""
    shape = (2, 5)
    arrays: dict[str, NDArray[Any]] = {
        "descriptors": np.zeros((*shape, 32), np.uint8),
        "counts": np.array([5, 3], np.int32),
        "digest": np.arange(2, dtype=np.uint64),
        "places": np.zeros((*shape, 2), np.float32),
        "angles": np.zeros(shape, np.uint8),
        "levels": np.zeros(shape, np.int8),
    }
    some = described(arrays)
    ones = np.ones(256, np.float32)
    rules = Rules(np.ones(256, np.int32), ones, ones, ones, ones, 1, np.float32(1))
    similarities(some, some, 90, rules, np.float32(0), True, np.zeros((2, 2), np.float32))

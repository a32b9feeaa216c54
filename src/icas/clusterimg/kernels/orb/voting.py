"""Heaviest set of matches of two images that agree on a rotation, scale and shift, by numba.

The arithmetic is that of `methods.orb_matching`, in float32 and in the same order, so results are
the same. Weights are whole 256ths: sums are exact in any order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.kernels import Bytes, Floats, Ints
from icas.clusterimg.kernels.numba_support import compiled, uncounted
from icas.clusterimg.kernels.orb.matching import Bench
from icas.clusterimg.kernels.orb.simd import VOTE_ROWS, VOTES, vote

WHOLE = 256
"""Weight of a match that counts whole."""
TURNS = 256
"""Angles are whole 256ths of a turn."""
SHARED_ROWS = 6
"""Rows of a ballot that are read of a match by others."""


class Placed(NamedTuple):
    """Positions of the features of n images: the arrays of `methods.orb_matching.Features`."""

    places: Floats
    angles: Bytes
    levels: NDArray[np.int8]


class Pair(NamedTuple):
    """An image of each of two sets."""

    left: Placed
    left_image: int
    right: Placed
    right_image: int


class Rules(NamedTuple):
    """Rules: when two matches agree, and the weight of a match.

    weights: (256,) int32, weight of a match by the bits that differ, in 256ths; cos, sin: (256,)
    float32, by the angle; shrink, allowed: (levels,) float32, one over the size of a feature by its
    level; the tolerance times it; turn: 256ths of a turn by which turns may differ; less than half
    of them; grow: how far levels may differ.
    """

    weights: Ints
    cos: Floats
    sin: Floats
    shrink: Floats
    allowed: Floats
    turn: int
    grow: np.float32


class Ballot(NamedTuple):
    """Space for the matches of two images, sorted by the turn they make.

    lanes: (VOTE_ROWS, capacity) float32, what `vote` reads. Behind the last match the first ones
    stand once more: turns go round; turn: (capacity,) int32, by how many 256ths of a turn theirs is
    turned against ours; before, weight_before: (257,), (513,) int32, number and weight of the
    matches with a smaller turn, weights for two rounds; free: (256,) int32, where the next match of
    a turn goes.
    """

    lanes: Floats
    turn: Ints
    before: Ints
    weight_before: Ints
    free: Ints


@compiled
def ballot_for(matches: int) -> Ballot:
    """Space for at most that many matches."""
    capacity = 2 * matches + VOTES
    return Ballot(
        np.zeros((VOTE_ROWS, capacity), np.float32),
        np.empty(capacity, np.int32),
        np.empty(TURNS + 1, np.int32),
        np.empty(2 * TURNS + 1, np.int32),
        np.empty(TURNS, np.int32),
    )


@uncounted
def total_weight(bench: Bench, matches: int, weights: Ints) -> int:
    """Weight of all of `matches`, in 256ths: no set of them weighs more."""
    total = 0
    for match in range(matches):
        total += weights[bench.bits[match]]
    return total


@uncounted
def most_turned(pair: Pair, bench: Bench, matches: int, rules: Rules, ballot: Ballot) -> int:
    """Greatest weight of matches that turn nearly as any one does: no set that agrees weighs more.

    Counts the matches by turn.
    """
    _count_turns(pair, bench, matches, rules, ballot)
    before, wide = ballot.weight_before, 2 * rules.turn + 1
    for turn in range(wide):
        before[TURNS + 1 + turn] = before[TURNS] + before[turn + 1]
    best = np.int32(0)
    for turn in range(TURNS):
        best = max(best, before[turn + wide] - before[turn])
    return int(best)


@uncounted
def heaviest(
    pair: Pair, bench: Bench, matches: int, needed: int, rules: Rules, ballot: Ballot
) -> int:
    """Weight in 256ths of the heaviest set that agrees; exact at or above `needed`, else less.

    `most_turned` has counted the matches.
    """
    for match in range(matches):
        _enter(pair, bench, match, rules, ballot)
    for place in range(ballot.before[2 * rules.turn + 1]):
        for row in range(SHARED_ROWS):
            ballot.lanes[row, matches + place] = ballot.lanes[row, place]
    lanes, row = ballot.lanes.ctypes.data, ballot.lanes.strides[0]
    best = max(needed - 1, 0)
    for place in range(matches):
        low, high = ballot.turn[place] - rules.turn, ballot.turn[place] + rules.turn + 1
        first, count = _between(ballot.before, low, high)
        # Those that turn as it does cannot weigh more than all of them.
        if _between(ballot.weight_before, low, high)[1] > best:
            own, start = lanes + 4 * place, lanes + 4 * first
            best = max(best, vote(own, start, count, row, rules.grow))
    return best if best >= needed else 0


@uncounted
def _between(before: Ints, low: int, high: int) -> tuple[int, int]:
    """Sums before turn `low`, and from `low` to `high`; turns are cyclic."""
    if low < 0:
        start = int(before[low + TURNS])
        return start, before[TURNS] - start + before[high]
    start = int(before[low])
    if high > TURNS:
        return start, before[TURNS] - start + before[high - TURNS]
    return start, before[high] - start


@uncounted
def _count_turns(pair: Pair, bench: Bench, matches: int, rules: Rules, ballot: Ballot) -> None:
    """Number and weight of the matches by turn."""
    before, weight_before = ballot.before, ballot.weight_before
    for turn in range(TURNS + 1):
        before[turn] = weight_before[turn] = 0
    for match in range(matches):
        turn = _turn(pair, bench, match)
        before[turn + 1] += 1
        weight_before[turn + 1] += rules.weights[bench.bits[match]]
    for turn in range(TURNS):
        ballot.free[turn] = before[turn]
        before[turn + 1] += before[turn]
        weight_before[turn + 1] += weight_before[turn]


@uncounted
def _turn(pair: Pair, bench: Bench, match: int) -> int:
    turned = int(pair.right.angles[pair.right_image, bench.second[match]])
    return (turned - int(pair.left.angles[pair.left_image, bench.first[match]])) & (TURNS - 1)


@uncounted
def _enter(pair: Pair, bench: Bench, match: int, rules: Rules, ballot: Ballot) -> None:
    """Put a match among those of its turn."""
    a, b, lanes = bench.first[match], bench.second[match], ballot.lanes
    turn = _turn(pair, bench, match)
    place = ballot.free[turn]
    ballot.free[turn] += 1
    ballot.turn[place] = turn
    angle, level = pair.left.angles[pair.left_image, a], pair.left.levels[pair.left_image, a]
    other_angle, other_level = (
        pair.right.angles[pair.right_image, b],
        pair.right.levels[pair.right_image, b],
    )
    lanes[0, place] = pair.left.places[pair.left_image, a, 0]
    lanes[1, place] = pair.left.places[pair.left_image, a, 1]
    lanes[2, place] = pair.right.places[pair.right_image, b, 0]
    lanes[3, place] = pair.right.places[pair.right_image, b, 1]
    lanes[4, place] = np.float32(other_level) - np.float32(level)
    lanes[5, place] = np.float32(rules.weights[bench.bits[match]])
    lanes[6, place] = rules.cos[angle] * rules.shrink[level]
    lanes[7, place] = rules.sin[angle] * rules.shrink[level]
    lanes[8, place] = rules.cos[other_angle] * rules.shrink[other_level]
    lanes[9, place] = rules.sin[other_angle] * rules.shrink[other_level]
    lanes[10, place] = rules.allowed[level] * rules.allowed[other_level]

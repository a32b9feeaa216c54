"""Splits of a data set: whole groups of images, stratified by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose, isfinite

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError

SPLITS = ("train", "val", "test")
"""Names of splits that every format knows, in their order."""
_EXAMPLE = "such as train=0.8,val=0.1,test=0.1"
_TOLERANCE = 1e-6
_DIGITS = 9
"""Decimals to which numbers of images are compared."""


def shares_of(given: str | Mapping[str, float] | None) -> dict[str, float]:
    """The share of each split, from ``"train=0.8,test=0.2"`` or a mapping; None: all in train.

    Raises UsageError: an unknown name, a share that is not positive, or a sum other than 1.
    """
    if given is None:
        return {SPLITS[0]: 1.0}
    shares = _parsed(given) if isinstance(given, str) else dict(given)
    for name, share in shares.items():
        if name not in SPLITS:
            raise UsageError(f"--split: unknown split {name!r}, choose from {', '.join(SPLITS)}")
        number = isinstance(share, (int, float)) and not isinstance(share, bool)
        if not number or not isfinite(share) or not share > 0:
            raise UsageError(f"--split {name}={share}: a share is a number greater than 0")
    total = sum(shares.values())
    if not isclose(total, 1, abs_tol=_TOLERANCE):
        raise UsageError(
            f"--split: the shares sum to {total:g} instead of 1, give shares {_EXAMPLE}"
        )
    return {name: float(shares[name]) for name in SPLITS if name in shares}


def _parsed(text: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, _, share = (word.strip() for word in part.partition("="))
        if name in shares:
            raise UsageError(f"--split {text}: {name} is given twice")
        try:
            shares[name] = float(share)
        except ValueError:
            raise UsageError(f"--split {text}: expected shares {_EXAMPLE}") from None
    return shares


def assign_splits(
    groups: Sequence[int] | NDArray[np.int64],
    labels: Sequence[str],
    shares: Mapping[str, float],
    seed: int = 0,
) -> list[str]:
    """The split of each of n images; no group is in two splits.

    Groups are assigned from the largest to the smallest. Each goes to the split that lacks most
    images of its classes. Then groups are moved while this brings the sizes of the splits closer
    to their shares. Where the images of a group have one class, each class deviates from its
    shares by at most the size of its largest group. Equal input gives an equal result.

    Parameters
    ----------
    groups : (n,) sequence of int
        Group of each image.
    labels : (n,) sequence of str
        Class of each image.
    shares : mapping of str to float
        Share of each split; they sum to 1.
    seed : int, default 0
        Random seed: the order of groups of equal size.
    """
    if not len(groups):
        return []
    problem = _Problem.of(groups, labels, shares)
    chosen = _greedy(problem, np.random.default_rng(seed))
    _balance(problem, chosen)
    names = list(shares)
    return [names[split] for split in chosen[problem.group_of]]


@dataclass(frozen=True)
class _Problem:
    """Groups with the number of their images of each class."""

    group_of: NDArray[np.int64]  # (n,) group of each image, numbered by first occurrence
    starts: NDArray[np.int64]  # (groups + 1,) rows of each group in the next two
    classes: NDArray[np.int64]
    counts: NDArray[np.int64]
    shares: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        groups: Sequence[int] | NDArray[np.int64],
        labels: Sequence[str],
        shares: Mapping[str, float],
    ) -> _Problem:
        _, first, group_of = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        group_of = rank[group_of]
        _, class_of = np.unique(np.asarray(labels, object).astype(str), return_inverse=True)
        pairs, counts = np.unique(np.stack([group_of, class_of]), axis=1, return_counts=True)
        starts = np.searchsorted(pairs[0], np.arange(len(first) + 1))
        return cls(group_of, starts, pairs[1], counts, np.array(list(shares.values())))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(groups,) images of each group."""
        return np.add.reduceat(self.counts, self.starts[:-1])

    @property
    def totals(self) -> NDArray[np.int64]:
        """(classes,) images of each class."""
        return np.bincount(self.classes, self.counts).astype(np.int64)


def _greedy(problem: _Problem, random: np.random.Generator) -> NDArray[np.int64]:
    """(groups,) the split of each group."""
    sizes, shares = problem.sizes, problem.shares
    lacking = problem.totals[:, None] * shares  # images that each class lacks in each split
    placed = np.zeros(len(shares))
    chosen = np.empty(len(sizes), np.int64)
    order = random.permutation(len(sizes))
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        rows = slice(problem.starts[group], problem.starts[group + 1])
        classes, counts = problem.classes[rows], problem.counts[rows]
        wanted = np.round(counts @ lacking[classes] / sizes[group], _DIGITS)
        behind = np.round((placed.sum() + sizes[group]) * shares - placed, _DIGITS)
        split = max(range(len(shares)), key=lambda it: (wanted[it], behind[it]))
        lacking[classes, split] -= counts
        placed[split] += sizes[group]
        chosen[group] = split
    return chosen


def _balance(problem: _Problem, chosen: NDArray[np.int64]) -> None:
    """Move groups of one class between splits while that makes the split sizes more exact.

    No class gets further from its shares than the size of its largest group, and none loses its
    last group in the largest split: one that is never trained cannot be tested.
    """
    largest = int(np.argmax(problem.shares))
    alone = np.flatnonzero(np.diff(problem.starts) == 1)
    class_of = problem.classes[problem.starts[alone]]
    size = problem.counts[problem.starts[alone]]
    bound = np.zeros(len(problem.totals), np.int64)
    np.maximum.at(bound, problem.classes, problem.counts)
    excess = -problem.totals[:, None] * problem.shares
    owner = np.repeat(np.arange(len(chosen)), np.diff(problem.starts))
    np.add.at(excess, (problem.classes, chosen[owner]), problem.counts)
    while len(alone):
        total = np.round(excess.sum(0), _DIGITS)
        inside = np.round(excess + problem.totals[:, None] * problem.shares)[class_of, largest]
        last = (chosen[alone] == largest) & (inside == size)
        move = _best_move(total, excess, chosen[alone], class_of, size, bound[class_of], last)
        if move is None:
            return
        place, target = move
        excess[class_of[place], chosen[alone[place]]] -= size[place]
        excess[class_of[place], target] += size[place]
        chosen[alone[place]] = target


def _best_move(
    total: NDArray[np.float64],
    excess: NDArray[np.float64],
    split: NDArray[np.int64],
    class_of: NDArray[np.int64],
    size: NDArray[np.int64],
    bound: NDArray[np.int64],
    fixed: NDArray[np.bool_],
) -> tuple[int, int] | None:
    """The group and its new split that cost its class least for what they gain in total."""
    best: tuple[float, int, int] | None = None
    before = excess[class_of, split]
    for target in range(len(total)):
        there = excess[class_of, target]
        gain = 2 * size * (total[split] - total[target] - size)
        cost = 2 * size * (there - before + size)
        allowed = ~fixed & (split != target) & (gain > _TOLERANCE)
        allowed &= (before - size >= -bound - _TOLERANCE) & (there + size <= bound + _TOLERANCE)
        places = np.flatnonzero(allowed)
        if len(places):
            ratio = np.round(cost[places] / gain[places], _DIGITS)
            at = int(np.argmin(ratio))
            if best is None or ratio[at] < best[0]:
                best = float(ratio[at]), int(places[at]), target
    return None if best is None else best[1:]

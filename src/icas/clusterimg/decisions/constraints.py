"""Constraints on the images of a run: which belong to one cluster, and which never do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.graph.forest import Labels
from icas.common.union_find import unions

Sides = Mapping[int, int]
"""Class -> its side: classes of different sides are never in one cluster."""


@dataclass(frozen=True)
class ConstraintArrays:
    """Constraints on n images, by their numbers."""

    classes: NDArray[np.int64]  # (n,) images of one class are in one cluster; -1: unconstrained
    apart: tuple[Sides, ...] = ()

    def __bool__(self) -> bool:
        return bool((self.classes >= 0).any())

    def starts(self, groups: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """(n,) initial groups: the classes joined with `groups` (-1 = alone)."""
        ends = [_stars(self.classes), *([] if groups is None else [_stars(groups)])]
        a, b = (np.concatenate(side) for side in zip(*ends, strict=True))
        return unions(len(self.classes), a, b)

    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Must-link pairs: the first image of each class with each of the others."""
        return _stars(self.classes)

    def broken(self, groups: NDArray[np.int64]) -> list[int]:
        """The numbers of those of `groups` that hold images that must be apart."""
        groups_of: dict[int, set[int]] = {}
        for image in np.flatnonzero(self.classes >= 0).tolist():
            groups_of.setdefault(int(self.classes[image]), set()).add(int(groups[image]))
        broken: set[int] = set()
        for sides in self.apart:
            side_of: dict[int, int] = {}
            for name, side in sides.items():
                for group in groups_of.get(name, ()):
                    if side_of.setdefault(group, side) != side:
                        broken.add(group)
        return sorted(broken)

    def codes(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """For each image the bits of its sides that are one, and those that are zero.

        Two images must be apart exactly where a bit that is one for either is zero for the other.
        A constraint on k sides takes the bits of k - 1. Both are (n, bytes).
        """
        rows = {one: row for row, one in enumerate(np.unique(self.classes).tolist())}
        columns = []
        for sides in self.apart:
            side_of = {rows[name]: side for name, side in sides.items() if name in rows}
            numbers = {side: number for number, side in enumerate(sorted(set(side_of.values())))}
            for bit in range((len(numbers) - 1).bit_length() if len(numbers) > 1 else 0):
                column = np.zeros(len(rows), np.int8)
                for row, side in side_of.items():
                    column[row] = 1 if numbers[side] >> bit & 1 else -1
                columns.append(column)
        table = np.array(columns, np.int8).reshape(len(columns), len(rows)).T
        of = np.searchsorted(np.array(list(rows)), self.classes)
        ones, zeros = np.packbits(table > 0, axis=1), np.packbits(table < 0, axis=1)
        return ones[of], zeros[of]

    def __getitem__(self, images: NDArray[np.int64]) -> ConstraintArrays:
        return ConstraintArrays(self.classes[images], self.apart)


@dataclass(frozen=True)
class Constraints:
    """Constraints on the files of a run; empty by default."""

    classes: Mapping[str, int] = field(default_factory=dict)  # files of one class are together
    apart: tuple[Sides, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.classes)

    def arrays(self, files: Sequence[str]) -> ConstraintArrays:
        """The constraints by the numbers of `files`."""
        classes = np.array([self.classes.get(file, -1) for file in files], np.int64)
        return ConstraintArrays(classes, self.apart)

    def joined(self, files: Sequence[str], labels: Labels) -> Constraints:
        """The constraints where the clusters `labels` of `files` stay whole: their classes join.

        A cluster that holds images that must be apart (edited by a user) overrides that
        constraint.
        """
        arrays = self.arrays(files)
        inside = np.flatnonzero((arrays.classes >= 0) & (labels >= 0))
        if len(inside) == 0:
            return self
        classes, clusters = arrays.classes[inside], labels[inside]
        count = max(self.classes.values()) + 1
        groups = unions(count + int(clusters.max()) + 1, classes, clusters + count)
        if len(np.unique(groups[:count])) == count:
            return self
        became = {one: int(groups[one]) for one in set(self.classes.values())}
        apart = tuple(_lifted(sides, became) for sides in self.apart)
        return replace(
            self,
            classes={file: became[one] for file, one in self.classes.items()},
            apart=tuple(sides for sides in apart if len(set(sides.values())) > 1),
        )

    def overruled(self, files: Sequence[str], labels: Labels) -> int:
        """Number of cannot-link constraints that the clusters `labels` violate."""
        if not self:
            return 0
        classes = self.arrays(files).classes
        alone = np.arange(len(labels)) + int(labels.max(initial=-1)) + 1
        groups = np.where(labels < 0, alone, labels)
        single = (ConstraintArrays(classes, (sides,)) for sides in self.apart)
        return sum(bool(one.broken(groups)) for one in single)


NOTHING = Constraints()


def _lifted(sides: Sides, became: Mapping[int, int]) -> Sides:
    """`sides` of the joined classes, without those on two sides."""
    joined: dict[int, set[int]] = {}
    for name, side in sides.items():
        if name in became:
            joined.setdefault(became[name], set()).add(side)
    return {name: both.pop() for name, both in joined.items() if len(both) == 1}


def _stars(groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs that join each of `groups`: its first image with each other; -1 = alone."""
    inside = np.flatnonzero(groups >= 0)
    _, first, group = np.unique(groups[inside], return_index=True, return_inverse=True)
    a = inside[first][group]
    others = a != inside
    return a[others], inside[others]

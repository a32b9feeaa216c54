"""What is decided about images: which always lie in one cluster, and which never do."""

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
    """Constraints of n images, by their numbers.

    Attributes
    ----------
    classes : (n,) int64 ndarray
        Images of one class are always in one cluster; -1: nothing is decided about the image.
    apart : tuple of mapping of int to int
        Each with the side of some classes: those of different sides are never in one cluster.
    """

    classes: NDArray[np.int64]
    apart: tuple[Sides, ...] = ()

    def __bool__(self) -> bool:
        return bool((self.classes >= 0).any())

    def starts(self, groups: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """(n,) groups of what is together from the start: classes, and `groups` (-1 = alone)."""
        ends = [_stars(self.classes), *([] if groups is None else [_stars(groups)])]
        a, b = (np.concatenate(side) for side in zip(*ends, strict=True))
        return unions(len(self.classes), a, b)

    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first image of each class with each of its others: what is together by decision."""
        return _stars(self.classes)

    def broken(self, groups: NDArray[np.int64]) -> list[int]:
        """The numbers of those of `groups` that hold images which are to be apart."""
        lies: dict[int, set[int]] = {}
        for image in np.flatnonzero(self.classes >= 0).tolist():
            lies.setdefault(int(self.classes[image]), set()).add(int(groups[image]))
        found: set[int] = set()
        for sides in self.apart:
            seen: dict[int, int] = {}
            for one, side in sides.items():
                for group in lies.get(one, ()):
                    if seen.setdefault(group, side) != side:
                        found.add(group)
        return sorted(found)

    def codes(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """For each image the bits of its sides that are one, and those that are zero.

        Two images are to be apart exactly where a bit that is one for either is zero for the
        other. A decision about k sides takes the binary places of k - 1.

        Returns
        -------
        ones, zeros : (n, bytes) uint8 ndarray
        """
        rows = {one: row for row, one in enumerate(np.unique(self.classes).tolist())}
        columns = []
        for sides in self.apart:
            here = {rows[one]: side for one, side in sides.items() if one in rows}
            numbers = {side: number for number, side in enumerate(sorted(set(here.values())))}
            for place in range((len(numbers) - 1).bit_length() if len(numbers) > 1 else 0):
                column = np.zeros(len(rows), np.int8)
                for row, side in here.items():
                    column[row] = 1 if numbers[side] >> place & 1 else -1
                columns.append(column)
        table = np.array(columns, np.int8).reshape(len(columns), len(rows)).T
        of = np.searchsorted(np.array(list(rows)), self.classes)
        ones, zeros = np.packbits(table > 0, axis=1), np.packbits(table < 0, axis=1)
        return ones[of], zeros[of]

    def __getitem__(self, images: NDArray[np.int64]) -> ConstraintArrays:
        return ConstraintArrays(self.classes[images], self.apart)


@dataclass(frozen=True)
class Constraints:
    """What is decided about the files of a run; empty by default.

    Attributes
    ----------
    classes : mapping of str to int
        File -> its class: files of one class are always in one cluster.
    apart : tuple of mapping of int to int
        Each with the side of some classes: those of different sides are never in one cluster.
    """

    classes: Mapping[str, int] = field(default_factory=dict)
    apart: tuple[Sides, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.classes)

    def marks(self, files: Sequence[str]) -> ConstraintArrays:
        """The same by the numbers of `files`."""
        known = self.classes
        return ConstraintArrays(
            np.array([known.get(file, -1) for file in files], np.int64), self.apart
        )

    def joined(self, files: Sequence[str], labels: Labels) -> Constraints:
        """As it is when the clusters `labels` of `files` stay whole: their classes are one.

        Where a cluster holds images that were to be apart (one put together by hand), it counts
        more: that decision says nothing about its images any more.
        """
        marks = self.marks(files)
        inside = np.flatnonzero((marks.classes >= 0) & (labels >= 0))
        if len(inside) == 0:
            return self
        classes, clusters = marks.classes[inside], labels[inside]
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
        """How many decisions to keep images apart the clusters `labels` do not follow."""
        if not self:
            return 0
        marks = self.marks(files)
        alone = np.arange(len(labels)) + int(labels.max(initial=-1)) + 1
        groups = np.where(labels < 0, alone, labels)
        return sum(
            bool(ConstraintArrays(marks.classes, (sides,)).broken(groups)) for sides in self.apart
        )


NOTHING = Constraints()


def _lifted(sides: Sides, became: Mapping[int, int]) -> Sides:
    """`sides` of what classes became; without what would be of two sides."""
    found: dict[int, set[int]] = {}
    for one, side in sides.items():
        if one in became:
            found.setdefault(became[one], set()).add(side)
    return {one: given.pop() for one, given in found.items() if len(given) == 1}


def _stars(groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs that join each of `groups`: its first image with each other; -1 = alone."""
    inside = np.flatnonzero(groups >= 0)
    _, first, group = np.unique(groups[inside], return_index=True, return_inverse=True)
    a = inside[first][group]
    others = a != inside
    return a[others], inside[others]

"""Masks that overlap -> one partition of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.labels.labels import Labels, connected, filled, sizes_of

MOSTLY = 0.9
"""A mask lies in another if at least this share of its pixels does …"""
SMALLER = 0.8
"""… and it has at most this share of the other's pixels."""


@dataclass(frozen=True)
class Piece:
    """A mask, cut to the rectangle that it takes."""

    row: int
    column: int
    pixels: NDArray[np.bool_]
    area: int

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> Piece:
        """The piece of a mask as large as the picture."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows) == 0:
            return cls(0, 0, np.zeros((0, 0), bool), 0)
        row, column = int(rows[0]), int(columns[0])
        pixels = mask[row : rows[-1] + 1, column : columns[-1] + 1]
        return cls(row, column, np.ascontiguousarray(pixels), int(np.count_nonzero(pixels)))

    @property
    def place(self) -> tuple[slice, slice]:
        """Where it lies in the picture."""
        height, width = self.pixels.shape
        return slice(self.row, self.row + height), slice(self.column, self.column + width)

    def lies_in(self, other: Piece) -> bool:
        """Whether it is a part of `other`, rather than the same thing or another one."""
        if self.area > SMALLER * other.area:
            return False
        return self._overlap(other) >= MOSTLY * self.area

    def _overlap(self, other: Piece) -> int:
        top, left = max(self.row, other.row), max(self.column, other.column)
        ours, theirs = (one.pixels[top - one.row :, left - one.column :] for one in (self, other))
        height, width = np.minimum(ours.shape, theirs.shape)
        if top - self.row >= self.pixels.shape[0] or left - self.column >= self.pixels.shape[1]:
            return 0
        return int(np.count_nonzero(ours[:height, :width] & theirs[:height, :width]))


def owners(pieces: Sequence[Piece], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Which mask each pixel goes to."""
    owner = np.zeros(shape, np.int32)
    for number, piece in enumerate(pieces, 1):
        there = owner[piece.place]
        may_take = np.zeros(number, bool)
        may_take[0] = True
        for rival in np.flatnonzero(np.bincount(there[piece.pixels], minlength=1)[1:]) + 1:
            may_take[rival] = piece.lies_in(pieces[int(rival) - 1])
        there[piece.pixels & may_take[there]] = number
    return owner


def partition(pieces: Sequence[Piece], shape: tuple[int, int], min_size: int = 1) -> Labels:
    """One partition of the picture: the masks made disjoint, and what no mask covers."""
    owner = owners(pieces, shape)
    labels = connected(owner)
    small = (owner == 0) & (sizes_of(labels)[labels] < min_size)
    if not small.any() or small.all():
        return labels
    labels[small] = 0
    return connected(filled(labels))

"""What a command does to a document, as a small change that can be taken back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""Rectangle of pixels: first row, row behind the last, first column, column behind the last."""


@dataclass(frozen=True)
class Patch:
    """A rectangle of a map before and after."""

    box: Box
    before: NDArray[Any]
    after: NDArray[Any]

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.before.nbytes + self.after.nbytes

    def put(self, target: NDArray[Any], *, back: bool) -> None:
        """Write the rectangle into `target`."""
        target[rows_of(self.box)] = self.before if back else self.after


@dataclass(frozen=True)
class Change:
    """What one command changed: classes of segments, labels, pixels painted by hand.

    Attributes
    ----------
    segments : (n,) int32 ndarray
        Segments whose class changed; `before` and `after` are their classes (0 = not painted).
    counts : (int, int)
        Number of segments before and after.
    labels, overrides : Patch or None
    box : Box
        Where the picture looks different.
    """

    segments: NDArray[np.int32]
    before: NDArray[np.int16]
    after: NDArray[np.int16]
    counts: tuple[int, int]
    box: Box
    labels: Patch | None = None
    overrides: Patch | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that it takes, about."""
        patches = [patch.nbytes for patch in (self.labels, self.overrides) if patch is not None]
        return self.segments.nbytes + self.before.nbytes + self.after.nbytes + sum(patches) + 200


def rows_of(box: Box) -> tuple[slice, slice]:
    """The rectangle as an index of an array."""
    return slice(box[0], box[1]), slice(box[2], box[3])


def around(mask: NDArray[np.bool_]) -> Box | None:
    """The least rectangle that holds all pixels of `mask`; None where there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def union(boxes: list[Box]) -> Box:
    """The least rectangle that holds all `boxes`."""
    tops, bottoms, lefts, rights = zip(*boxes, strict=True)
    return min(tops), max(bottoms), min(lefts), max(rights)


def swept(box: Box, start: tuple[int, int], end: tuple[int, int], radius: int) -> NDArray[np.bool_]:
    """Pixels of `box` within `radius` of the line from `start` to `end` (row, column)."""
    rows, columns = np.ogrid[box[0] : box[1], box[2] : box[3]]
    down, right = rows - start[0], columns - start[1]
    along = (end[0] - start[0], end[1] - start[1])
    length = along[0] ** 2 + along[1] ** 2
    share = np.clip((down * along[0] + right * along[1]) / max(length, 1), 0, 1)
    return np.asarray((down - share * along[0]) ** 2 + (right - share * along[1]) ** 2 <= radius**2)


class History:
    """Entries of changes, to be taken back and done again; bounded by bytes, not by count."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Bytes that the entries to be taken back may take."""
        self.nbytes = 0
        """Bytes that the entries to be taken back take."""
        self._past: deque[list[Change]] = deque()
        self._future: list[list[Change]] = []
        self._begun: list[Change] | None = None

    def record(self, change: Change) -> None:
        """Keep a change: as an entry, or as a part of that which was begun."""
        if self._begun is None:
            self.add([change])
        else:
            self._begun.append(change)

    def begin(self) -> None:
        """From here to `end` all changes become one entry."""
        if self._begun is None:
            self._begun = []

    def end(self) -> None:
        """Add what was begun, if there is anything."""
        entry, self._begun = self._begun, None
        if entry:
            self.add(entry)

    def add(self, entry: list[Change]) -> None:
        """A new entry; those taken back are gone now, and the oldest where there is no room."""
        self._future.clear()
        self._past.append(entry)
        self.nbytes += _bytes_of(entry)
        while len(self._past) > 1 and self.nbytes > self.limit:
            self.nbytes -= _bytes_of(self._past.popleft())

    def back(self) -> list[Change] | None:
        """The last entry, to be taken back."""
        if not self._past:
            return None
        self._future.append(self._past.pop())
        self.nbytes -= _bytes_of(self._future[-1])
        return self._future[-1]

    def forth(self) -> list[Change] | None:
        """The entry taken back last, to be done again."""
        if not self._future:
            return None
        self._past.append(self._future.pop())
        self.nbytes += _bytes_of(self._past[-1])
        return self._past[-1]


def _bytes_of(entry: list[Change]) -> int:
    return sum(change.nbytes for change in entry)

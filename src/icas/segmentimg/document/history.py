"""What a command does to a document, as a small change that can be taken back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.labels.boxes import Box, rows_of


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

"""Edits of a document and the undo stack that holds them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.labels.labels import Box, rows_of

Renumber = Callable[[NDArray[Any]], NDArray[Any]]
"""New codes for old ones."""


@dataclass(frozen=True)
class Patch:
    """A rectangle of a map before and after an edit."""

    box: Box
    before: NDArray[Any]
    after: NDArray[Any]

    def apply(self, target: NDArray[Any], *, back: bool) -> None:
        """Write the rectangle into `target`."""
        target[rows_of(self.box)] = self.before if back else self.after


@dataclass(frozen=True)
class Edit:
    """What one command changed: paint of segments, labels, brushed pixels."""

    segments: NDArray[np.integer[Any]]
    before: NDArray[np.int32]
    """Codes of class and object number of the segments."""
    after: NDArray[np.int32]
    counts: tuple[int, int]
    """Number of segments before and after."""
    box: Box
    """Bounding box of the pixels that look different."""
    labels: Patch | None = None
    overrides: Patch | None = None

    @property
    def nbytes(self) -> int:
        """Size in bytes, approximately."""
        arrays = [self.segments, self.before, self.after]
        for patch in (self.labels, self.overrides):
            arrays += [] if patch is None else [patch.before, patch.after]
        return sum(array.nbytes for array in arrays) + 200

    def renumbered(self, change: Renumber) -> Edit:
        """The same edit with other codes."""
        patch = self.overrides
        if patch is not None:
            patch = Patch(patch.box, change(patch.before), change(patch.after))
        before, after = change(self.before), change(self.after)
        return replace(self, before=before, after=after, overrides=patch)


class UndoStack:
    """Groups of edits that can be undone and redone; bounded by bytes, not by count."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.nbytes = 0
        """Size of the groups that can be undone."""
        self._done: deque[list[Edit]] = deque()
        self._undone: list[list[Edit]] = []
        self._open_group: list[Edit] | None = None

    def push(self, edit: Edit) -> None:
        """Add an edit: to the open group, or as a group of its own."""
        if self._open_group is None:
            self._append([edit])
        else:
            self._open_group.append(edit)

    def begin_group(self) -> None:
        """Collect all edits up to `end_group` in one group."""
        if self._open_group is None:
            self._open_group = []

    def end_group(self) -> None:
        """Add the open group unless it is empty."""
        group, self._open_group = self._open_group, None
        if group:
            self._append(group)

    def undo(self) -> list[Edit]:
        """The last group, which the caller reverts; empty if there is none."""
        if not self._done:
            return []
        self._undone.append(self._done.pop())
        self.nbytes -= _bytes_of(self._undone[-1])
        return self._undone[-1]

    def redo(self) -> list[Edit]:
        """The group undone last, which the caller applies; empty if there is none."""
        if not self._undone:
            return []
        self._done.append(self._undone.pop())
        self.nbytes += _bytes_of(self._done[-1])
        return self._done[-1]

    def renumber(self, change: Renumber) -> None:
        """Change the codes of all edits, in both directions."""
        for group in (*self._done, *self._undone, self._open_group or []):
            group[:] = [edit.renumbered(change) for edit in group]

    def _append(self, group: list[Edit]) -> None:
        self._undone.clear()
        self._done.append(group)
        self.nbytes += _bytes_of(group)
        while len(self._done) > 1 and self.nbytes > self.limit:
            self.nbytes -= _bytes_of(self._done.popleft())


def _bytes_of(group: list[Edit]) -> int:
    return sum(edit.nbytes for edit in group)

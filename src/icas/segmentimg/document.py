"""PaintDocument: a picture, its segments and the class of each; no window anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.arrays import as_image
from icas.common.errors import UsageError
from icas.segmentimg.commands import Box, Change, History, Patch, around, rows_of, union
from icas.segmentimg.labels import Labels, connected

Color = tuple[int, int, int]
"""Red, green, blue, 0-255. Black is a colour like any other."""
NOT_TOUCHED = -1
HISTORY_BYTES = 64 * 1024**2


class PaintDocument:
    """A picture being painted.

    Segments have classes, classes have colours; the picture itself is never painted on. Pixels
    painted by hand (`brush`, `stamp`) lie over the segments. Every command gives the rectangle
    that looks different now, or None where nothing changed.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
        RGB.
    labels : (h, w) int ndarray
        Segments 1…K, each one connected piece; 0 = edge.
    history_bytes : int
        Memory that undo may take.

    Raises
    ------
    UsageError
        The two differ in size.
    """

    def __init__(
        self,
        image: NDArray[Any],
        labels: NDArray[np.integer[Any]],
        history_bytes: int = HISTORY_BYTES,
    ) -> None:
        self.image = as_image(image)
        if labels.shape != self.image.shape[:2]:
            raise UsageError(f"labels are {labels.shape}, the picture {self.image.shape[:2]}")
        self._first: Labels = labels.astype(np.int32)
        self.labels: Labels = self._first.copy()
        self.classes = np.zeros(int(self.labels.max(initial=0)) + 1, np.int16)
        self.colors: list[Color] = []
        self._boxes: dict[int, Box] = {}
        self._overrides: NDArray[np.int16] | None = None
        self._history = History(history_bytes)
        self._stroke: list[Change] | None = None

    def fill(self, row: int, col: int, color: Color) -> Box | None:
        """Paint the segment under a pixel; another colour than before recolours it."""
        return self._set_class(row, col, self._class_of(color))

    def unfill(self, row: int, col: int) -> Box | None:
        """Take the paint off the segment under a pixel."""
        return self._set_class(row, col, 0)

    def cut(self, start: tuple[int, int], end: tuple[int, int]) -> Box | None:
        """Make the pixels of a line from `start` to `end` (row, column) edge.

        The pieces on both sides become segments of their own and keep their class.
        """
        import cv2

        line = np.zeros(self.labels.shape, np.uint8)
        cv2.line(line, (start[1], start[0]), (end[1], end[0]), 1, 1, cv2.LINE_8)
        crossed = (line > 0) & (self.labels > 0)
        touched = np.unique(self.labels[crossed])
        if len(touched) == 0:
            return None
        box = union([self._box_of(int(segment)) for segment in touched])
        before = self.labels[rows_of(box)]
        after, classes = self._divided(before, crossed[rows_of(box)], touched)
        added = np.arange(len(self.classes), len(self.classes) + len(classes), dtype=np.int32)
        self._boxes.update((int(number), box) for number in added)
        count = len(self.classes) - 1
        patch = Patch(box, before.copy(), after)
        overrides = self._override_patch(box, crossed[rows_of(box)])
        none = np.zeros(len(added), np.int16)
        counts = (count, count + len(added))
        return self._do(Change(added, none, classes, counts, box, patch, overrides))

    def brush(self, row: int, col: int, radius: int, color: Color | None) -> Box | None:
        """Paint a disc of pixels by hand, or with no colour take the paint off them."""
        height, width = self.labels.shape
        top, bottom = max(0, row - radius), min(height, row + radius + 1)
        left, right = max(0, col - radius), min(width, col + radius + 1)
        if top >= bottom or left >= right:
            return None
        rows, columns = np.ogrid[top:bottom, left:right]
        disc = (rows - row) ** 2 + (columns - col) ** 2 <= radius * radius
        return self._override((top, bottom, left, right), disc, color)

    def stamp(self, mask: NDArray[np.bool_], color: Color | None) -> Box | None:
        """Paint all pixels of a mask of the picture's size by hand.

        Raises
        ------
        UsageError
            The mask has another size.
        """
        if mask.shape != self.labels.shape:
            raise UsageError(f"the mask is {mask.shape}, the picture {self.labels.shape}")
        box = around(mask)
        return None if box is None else self._override(box, mask[rows_of(box)], color)

    def reset(self) -> Box | None:
        """Take off all paint and all cuts, as one entry for `undo`."""
        count, first = len(self.classes) - 1, int(self._first.max(initial=0))
        segments = np.arange(1, count + 1, dtype=np.int32)
        moved = around(self.labels != self._first)
        patch = None
        if moved is not None:
            inside = rows_of(moved)
            patch = Patch(moved, self.labels[inside].copy(), self._first[inside].copy())
        whole = (0, self.labels.shape[0], 0, self.labels.shape[1])
        overrides = self._override_patch(whole, np.ones(self.labels.shape, bool))
        if patch is None and overrides is None and not self.classes.any():
            return None
        none = np.zeros(count, np.int16)
        change = Change(
            segments, self.classes[1:].copy(), none, (count, first), whole, patch, overrides
        )
        return self._do(change)

    def undo(self) -> Box | None:
        """Take the last command (or stroke) back."""
        entry = self._history.back()
        return None if entry is None else self._apply(entry[::-1], back=True)

    def redo(self) -> Box | None:
        """Do again what was taken back last."""
        entry = self._history.forth()
        return None if entry is None else self._apply(entry, back=False)

    @contextmanager
    def stroke(self) -> Iterator[None]:
        """All commands of the block become one entry for `undo`."""
        self._stroke = []
        try:
            yield
        finally:
            entry, self._stroke = self._stroke, None
            if entry:
                self._history.add(entry)

    def class_map(self) -> NDArray[np.int16]:
        """(h, w) class of each pixel, 0 = not painted, n = ``colors[n - 1]``."""
        found = self.classes[self.labels]
        found[self.labels == 0] = 0
        if self._overrides is not None:
            by_hand = self._overrides != NOT_TOUCHED
            found[by_hand] = self._overrides[by_hand]
        return found

    def masks(self) -> dict[Color, NDArray[np.bool_]]:
        """(h, w) bool mask of every colour that is painted, in the order of first use."""
        found = self.class_map()
        used = np.flatnonzero(np.bincount(found.ravel(), minlength=len(self.colors) + 1))
        return {self.colors[number - 1]: found == number for number in used if number > 0}

    @property
    def history_nbytes(self) -> int:
        """Bytes that undo takes now."""
        return self._history.nbytes

    def _class_of(self, color: Color) -> int:
        red, green, blue = (int(part) for part in color)
        wanted = (red, green, blue)
        if not all(0 <= part <= 255 for part in wanted):
            raise UsageError(f"colour {wanted}: red, green and blue lie between 0 and 255")
        if wanted not in self.colors:
            self.colors.append(wanted)
        return self.colors.index(wanted) + 1

    def _set_class(self, row: int, col: int, number: int) -> Box | None:
        height, width = self.labels.shape
        if not (0 <= row < height and 0 <= col < width):
            return None
        segment = int(self.labels[row, col])
        if segment == 0:
            return None
        box = self._box_of(segment)
        overrides = None
        if self._overrides is not None:
            overrides = self._override_patch(box, self.labels[rows_of(box)] == segment)
        if int(self.classes[segment]) == number and overrides is None:
            return None
        count = len(self.classes) - 1
        return self._do(
            Change(
                np.array([segment], np.int32),
                self.classes[[segment]],
                np.array([number], np.int16),
                (count, count),
                box,
                overrides=overrides,
            )
        )

    def _box_of(self, segment: int) -> Box:
        """A rectangle that holds a segment; found for all segments at the first call."""
        from scipy.ndimage import find_objects

        if not self._boxes:
            for number, place in enumerate(find_objects(self.labels), start=1):
                if place is not None:
                    rows, columns = place
                    self._boxes[number] = rows.start, rows.stop, columns.start, columns.stop
        return self._boxes[segment]

    def _divided(
        self, before: Labels, crossed: NDArray[np.bool_], touched: NDArray[np.int32]
    ) -> tuple[Labels, NDArray[np.int16]]:
        """Labels behind a cut, and the classes of the new segments.

        The first piece of a segment keeps its number, the others get new ones.
        """
        after = np.where(crossed, 0, before).astype(np.int32)
        pieces = connected(np.where(np.isin(after, touched), after, 0), edges=True)
        _, place = np.unique(pieces, return_index=True)
        seen: set[int] = set()
        classes: list[int] = []
        for piece, position in enumerate(place[pieces.ravel()[place] > 0], start=1):
            segment = int(after.ravel()[position])
            if segment in seen:
                after[pieces == piece] = len(self.classes) + len(classes)
                classes.append(int(self.classes[segment]))
            seen.add(segment)
        return after, np.array(classes, np.int16)

    def _override(self, box: Box, mask: NDArray[np.bool_], color: Color | None) -> Box | None:
        if self._overrides is None:
            self._overrides = np.full(self.labels.shape, NOT_TOUCHED, np.int16)
        number = 0 if color is None else self._class_of(color)
        before = self._overrides[rows_of(box)].copy()
        after = np.where(mask, np.int16(number), before)
        if (before == after).all():
            return None
        none = np.empty(0, np.int16)
        count = len(self.classes) - 1
        patch = Patch(box, before, after)
        segments = np.empty(0, np.int32)
        return self._do(Change(segments, none, none, (count, count), box, overrides=patch))

    def _override_patch(self, box: Box, mask: NDArray[np.bool_]) -> Patch | None:
        """What it takes to lift the pixels painted by hand off `mask`."""
        if self._overrides is None:
            return None
        before = self._overrides[rows_of(box)]
        after = np.where(mask, np.int16(NOT_TOUCHED), before)
        return None if (before == after).all() else Patch(box, before.copy(), after)

    def _do(self, change: Change) -> Box:
        self._put(change, back=False)
        if self._stroke is None:
            self._history.add([change])
        else:
            self._stroke.append(change)
        return change.box

    def _apply(self, changes: list[Change], *, back: bool) -> Box:
        for change in changes:
            self._put(change, back=back)
        return union([change.box for change in changes])

    def _put(self, change: Change, *, back: bool) -> None:
        count = change.counts[0 if back else 1]
        classes = np.zeros(max(count, *change.counts) + 1, np.int16)
        kept = min(len(classes), len(self.classes))
        classes[:kept] = self.classes[:kept]
        classes[change.segments] = change.before if back else change.after
        self.classes = classes[: count + 1]
        if change.labels is not None:
            change.labels.put(self.labels, back=back)
        if change.overrides is not None and self._overrides is not None:
            change.overrides.put(self._overrides, back=back)

"""PaintDocument: a picture, its segments and the class of each; no window anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True)
class PaintState:
    """All that a document is beside its picture and its history; what is kept between runs.

    Attributes
    ----------
    first, labels : (h, w) int32 ndarray
        Segments before any cut, and now; the same array where nothing was cut.
    classes : (K + 1,) int16 ndarray
        Class of each segment, 0 = not painted.
    overrides : (h, w) int16 ndarray or None
        Classes of the pixels painted by hand, `NOT_TOUCHED` elsewhere.
    colors : tuple of Color
        Colour of class n at n - 1.
    """

    first: Labels
    labels: Labels
    classes: NDArray[np.int16]
    overrides: NDArray[np.int16] | None
    colors: tuple[Color, ...]


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
        Segments 1…K, each one connected piece; 0 = edge. An int32 array is kept, not copied.
    colors : sequence of Color
        Classes 1…n from the start; other colours get the next numbers when they are first used.
    history_bytes : int
        Memory that undo may take.

    Attributes
    ----------
    labels : (h, w) int32 ndarray
        The segments now, cuts included.
    classes : (K + 1,) int16 ndarray
        Class of each segment, 0 = not painted.
    colors : list of Color
    revision : int
        Grows with every change.
    cuts : int
        Grows with every change of `labels`.

    Raises
    ------
    UsageError
        The two differ in size.
    """

    def __init__(
        self,
        image: NDArray[Any],
        labels: NDArray[np.integer[Any]],
        *,
        colors: Sequence[Color] = (),
        history_bytes: int = HISTORY_BYTES,
    ) -> None:
        self.image = as_image(image)
        if labels.shape != self.image.shape[:2]:
            raise UsageError(f"labels are {labels.shape}, the picture {self.image.shape[:2]}")
        self._first: Labels = labels.astype(np.int32, copy=False)
        self.labels: Labels = self._first
        self.classes = np.zeros(int(self.labels.max(initial=0)) + 1, np.int16)
        self.colors: list[Color] = []
        self.add_colors(colors)
        self.revision = self.cuts = 0
        self._boxes: dict[int, Box] = {}
        self._origins: dict[int, int] = {}
        self._overrides: NDArray[np.int16] | None = None
        self._history = History(history_bytes)
        self._stroke: list[Change] | None = None

    @classmethod
    def restored(
        cls, image: NDArray[Any], state: PaintState, history_bytes: int = HISTORY_BYTES
    ) -> PaintDocument:
        """A document as `state` had it; there is nothing to undo.

        Raises
        ------
        UsageError
            The picture has another size.
        """
        made = cls(image, state.first, colors=state.colors, history_bytes=history_bytes)
        made.labels, made.classes = state.labels, state.classes.copy()
        made._overrides = None if state.overrides is None else state.overrides.copy()
        if state.labels is not state.first:
            origins = np.zeros(len(state.classes), np.int32)
            origins[state.labels] = state.first
            added = range(int(state.first.max(initial=0)) + 1, len(origins))
            made._origins = {number: int(origins[number]) for number in added}
        return made

    def state(self) -> PaintState:
        """What there is now, in arrays that later commands leave alone."""
        cut = self.labels is not self._first
        overrides = None if self._overrides is None else self._overrides.copy()
        labels = self.labels.copy() if cut else self._first
        return PaintState(self._first, labels, self.classes.copy(), overrides, tuple(self.colors))

    def segment_at(self, row: int, col: int) -> int:
        """The segment under a pixel; 0 on an edge and outside the picture."""
        height, width = self.labels.shape
        inside = 0 <= row < height and 0 <= col < width
        return int(self.labels[row, col]) if inside else 0

    def origin_of(self, segment: int) -> int:
        """The segment before all cuts that a segment is, or was, a part of."""
        return self._origins.get(segment, segment)

    def pieces_of(self, origins: NDArray[np.int32]) -> NDArray[np.int32]:
        """What segments before all cuts have become."""
        chosen = set(origins.tolist())
        count = len(self.classes)
        cut = [n for n, origin in self._origins.items() if n < count and origin in chosen]
        return np.array(sorted({*chosen, *cut}), np.int32)

    def fill(self, row: int, col: int, color: Color) -> Box | None:
        """Paint the segment under a pixel; another colour than before recolours it."""
        return self.fill_segments([self.segment_at(row, col)], color)

    def unfill(self, row: int, col: int) -> Box | None:
        """Take the paint off the segment under a pixel."""
        return self.fill_segments([self.segment_at(row, col)], None)

    def fill_segments(
        self, segments: Sequence[int] | NDArray[np.int32], color: Color | None
    ) -> Box | None:
        """Paint some segments in one step, or with no colour take the paint off them.

        Raises
        ------
        UsageError
            There is no such segment.
        """
        number = 0 if color is None else self._class_of(color)
        chosen = np.unique(np.asarray(segments, np.int32))
        chosen = chosen[chosen != 0]
        if len(chosen) and not 0 < chosen[0] <= chosen[-1] < len(self.classes):
            raise UsageError(f"segments {chosen[0]} to {chosen[-1]} of {len(self.classes) - 1}")
        return self._set_class(chosen, np.int16(number))

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
        box = union([self.box_of(int(segment)) for segment in touched])
        before = self.labels[rows_of(box)]
        after, divided = self._divided(before, crossed[rows_of(box)], touched)
        classes = self.classes[divided]
        origins = [self.origin_of(segment) for segment in divided]
        added = np.arange(len(self.classes), len(self.classes) + len(divided), dtype=np.int32)
        self._boxes.update((int(number), box) for number in added)
        self._origins.update(zip(added.tolist(), origins, strict=True))
        count = len(self.classes) - 1
        patch = Patch(box, before.copy(), after)
        overrides = self._override_patch(box, crossed[rows_of(box)])
        none = np.zeros(len(added), np.int16)
        counts = (count, count + len(added))
        return self._do(Change(added, none, classes, counts, box, patch, overrides))

    def brush(
        self,
        row: int,
        col: int,
        radius: int,
        color: Color | None,
        start: tuple[int, int] | None = None,
    ) -> Box | None:
        """Paint a disc of pixels by hand, or with no colour take the paint off them.

        With a `start` (row, column) the disc is drawn from there to its place.
        """
        height, width = self.labels.shape
        from_row, from_col = (row, col) if start is None else start
        top, bottom = max(0, min(row, from_row) - radius), max(row, from_row) + radius + 1
        left, right = max(0, min(col, from_col) - radius), max(col, from_col) + radius + 1
        box = (top, min(height, bottom), left, min(width, right))
        if box[0] >= box[1] or box[2] >= box[3]:
            return None
        return self._override(box, _swept(box, (from_row, from_col), (row, col), radius), color)

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
        self.begin_stroke()
        try:
            yield
        finally:
            self.end_stroke()

    def begin_stroke(self) -> None:
        """From here to `end_stroke` all commands become one entry for `undo`."""
        if self._stroke is None:
            self._stroke = []

    def end_stroke(self) -> None:
        """See `begin_stroke`; without one before it, nothing happens."""
        entry, self._stroke = self._stroke, None
        if entry:
            self._history.add(entry)

    def class_map(self) -> NDArray[np.int16]:
        """(h, w) class of each pixel, 0 = not painted, n = ``colors[n - 1]``."""
        height, width = self.labels.shape
        return self.classes_of((slice(0, height), slice(0, width)))

    def classes_of(self, place: Any) -> NDArray[np.int16]:
        """Class of the pixels that an index of a (h, w) array picks out."""
        found: NDArray[np.int16] = self.classes[self.labels[place]]
        if self._overrides is not None:
            by_hand = self._overrides[place]
            found = np.where(by_hand == NOT_TOUCHED, found, by_hand)
        return found

    def take_over(self, painted: NDArray[np.integer[Any]]) -> None:
        """Be painted as a class map says: what was painted before, elsewhere or earlier.

        Segments of one class throughout become painted segments, other pixels are painted by
        hand. This is where the document starts from: it cannot be undone, and what could be is
        forgotten.

        Parameters
        ----------
        painted : (h, w) int ndarray
            0 = not painted, n = ``colors[n - 1]``.

        Raises
        ------
        UsageError
            The map has another size, or classes without a colour.
        """
        if painted.shape != self.labels.shape:
            raise UsageError(f"the class map is {painted.shape}, the picture {self.labels.shape}")
        if painted.min(initial=0) < 0 or painted.max(initial=0) > len(self.colors):
            raise UsageError(f"the class map has classes beyond the {len(self.colors)} colours")
        classes = np.zeros(len(self.classes), np.int16)
        classes[self.labels] = painted
        classes[0] = 0
        odd = classes[self.labels] != painted
        classes[self.labels[odd]] = 0
        odd = classes[self.labels] != painted
        self.classes = classes
        self._overrides = None
        if odd.any():
            self._overrides = np.where(odd, painted, NOT_TOUCHED).astype(np.int16)
        self._history = History(self._history.limit)
        self.revision += 1

    def masks(self) -> dict[Color, NDArray[np.bool_]]:
        """(h, w) bool mask of every colour that is painted, in the order of first use."""
        found = self.class_map()
        used = np.flatnonzero(np.bincount(found.ravel(), minlength=len(self.colors) + 1))
        return {self.colors[number - 1]: found == number for number in used if number > 0}

    def add_colors(self, colors: Iterable[Color]) -> None:
        """Give those that are new the next numbers."""
        for color in colors:
            self._class_of(color)

    @property
    def first(self) -> Labels:
        """(h, w) int32: the segments before any cut. Not to be written into."""
        return self._first

    @property
    def painted(self) -> bool:
        """Whether any pixel is painted."""
        by_hand = self._overrides is not None and bool((self._overrides > 0).any())
        return by_hand or bool(self.classes.any())

    @property
    def by_hand(self) -> bool:
        """Whether pixels may be painted by hand."""
        return self._overrides is not None

    @property
    def nbytes(self) -> int:
        """Bytes that the document takes, about."""
        maps = [self.image.nbytes, self._first.nbytes, self._history.nbytes]
        maps.append(self.labels.nbytes if self.labels is not self._first else 0)
        return sum(maps) + (0 if self._overrides is None else self._overrides.nbytes)

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

    def _set_class(self, segments: NDArray[np.int32], number: np.int16) -> Box | None:
        if len(segments) == 0:
            return None
        boxes = [self.box_of(int(segment)) for segment in segments]
        box = union([one for one in boxes if one[0] < one[1]] or boxes)
        overrides = None
        if self._overrides is not None:
            overrides = self._override_patch(box, within(self.labels[rows_of(box)], segments))
        before = self.classes[segments]
        if (before == number).all() and overrides is None:
            return None
        count = len(self.classes) - 1
        after = np.full(len(segments), number, np.int16)
        return self._do(Change(segments, before, after, (count, count), box, overrides=overrides))

    def box_of(self, segment: int) -> Box:
        """A rectangle that holds a segment, empty where that has no pixel.

        Those of all segments are found at the first call. A cut leaves the rectangles of the
        segments that it divides as they are, so that they hold when it is taken back.
        """
        if not self._boxes:
            self._boxes = _boxes_of(self._first)
            if self.labels is not self._first:
                found = _boxes_of(self.labels)
                self._boxes.update({n: found[n] for n in found.keys() - self._boxes.keys()})
        return self._boxes.get(segment, (0, 0, 0, 0))

    def _divided(
        self, before: Labels, crossed: NDArray[np.bool_], touched: NDArray[np.int32]
    ) -> tuple[Labels, list[int]]:
        """Labels behind a cut, and the segment that each new one was a part of.

        The first piece of a segment keeps its number, the others get new ones.
        """
        after = np.where(crossed, 0, before).astype(np.int32)
        pieces = connected(np.where(np.isin(after, touched), after, 0), edges=True)
        _, place = np.unique(pieces, return_index=True)
        seen: set[int] = set()
        divided: list[int] = []
        for piece, position in enumerate(place[pieces.ravel()[place] > 0], start=1):
            segment = int(after.ravel()[position])
            if segment in seen:
                after[pieces == piece] = len(self.classes) + len(divided)
                divided.append(segment)
            seen.add(segment)
        return after, divided

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
        self.revision += 1
        if change.labels is not None:
            if self.labels is self._first:
                self.labels = self._first.copy()
            change.labels.put(self.labels, back=back)
            self.cuts += 1
        if change.overrides is not None and self._overrides is not None:
            change.overrides.put(self._overrides, back=back)


def _boxes_of(labels: Labels) -> dict[int, Box]:
    from scipy.ndimage import find_objects

    return {
        number: (place[0].start, place[0].stop, place[1].start, place[1].stop)
        for number, place in enumerate(find_objects(labels), start=1)
        if place is not None
    }


def within(labels: Labels, segments: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(h, w) bool: pixels of some segments."""
    if len(segments) == 1:
        return np.asarray(labels == segments[0])
    chosen = np.zeros(max(int(labels.max(initial=0)), int(segments.max())) + 1, bool)
    chosen[segments] = True
    return chosen[labels]


def _swept(
    box: Box, start: tuple[int, int], end: tuple[int, int], radius: int
) -> NDArray[np.bool_]:
    """Pixels of `box` within `radius` of the line from `start` to `end` (row, column)."""
    rows, columns = np.ogrid[box[0] : box[1], box[2] : box[3]]
    down, right = rows - start[0], columns - start[1]
    along = (end[0] - start[0], end[1] - start[1])
    length = along[0] ** 2 + along[1] ** 2
    share = np.clip((down * along[0] + right * along[1]) / max(length, 1), 0, 1)
    return np.asarray((down - share * along[0]) ** 2 + (right - share * along[1]) ** 2 <= radius**2)

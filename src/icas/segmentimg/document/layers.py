"""The arrays of a painted picture, and what a change does to them; no commands, no history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.segmentimg.document.history import Change, Patch
from icas.segmentimg.labels.boxes import Box, around, rows_of, union
from icas.segmentimg.labels.labels import Labels, connected

Color = tuple[int, int, int]
"""Red, green, blue, 0-255. Black is a colour like any other."""
NOT_TOUCHED = -1


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
        Classes of the pixels painted by hand, -1 elsewhere.
    colors : tuple of (int, int, int)
        Colour of class n at n - 1.
    """

    first: Labels
    labels: Labels
    classes: NDArray[np.int16]
    overrides: NDArray[np.int16] | None
    colors: tuple[Color, ...]


class Layers:
    """Segments, their classes, and over them the pixels painted by hand.

    Changes are made first (`division`, `repainted`, `overridden`, `cleared`), which alters nothing,
    and put in or taken out again by `put`.

    Parameters
    ----------
    labels : (h, w) int ndarray
        Segments 1…K; 0 = edge. An int32 array is kept, not copied.

    Attributes
    ----------
    first, labels : (h, w) int32 ndarray
        Segments before any cut, and now; the same array until the first cut.
    classes : (K + 1,) int16 ndarray
        Class of each segment, 0 = not painted.
    overrides : (h, w) int16 ndarray or None
        Classes of the pixels painted by hand, `NOT_TOUCHED` elsewhere.
    revision, cuts : int
        Grow with every change, and with every change of `labels`.
    """

    def __init__(self, labels: NDArray[np.integer[Any]]) -> None:
        self.first: Labels = labels.astype(np.int32, copy=False)
        self.labels: Labels = self.first
        self.classes = np.zeros(int(self.labels.max(initial=0)) + 1, np.int16)
        self.overrides: NDArray[np.int16] | None = None
        self.revision = self.cuts = 0
        self._boxes: dict[int, Box] = {}
        self._origins: dict[int, int] = {}

    @classmethod
    def of(cls, state: PaintState) -> Layers:
        """The layers of which `state` is a copy."""
        made = cls(state.first)
        made.labels, made.classes = state.labels, state.classes.copy()
        made.overrides = None if state.overrides is None else state.overrides.copy()
        if state.labels is not state.first:
            origins = np.zeros(len(state.classes), np.int32)
            origins[state.labels] = state.first
            added = range(int(state.first.max(initial=0)) + 1, len(origins))
            made._origins = {number: int(origins[number]) for number in added}
        return made

    def state(self, colors: Iterable[Color]) -> PaintState:
        """A copy, with the `colors` of the classes."""
        cut = self.labels is not self.first
        overrides = None if self.overrides is None else self.overrides.copy()
        labels = self.labels.copy() if cut else self.first
        return PaintState(self.first, labels, self.classes.copy(), overrides, tuple(colors))

    @property
    def painted(self) -> bool:
        """Whether any pixel is painted."""
        by_hand = self.overrides is not None and bool((self.overrides > 0).any())
        return by_hand or bool(self.classes.any())

    @property
    def nbytes(self) -> int:
        """Bytes of the maps."""
        cut = 0 if self.labels is self.first else self.labels.nbytes
        by_hand = 0 if self.overrides is None else self.overrides.nbytes
        return self.first.nbytes + cut + by_hand

    def origin_of(self, segment: int) -> int:
        """The segment before all cuts that a segment is, or was, a part of."""
        return self._origins.get(segment, segment)

    def pieces_of(self, origins: NDArray[np.int32]) -> NDArray[np.int32]:
        """What segments before all cuts have become."""
        chosen = set(origins.tolist())
        count = len(self.classes)
        cut = [n for n, origin in self._origins.items() if n < count and origin in chosen]
        return np.array(sorted({*chosen, *cut}), np.int32)

    def box_of(self, segment: int) -> Box:
        """A rectangle that holds a segment, empty where that has no pixel.

        Those of all segments are found at the first call. A cut leaves the rectangles of the
        segments that it divides as they are, so that they hold when it is taken back.
        """
        if not self._boxes:
            self._boxes = _boxes_of(self.first)
            if self.labels is not self.first:
                found = _boxes_of(self.labels)
                self._boxes.update({n: found[n] for n in found.keys() - self._boxes.keys()})
        return self._boxes.get(segment, (0, 0, 0, 0))

    def classes_of(self, place: Any) -> NDArray[np.int16]:
        """Class of the pixels that an index of a (h, w) array picks out."""
        found: NDArray[np.int16] = self.classes[self.labels[place]]
        if self.overrides is not None:
            by_hand = self.overrides[place]
            found = np.where(by_hand == NOT_TOUCHED, found, by_hand)
        return found

    def take_over(self, painted: NDArray[np.integer[Any]]) -> None:
        """Be painted as a class map says: whole segments as segments, other pixels by hand."""
        classes = np.zeros(len(self.classes), np.int16)
        classes[self.labels] = painted
        classes[0] = 0
        odd = classes[self.labels] != painted
        classes[self.labels[odd]] = 0
        odd = classes[self.labels] != painted
        self.classes = classes
        self.overrides = None
        if odd.any():
            self.overrides = np.where(odd, painted, NOT_TOUCHED).astype(np.int16)
        self.revision += 1

    def repainted(self, segments: Iterable[int] | NDArray[np.int32], number: int) -> Change | None:
        """The change that gives whole segments the class `number`; None where they have it.

        Raises
        ------
        UsageError
            There is no such segment.
        """
        chosen = np.unique(np.asarray(segments, np.int32))
        chosen = chosen[chosen != 0]
        if len(chosen) == 0:
            return None
        if not 0 < chosen[0] <= chosen[-1] < len(self.classes):
            most = len(self.classes) - 1
            raise UsageError(f"segments {chosen[0]} to {chosen[-1]}: there are 1 to {most}")
        boxes = [self.box_of(int(segment)) for segment in chosen]
        box = union([one for one in boxes if one[0] < one[1]] or boxes)
        lifted = None
        if self.overrides is not None:
            lifted = self._lifted(box, within(self.labels[rows_of(box)], chosen))
        before = self.classes[chosen]
        if (before == number).all() and lifted is None:
            return None
        count = len(self.classes) - 1
        after = np.full(len(chosen), number, np.int16)
        return Change(chosen, before, after, (count, count), box, overrides=lifted)

    def division(self, line: NDArray[np.bool_]) -> Change | None:
        """The change that makes the pixels of `line` edge, so that segments fall in pieces."""
        crossed = line & (self.labels > 0)
        touched = np.unique(self.labels[crossed])
        if len(touched) == 0:
            return None
        box = union([self.box_of(int(segment)) for segment in touched])
        before = self.labels[rows_of(box)]
        after, divided = self._divided(before, crossed[rows_of(box)], touched)
        added = np.arange(len(self.classes), len(self.classes) + len(divided), dtype=np.int32)
        origins = [self.origin_of(segment) for segment in divided]
        self._boxes.update((int(number), box) for number in added)
        self._origins.update(zip(added.tolist(), origins, strict=True))
        count = len(self.classes) - 1
        none, counts = np.zeros(len(added), np.int16), (count, count + len(added))
        lifted = self._lifted(box, crossed[rows_of(box)])
        patch = Patch(box, before.copy(), after)
        return Change(added, none, self.classes[divided], counts, box, patch, lifted)

    def overridden(self, box: Box, mask: NDArray[np.bool_], number: int) -> Change | None:
        """The change that paints pixels of `box` by hand; None where they are so already."""
        if self.overrides is None:
            self.overrides = np.full(self.labels.shape, NOT_TOUCHED, np.int16)
        before = self.overrides[rows_of(box)].copy()
        after = np.where(mask, np.int16(number), before)
        if (before == after).all():
            return None
        none, count = np.empty(0, np.int16), len(self.classes) - 1
        patch = Patch(box, before, after)
        return Change(np.empty(0, np.int32), none, none, (count, count), box, overrides=patch)

    def cleared(self) -> Change | None:
        """The change that takes off all paint and all cuts; None where there are none."""
        count, first = len(self.classes) - 1, int(self.first.max(initial=0))
        segments = np.arange(1, count + 1, dtype=np.int32)
        moved = around(self.labels != self.first)
        patch = None
        if moved is not None:
            inside = rows_of(moved)
            patch = Patch(moved, self.labels[inside].copy(), self.first[inside].copy())
        whole = (0, self.labels.shape[0], 0, self.labels.shape[1])
        lifted = self._lifted(whole, np.ones(self.labels.shape, bool))
        if patch is None and lifted is None and not self.classes.any():
            return None
        counts, none = (count, first), np.zeros(count, np.int16)
        return Change(segments, self.classes[1:].copy(), none, counts, whole, patch, lifted)

    def put(self, change: Change, *, back: bool = False) -> None:
        """Put a change in, or take it `back`."""
        count = change.counts[0 if back else 1]
        classes = np.zeros(max(count, *change.counts) + 1, np.int16)
        kept = min(len(classes), len(self.classes))
        classes[:kept] = self.classes[:kept]
        classes[change.segments] = change.before if back else change.after
        self.classes = classes[: count + 1]
        self.revision += 1
        if change.labels is not None:
            if self.labels is self.first:
                self.labels = self.first.copy()
            change.labels.put(self.labels, back=back)
            self.cuts += 1
        if change.overrides is not None and self.overrides is not None:
            change.overrides.put(self.overrides, back=back)

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

    def _lifted(self, box: Box, mask: NDArray[np.bool_]) -> Patch | None:
        """What it takes to lift the pixels painted by hand off `mask`."""
        if self.overrides is None:
            return None
        before = self.overrides[rows_of(box)]
        after = np.where(mask, np.int16(NOT_TOUCHED), before)
        return None if (before == after).all() else Patch(box, before.copy(), after)


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

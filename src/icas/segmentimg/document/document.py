"""PaintDocument: an image, its segments and the class of each, with undo; no windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.reading import as_image
from icas.segmentimg.document.history import Edit, Patch, UndoStack
from icas.segmentimg.document.palette import Color
from icas.segmentimg.labels.labels import (
    Box,
    Labels,
    bounding_box,
    connected,
    rows_of,
    swept,
    union,
)

Pixel = tuple[int, int]
HISTORY_BYTES = 64 * 1024**2
NO_OVERRIDE = -1


@dataclass(frozen=True)
class PaintState:
    """A copy of the content of a document, without its image and undo stack.

    Attributes
    ----------
    first, labels : (h, w) int32 ndarray
        Segments before any `cut`, and now; the same array if there was none.
    classes : (K + 1,) int16 ndarray
        Class of each segment, 0 = not painted.
    overrides : (h, w) int16 ndarray or None
        Classes of brushed pixels, -1 elsewhere.
    colors : tuple of (int, int, int)
        Color of class n at n - 1.
    """

    first: Labels
    labels: Labels
    classes: NDArray[np.int16]
    overrides: NDArray[np.int16] | None
    colors: tuple[Color, ...]


class PaintDocument:
    """An image with segments that can be painted, with undo.

    Each segment has a class or none, each class a color. Brushed pixels (`brush`, `stamp`)
    override their segment. Every command returns the bounding box of the changed pixels (first
    row, last row + 1, first column, last column + 1), or None if nothing changed. Colors are
    (red, green, blue), 0-255; the color None clears. The image itself is not changed.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
        RGB; or any other image that `icas.segment` takes.
    labels : (h, w) int ndarray
        Segments 1…K, each a connected region; 0 = edge. An int32 array is not copied.
    colors : sequence of (int, int, int), default ()
        Colors of the classes 1…n; further colors get the next numbers at first use.
    history_bytes : int, default 64 MiB
        Maximum size of the undo stack.

    Attributes
    ----------
    image : (h, w, 3) uint8 ndarray
        The image.
    colors : list of (int, int, int)
        Color of class n at n - 1.
    first : (h, w) int32 ndarray
        Segments as given, before any `cut`; read only.
    labels : (h, w) int32 ndarray
        Segments now; read only.
    classes : (K + 1,) int16 ndarray
        Class of each segment, 0 = not painted; read only.
    revision, cuts : int
        Number of changes so far, and of changes to `labels`.

    Raises
    ------
    UsageError
        Image and labels differ in size, or a color is invalid.

    See Also
    --------
    icas.segment : computes `labels`.
    icas.paint_templates : computes masks for `stamp`.

    Examples
    --------
    Two segments, the left one painted:

    >>> import icas
    >>> import numpy as np
    >>> image = np.zeros((4, 6, 3), np.uint8)
    >>> document = icas.PaintDocument(image, np.repeat([[1, 1, 1, 2, 2, 2]], 4, axis=0))
    >>> document.fill(0, 0, (204, 0, 0))
    (0, 4, 0, 3)
    >>> document.brush(0, 5, 0, (0, 170, 68))
    (0, 1, 5, 6)
    >>> document.class_map()
    array([[1, 1, 1, 0, 0, 2],
           [1, 1, 1, 0, 0, 0],
           [1, 1, 1, 0, 0, 0],
           [1, 1, 1, 0, 0, 0]], dtype=int16)
    >>> {color: int(mask.sum()) for color, mask in document.masks().items()}
    {(204, 0, 0): 12, (0, 170, 68): 1}
    >>> document.undo(), document.by_hand, document.painted
    ((0, 1, 5, 6), True, True)
    >>> document.reset(), document.painted
    ((0, 4, 0, 6), False)

    An edge line splits a segment; the parts keep its class:

    >>> document.cut((1, 0), (1, 2))
    (0, 4, 0, 3)
    >>> document.labels[:, 0], document.segment_at(2, 0), document.origin_of(3)
    (array([1, 0, 3, 3], dtype=int32), 3, 1)
    >>> document.pieces_of(np.array([1], np.int32)), document.box_of(2)
    (array([1, 3], dtype=int32), (0, 4, 3, 6))

    The other commands, and starting from a class map:

    >>> document = icas.PaintDocument(image, np.repeat([[1, 1, 1, 2, 2, 2]], 4, axis=0))
    >>> document.add_colors([(204, 0, 0), (0, 170, 68)])
    >>> document.fill_segments([1, 2], (204, 0, 0)), document.unfill(0, 5)
    ((0, 4, 0, 6), (0, 4, 3, 6))
    >>> document.undo(), document.redo()
    ((0, 4, 3, 6), (0, 4, 3, 6))
    >>> document.stamp(np.eye(4, 6, dtype=bool), (0, 170, 68))
    (0, 4, 0, 4)
    >>> document.classes_of(np.s_[0, :])
    array([2, 1, 1, 0, 0, 0], dtype=int16)
    >>> document.state().overrides[0]
    array([ 2, -1, -1, -1, -1, -1], dtype=int16)
    >>> with document.stroke():
    ...     boxes = [document.brush(3, col, 0, (204, 0, 0)) for col in range(6)]
    >>> document.undo()
    (3, 4, 0, 6)
    >>> restored = icas.PaintDocument.restored(image, document.state())
    >>> restored.painted, restored.undo()
    (True, None)
    >>> document.take_over(np.full((4, 6), 2))
    >>> list(document.masks()), document.undo()
    ([(0, 170, 68)], None)
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
            raise UsageError(f"shape mismatch: labels {labels.shape}, image {self.image.shape[:2]}")
        self.first: Labels = labels.astype(np.int32, copy=False)
        self.labels: Labels = self.first
        self.classes = np.zeros(int(self.labels.max(initial=0)) + 1, np.int16)
        self.colors: list[Color] = []
        self.add_colors(colors)
        self.revision = self.cuts = 0
        self._overrides: NDArray[np.int16] | None = None
        self._boxes: dict[int, Box] = {}
        self._origins: dict[int, int] = {}
        self._history = UndoStack(history_bytes)

    @classmethod
    def restored(
        cls, image: NDArray[Any], state: PaintState, history_bytes: int = HISTORY_BYTES
    ) -> PaintDocument:
        """Restore a document from its `state`, with an empty undo stack.

        Parameters
        ----------
        image : (h, w, 3) uint8 ndarray
        state : PaintState
        history_bytes : int, default 64 MiB

        Returns
        -------
        PaintDocument

        Raises
        ------
        UsageError
            The image has another size.
        """
        document = cls(image, state.first, colors=state.colors, history_bytes=history_bytes)
        document.labels, document.classes = state.labels, state.classes.copy()
        document._overrides = None if state.overrides is None else state.overrides.copy()
        if state.labels is not state.first:
            origins = np.zeros(len(state.classes), np.int32)
            origins[state.labels] = state.first
            first_added = int(state.first.max(initial=0)) + 1
            document._origins = dict(enumerate(origins[first_added:].tolist(), first_added))
        return document

    def state(self) -> PaintState:
        """Copy the present state, for `restored`.

        Returns
        -------
        PaintState
        """
        labels = self.first if self.labels is self.first else self.labels.copy()
        overrides = None if self._overrides is None else self._overrides.copy()
        return PaintState(self.first, labels, self.classes.copy(), overrides, tuple(self.colors))

    def segment_at(self, row: int, col: int) -> int:
        """Segment at a pixel.

        Parameters
        ----------
        row, col : int

        Returns
        -------
        int
            0 on an edge and outside the image.
        """
        height, width = self.labels.shape
        inside = 0 <= row < height and 0 <= col < width
        return int(self.labels[row, col]) if inside else 0

    def origin_of(self, segment: int) -> int:
        """Original segment that a segment is, or was, a part of.

        Parameters
        ----------
        segment : int

        Returns
        -------
        int
        """
        return self._origins.get(segment, segment)

    def pieces_of(self, origins: NDArray[np.int32]) -> NDArray[np.int32]:
        """Present parts of original segments, which `cut` may have split.

        Parameters
        ----------
        origins : (n,) int32 ndarray
            Numbers of original segments.

        Returns
        -------
        (m,) int32 ndarray
            Present segments, ascending; m >= n.
        """
        chosen = set(origins.tolist())
        count = len(self.classes)
        added = [n for n, origin in self._origins.items() if n < count and origin in chosen]
        return np.array(sorted({*chosen, *added}), np.int32)

    def box_of(self, segment: int) -> Box:
        """Box that contains a segment, empty if it has no pixels.

        Parameters
        ----------
        segment : int

        Returns
        -------
        (int, int, int, int)
        """
        # Computed once: a cut leaves the boxes of the segments it splits as they are, so that
        # they hold after an undo.
        if not self._boxes:
            self._boxes = _boxes_of(self.first)
            if self.labels is not self.first:
                self._boxes = {**_boxes_of(self.labels), **self._boxes}
        return self._boxes.get(segment, (0, 0, 0, 0))

    def fill(self, row: int, col: int, color: Color) -> Box | None:
        """Assign a color to the segment at a pixel; does nothing on an edge or outside.

        Parameters
        ----------
        row, col : int
        color : (int, int, int)

        Returns
        -------
        (int, int, int, int) or None

        Raises
        ------
        UsageError
            The color is invalid.
        """
        return self.fill_segments([self.segment_at(row, col)], color)

    def unfill(self, row: int, col: int) -> Box | None:
        """Clear the segment at a pixel; does nothing on an edge or outside.

        Parameters
        ----------
        row, col : int

        Returns
        -------
        (int, int, int, int) or None
        """
        return self.fill_segments([self.segment_at(row, col)], None)

    def fill_segments(
        self, segments: Sequence[int] | NDArray[np.int32], color: Color | None
    ) -> Box | None:
        """Assign a color to segments, or clear them, in one step.

        Parameters
        ----------
        segments : sequence of int or (n,) int32 ndarray
            Segment numbers; 0 is ignored.
        color : (int, int, int) or None

        Returns
        -------
        (int, int, int, int) or None

        Raises
        ------
        UsageError
            There is no such segment, or the color is invalid.
        """
        number = 0 if color is None else self._class_of(color)
        chosen = np.unique(np.asarray(segments, np.int32))
        chosen = chosen[chosen != 0]
        if len(chosen) == 0:
            return None
        count = len(self.classes) - 1
        if not 0 < chosen[0] <= chosen[-1] <= count:
            raise UsageError(f"segments {chosen[0]} to {chosen[-1]}: must be 1 to {count}")
        boxes = [self.box_of(int(segment)) for segment in chosen]
        box = union([box for box in boxes if box[0] < box[1]] or boxes)
        erased = None
        if self._overrides is not None:
            erased = self._erase(box, segments_mask(self.labels[rows_of(box)], chosen))
        before = self.classes[chosen]
        if (before == number).all() and erased is None:
            return None
        after = np.full(len(chosen), number, np.int16)
        return self._commit(Edit(chosen, before, after, (count, count), box, overrides=erased))

    def cut(self, start: Pixel, end: Pixel) -> Box | None:
        """Draw an edge line; the regions on its sides become segments.

        Parameters
        ----------
        start, end : (int, int)
            Row and column of both ends.

        Returns
        -------
        (int, int, int, int) or None
        """
        import cv2

        line = np.zeros(self.labels.shape, np.uint8)
        cv2.line(line, (start[1], start[0]), (end[1], end[0]), 1, 1, cv2.LINE_8)
        crossed = (line > 0) & (self.labels > 0)
        touched = np.unique(self.labels[crossed])
        if len(touched) == 0:
            return None
        box = union([self.box_of(int(segment)) for segment in touched])
        before, crossed = self.labels[rows_of(box)], crossed[rows_of(box)]
        count = len(self.classes) - 1
        after, parents = _split(before, crossed, touched, count + 1)
        added = np.arange(count + 1, count + 1 + len(parents), dtype=np.int32)
        self._boxes.update((int(number), box) for number in added)
        origins = [self.origin_of(segment) for segment in parents]
        self._origins.update(zip(added.tolist(), origins, strict=True))
        none = np.zeros(len(added), np.int16)
        counts = (count, count + len(added))
        patch, erased = Patch(box, before.copy(), after), self._erase(box, crossed)
        return self._commit(Edit(added, none, self.classes[parents], counts, box, patch, erased))

    def brush(
        self, row: int, col: int, radius: int, color: Color | None, start: Pixel | None = None
    ) -> Box | None:
        """Paint or clear the pixels of a disc, regardless of segments.

        Parameters
        ----------
        row, col : int
            Center of the disc.
        radius : int
            In pixels; 0 is one pixel.
        color : (int, int, int) or None
        start : (int, int), optional
            Row and column from which the disc is moved to its center; the area it sweeps changes.

        Returns
        -------
        (int, int, int, int) or None

        Raises
        ------
        UsageError
            The color is invalid.
        """
        height, width = self.labels.shape
        from_row, from_col = (row, col) if start is None else start
        top, bottom = max(0, min(row, from_row) - radius), max(row, from_row) + radius + 1
        left, right = max(0, min(col, from_col) - radius), max(col, from_col) + radius + 1
        box = (top, min(height, bottom), left, min(width, right))
        if box[0] >= box[1] or box[2] >= box[3]:
            return None
        return self._override(box, swept(box, (from_row, from_col), (row, col), radius), color)

    def stamp(self, mask: NDArray[np.bool_], color: Color | None) -> Box | None:
        """Paint or clear the pixels of a mask, regardless of segments.

        Parameters
        ----------
        mask : (h, w) bool ndarray
        color : (int, int, int) or None

        Returns
        -------
        (int, int, int, int) or None

        Raises
        ------
        UsageError
            The mask has another size, or the color is invalid.
        """
        if mask.shape != self.labels.shape:
            raise UsageError(f"shape mismatch: mask {mask.shape}, image {self.labels.shape}")
        box = bounding_box(mask)
        return self._override(box, mask[rows_of(box)], color) if mask.any() else None

    def reset(self) -> Box | None:
        """Clear all labels and drawn edges, as one entry of the undo stack.

        Returns
        -------
        (int, int, int, int) or None
        """
        count, first = len(self.classes) - 1, int(self.first.max(initial=0))
        changed = bounding_box(self.labels != self.first)
        patch = None
        if changed[1] > changed[0]:
            inside = rows_of(changed)
            patch = Patch(changed, self.labels[inside].copy(), self.first[inside].copy())
        whole = (0, self.labels.shape[0], 0, self.labels.shape[1])
        erased = self._erase(whole, np.ones(self.labels.shape, bool))
        if patch is None and erased is None and not self.classes.any():
            return None
        segments, none = np.arange(1, count + 1, dtype=np.int32), np.zeros(count, np.int16)
        before = self.classes[1:].copy()
        return self._commit(Edit(segments, before, none, (count, first), whole, patch, erased))

    def undo(self) -> Box | None:
        """Undo the last command or stroke.

        Returns
        -------
        (int, int, int, int) or None
        """
        return self._apply(self._history.undo()[::-1], back=True)

    def redo(self) -> Box | None:
        """Redo the last undone command or stroke.

        Returns
        -------
        (int, int, int, int) or None
        """
        return self._apply(self._history.redo(), back=False)

    @contextmanager
    def stroke(self) -> Iterator[None]:
        """Combine all commands of the block into one entry of the undo stack.

        Yields
        ------
        None
        """
        self.begin_stroke()
        try:
            yield
        finally:
            self.end_stroke()

    def begin_stroke(self) -> None:
        """Combine all commands up to `end_stroke` into one entry of the undo stack."""
        self._history.begin_group()

    def end_stroke(self) -> None:
        """End the stroke of `begin_stroke`, if there is one."""
        self._history.end_group()

    def class_map(self) -> NDArray[np.int16]:
        """Class of each pixel.

        Returns
        -------
        (h, w) int16 ndarray
            0 = not painted, n = ``colors[n - 1]``.
        """
        return self.classes_of(np.s_[:, :])

    def classes_of(self, place: Any) -> NDArray[np.int16]:
        """Class of selected pixels, without a map of the whole image.

        Parameters
        ----------
        place : index of a (h, w) array
            Such as a tuple of slices.

        Returns
        -------
        int16 ndarray
            0 = not painted, n = ``colors[n - 1]``; of the shape that the index selects.
        """
        classes: NDArray[np.int16] = self.classes[self.labels[place]]
        if self._overrides is None:
            return classes
        overrides = self._overrides[place]
        return np.where(overrides == NO_OVERRIDE, classes, overrides)

    def take_over(self, painted: NDArray[np.integer[Any]]) -> None:
        """Start from a class map; clears the undo stack.

        Segments with a single class are painted; in other segments the pixels are brushed.

        Parameters
        ----------
        painted : (h, w) int ndarray
            0 = not painted, n = ``colors[n - 1]``.

        Raises
        ------
        UsageError
            The map has another size, or classes without a color.
        """
        if painted.shape != self.labels.shape:
            raise UsageError(
                f"shape mismatch: class map {painted.shape}, image {self.labels.shape}"
            )
        if painted.min(initial=0) < 0 or painted.max(initial=0) > len(self.colors):
            raise UsageError(
                f"class map values must be 0 to {len(self.colors)}, the number of colours"
            )
        classes = np.zeros(len(self.classes), np.int16)
        classes[self.labels] = painted
        classes[0] = 0
        mixed = classes[self.labels] != painted
        classes[self.labels[mixed]] = 0
        mixed = classes[self.labels] != painted
        self.classes, self._overrides = classes, None
        if mixed.any():
            self._overrides = np.where(mixed, painted, NO_OVERRIDE).astype(np.int16)
        self.revision += 1
        self._history = UndoStack(self._history.limit)

    def masks(self) -> dict[Color, NDArray[np.bool_]]:
        """Mask of each painted color, in order of class number.

        Returns
        -------
        dict of (int, int, int) to (h, w) bool ndarray
            Disjoint masks.
        """
        painted = self.class_map()
        used = np.flatnonzero(np.bincount(painted.ravel(), minlength=len(self.colors) + 1))
        return {self.colors[number - 1]: painted == number for number in used if number > 0}

    def add_colors(self, colors: Iterable[Color]) -> None:
        """Give new colors the next class numbers.

        Parameters
        ----------
        colors : iterable of (int, int, int)

        Raises
        ------
        UsageError
            A color is invalid.
        """
        for color in colors:
            self._class_of(color)

    def __repr__(self) -> str:
        height, width = self.labels.shape
        return f"<PaintDocument: {width}x{height} pixels, painted colours: {len(self.masks())}>"

    def _repr_html_(self) -> str:
        """The painted image as in the window, for notebooks."""
        from icas.notebook.show import show

        return show(self)._repr_html_()

    @property
    def painted(self) -> bool:
        """bool: whether any pixel is painted."""
        brushed = self._overrides is not None and (self._overrides > 0).any()
        return bool(brushed or self.classes.any())

    @property
    def by_hand(self) -> bool:
        """bool: whether there may be brushed pixels."""
        return self._overrides is not None

    @property
    def nbytes(self) -> int:
        """int: size of the document in bytes, approximately."""
        cut = 0 if self.labels is self.first else self.labels.nbytes
        brushed = 0 if self._overrides is None else self._overrides.nbytes
        return self.image.nbytes + self.first.nbytes + cut + brushed + self._history.nbytes

    @property
    def history_nbytes(self) -> int:
        """int: size of the undo stack in bytes."""
        return self._history.nbytes

    def _override(self, box: Box, mask: NDArray[np.bool_], color: Color | None) -> Box | None:
        """Brush the pixels of `mask`, which is of the size of `box`."""
        number = 0 if color is None else self._class_of(color)
        if self._overrides is None:
            self._overrides = np.full(self.labels.shape, NO_OVERRIDE, np.int16)
        before = self._overrides[rows_of(box)].copy()
        after = np.where(mask, np.int16(number), before)
        if (before == after).all():
            return None
        none, count = np.empty(0, np.int16), len(self.classes) - 1
        edit = Edit(none, none, none, (count, count), box, overrides=Patch(box, before, after))
        return self._commit(edit)

    def _erase(self, box: Box, mask: NDArray[np.bool_]) -> Patch | None:
        """The patch that removes brushed pixels of `mask`; None if there are none."""
        if self._overrides is None:
            return None
        before = self._overrides[rows_of(box)]
        after = np.where(mask, np.int16(NO_OVERRIDE), before)
        return None if (before == after).all() else Patch(box, before.copy(), after)

    def _commit(self, edit: Edit) -> Box:
        self._apply([edit], back=False)
        self._history.push(edit)
        return edit.box

    def _apply(self, edits: list[Edit], *, back: bool) -> Box | None:
        for edit in edits:
            count = edit.counts[0 if back else 1]
            classes = np.zeros(max(edit.counts) + 1, np.int16)
            kept = min(len(classes), len(self.classes))
            classes[:kept] = self.classes[:kept]
            classes[edit.segments] = edit.before if back else edit.after
            self.classes = classes[: count + 1]
            self.revision += 1
            if edit.labels is not None:
                if self.labels is self.first:
                    self.labels = self.first.copy()
                edit.labels.apply(self.labels, back=back)
                self.cuts += 1
            if edit.overrides is not None and self._overrides is not None:
                edit.overrides.apply(self._overrides, back=back)
        return union([edit.box for edit in edits]) if edits else None

    def _class_of(self, color: Color) -> int:
        """Number of the class of a color, a new one if needed."""
        red, green, blue = (int(part) for part in color)
        wanted = (red, green, blue)
        if not all(0 <= part <= 255 for part in wanted):
            raise UsageError(f"colour {wanted}: red, green and blue must be 0 to 255")
        if wanted not in self.colors:
            self.colors.append(wanted)
        return self.colors.index(wanted) + 1


def _split(
    before: Labels, crossed: NDArray[np.bool_], touched: NDArray[np.int32], number: int
) -> tuple[Labels, list[int]]:
    """Labels after a cut, and the parents of the new segments, numbered from `number` on."""
    after = np.where(crossed, 0, before).astype(np.int32)
    pieces = connected(np.where(np.isin(after, touched), after, 0), edges=True)
    _, first_pixels = np.unique(pieces, return_index=True)
    inside = first_pixels[pieces.ravel()[first_pixels] > 0]
    seen: set[int] = set()
    parents: list[int] = []
    for piece, position in enumerate(inside, start=1):
        segment = int(after.ravel()[position])
        if segment in seen:  # its first piece keeps the number
            after[pieces == piece] = number + len(parents)
            parents.append(segment)
        seen.add(segment)
    return after, parents


def _boxes_of(labels: Labels) -> dict[int, Box]:
    from scipy.ndimage import find_objects

    return {
        number: (place[0].start, place[0].stop, place[1].start, place[1].stop)
        for number, place in enumerate(find_objects(labels), start=1)
        if place is not None
    }


def segments_mask(labels: Labels, segments: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(h, w) bool: pixels of some segments."""
    if len(segments) == 1:
        return np.asarray(labels == segments[0])
    chosen = np.zeros(max(int(labels.max(initial=0)), int(segments.max())) + 1, bool)
    chosen[segments] = True
    return chosen[labels]

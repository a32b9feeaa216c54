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
from icas.segmentimg.document.objects import (
    OBJECT_STEP,
    PaintObject,
    classes_in,
    code_of,
    codes_in,
    joined_codes,
    numbers_in,
    objects_of,
)
from icas.segmentimg.document.palette import MAX_CLASSES, MAX_OBJECTS, Color
from icas.segmentimg.labels.labels import (
    Box,
    Labels,
    bounding_box,
    connected,
    label_map_of,
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
    numbers : (K + 1,) uint16 ndarray or None
        Object number of each segment; None: 1 for all.
    override_numbers : (h, w) uint16 ndarray or None
        Object numbers of brushed pixels; None: 1 for all.
    """

    first: Labels
    labels: Labels
    classes: NDArray[np.int16]
    overrides: NDArray[np.int16] | None
    colors: tuple[Color, ...]
    numbers: NDArray[np.uint16] | None = None
    override_numbers: NDArray[np.uint16] | None = None


class PaintDocument:
    """An image with segments that can be painted, with undo.

    Each segment has a class or none, and an object number within its class; each class has a
    color. Brushed pixels (`brush`, `stamp`) override their segment. New paint belongs to the
    current object of its class: number 1 until `new_object` or `pick_object`. Every command
    returns the bounding box of the changed pixels (first row, last row + 1, first column, last
    column + 1), or None if nothing changed. Colors are (red, green, blue), 0-255; the color None
    clears. The image itself is not changed.

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
        Class of each segment, 0 = not painted; a copy.
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
    >>> document.overrides_of(np.s_[0, :]), document.codes
    (array([ 2, -1, -1, -1, -1, -1], dtype=int32), array([0, 1, 0], dtype=int32))
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

    Two objects of one class:

    >>> document = icas.PaintDocument(image, np.repeat([[1, 1, 1, 2, 2, 2]], 4, axis=0))
    >>> red = (204, 0, 0)
    >>> document.fill(0, 0, red), document.new_object(red), document.fill(0, 5, red)
    ((0, 4, 0, 3), 2, (0, 4, 3, 6))
    >>> [(found.color, found.number, found.area, found.box) for found in document.objects()]
    [((204, 0, 0), 1, 12, (0, 4, 0, 3)), ((204, 0, 0), 2, 12, (0, 4, 3, 6))]
    >>> document.instance_map()[0]
    array([1, 1, 1, 2, 2, 2], dtype=uint16)
    >>> document.stamp_objects([(red, np.eye(2, dtype=bool), (1, 1))]), document.undo()
    ((1, 3, 1, 3), (1, 3, 1, 3))
    >>> document.codes_of(np.s_[0, :]) - 1
    array([    0,     0,     0, 65536, 65536, 65536], dtype=int32)
    >>> document.object_at(0, 5), document.object_at(9, 9), document.several_objects
    (((204, 0, 0), 2), None, True)
    >>> document.pick_object(0, 0), document.current_object(red)
    (((204, 0, 0), 1), 1)
    >>> document.unfill(0, 0), document.new_objects(), document.current_object(red)
    ((0, 4, 0, 3), None, 3)

    Classes in another order, and another color:

    >>> document.replace_colors([(0, 0, 255), (204, 0, 0)], [0, 1])
    >>> document.colors, document.class_map()[0]
    ([(0, 0, 255), (204, 0, 0)], array([0, 0, 0, 2, 2, 2], dtype=int16))
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
        self.first: Labels = label_map_of(labels, self.image)
        self.labels: Labels = self.first
        self._codes = np.zeros(int(self.labels.max(initial=0)) + 1, np.int32)
        self.colors: list[Color] = []
        self.add_colors(colors)
        self.revision = self.cuts = 0
        # int16 as long as all brushed pixels are of objects 1, whose codes are their classes
        self._overrides: NDArray[np.signedinteger[Any]] | None = None
        self._current: dict[int, int] = {}
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
        document.labels = state.labels
        document._codes = joined_codes(state.classes, state.numbers).astype(np.int32)
        if state.overrides is not None:
            document._overrides = joined_codes(state.overrides, state.override_numbers)
        document._continue_last_objects()
        if state.labels is not state.first:
            origins = np.zeros(len(document._codes), np.int32)
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
        numbers = numbers_in(self._codes) if self._codes.max(initial=0) >= OBJECT_STEP else None
        overrides = override_numbers = None
        if self._overrides is not None:
            overrides = self._overrides.astype(np.int16)
            if self._overrides.dtype != np.int16:
                override_numbers = numbers_in(self._overrides)
        return PaintState(
            self.first,
            labels,
            self.classes,
            overrides,
            tuple(self.colors),
            numbers,
            override_numbers,
        )

    @property
    def classes(self) -> NDArray[np.int16]:
        """(K + 1,) int16 ndarray: class of each segment, 0 = not painted; a copy."""
        return classes_in(self._codes).copy()

    @property
    def codes(self) -> NDArray[np.int32]:
        """(K + 1,) int32 ndarray: class and object of each segment, as `codes_of`; a copy."""
        return self._codes.copy()

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
        count = len(self._codes)
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

    def fill(self, row: int, col: int, color: Color, instance: int | None = None) -> Box | None:
        """Assign a color to the segment at a pixel; does nothing on an edge or outside.

        Parameters
        ----------
        row, col : int
        color : (int, int, int)
        instance : int, optional
            Object number; default the current object of the class.

        Returns
        -------
        (int, int, int, int) or None

        Raises
        ------
        UsageError
            The color or the object number is invalid.
        """
        return self.fill_segments([self.segment_at(row, col)], color, instance)

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
        self,
        segments: Sequence[int] | NDArray[np.int32],
        color: Color | None,
        instance: int | None = None,
    ) -> Box | None:
        """Assign a color to segments, or clear them, in one step.

        Parameters
        ----------
        segments : sequence of int or (n,) int32 ndarray
            Segment numbers; 0 is ignored.
        color : (int, int, int) or None
        instance : int, optional
            Object number; default the current object of the class.

        Returns
        -------
        (int, int, int, int) or None

        Raises
        ------
        UsageError
            There is no such segment, or the color or the object number is invalid.
        """
        code = self._code_of(color, instance)
        chosen = np.unique(np.asarray(segments, np.int32))
        chosen = chosen[chosen != 0]
        if len(chosen) == 0:
            return None
        count = len(self._codes) - 1
        if not 0 < chosen[0] <= chosen[-1] <= count:
            raise UsageError(f"segments {chosen[0]} to {chosen[-1]}: must be 1 to {count}")
        boxes = [self.box_of(int(segment)) for segment in chosen]
        box = union([box for box in boxes if box[0] < box[1]] or boxes)
        erased = None
        if self._overrides is not None:
            erased = self._erase(box, segments_mask(self.labels[rows_of(box)], chosen))
        before = self._codes[chosen]
        if (before == code).all() and erased is None:
            return None
        after = np.full(len(chosen), code, np.int32)
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
        count = len(self._codes) - 1
        after, parents = _split(before, crossed, touched, count + 1)
        added = np.arange(count + 1, count + 1 + len(parents), dtype=np.int32)
        self._boxes.update((int(number), box) for number in added)
        origins = [self.origin_of(segment) for segment in parents]
        self._origins.update(zip(added.tolist(), origins, strict=True))
        none = np.zeros(len(added), np.int32)
        counts = (count, count + len(added))
        patch, erased = Patch(box, before.copy(), after), self._erase(box, crossed)
        return self._commit(Edit(added, none, self._codes[parents], counts, box, patch, erased))

    def brush(
        self,
        row: int,
        col: int,
        radius: int,
        color: Color | None,
        start: Pixel | None = None,
        instance: int | None = None,
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
        instance : int, optional
            Object number; default the current object of the class.

        Returns
        -------
        (int, int, int, int) or None

        Raises
        ------
        UsageError
            The color or the object number is invalid.
        """
        height, width = self.labels.shape
        from_row, from_col = (row, col) if start is None else start
        top, bottom = max(0, min(row, from_row) - radius), max(row, from_row) + radius + 1
        left, right = max(0, min(col, from_col) - radius), max(col, from_col) + radius + 1
        box = (top, min(height, bottom), left, min(width, right))
        if box[0] >= box[1] or box[2] >= box[3]:
            return None
        code = self._code_of(color, instance)
        return self._override(box, swept(box, (from_row, from_col), (row, col), radius), code)

    def stamp(
        self,
        mask: NDArray[np.bool_],
        color: Color | None,
        instance: int | None = None,
        at: Pixel | None = None,
    ) -> Box | None:
        """Paint or clear the pixels of a mask, regardless of segments.

        Parameters
        ----------
        mask : (h, w) bool ndarray
        color : (int, int, int) or None
        instance : int, optional
            Object number; default the current object of the class.
        at : (int, int), optional
            Row and column of the mask's first pixel, for a mask smaller than the image.

        Returns
        -------
        (int, int, int, int) or None

        Raises
        ------
        UsageError
            The mask has another size or is outside the image, or the color or the object number
            is invalid.
        """
        row, col = at or (0, 0)
        height, width = self.labels.shape
        if at is None and mask.shape != (height, width):
            raise UsageError(f"shape mismatch: mask {mask.shape}, image {self.labels.shape}")
        if min(row, col) < 0 or row + mask.shape[0] > height or col + mask.shape[1] > width:
            raise UsageError(
                f"mask {mask.shape} at {(row, col)}: must be in the {height}x{width}"
                " pixels of the image"
            )
        top, bottom, left, right = box = bounding_box(mask)
        if top == bottom:
            return None
        moved = (top + row, bottom + row, left + col, right + col)
        return self._override(moved, mask[rows_of(box)], self._code_of(color, instance))

    def stamp_objects(self, stamps: Iterable[tuple[Color, NDArray[np.bool_], Pixel]]) -> Box | None:
        """Paint masks, each as a new object of its class, in one step.

        Parameters
        ----------
        stamps : iterable of ((int, int, int), (n, m) bool ndarray, (int, int))
            Color, mask, and row and column of the mask's first pixel.

        Returns
        -------
        (int, int, int, int) or None

        Raises
        ------
        UsageError
            As `stamp`.
        """
        boxes = []
        self.new_objects()
        with self.stroke():
            for color, mask, at in stamps:
                instance = self.current_object(color)
                box = self.stamp(mask, color, instance, at)
                if box is not None:
                    boxes.append(box)
                    self._current[self._class_of(color)] = min(instance + 1, MAX_OBJECTS)
        return union(boxes) if boxes else None

    def new_object(self, color: Color) -> int:
        """Start a new object of a class: paint of this color belongs to it from now on.

        Parameters
        ----------
        color : (int, int, int)

        Returns
        -------
        int
            Its number: one more than the highest painted number of the class, or 1.

        Raises
        ------
        UsageError
            The color is invalid, or the class has 32,767 objects.
        """
        number = self._class_of(color)
        instance = self._highest_numbers().get(number, 0) + 1
        code_of(number, instance)
        self._current[number] = instance
        return instance

    def new_objects(self) -> None:
        """Start a new object of each class."""
        self._current = {
            number: min(highest + 1, MAX_OBJECTS)
            for number, highest in self._highest_numbers().items()
        }

    def current_object(self, color: Color) -> int:
        """Object number that paint of a color gets.

        Parameters
        ----------
        color : (int, int, int)

        Returns
        -------
        int
        """
        number = self.colors.index(color) + 1 if color in self.colors else 0
        return self._current.get(number, 1)

    def object_at(self, row: int, col: int) -> tuple[Color, int] | None:
        """Object at a pixel.

        Parameters
        ----------
        row, col : int

        Returns
        -------
        ((int, int, int), int) or None
            Color and object number; None if the pixel is not painted or outside the image.
        """
        height, width = self.labels.shape
        if not (0 <= row < height and 0 <= col < width):
            return None
        code = self.codes_of(np.s_[row : row + 1, col : col + 1])
        number = int(classes_in(code)[0, 0])
        return (self.colors[number - 1], int(numbers_in(code)[0, 0])) if number else None

    def pick_object(self, row: int, col: int) -> tuple[Color, int] | None:
        """Continue the object at a pixel: paint of its color belongs to it from now on.

        Parameters
        ----------
        row, col : int

        Returns
        -------
        ((int, int, int), int) or None
            As `object_at`.
        """
        found = self.object_at(row, col)
        if found is not None:
            self._current[self._class_of(found[0])] = found[1]
        return found

    def objects(self) -> list[PaintObject]:
        """Objects with any pixels, by class, then by number.

        Returns
        -------
        list of PaintObject
            Each has ``class_number``, ``color``, ``number``, ``area`` in pixels, ``box`` and
            ``mask``, of the size of the box.
        """
        return objects_of(self.codes_of(np.s_[:, :]), self.colors)

    def reset(self) -> Box | None:
        """Clear all labels and drawn edges, as one entry of the undo stack.

        Returns
        -------
        (int, int, int, int) or None
        """
        count, first = len(self._codes) - 1, int(self.first.max(initial=0))
        changed = bounding_box(self.labels != self.first)
        patch = None
        if changed[1] > changed[0]:
            inside = rows_of(changed)
            patch = Patch(changed, self.labels[inside].copy(), self.first[inside].copy())
        whole = (0, self.labels.shape[0], 0, self.labels.shape[1])
        erased = self._erase(whole, np.ones(self.labels.shape, bool))
        if patch is None and erased is None and not self._codes.any():
            return None
        segments, none = np.arange(1, count + 1, dtype=np.int32), np.zeros(count, np.int32)
        before = self._codes[1:].copy()
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
        classes: NDArray[np.int16] = classes_in(self._codes)[self.labels[place]]
        if self._overrides is None:
            return classes
        overrides = classes_in(self._overrides[place])
        return np.where(overrides == NO_OVERRIDE, classes, overrides)

    def instance_map(self) -> NDArray[np.uint16]:
        """Object number of each pixel.

        Returns
        -------
        (h, w) uint16 ndarray
            0 = not painted; numbers count from 1 in each class.
        """
        return numbers_in(self.codes_of(np.s_[:, :]))

    def codes_of(self, place: Any) -> NDArray[np.int32]:
        """Class and object number of selected pixels, as one number for each pair.

        Parameters
        ----------
        place : index of a (h, w) array

        Returns
        -------
        int32 ndarray
            Class + 65,536 * (object number - 1); 0 = not painted.
        """
        codes: NDArray[np.int32] = self._codes[self.labels[place]]
        if self._overrides is None:
            return codes
        overrides = self._overrides[place]
        return np.where(overrides == NO_OVERRIDE, codes, overrides).astype(np.int32, copy=False)

    def overrides_of(self, place: Any) -> NDArray[np.int32] | None:
        """Class and object of brushed pixels, as `codes_of`.

        Parameters
        ----------
        place : index of a (h, w) array

        Returns
        -------
        int32 ndarray or None
            -1 where no pixel is brushed, 0 where one is cleared; None if there may be none.
        """
        return None if self._overrides is None else self._overrides[place].astype(np.int32)

    def take_over(
        self,
        painted: NDArray[np.integer[Any]],
        numbers: NDArray[np.integer[Any]] | None = None,
    ) -> None:
        """Start from a class map; clears the undo stack.

        Segments with a single class and object are painted; in other segments the pixels are
        brushed. The last object of each class becomes the current one.

        Parameters
        ----------
        painted : (h, w) int ndarray
            0 = not painted, n = ``colors[n - 1]``.
        numbers : (h, w) int ndarray, optional
            Object numbers of the painted pixels; default all 1.

        Raises
        ------
        UsageError
            A map has another size, or there are classes without a color or object numbers below
            1.
        """
        if painted.shape != self.labels.shape:
            raise UsageError(
                f"shape mismatch: class map {painted.shape}, image {self.labels.shape}"
            )
        if painted.min(initial=0) < 0 or painted.max(initial=0) > len(self.colors):
            raise UsageError(
                f"class map values must be 0 to {len(self.colors)}, the number of colours"
            )
        if numbers is not None and numbers.shape != self.labels.shape:
            raise UsageError(f"shape mismatch: numbers {numbers.shape}, image {self.labels.shape}")
        wanted = joined_codes(painted, numbers)
        codes = np.zeros(len(self._codes), wanted.dtype)
        codes[self.labels] = wanted
        codes[0] = 0
        mixed = codes[self.labels] != wanted
        codes[self.labels[mixed]] = 0
        mixed = codes[self.labels] != wanted
        self._codes, self._overrides = codes.astype(np.int32), None
        if mixed.any():
            self._overrides = np.where(mixed, wanted, NO_OVERRIDE).astype(wanted.dtype)
        self._continue_last_objects()
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

    def replace_colors(self, colors: Sequence[Color], order: Sequence[int]) -> None:
        """Change the colors and the order of all classes; the undo stack stays usable.

        Parameters
        ----------
        colors : sequence of (int, int, int)
            Color of each class, in the new order.
        order : sequence of int
            Present number of the class at each place, 0 for a new class; each present class once.

        Raises
        ------
        UsageError
            A color is invalid or occurs twice, or a present class is not in `order`.
        """
        present = sorted(number for number in order if number)
        if present != list(range(1, len(self.colors) + 1)) or len(order) != len(colors):
            raise UsageError(f"order {list(order)}: must hold 1 to {len(self.colors)}, each once")
        before, self.colors = self.colors, []
        try:
            self.add_colors(colors)
            if len(self.colors) < len(colors):
                raise UsageError("two classes have the same colour")
        except UsageError:
            self.colors = before
            raise
        table = np.arange(-1, len(before) + 1, dtype=np.int32)
        for place, number in enumerate(order, start=1):
            if number:
                table[number + 1] = place
        self._current = {int(table[old + 1]): n for old, n in self._current.items()}
        self.revision += 1
        if (table[1:] == np.arange(len(before) + 1)).all():
            return

        def renumbered(codes: NDArray[Any]) -> NDArray[Any]:
            classes = classes_in(codes)
            moved = codes + (table[classes + 1] - classes)
            return np.asarray(moved.astype(codes.dtype))

        self._codes = renumbered(self._codes)
        self._overrides = None if self._overrides is None else renumbered(self._overrides)
        self._history.renumber(renumbered)

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
        return bool(brushed or self._codes.any())

    @property
    def several_objects(self) -> bool:
        """bool: whether there may be paint with an object number other than 1."""
        brushed = self._overrides is not None and self._overrides.dtype != np.int16
        return brushed or bool(self._codes.max(initial=0) >= OBJECT_STEP)

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

    def _override(self, box: Box, mask: NDArray[np.bool_], code: int) -> Box | None:
        """Brush the pixels of `mask`, which is of the size of `box`."""
        if self._overrides is None:
            self._overrides = np.full(self.labels.shape, NO_OVERRIDE, np.int16)
        if code >= OBJECT_STEP and self._overrides.dtype == np.int16:
            self._overrides = self._overrides.astype(np.int32)
        before = self._overrides[rows_of(box)].copy()
        after = np.where(mask, before.dtype.type(code), before)
        if (before == after).all():
            return None
        none, count = np.empty(0, np.int32), len(self._codes) - 1
        edit = Edit(none, none, none, (count, count), box, overrides=Patch(box, before, after))
        return self._commit(edit)

    def _erase(self, box: Box, mask: NDArray[np.bool_]) -> Patch | None:
        """The patch that removes brushed pixels of `mask`; None if there are none."""
        if self._overrides is None:
            return None
        before = self._overrides[rows_of(box)]
        after = np.where(mask, before.dtype.type(NO_OVERRIDE), before)
        return None if (before == after).all() else Patch(box, before.copy(), after)

    def _commit(self, edit: Edit) -> Box:
        self._apply([edit], back=False)
        self._history.push(edit)
        return edit.box

    def _apply(self, edits: list[Edit], *, back: bool) -> Box | None:
        for edit in edits:
            count = edit.counts[0 if back else 1]
            codes = np.zeros(max(edit.counts) + 1, np.int32)
            kept = min(len(codes), len(self._codes))
            codes[:kept] = self._codes[:kept]
            codes[edit.segments] = edit.before if back else edit.after
            self._codes = codes[: count + 1]
            self.revision += 1
            if edit.labels is not None:
                if self.labels is self.first:
                    self.labels = self.first.copy()
                edit.labels.apply(self.labels, back=back)
                self.cuts += 1
            if edit.overrides is not None and self._overrides is not None:
                edit.overrides.apply(self._overrides, back=back)
        return union([edit.box for edit in edits]) if edits else None

    def _code_of(self, color: Color | None, instance: int | None) -> int:
        """Code of new paint, 0 to clear."""
        if color is None:
            return 0
        number = self._class_of(color)
        return code_of(number, self._current.get(number, 1) if instance is None else instance)

    def _highest_numbers(self) -> dict[int, int]:
        """Highest object number of each painted class; paint that is covered counts too."""
        used = [np.unique(self._codes)]
        if self._overrides is not None:
            used.append(codes_in(self._overrides))
        codes = np.unique(np.concatenate(used))
        codes = codes[codes > 0]
        return dict(zip(classes_in(codes).tolist(), numbers_in(codes).tolist(), strict=True))

    def _continue_last_objects(self) -> None:
        highest = self._highest_numbers() if self.several_objects else {}
        self._current = {number: last for number, last in highest.items() if last > 1}

    def _class_of(self, color: Color) -> int:
        """Number of the class of a color, a new one if needed."""
        try:
            red, green, blue = (int(part) for part in color)
        except (TypeError, ValueError):
            raise UsageError(f"colour {color!r}: expected red, green and blue, 0 to 255") from None
        wanted = (red, green, blue)
        if not all(0 <= part <= 255 for part in wanted):
            raise UsageError(f"colour {wanted}: red, green and blue must be 0 to 255")
        if wanted not in self.colors:
            if len(self.colors) == MAX_CLASSES:
                raise UsageError(f"more than {MAX_CLASSES:,} classes")
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

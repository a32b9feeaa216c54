"""PaintDocument: a picture, its segments and the class of each; no window anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.arrays import as_image
from icas.segmentimg.document.history import Change, History
from icas.segmentimg.document.layers import Color, Layers, PaintState
from icas.segmentimg.labels.boxes import Box, around, rows_of, swept, union
from icas.segmentimg.labels.labels import Labels

HISTORY_BYTES = 64 * 1024**2


class PaintDocument:
    """A picture being painted.

    Segments have classes, classes have colours; the picture itself is never painted on. Pixels
    painted by hand (`brush`, `stamp`) lie over the segments. Every command gives the rectangle
    that looks different now, (first row, row behind the last, first column, column behind the
    last), or None where nothing changed. Colours are (red, green, blue), 0-255.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
        RGB; whatever `icas.segment` takes does too.
    labels : (h, w) int ndarray
        Segments 1…K, each one connected piece; 0 = edge. An int32 array is kept, not copied.
    colors : sequence of (int, int, int), default ()
        Classes 1…n from the start; other colours get the next numbers when they are first used.
    history_bytes : int, default 64 MiB
        Memory that undo may take.

    Attributes
    ----------
    image : (h, w, 3) uint8 ndarray
        The picture.
    colors : list of (int, int, int)
        Colour of class n at n - 1.

    Raises
    ------
    UsageError
        The two differ in size, or a colour is none.

    See Also
    --------
    icas.segment : makes labels.
    icas.paint_templates : makes masks for `stamp`.

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

    A cut parts a segment; the pieces keep their class:

    >>> document.cut((1, 0), (1, 2))
    (0, 4, 0, 3)
    >>> document.labels[:, 0], document.segment_at(2, 0), document.origin_of(3)
    (array([1, 0, 3, 3], dtype=int32), 3, 1)
    >>> document.pieces_of(np.array([1], np.int32)), document.box_of(2)
    (array([1, 3], dtype=int32), (0, 4, 3, 6))

    The other commands, and starting from what was painted elsewhere:

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
            raise UsageError(f"labels are {labels.shape}, the picture {self.image.shape[:2]}")
        self._layers = Layers(labels)
        self.colors: list[Color] = []
        self.add_colors(colors)
        self._history = History(history_bytes)

    @classmethod
    def restored(
        cls, image: NDArray[Any], state: PaintState, history_bytes: int = HISTORY_BYTES
    ) -> PaintDocument:
        """A document as a `state` had it; there is nothing to undo.

        Parameters
        ----------
        image : (h, w, 3) uint8 ndarray
            The picture, RGB.
        state : PaintState
            What `state` gave.
        history_bytes : int, default 64 MiB
            Memory that undo may take.

        Returns
        -------
        PaintDocument

        Raises
        ------
        UsageError
            The picture has another size.

        Examples
        --------
        >>> import icas
        >>> import numpy as np
        >>> image = np.zeros((2, 2, 3), np.uint8)
        >>> document = icas.PaintDocument(image, np.ones((2, 2), int))
        >>> box = document.fill(0, 0, (204, 0, 0))
        >>> again = icas.PaintDocument.restored(image, document.state())
        >>> again.painted, again.undo()
        (True, None)
        """
        made = cls(image, state.first, colors=state.colors, history_bytes=history_bytes)
        made._layers = Layers.of(state)
        return made

    def state(self) -> PaintState:
        """What there is now, in arrays that later commands leave alone.

        Returns
        -------
        PaintState
            For `restored`.
        """
        return self._layers.state(self.colors)

    def segment_at(self, row: int, col: int) -> int:
        """The segment under a pixel.

        Parameters
        ----------
        row, col : int
            The pixel.

        Returns
        -------
        int
            0 on an edge and outside the picture.
        """
        height, width = self.labels.shape
        inside = 0 <= row < height and 0 <= col < width
        return int(self.labels[row, col]) if inside else 0

    def origin_of(self, segment: int) -> int:
        """The segment before all cuts that a segment is, or was, a part of.

        Parameters
        ----------
        segment : int
            Its number.

        Returns
        -------
        int
        """
        return self._layers.origin_of(segment)

    def pieces_of(self, origins: NDArray[np.int32]) -> NDArray[np.int32]:
        """What segments before all cuts have become.

        Parameters
        ----------
        origins : (n,) int32 ndarray
            Segments before all cuts.

        Returns
        -------
        (m,) int32 ndarray
            Segments now, ascending; m >= n.
        """
        return self._layers.pieces_of(origins)

    def fill(self, row: int, col: int, color: Color) -> Box | None:
        """Paint the segment under a pixel; another colour than before recolours it.

        Parameters
        ----------
        row, col : int
            The pixel; on an edge or outside nothing happens.
        color : (int, int, int)
            Red, green, blue, 0-255.

        Returns
        -------
        (int, int, int, int) or None
            The rectangle that looks different now.

        Raises
        ------
        UsageError
            The colour is none.
        """
        return self.fill_segments([self.segment_at(row, col)], color)

    def unfill(self, row: int, col: int) -> Box | None:
        """Take the paint off the segment under a pixel.

        Parameters
        ----------
        row, col : int
            The pixel; on an edge or outside nothing happens.

        Returns
        -------
        (int, int, int, int) or None
            The rectangle that looks different now.
        """
        return self.fill_segments([self.segment_at(row, col)], None)

    def fill_segments(
        self, segments: Sequence[int] | NDArray[np.int32], color: Color | None
    ) -> Box | None:
        """Paint some segments in one step, or take the paint off them.

        Parameters
        ----------
        segments : sequence of int or (n,) int32 ndarray
            Their numbers; 0 is passed over.
        color : (int, int, int) or None
            None takes the paint off.

        Returns
        -------
        (int, int, int, int) or None
            The rectangle that looks different now.

        Raises
        ------
        UsageError
            There is no such segment, or the colour is none.
        """
        number = 0 if color is None else self._class_of(color)
        return self._do(self._layers.repainted(segments, number))

    def cut(self, start: tuple[int, int], end: tuple[int, int]) -> Box | None:
        """Make the pixels of a line edge.

        The pieces on both sides become segments of their own and keep their class.

        Parameters
        ----------
        start, end : (int, int)
            Row and column of both ends.

        Returns
        -------
        (int, int, int, int) or None
            The rectangle of the segments that the line crosses.
        """
        import cv2

        line = np.zeros(self.labels.shape, np.uint8)
        cv2.line(line, (start[1], start[0]), (end[1], end[0]), 1, 1, cv2.LINE_8)
        return self._do(self._layers.division(line > 0))

    def brush(
        self,
        row: int,
        col: int,
        radius: int,
        color: Color | None,
        start: tuple[int, int] | None = None,
    ) -> Box | None:
        """Paint a disc of pixels by hand, or take the paint off them.

        Parameters
        ----------
        row, col : int
            The middle of the disc.
        radius : int
            In pixels; 0 is one pixel.
        color : (int, int, int) or None
            None takes the paint off.
        start : (int, int), optional
            Row and column from where the disc is drawn to its place.

        Returns
        -------
        (int, int, int, int) or None
            The rectangle that looks different now.

        Raises
        ------
        UsageError
            The colour is none.
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
        """Paint all pixels of a mask by hand, or take the paint off them.

        Parameters
        ----------
        mask : (h, w) bool ndarray
            Of the picture's size.
        color : (int, int, int) or None
            None takes the paint off.

        Returns
        -------
        (int, int, int, int) or None
            The rectangle that looks different now.

        Raises
        ------
        UsageError
            The mask has another size, or the colour is none.
        """
        if mask.shape != self.labels.shape:
            raise UsageError(f"the mask is {mask.shape}, the picture {self.labels.shape}")
        box = around(mask)
        return None if box is None else self._override(box, mask[rows_of(box)], color)

    def reset(self) -> Box | None:
        """Take off all paint and all cuts, as one entry for `undo`.

        Returns
        -------
        (int, int, int, int) or None
            The whole picture, if anything changed.
        """
        return self._do(self._layers.cleared())

    def undo(self) -> Box | None:
        """Take the last command (or stroke) back.

        Returns
        -------
        (int, int, int, int) or None
            The rectangle that looks different now; None where there is nothing to take back.
        """
        entry = self._history.back()
        return None if entry is None else self._apply(entry[::-1], back=True)

    def redo(self) -> Box | None:
        """Do again what was taken back last.

        Returns
        -------
        (int, int, int, int) or None
            The rectangle that looks different now; None where nothing was taken back.
        """
        entry = self._history.forth()
        return None if entry is None else self._apply(entry, back=False)

    @contextmanager
    def stroke(self) -> Iterator[None]:
        """All commands of the block become one entry for `undo`.

        Yields
        ------
        None

        Examples
        --------
        >>> import icas
        >>> import numpy as np
        >>> document = icas.PaintDocument(np.zeros((2, 9, 3), np.uint8), np.ones((2, 9), int))
        >>> with document.stroke():
        ...     boxes = [document.brush(0, col, 0, (204, 0, 0)) for col in range(9)]
        >>> document.undo(), document.undo()
        ((0, 1, 0, 9), None)
        """
        self.begin_stroke()
        try:
            yield
        finally:
            self.end_stroke()

    def begin_stroke(self) -> None:
        """From here to `end_stroke` all commands become one entry for `undo`; see `stroke`."""
        self._history.begin()

    def end_stroke(self) -> None:
        """End what `begin_stroke` began; without one before it, nothing happens."""
        self._history.end()

    def class_map(self) -> NDArray[np.int16]:
        """Class of each pixel.

        Returns
        -------
        (h, w) int16 ndarray
            0 = not painted, n = ``colors[n - 1]``.
        """
        height, width = self.labels.shape
        return self.classes_of((slice(0, height), slice(0, width)))

    def classes_of(self, place: Any) -> NDArray[np.int16]:
        """Class of some pixels, without a map of the whole picture.

        Parameters
        ----------
        place : index of a (h, w) array
            Such as a tuple of slices.

        Returns
        -------
        int16 ndarray
            0 = not painted, n = ``colors[n - 1]``; of the shape that the index picks out.
        """
        return self._layers.classes_of(place)

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
        self._layers.take_over(painted)
        self._history = History(self._history.limit)

    def masks(self) -> dict[Color, NDArray[np.bool_]]:
        """Mask of every colour that is painted, in the order of first use.

        Returns
        -------
        dict of (int, int, int) to (h, w) bool ndarray
            No two masks share a pixel.
        """
        found = self.class_map()
        used = np.flatnonzero(np.bincount(found.ravel(), minlength=len(self.colors) + 1))
        return {self.colors[number - 1]: found == number for number in used if number > 0}

    def add_colors(self, colors: Iterable[Color]) -> None:
        """Give colours that are new the next numbers.

        Parameters
        ----------
        colors : iterable of (int, int, int)
            Red, green, blue, 0-255.

        Raises
        ------
        UsageError
            A colour is none.
        """
        for color in colors:
            self._class_of(color)

    def __repr__(self) -> str:
        height, width = self.labels.shape
        return f"<PaintDocument: {width}x{height} pixels, {len(self.masks())} colours painted>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the picture with its paint, as in the window."""
        from icas.notebook.show import show

        return show(self)._repr_html_()

    @property
    def first(self) -> Labels:
        """(h, w) int32 ndarray: the segments before any cut. Not to be written into."""
        return self._layers.first

    @property
    def painted(self) -> bool:
        """bool: whether any pixel is painted."""
        return self._layers.painted

    @property
    def by_hand(self) -> bool:
        """bool: whether pixels may be painted by hand."""
        return self._layers.overrides is not None

    @property
    def nbytes(self) -> int:
        """int: bytes that the document takes, about."""
        return self.image.nbytes + self._layers.nbytes + self._history.nbytes

    @property
    def history_nbytes(self) -> int:
        """int: bytes that undo takes now."""
        return self._history.nbytes

    @property
    def labels(self) -> Labels:
        """(h, w) int32 ndarray: the segments now, cuts included. Not to be written into."""
        return self._layers.labels

    @property
    def classes(self) -> NDArray[np.int16]:
        """(K + 1,) int16 ndarray: class of each segment, 0 = not painted."""
        return self._layers.classes

    @property
    def revision(self) -> int:
        """int: grows with every change."""
        return self._layers.revision

    @property
    def cuts(self) -> int:
        """int: grows with every change of `labels`."""
        return self._layers.cuts

    def _override(self, box: Box, mask: NDArray[np.bool_], color: Color | None) -> Box | None:
        number = 0 if color is None else self._class_of(color)
        return self._do(self._layers.overridden(box, mask, number))

    def _do(self, change: Change | None) -> Box | None:
        if change is None:
            return None
        self._layers.put(change)
        self._history.record(change)
        return change.box

    def _apply(self, changes: list[Change], *, back: bool) -> Box:
        for change in changes:
            self._layers.put(change, back=back)
        return union([change.box for change in changes])

    def _class_of(self, color: Color) -> int:
        red, green, blue = (int(part) for part in color)
        wanted = (red, green, blue)
        if not all(0 <= part <= 255 for part in wanted):
            raise UsageError(f"colour {wanted}: red, green and blue lie between 0 and 255")
        if wanted not in self.colors:
            self.colors.append(wanted)
        return self.colors.index(wanted) + 1

    def box_of(self, segment: int) -> Box:
        """A rectangle that holds a segment, empty where that has no pixel.

        Those of all segments are found at the first call. A cut leaves the rectangles of the
        segments that it divides as they are, so that they hold when it is taken back.

        Parameters
        ----------
        segment : int
            Its number.

        Returns
        -------
        (int, int, int, int)
            First row, row behind the last, first column, column behind the last.
        """
        return self._layers.box_of(segment)

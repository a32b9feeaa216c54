"""One picture under the mouse: clicks and strokes become commands on its document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.document.palette import Color
from icas.segmentimg.labels.boxes import Box, union
from icas.segmentimg.render.canvas import NOTHING, Canvas, Look
from icas.segmentimg.render.viewport import Shape, Viewport
from icas.segmentimg.session.open import Work
from icas.segmentimg.windows.events import Mouse

ZOOM = 1.25
DRAG = 4
"""Window pixels that the mouse moves with a button down before it paints further segments."""
RADII = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
RING = (255, 255, 255)
SHADE = (0, 0, 0)

Side = Literal["left", "right"]


@dataclass
class Hand:
    """What the hand holds, from picture to picture.

    Attributes
    ----------
    color : Color
        What a left click paints with.
    brush : bool
        Paint pixels, not segments.
    thickness : int
        Place of the brush's radius in `RADII`.
    look : Look
    """

    color: Color
    brush: bool = False
    thickness: int = 6
    look: Look = field(default_factory=Look)

    @property
    def radius(self) -> int:
        """Radius of the brush in pixels of the picture."""
        return RADII[self.thickness]

    def thicken(self, step: int) -> None:
        """The next larger (1) or smaller (-1) brush."""
        self.thickness = min(max(self.thickness + step, 0), len(RADII) - 1)


class Easel:
    """A picture that is open in the painting window.

    Parameters
    ----------
    work : Work
    most : (int, int)
        Height and width that the window has at most.
    hand : Hand

    Attributes
    ----------
    changed : bool
        Whether the window has to be shown anew.
    continuous : {"left", "right", None}
        Moving the mouse fills (left) or unfills (right) what it crosses.
    cut_from : (int, int) or None
        Row and column where the next cut begins.
    level : int
        Level of the merge tree, see `Growth`.
    """

    def __init__(self, work: Work, most: Shape, hand: Hand) -> None:
        self.work, self._hand = work, hand
        viewport = Viewport.whole(work.document.labels.shape, most)
        self._canvas = Canvas(work.document, viewport, hand.look)
        self._pointer: tuple[int, int] | None = None
        self._pressed: Side | None = None
        self._press_at = (0, 0)
        self._dragging = False
        self._pan_from: tuple[int, int] | None = None
        self._brushed: tuple[int, int] | None = None
        self.continuous: Side | None = None
        self.cut_from: tuple[int, int] | None = None
        self.level = 0
        self.changed = True

    @property
    def viewport(self) -> Viewport:
        """What the window shows."""
        return self._canvas.viewport

    @property
    def lit(self) -> NDArray[np.int32]:
        """Segments that a click would fill."""
        return self._canvas.lit

    def mouse(self, event: Mouse) -> None:
        """Do what the mouse says."""
        if event.kind == "wheel":
            self._wheel(event)
        elif event.kind == "down":
            self._down(event)
        elif event.kind == "double":
            self._double(event)
        elif event.kind == "up":
            self._up(event)
        self._move(event.x, event.y)

    def picture(self) -> Image:
        """(h, w, 3): what the window shows now; a copy that may be drawn on."""
        import cv2

        shown = self._canvas.picture.copy()
        at = self._pointer
        if self.cut_from is not None:
            start = self.viewport.to_window(*self.cut_from)
            for color, width in ((SHADE, 3), (RING, 1)):
                cv2.circle(shown, start, 4, color, width, cv2.LINE_AA)
                if at is not None:
                    cv2.line(shown, start, at, color, width, cv2.LINE_AA)
        if self._hand.brush and at is not None:
            radius = max(1, round((self._hand.radius + 0.5) * self.viewport.scale))
            for color, width in ((SHADE, 3), (RING, 1)):
                cv2.circle(shown, at, radius, color, width, cv2.LINE_AA)
        self.changed = False
        return shown

    def look(self) -> None:
        """Draw all anew, as the hand wants it."""
        self._show(self.viewport)

    def zoom(self, factor: float) -> None:
        """Larger or smaller, at the pointer."""
        height, width = self.viewport.size
        x, y = self._pointer or (width // 2, height // 2)
        self._show(self.viewport.zoomed(factor, x, y))

    def whole(self) -> None:
        """Show the whole picture."""
        self._show(Viewport.whole(self.viewport.shape, self.viewport.most))

    def pan(self, right: float, down: float) -> None:
        """Move over the picture, in window pixels."""
        self._show(self.viewport.panned(right, down))

    def grow(self, step: int) -> None:
        """Light a larger (1) or smaller (-1) group around the segment under the pointer."""
        segment = self._origin()
        if segment:
            growth = self.work.growth
            way = growth.grown if step > 0 else growth.shrunk
            self.level = way(segment, self.level)
            self._light()

    def undo(self) -> None:
        """Take the last command or stroke back, the one under way too."""
        self._between_strokes(self.work.document.undo)

    def redo(self) -> None:
        """Do again what was taken back."""
        self._between_strokes(self.work.document.redo)

    def reset(self) -> None:
        """Take off all paint and all cuts."""
        self._between_strokes(self.work.document.reset)

    def stamp(self, stamps: Sequence[tuple[Color, NDArray[np.bool_]]]) -> None:
        """Paint some masks in one step."""

        def paint() -> Box | None:
            with self.work.document.stroke():
                boxes = [self.work.document.stamp(mask, color) for color, mask in stamps]
            changed = [box for box in boxes if box is not None]
            return union(changed) if changed else None

        self._between_strokes(paint)

    def escape(self) -> bool:
        """End what is under way: a cut line, continuous painting; whether anything was."""
        busy = self.cut_from is not None or self.continuous is not None
        self.cut_from = None
        self._continue(None)
        self.changed |= busy
        return busy

    def leave(self) -> None:
        """End all that is under way, for another picture comes."""
        self.escape()
        self.work.document.end_stroke()

    def _show(self, viewport: Viewport) -> None:
        self._canvas.show(viewport, self._hand.look)
        self.changed = True
        self._light()

    def _wheel(self, event: Mouse) -> None:
        if event.sideways:
            self.pan(-80 * event.wheel, 0)
        elif event.ctrl:
            self._point(event.x, event.y)
            self.grow(1 if event.wheel > 0 else -1)
        else:
            self._point(event.x, event.y)
            self.zoom(ZOOM**event.wheel)

    def _down(self, event: Mouse) -> None:
        if event.button == "middle":
            self._cut(event.x, event.y)
            return
        if event.button == "left" and event.shift:
            self._pan_from = (event.x, event.y)
            return
        if event.button not in ("left", "right"):
            return
        self.changed |= self.cut_from is not None
        self.cut_from = None
        self._pressed = "left" if event.button == "left" else "right"
        self._press_at, self._dragging = (event.x, event.y), False
        self._brushed = None
        if self.continuous is None:
            self.work.document.end_stroke()
            self.work.document.begin_stroke()
        self._paint(event.x, event.y, self._pressed)

    def _double(self, event: Mouse) -> None:
        """The second press of a double click; some systems tell it as ``down`` too, not all."""
        if event.button not in ("left", "right") or event.shift:
            return
        side: Side = "left" if event.button == "left" else "right"
        if not self._hand.brush:
            self._continue(None if self.continuous == side else side)
        elif self._pressed is None:
            self._down(event)  # a brush knows no double click: the second dab of two

    def _continue(self, side: Side | None) -> None:
        """Begin or end continuous painting; what comes between is one stroke."""
        self.work.document.end_stroke()
        self.continuous, self._pressed = side, None
        if side is not None:
            self.work.document.begin_stroke()
        self.changed = True

    def _up(self, event: Mouse) -> None:
        self._pan_from = self._brushed = None
        if self._pressed == event.button:
            self._pressed = None
            if self.continuous is None:
                self.work.document.end_stroke()

    def _move(self, x: int, y: int) -> None:
        if self._pan_from is not None:
            self.pan(self._pan_from[0] - x, self._pan_from[1] - y)
            self._pan_from = (x, y)
        elif self._pressed is not None:
            self._drag(x, y, self._pressed)
        elif self.continuous is not None:
            self._paint(x, y, self.continuous)
        self._point(x, y)
        self._light()

    def _point(self, x: int, y: int) -> None:
        moved = self._pointer != (x, y)
        self._pointer = (x, y)
        self.changed |= moved and (self._hand.brush or self.cut_from is not None)

    def _drag(self, x: int, y: int, side: Side) -> None:
        far = max(abs(x - self._press_at[0]), abs(y - self._press_at[1])) >= DRAG
        self._dragging |= far or self._hand.brush
        if not self._dragging:
            return
        if self._hand.brush:
            self._paint(x, y, side)
        else:
            color = self._hand.color if side == "left" else None
            crossed = self._crossed(self._pointer or (x, y), (x, y))
            self._show_change(self.work.document.fill_segments(crossed, color))

    def _paint(self, x: int, y: int, side: Side) -> None:
        row, col = self.viewport.to_picture(x, y)
        document = self.work.document
        color = self._hand.color if side == "left" else None
        if self._hand.brush:
            start, self._brushed = self._brushed, (row, col)
            self._show_change(document.brush(row, col, self._hand.radius, color, start))
        else:
            self._show_change(document.fill_segments(self._group(row, col), color))

    def _cut(self, x: int, y: int) -> None:
        height, width = self.viewport.shape
        row, col = self.viewport.to_picture(x, y)
        end = (min(max(row, 0), height - 1), min(max(col, 0), width - 1))
        start, self.cut_from = self.cut_from, end
        self.changed = True
        if start is not None:
            cut = self.work.document.cut
            self._between_strokes(lambda: cut(start, end))
            self.cut_from = end

    def _group(self, row: int, col: int) -> NDArray[np.int32]:
        """Segments that a click at a pixel paints."""
        document = self.work.document
        segment = document.segment_at(row, col)
        if segment == 0:
            return NOTHING
        if self.level == 0:
            return np.array([segment], np.int32)
        group = self.work.growth.group(document.origin_of(segment), self.level)
        # alone, a piece of a cut segment stays alone
        return document.pieces_of(group) if len(group) > 1 else np.array([segment], np.int32)

    def _crossed(self, start: tuple[int, int], end: tuple[int, int]) -> NDArray[np.int32]:
        """Segments that a drag from one place (x, y) in the window to another paints.

        All of the line counts: a fast hand is told of at few places. Beyond the window nothing is.
        """
        count = max(abs(end[0] - start[0]), abs(end[1] - start[1])) + 1
        x, y = (np.rint(np.linspace(*ends, count)) for ends in zip(start, end, strict=True))
        height, width = self.viewport.size
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        rows = self.viewport.rows(0, height)[y[inside].astype(np.intp)]
        columns = self.viewport.columns(0, width)[x[inside].astype(np.intp)]
        _, first = np.unique(self.work.document.labels[rows, columns], return_index=True)
        groups = [self._group(int(rows[at]), int(columns[at])) for at in first]
        return np.concatenate([NOTHING, *groups])

    def _origin(self) -> int:
        if self._pointer is None:
            return 0
        document = self.work.document
        segment = document.segment_at(*self.viewport.to_picture(*self._pointer))
        return document.origin_of(segment)

    def _light(self) -> None:
        group = NOTHING
        if self._pointer is not None and not self._hand.brush:
            group = self._group(*self.viewport.to_picture(*self._pointer))
        self.changed |= self._canvas.light(group)

    def _between_strokes(self, act: Callable[[], Box | None]) -> None:
        """A command that is an entry of its own, though a stroke may be under way."""
        self.work.document.end_stroke()
        self.cut_from = None
        self._show_change(act())
        if self.continuous is not None or self._pressed is not None:
            self.work.document.begin_stroke()
        self.changed = True
        self._light()

    def _show_change(self, box: Box | None) -> None:
        if box is not None:
            self._canvas.refresh(box)
            self.changed = True

"""The painting window: mouse events and keys become commands on a document."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.notebook.html import counted
from icas.segmentimg.document.palette import Color
from icas.segmentimg.labels.labels import Box
from icas.segmentimg.render.canvas import NOTHING, Canvas, CanvasStyle, Shape, Viewport
from icas.segmentimg.session.open import OpenImage
from icas.segmentimg.windows.events import Mouse
from icas.segmentimg.windows.view import ZoomView

DRAG_DISTANCE = 4
"""Window pixels that the mouse moves with a button down before it paints further segments."""
RADII = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
OPACITIES = (0.5, 0.75, 1.0, 0.0, 0.25)
COUNTED_PIXELS = 90_000
OUTLINE = (((0, 0, 0), 3), ((255, 255, 255), 1))
"""Color and width of the strokes that make a line visible on any image."""

PREVIEW_DASHES = (6, 3, 2)
"""Lengths of the dashes of the outlines: the next larger step, the one after, the smaller one."""

Side = Literal["left", "right"]


@dataclass
class Tool:
    """Current color, brush and style; kept when the image changes."""

    color: Color
    brush: bool = False
    """Paint pixels, not segments."""
    size: int = 6
    """Index of the brush radius in `RADII`."""
    look: CanvasStyle = field(default_factory=CanvasStyle)

    @property
    def radius(self) -> int:
        """Radius of the brush in pixels of the image."""
        return RADII[self.size]


class PaintingView(ZoomView):
    """An image in the painting window."""

    def __init__(self, opened: OpenImage, size: Shape, tool: Tool) -> None:
        super().__init__(opened.document.labels.shape, size, tool.look.smooth)
        self.opened, self.tool = opened, tool
        self._canvas = Canvas(opened.document, self.viewport, tool.look)
        self._pressed: Side | None = None
        self._pressed_at = (0, 0)
        self._dragging = False
        self._brushed: tuple[int, int] | None = None
        self.continuous: Side | None = None
        """Moving the mouse fills (left) or clears (right) the segments it crosses."""
        self.cut_from: tuple[int, int] | None = None
        """Row and column where the next cut begins."""
        self.level = 0.0
        """Level of the merge tree of the next click, see `Growth`."""
        self._painted = -1, ""
        self._continued = False
        """An object was picked, to which all clicks add."""

    @property
    def highlighted(self) -> NDArray[np.int32]:
        """Segments that a click would fill."""
        return self._canvas.highlighted

    @property
    def smooth(self) -> bool | None:
        """Whether small images are enlarged smoothly, see `Viewport.fitted`."""
        return self.tool.look.smooth

    @property
    def mode(self) -> str:
        """What a click does, for the palette window."""
        if self.cut_from is not None:
            return "edge: middle click ends the line"
        if self.continuous is not None:
            return "filling …" if self.continuous == "left" else "clearing …"
        return f"brush, radius {self.tool.radius}" if self.tool.brush else "fill"

    @property
    def details(self) -> tuple[str, ...]:
        """More lines for the palette window."""
        segments = self._painted_text()
        group = self._step_text()
        opacity = round(100 * self.tool.look.opacity)
        scale = f"zoom {round(100 * self.viewport.scale)} %, opacity {opacity} %"
        return tuple(line for line in (segments, group, scale, "h: help") if line)

    def _painted_text(self) -> str:
        """Share of the image that is painted, by segments and by the brush."""
        document = self.opened.document
        if self._painted[0] != document.revision:
            # the pixels of a grid in large images: every click waits for this
            step = max(1, int(np.sqrt(document.labels.size / COUNTED_PIXELS)))
            rows, columns = (np.arange(0, side, step) for side in document.labels.shape)
            share = float(np.count_nonzero(document.classes_of(np.ix_(rows, columns))))
            share = 100 * share / (len(rows) * len(columns))
            text = f"{share:.1f} % painted" if share >= 0.05 else "less than 0.1 % painted"
            text = text if share or document.painted else "nothing painted"
            self._painted = document.revision, text
        return self._painted[1]

    def mouse(self, event: Mouse) -> None:
        """Handle a mouse event."""
        if event.kind == "up":
            self._brushed = None
            if self._pressed == event.button:
                self._pressed = None
                if self.continuous is None:
                    self.opened.document.end_stroke()
        if event.kind == "wheel" and event.ctrl and not event.sideways:
            self._set_pointer(event.x, event.y)
            self.grow(1 if event.wheel > 0 else -1)
        elif not self.navigate_mouse(event):
            if event.kind == "down":
                self._press(event)
            elif event.kind == "double":
                self._double_click(event)
        self._move(event.x, event.y)

    def act(self, action: str) -> str:
        """Carry out the action of a key; returns a message, "" for none."""
        return "" if self.navigate(action) else _COMMANDS[action](self) or ""

    def render(self) -> Image:
        """(h, w, 3): what the window shows; a copy that may be drawn on."""
        import cv2

        shown = self._canvas.picture.copy()
        for dash, group in zip(PREVIEW_DASHES, self._preview(), strict=False):
            self._canvas.outline(shown, group, dash)
        if self.cut_from is not None:
            start = self.viewport.to_window(*self.cut_from)
            for color, width in OUTLINE:
                cv2.circle(shown, start, 4, color, width, cv2.LINE_AA)
                if self.pointer is not None:
                    cv2.line(shown, start, self.pointer, color, width, cv2.LINE_AA)
        if self.tool.brush and self.pointer is not None:
            radius = max(1, round((self.tool.radius + 0.5) * self.viewport.scale))
            for color, width in OUTLINE:
                cv2.circle(shown, self.pointer, radius, color, width, cv2.LINE_AA)
        self.changed = False
        return shown

    def show(self, viewport: Viewport) -> None:
        """Redraw everything through a viewport."""
        super().show(viewport)
        self._canvas.show(viewport, self.tool.look)
        self._highlight()

    def grow(self, step: int) -> None:
        """Select a larger (1) or smaller (-1) group around the segment under the pointer."""
        if self.pointer is None:
            return
        document, growth = self.opened.document, self.opened.growth
        segment = document.segment_at(*self.viewport.to_picture(*self.pointer))
        if segment:
            change = growth.grown if step > 0 else growth.shrunk
            origin = document.origin_of(segment)
            self.level = change(origin, self._level_of(origin))
            self.opened.click_levels.pop(origin, None)
            self.changed = True
            self._highlight()

    def stamp(self, stamps: Iterable[tuple[Color, NDArray[np.bool_], tuple[int, int]]]) -> None:
        """Paint masks at their places in one step, each as a new object."""
        self.run_command(lambda: self.opened.document.stamp_objects(stamps))

    def run_command(self, command: Callable[[], Box | None]) -> None:
        """Run a command that gets its own undo entry, even during a stroke."""
        self.opened.document.end_stroke()
        self.cut_from = None
        self._refresh(command())
        self._end_stroke()
        self.changed = True
        self._highlight()

    def escape(self) -> bool:
        """End a cut line, a stroke, continuous painting; whether there was one but a stroke."""
        active = self.cut_from is not None or self.continuous is not None
        self.cut_from = None
        self._set_continuous(None)
        self.changed |= active
        return active

    def close(self) -> None:
        """End everything in progress, before saving or leaving the image."""
        self.escape()

    def toggle_brush(self) -> None:
        """Switch between brush and fill."""
        self.close()
        self.tool.brush = not self.tool.brush
        self.show(self.viewport)

    def resize_brush(self, step: int) -> None:
        """The next larger (1) or smaller (-1) brush."""
        self.tool.size = min(max(self.tool.size + step, 0), len(RADII) - 1)
        self.changed = True

    def new_object(self) -> str:
        """Start a new object of the current class, as a message."""
        self._end_stroke()
        self._continued = False
        number = self.opened.document.new_object(self.tool.color)
        return f"{self.opened.name_of(self.tool.color)}: object {number}"

    def pick(self) -> str:
        """Continue the object under the pointer, as a message."""
        self._end_stroke()
        pixel = None if self.pointer is None else self.viewport.to_picture(*self.pointer)
        found = None if pixel is None else self.opened.document.pick_object(*pixel)
        if found is None:
            return "no object under the pointer"
        self.tool.color, self._continued = found[0], True
        return f"{self.opened.name_of(found[0])}: object {found[1]} continues"

    def _end_stroke(self) -> None:
        """Begin a new undo entry, during continuous painting too."""
        self.opened.document.end_stroke()
        if self.continuous is not None or self._pressed is not None:
            self.opened.document.begin_stroke()

    def toggle_borders(self) -> None:
        """Show or hide the borders of segments."""
        self.tool.look = replace(self.tool.look, borders=not self.tool.look.borders)
        self.show(self.viewport)

    def toggle_smooth(self) -> str:
        """Enlarge small images by whole factors, or by any with interpolation; as a message."""
        now = self.viewport.is_interpolated(None) if self.smooth is None else self.smooth
        smooth = not now
        self.tool.look = replace(self.tool.look, smooth=smooth)
        self.show_whole()
        return f"enlarged images: {'smooth' if smooth else 'sharp pixels, whole factors'}"

    def next_opacity(self) -> str:
        """The next opacity of the paint, as a message."""
        opacity = OPACITIES[(OPACITIES.index(self.tool.look.opacity) + 1) % len(OPACITIES)]
        self.tool.look = replace(self.tool.look, opacity=opacity)
        self.show(self.viewport)
        return f"opacity {round(100 * opacity)} %"

    def _press(self, event: Mouse) -> None:
        if event.button == "middle":
            self._cut_to(event.x, event.y)
        elif event.button:
            self.changed |= self.cut_from is not None
            self.cut_from = None
            self._pressed = event.button
            self._pressed_at, self._dragging = (event.x, event.y), False
            self._brushed = None
            if self.continuous is None:
                self.opened.document.end_stroke()
                self.opened.document.begin_stroke()
            self._paint(event.x, event.y, event.button)

    def _double_click(self, event: Mouse) -> None:
        """The second press of a double click; on some systems another ``down`` follows."""
        if event.button == "middle" or event.button == "" or event.shift:
            return
        if not self.tool.brush:
            self._set_continuous(None if self.continuous == event.button else event.button)
        elif self._pressed is None:
            self._press(event)  # the brush has no double click: the second of two dabs

    def _set_continuous(self, side: Side | None) -> None:
        """Begin or end continuous painting, which is one stroke."""
        self.opened.document.end_stroke()
        self.continuous, self._pressed = side, None
        if side is not None:
            self.opened.document.begin_stroke()
        self.changed = True

    def _move(self, x: int, y: int) -> None:
        if self._pan_from is None:
            if self._pressed is not None:
                self._drag(x, y, self._pressed)
            elif self.continuous is not None:
                self._paint(x, y, self.continuous)
        self._set_pointer(x, y)
        self._highlight()

    def _set_pointer(self, x: int, y: int) -> None:
        moved = self.pointer != (x, y)
        self.pointer = (x, y)
        self.changed |= moved and (self.tool.brush or self.cut_from is not None)

    def _drag(self, x: int, y: int, side: Side) -> None:
        distance = max(abs(x - self._pressed_at[0]), abs(y - self._pressed_at[1]))
        self._dragging |= distance >= DRAG_DISTANCE or self.tool.brush
        if self._dragging and self.tool.brush:
            self._paint(x, y, side)
        elif self._dragging:
            color = self.tool.color if side == "left" else None
            self._fill(self._crossed(self.pointer or (x, y), (x, y)), color)

    def _paint(self, x: int, y: int, side: Side) -> None:
        row, col = self.viewport.to_picture(x, y)
        document = self.opened.document
        color = self.tool.color if side == "left" else None
        if self.tool.brush:
            start, self._brushed = self._brushed, (row, col)
            self._refresh(document.brush(row, col, self.tool.radius, color, start))
        else:
            self._fill([self._group(row, col)], color)
            self._remember(row, col)

    def _fill(self, groups: list[NDArray[np.int32]], color: Color | None) -> None:
        """Assign a color to groups of segments, or clear them.

        Where segments are objects, each group that is not of the class becomes a new one.
        """
        document = self.opened.document
        if color is None or self._continued or not self.opened.segments_are_objects:
            self._refresh(document.fill_segments(np.concatenate([NOTHING, *groups]), color))
            return
        for group in groups:
            number = document.colors.index(color) + 1 if color in document.colors else 0
            if number == 0 or (document.classes[group] != number).any():
                self._refresh(document.fill_segments(group, color, document.new_object(color)))

    def _remember(self, row: int, col: int) -> None:
        """Keep the level of a click: another click on the segment selects the same group."""
        document = self.opened.document
        segment = document.segment_at(row, col)
        if segment and self.continuous is None:
            origin = document.origin_of(segment)
            self.opened.click_levels.setdefault(origin, self.level)

    def _cut_to(self, x: int, y: int) -> None:
        """Cut from the last middle click to this one, where the next cut begins."""
        start, end = self.cut_from, self.pixel(x, y)
        if start is not None:
            cut = self.opened.document.cut
            self.run_command(lambda: cut(start, end))
        self.cut_from, self.changed = end, True

    def _group(self, row: int, col: int) -> NDArray[np.int32]:
        """Segments that a click at a pixel paints."""
        document = self.opened.document
        segment = document.segment_at(row, col)
        if segment == 0:
            return NOTHING
        origin = document.origin_of(segment)
        level = self._level_of(origin)
        if level:
            group = self.opened.growth.group(origin, level)
            if len(group) > 1:
                return document.pieces_of(group)
        return np.array([segment], np.int32)

    def _level_of(self, origin: int) -> float:
        """The level of an earlier click on a segment, else that of the last use of the wheel."""
        if self._dragging or self.continuous is not None:
            return self.level
        return self.opened.click_levels.get(origin, self.level)

    def _pointed(self) -> int:
        """Original segment under the pointer; 0 if there is none, or nothing to grow."""
        if self.pointer is None or self.tool.brush:
            return 0
        segment = self.opened.document.segment_at(*self.viewport.to_picture(*self.pointer))
        return self.opened.document.origin_of(segment) if segment else 0

    def _preview(self) -> list[NDArray[np.int32]]:
        """Groups of the next two larger steps and of the next smaller one, once the wheel grew."""
        origin = self._pointed()
        level = self._level_of(origin) if origin else 0.0
        if not level:
            return []
        growth, groups = self.opened.growth, []
        larger = growth.grown(origin, level)
        for other in (larger, growth.grown(origin, larger), growth.shrunk(origin, level)):
            groups.append(self.opened.document.pieces_of(growth.group(origin, other)))
        return groups

    def _step_text(self) -> str:
        """Size of the selection and its step, "" for a single segment."""
        origin = self._pointed()
        level = self._level_of(origin) if origin else 0.0
        if not level:
            return ""
        steps = self.opened.growth.steps(origin)
        number = int(np.searchsorted(steps, level, side="right")) - 1
        return f"{counted(len(self.highlighted), 'segment')}, step {number} of {len(steps) - 1}"

    def _crossed(self, start: tuple[int, int], end: tuple[int, int]) -> list[NDArray[np.int32]]:
        """Groups of segments on the visible part of a line between positions (x, y).

        All of the line counts, because a fast mouse reports few positions.
        """
        count = max(abs(end[0] - start[0]), abs(end[1] - start[1])) + 1
        x, y = (np.rint(np.linspace(*ends, count)) for ends in zip(start, end, strict=True))
        top, bottom, left, right = self.viewport.inside
        height, width = self.viewport.size
        inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        rows = self.viewport.rows(0, height)[y[inside].astype(np.intp)]
        columns = self.viewport.columns(0, width)[x[inside].astype(np.intp)]
        _, first = np.unique(self.opened.document.labels[rows, columns], return_index=True)
        return [self._group(int(rows[at]), int(columns[at])) for at in first]

    def _highlight(self) -> None:
        group = NOTHING
        if self.pointer is not None and not self.tool.brush:
            group = self._group(*self.viewport.to_picture(*self.pointer))
        self.changed |= self._canvas.highlight(group)

    def _refresh(self, box: Box | None) -> None:
        if box is not None:
            self._canvas.refresh(box)
            self.changed = True


_COMMANDS: dict[str, Callable[[PaintingView], str | None]] = {
    "undo": lambda view: view.run_command(view.opened.document.undo),
    "redo": lambda view: view.run_command(view.opened.document.redo),
    "reset": lambda view: view.run_command(view.opened.document.reset),
    "grow": lambda view: view.grow(1),
    "shrink": lambda view: view.grow(-1),
    "brush": PaintingView.toggle_brush,
    "thinner": lambda view: view.resize_brush(-1),
    "thicker": lambda view: view.resize_brush(1),
    "new_object": PaintingView.new_object,
    "pick": PaintingView.pick,
    "opacity": PaintingView.next_opacity,
    "borders": PaintingView.toggle_borders,
    "smooth": PaintingView.toggle_smooth,
}

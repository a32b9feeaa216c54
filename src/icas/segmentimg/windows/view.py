"""Shared by all image windows: zooming, panning, messages that expire."""

from __future__ import annotations

from collections.abc import Callable

from icas.segmentimg.render.canvas import Shape, Viewport
from icas.segmentimg.windows.events import Mouse
from icas.segmentimg.windows.panels import BAR

ZOOM = 1.25
PAN = 80
_PANS = {"pan_left": (-PAN, 0), "pan_right": (PAN, 0), "pan_up": (0, -PAN), "pan_down": (0, PAN)}


class Message:
    """A text that is shown for some seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._text, self._until = "", 0.0

    def show(self, text: str) -> None:
        """Replace the text."""
        self._text, self._until = text, self._clock() + self._seconds

    @property
    def text(self) -> str:
        """The text; "" once it has expired."""
        return self._text if self._clock() <= self._until else ""


class ZoomView:
    """An image seen through a viewport above a message bar; wheel, Shift+drag and keys move it."""

    def __init__(self, shape: Shape, size: Shape, smooth: bool | None = None) -> None:
        self.viewport = Viewport.fitted(shape, above_bar(size), smooth)
        self.pointer: tuple[int, int] | None = None
        """Last position (x, y) of the mouse in the window."""
        self.changed = True
        """The window has to be redrawn."""
        self._pan_from: tuple[int, int] | None = None

    @property
    def smooth(self) -> bool | None:
        """Whether small images are enlarged smoothly, see `Viewport.fitted`."""
        return None

    def show(self, viewport: Viewport) -> None:
        """Look through another viewport."""
        self.viewport, self.changed = viewport, True

    def show_whole(self) -> None:
        """Show the whole image in the middle of the window."""
        self.show(Viewport.fitted(self.viewport.shape, self.viewport.size, self.smooth))

    def resize(self, size: Shape) -> None:
        """Continue in a window of another size."""
        view, size = self.viewport, above_bar(size)
        if view == Viewport.fitted(view.shape, view.size, self.smooth):
            self.show(Viewport.fitted(view.shape, size, self.smooth))
        else:
            self.show(view.resized(size))

    def navigate(self, action: str) -> bool:
        """Zoom or pan if the action of a key is that; whether it is."""
        height, width = self.viewport.size
        center = self.pointer or (width // 2, height // 2)
        if action in ("zoom_in", "zoom_out"):
            self.show(self.viewport.zoomed(ZOOM if action == "zoom_in" else 1 / ZOOM, *center))
        elif action == "whole":
            self.show_whole()
        elif action in _PANS:
            self.show(self.viewport.panned(*_PANS[action]))
        else:
            return False
        return True

    def navigate_mouse(self, event: Mouse) -> bool:
        """Zoom or pan if the mouse does that; whether it does."""
        position = (event.x, event.y)
        if event.kind == "wheel":
            if event.sideways:
                self.show(self.viewport.panned(-PAN * event.wheel, 0))
            else:
                self.show(self.viewport.zoomed(ZOOM**event.wheel, *position))
        elif event.kind == "down" and event.button == "left" and event.shift:
            self._pan_from = position
        elif self._pan_from is not None:
            start, self._pan_from = self._pan_from, None if event.kind == "up" else position
            self.show(self.viewport.panned(start[0] - event.x, start[1] - event.y))
        else:
            return False
        return True

    def pixel(self, x: int, y: int) -> tuple[int, int]:
        """Row and column of the nearest pixel of the image."""
        height, width = self.viewport.shape
        row, col = self.viewport.to_picture(x, y)
        return min(max(row, 0), height - 1), min(max(col, 0), width - 1)


def above_bar(size: Shape) -> Shape:
    """Height and width of a window without its message bar."""
    return max(1, size[0] - BAR), size[1]

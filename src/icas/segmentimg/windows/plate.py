"""A picture in a window that is pointed at: zoomed, moved over, and drawn on."""

from __future__ import annotations

from icas.common.images import Image
from icas.segmentimg.windows.events import Mouse
from icas.segmentimg.windows.pyramid import Pyramid
from icas.segmentimg.windows.viewport import Shape, Viewport

ZOOM = 1.25
PAN = 80


class Plate:
    """A picture seen through a viewport; wheel and Shift+drag move it.

    Attributes
    ----------
    viewport : Viewport
    """

    def __init__(self, image: Image, most: Shape) -> None:
        self._pyramid = Pyramid(image)
        self.viewport = Viewport.whole((image.shape[0], image.shape[1]), most)
        self._seen: Image | None = None
        self._pan_from: tuple[int, int] | None = None
        self.pointer: tuple[int, int] | None = None

    def picture(self) -> Image:
        """(h, w, 3): what is seen; a copy that may be drawn on."""
        if self._seen is None:
            self._seen = self._pyramid.seen(self.viewport)
        return self._seen.copy()

    def moves(self, event: Mouse) -> bool:
        """Zoom or pan if that is what the mouse does; whether it is."""
        self.pointer = (event.x, event.y)
        if event.kind == "wheel":
            if event.sideways:
                self._look(self.viewport.panned(-PAN * event.wheel, 0))
            else:
                self._look(self.viewport.zoomed(ZOOM**event.wheel, event.x, event.y))
            return True
        if event.kind == "down" and event.button == "left" and event.shift:
            self._pan_from = (event.x, event.y)
            return True
        if self._pan_from is None:
            return False
        start, self._pan_from = self._pan_from, (event.x, event.y)
        self._look(self.viewport.panned(start[0] - event.x, start[1] - event.y))
        if event.kind == "up":
            self._pan_from = None
        return True

    def key(self, action: str) -> bool:
        """Zoom or pan if that is what a key is for; whether it is."""
        height, width = self.viewport.size
        at = self.pointer or (width // 2, height // 2)
        if action in ("zoom_in", "zoom_out"):
            self._look(self.viewport.zoomed(ZOOM if action == "zoom_in" else 1 / ZOOM, *at))
        elif action == "whole":
            self._look(Viewport.whole(self.viewport.shape, self.viewport.most))
        elif action in _PANS:
            self._look(self.viewport.panned(*_PANS[action]))
        else:
            return False
        return True

    def pixel(self, x: int, y: int) -> tuple[int, int]:
        """Row and column of the nearest pixel of the picture."""
        height, width = self.viewport.shape
        row, col = self.viewport.to_picture(x, y)
        return min(max(row, 0), height - 1), min(max(col, 0), width - 1)

    def _look(self, viewport: Viewport) -> None:
        self.viewport, self._seen = viewport, None


_PANS = {"pan_left": (-PAN, 0), "pan_right": (PAN, 0), "pan_up": (0, -PAN), "pan_down": (0, PAN)}

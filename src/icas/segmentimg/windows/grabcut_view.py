"""Interactive GrabCut: the windows *Annotations* and *Segments*."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from icas.io.reading import Image
from icas.segmentimg.grabcut.annotation import (
    BACKGROUND,
    FOREGROUND,
    PROBABLE_BACKGROUND,
    PROBABLE_FOREGROUND,
    Annotation,
)
from icas.segmentimg.render.viewport import Shape
from icas.segmentimg.session.open import OpenImage
from icas.segmentimg.windows.annotation import ANNOTATIONS, SEGMENTS, AnnotationView, Stroke
from icas.segmentimg.windows.events import GRABCUT_KEYS, Mouse, Slider
from icas.segmentimg.windows.text import notice

BRUSH = "brush"
BRUSH_SIZE, MAX_BRUSH_SIZE = 5, 60
COLORS = {
    FOREGROUND: (0, 200, 0),
    BACKGROUND: (230, 0, 0),
    PROBABLE_FOREGROUND: (150, 230, 120),
    PROBABLE_BACKGROUND: (255, 150, 90),
}
OPACITY = 0.65


class GrabCutView(AnnotationView):
    """Boxes and strokes; rounds of GrabCut run in the background, one at a time."""

    keymap = GRABCUT_KEYS
    hint = (
        "left drag object, right drag background (Ctrl: probably), middle drag box;"
        " space cuts, h help"
    )
    busy_message = "a round is under way"
    no_mask_message = "nothing is cut out yet: draw a box or strokes, then space"
    sliders = ((ANNOTATIONS, BRUSH, BRUSH_SIZE, MAX_BRUSH_SIZE),)

    def __init__(
        self, opened: OpenImage, max_size: Shape, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(opened, (max_size[0], max(320, max_size[1] // 2)), clock)
        self._brush_size, self._drawing = BRUSH_SIZE, False
        self._segments_drawn: tuple[Any, Any, int] = (None, None, 0)

    def annotate(self, event: Mouse) -> None:
        """Strokes with the left and right button."""
        pixel = self.pixel(event.x, event.y)
        left, pressed = event.button == "left", event.button in ("left", "right")
        if event.kind in ("down", "double") and pressed:
            value = FOREGROUND if left else BACKGROUND
            if event.ctrl:
                value = PROBABLE_FOREGROUND if left else PROBABLE_BACKGROUND
            radius = max(0, round(self._brush_size / self.viewport.scale))
            self.layer.add(Stroke(value, radius, (pixel,)))
            self._drawing = self.changed = True
        elif event.kind == "move" and self._drawing and pressed:
            self.layer.extend(pixel)
            self.changed = True
        elif event.kind == "up":
            self._drawing = False

    def slider(self, event: Slider) -> None:
        """The size of the brush, in pixels of the window."""
        self._brush_size = event.value

    def compute(self) -> None:
        """Start a round."""
        annotation = Annotation(self.layer.boxes, self.layer.strokes.copy())
        self.task.start(lambda: self.guide.round(annotation))

    def reset(self) -> None:
        """Remove all strokes and boxes, and the mask."""
        super().reset()
        self.guide.reset()

    def draw(self, shown: Image) -> None:
        """Draw the strokes."""
        strokes = self.visible(self.layer.strokes)
        for value, color in COLORS.items():
            drawn = strokes == value
            shown[drawn] = (1 - OPACITY) * shown[drawn] + OPACITY * np.array(color, np.float32)

    def frames(self) -> dict[str, Image]:
        """Images of the windows that have changed."""
        frames = super().frames()
        viewport, mask, progress = self._segments_drawn
        if self.mask is not mask or (self.viewport, self.progress) != (viewport, progress):
            self._segments_drawn = self.viewport, self.mask, self.progress
            frames[SEGMENTS] = self._segments_image()
        return frames

    def _segments_image(self) -> Image:
        import cv2

        shown = self.image()
        if self.mask is not None:
            visible = self.visible(self.mask)
            shown[~visible] //= 4
            outline = cv2.morphologyEx(
                visible.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
            )
            shown[outline > 0] = (255, 214, 0)
        if self.task.busy:
            notice(shown, f"cutting … {self.task.seconds:.1f} s")
        elif self.mask is None:
            notice(shown, "space cuts out what is marked; f goes on to painting")
        return shown

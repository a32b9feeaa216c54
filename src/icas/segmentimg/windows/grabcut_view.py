"""GrabCut by hand: the windows *Annotations* and *Segments*."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.grabcut.annotation import (
    BACKGROUND,
    FOREGROUND,
    PROBABLE_BACKGROUND,
    PROBABLE_FOREGROUND,
    Annotation,
)
from icas.segmentimg.labels.labels import Labels, connected
from icas.segmentimg.render.viewport import Shape
from icas.segmentimg.windows.annotation import ANNOTATIONS, Background, Pad, Stroke, seen_mask
from icas.segmentimg.windows.events import CUTTING, Mouse, Slider, help_rows
from icas.segmentimg.windows.text import notice

SEGMENTS, BRUSH = "Segments", "brush"
BRUSH_SIZE, LARGEST_BRUSH = 5, 60
COLORS = {
    FOREGROUND: (0, 200, 0),
    BACKGROUND: (230, 0, 0),
    PROBABLE_FOREGROUND: (150, 230, 120),
    PROBABLE_BACKGROUND: (255, 150, 90),
}
SHARE = 0.65
HINT = (
    "left drag object, right drag background (Ctrl: probably), middle drag box; space cuts, h help"
)


class CutAnnotator:
    """Boxes and strokes on a picture, and what GrabCut makes of them.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
    cut : CutOut
        Its rounds run in a thread of their own, one at a time.
    most : (int, int)
        Height and width that a window has at most.
    clock : callable
    """

    def __init__(
        self, image: Image, cut: Any, most: Shape, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cut = cut
        half = most[0], max(320, most[1] // 2)
        self._pad = Pad(image, half, help_rows(CUTTING), clock)
        self._pad.say(HINT)
        self._work = Background(clock)
        self._mask: NDArray[np.bool_] | None = None
        self._brush, self._drawing = BRUSH_SIZE, False
        self._told = -1
        self._stale = True

    def mouse(self, event: Mouse) -> None:
        """Strokes with the left and right button, boxes with the middle one."""
        if event.window != ANNOTATIONS or self._pad.mouse(event):
            self._stale |= self._pad.changed
            return
        place = self._pad.plate.pixel(event.x, event.y)
        if event.kind in ("down", "double") and event.button in ("left", "right"):
            value = FOREGROUND if event.button == "left" else BACKGROUND
            if event.ctrl:
                value = PROBABLE_FOREGROUND if event.button == "left" else PROBABLE_BACKGROUND
            radius = max(0, round(self._brush / self._pad.plate.viewport.scale))
            self._pad.sketch.add(Stroke(value, radius, (place,)))
            self._drawing = self._pad.changed = True
        elif event.kind == "move" and self._drawing and event.button in ("left", "right"):
            self._pad.sketch.lengthen(place)
            self._pad.changed = True
        elif event.kind == "up":
            self._drawing = False

    def slider(self, event: Slider) -> None:
        """The size of the brush, in pixels of the window."""
        self._brush = event.value

    def act(self, action: str) -> None:
        """Do what a key says."""
        if self._pad.key(action):
            self._stale = True
        elif action == "round":
            self._round()
        elif action == "undo" and not self._pad.sketch.undo():
            self._pad.say("nothing to undo")
        elif action == "reset":
            self._reset()
        self._pad.changed = True

    def say(self, text: str) -> None:
        """Show a message for a while."""
        self._pad.say(text)

    def tick(self) -> None:
        """Take the result of a round; show that one is under way."""
        self._pad.tick()
        told = self._work.settle()
        if told:
            self._pad.say(told)
        now = int(4 * self._work.seconds) if self._work.busy else -1
        self._stale |= now != self._told
        self._told = now

    def frames(self) -> dict[str, Image]:
        """The windows that look different now."""
        made = {}
        if self._pad.changed:
            made[ANNOTATIONS] = self._pad.picture(self._draw_strokes)
        if self._stale:
            made[SEGMENTS] = self._segments_picture()
            self._stale = False
        return made

    def sliders(self) -> tuple[tuple[str, str, int, int], ...]:
        """The size of the brush."""
        return ((ANNOTATIONS, BRUSH, BRUSH_SIZE, LARGEST_BRUSH),)

    def labels(self) -> Labels | None:
        """The connected pieces of object and background."""
        if self._work.busy:
            self._pad.say("a round is under way")
            return None
        if self._mask is None:
            self._pad.say("nothing is cut out yet: draw a box or strokes, then space")
            return None
        return connected(self._mask.astype(np.int32) + 1)

    def close(self) -> None:
        """Start no more rounds."""
        self._work.close()

    def _round(self) -> None:
        if self._work.busy:
            return
        sketch = self._pad.sketch
        annotation = Annotation(sketch.boxes, sketch.strokes.copy())

        def done(mask: NDArray[np.bool_]) -> None:
            self._mask, self._stale = mask, True

        self._work.start(lambda: self._cut.round(annotation), done)

    def _reset(self) -> None:
        self._work.drop()
        self._pad.sketch.reset()
        self._cut.reset()
        self._mask, self._stale = None, True

    def _draw_strokes(self, shown: Image) -> None:
        seen = seen_mask(self._pad.plate, self._pad.sketch.strokes)
        for value, color in COLORS.items():
            drawn = seen == value
            shown[drawn] = (1 - SHARE) * shown[drawn] + SHARE * np.array(color, np.float32)

    def _segments_picture(self) -> Image:
        import cv2

        shown = self._pad.plate.picture()
        if self._mask is not None:
            seen = seen_mask(self._pad.plate, self._mask)
            shown[~seen] //= 4
            outline = cv2.morphologyEx(
                seen.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
            )
            shown[outline > 0] = (255, 214, 0)
        if self._work.busy:
            notice(shown, f"cutting … {self._work.seconds:.1f} s")
        elif self._mask is None:
            notice(shown, "space cuts out what is marked; f goes on to painting")
        return shown

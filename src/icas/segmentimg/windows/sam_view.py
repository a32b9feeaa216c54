"""Segment Anything by hand: the window *Annotations*."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from icas.io.reading import Image
from icas.segmentimg.labels.labels import Labels, connected
from icas.segmentimg.render.viewport import Shape
from icas.segmentimg.sam.prompts import Prompts
from icas.segmentimg.windows.annotation import ANNOTATIONS, Background, Click, Pad, seen_mask
from icas.segmentimg.windows.events import POINTING, Mouse, Slider, help_rows
from icas.segmentimg.windows.text import notice

OBJECT, GROUND = (0, 200, 0), (230, 0, 0)
PAINT, SHARE = np.array((80, 160, 255), np.float32), 0.5
HINT = "left click object, right click background, middle drag box; space predicts, h help"


class PointAnnotator:
    """Boxes and points on a picture, and what a model takes them to mean.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
    predictor : Predictor
        With the picture set. It works in a thread of its own.
    most : (int, int)
        Height and width that the window has at most.
    clock : callable
    """

    def __init__(
        self, image: Image, predictor: Any, most: Shape, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._predictor = predictor
        self._pad = Pad(image, most, help_rows(POINTING), clock)
        self._pad.say(HINT)
        self._work = Background(clock)
        self._prediction: Any = None
        self._candidate = 0
        self._told = -1

    def mouse(self, event: Mouse) -> None:
        """Points with the left and right button, boxes with the middle one."""
        if event.window != ANNOTATIONS or self._pad.mouse(event):
            return
        if event.kind in ("down", "double") and event.button in ("left", "right"):
            row, col = self._pad.plate.pixel(event.x, event.y)
            self._pad.sketch.add(Click(row, col, int(event.button == "left")))
            self._pad.changed = True

    def slider(self, event: Slider) -> None:
        """There is none."""

    def act(self, action: str) -> None:
        """Do what a key says."""
        if self._pad.key(action):
            return
        if action == "round":
            self._predict()
        elif action == "candidate":
            self._next_candidate()
        elif action == "undo" and not self._pad.sketch.undo():
            self._pad.say("nothing to undo")
        elif action == "reset":
            self._work.drop()
            self._pad.sketch.reset()
            self._prediction, self._candidate = None, 0
        self._pad.changed = True

    def say(self, text: str) -> None:
        """Show a message for a while."""
        self._pad.say(text)

    def tick(self) -> None:
        """Take a prediction; show that one is under way."""
        self._pad.tick()
        told = self._work.settle()
        if told:
            self._pad.say(told)
        now = int(4 * self._work.seconds) if self._work.busy else -1
        self._pad.changed |= now != self._told
        self._told = now

    def frames(self) -> dict[str, Image]:
        """The window, if it looks different now."""
        return {ANNOTATIONS: self._pad.picture(self._draw)} if self._pad.changed else {}

    def sliders(self) -> tuple[tuple[str, str, int, int], ...]:
        """There is none."""
        return ()

    def labels(self) -> Labels | None:
        """The connected pieces of what is meant, and of the rest."""
        if self._work.busy:
            self._pad.say("a prediction is under way")
            return None
        if self._prediction is None:
            self._pad.say("nothing is predicted yet: point at something, then space")
            return None
        return connected(self._prediction.candidate(self._candidate).astype(np.int32) + 1)

    def close(self) -> None:
        """Start no more predictions."""
        self._work.close()

    def prompts(self) -> Prompts:
        """What is pointed at, in pixels of the picture."""
        boxes = tuple((c0, r0, c1, r1) for r0, r1, c0, c1 in self._pad.sketch.boxes)
        points = tuple((one.col, one.row, one.label) for one in self._pad.sketch.clicks)
        return Prompts(boxes, points)

    def _predict(self) -> None:
        if self._work.busy:
            return
        prompts, last, number = self.prompts(), self._prediction, self._candidate

        def ask() -> Any:
            if last is None:
                return self._predictor.predict(prompts)
            return self._predictor.refine(prompts, last, number)

        def done(prediction: Any) -> None:
            self._prediction, self._candidate = prediction, 0
            self._tell_candidate()

        self._work.start(ask, done)

    def _next_candidate(self) -> None:
        if self._prediction is None:
            self._pad.say("nothing is predicted yet: point at something, then space")
        else:
            self._candidate = (self._candidate + 1) % len(self._prediction.quality)
            self._tell_candidate()

    def _tell_candidate(self) -> None:
        quality = float(self._prediction.quality[self._candidate])
        count = len(self._prediction.quality)
        more = "; m shows the next" if count > 1 else ""
        self._pad.say(f"mask {self._candidate + 1} of {count}, quality {quality:.2f}{more}")

    def _draw(self, shown: Image) -> None:
        import cv2

        if self._prediction is not None:
            seen = seen_mask(self._pad.plate, self._prediction.candidate(self._candidate))
            shown[seen] = (1 - SHARE) * shown[seen] + SHARE * PAINT
        for one in self._pad.sketch.clicks:
            place = self._pad.plate.viewport.to_window(one.row, one.col)
            cv2.circle(shown, place, 5, (255, 255, 255), cv2.FILLED, cv2.LINE_AA)
            cv2.circle(shown, place, 4, OBJECT if one.label else GROUND, cv2.FILLED, cv2.LINE_AA)
        if self._work.busy:
            notice(shown, f"predicting … {self._work.seconds:.1f} s")

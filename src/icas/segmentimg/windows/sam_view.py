"""Interactive Segment Anything: the window *Annotations*."""

from __future__ import annotations

from typing import Any

import numpy as np

from icas.io.reading import Image
from icas.segmentimg.sam.prompts import Prompts
from icas.segmentimg.windows.annotation import AnnotationView, Click
from icas.segmentimg.windows.events import SAM_KEYS, Mouse
from icas.segmentimg.windows.text import notice

FOREGROUND, BACKGROUND = (0, 200, 0), (230, 0, 0)
MASK_COLOR, OPACITY = np.array((80, 160, 255), np.float32), 0.5


class SamView(AnnotationView):
    """Boxes and points; masks are predicted in the background, one at a time."""

    keymap = SAM_KEYS
    hint = "left click object, right click background, middle drag box; space predicts, h help"
    busy_message = "a prediction is under way"
    no_mask_message = "nothing is predicted yet: point at something, then space"
    _prediction: Any = None
    _candidate = 0

    def annotate(self, event: Mouse) -> None:
        """Points with the left and right button."""
        if event.kind in ("down", "double") and event.button in ("left", "right"):
            row, col = self.pixel(event.x, event.y)
            self.layer.add(Click(row, col, int(event.button == "left")))
            self.changed = True

    def act(self, action: str) -> None:
        """Carry out the action of a key."""
        if action != "candidate":
            super().act(action)
        elif self._prediction is None:
            self.say(self.no_mask_message)
        else:
            self._show_candidate((self._candidate + 1) % len(self._prediction.quality))

    def compute(self) -> None:
        """Predict a mask from the prompts, refining the present candidate."""
        boxes = tuple((left, top, right, bottom) for top, bottom, left, right in self.layer.boxes)
        points = tuple((click.col, click.row, click.label) for click in self.layer.clicks)
        prompts, last, candidate = Prompts(boxes, points), self._prediction, self._candidate

        def predict() -> Any:
            if last is None:
                return self.guide.predict(prompts)
            return self.guide.refine(prompts, last, candidate)

        self.task.start(predict)

    def receive(self, result: Any) -> None:
        """Show the best candidate."""
        self._prediction = result
        self._show_candidate(0)

    def reset(self) -> None:
        """Remove all points and boxes, and the mask."""
        super().reset()
        self._prediction, self._candidate = None, 0

    def draw(self, shown: Image) -> None:
        """Draw the mask and the points."""
        import cv2

        if self.mask is not None:
            visible = self.visible(self.mask)
            shown[visible] = (1 - OPACITY) * shown[visible] + OPACITY * MASK_COLOR
        for click in self.layer.clicks:
            center = self.viewport.to_window(click.row, click.col)
            color = FOREGROUND if click.label else BACKGROUND
            cv2.circle(shown, center, 5, (255, 255, 255), cv2.FILLED, cv2.LINE_AA)
            cv2.circle(shown, center, 4, color, cv2.FILLED, cv2.LINE_AA)
        if self.task.busy:
            notice(shown, f"predicting … {self.task.seconds:.1f} s")

    def _show_candidate(self, number: int) -> None:
        self._candidate, self.mask = number, self._prediction.candidate(number)
        self.changed = True
        quality = float(self._prediction.quality[number])
        count = len(self._prediction.quality)
        more = "; m shows the next" if count > 1 else ""
        self.say(f"mask {number + 1} of {count}, quality {quality:.2f}{more}")

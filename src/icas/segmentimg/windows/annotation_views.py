"""The windows in which an image is annotated for GrabCut and Segment Anything."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError
from icas.io.reading import Image
from icas.segmentimg.document.palette import Color
from icas.segmentimg.grabcut import annotation as strokes
from icas.segmentimg.labels.labels import Box, rows_of
from icas.segmentimg.render.canvas import Pyramid, Shape
from icas.segmentimg.sam.predictor import Prompts, Refinement
from icas.segmentimg.session.annotations import AnnotationLayer, Click, Stroke
from icas.segmentimg.session.open import OpenImage
from icas.segmentimg.windows.background import BackgroundTask
from icas.segmentimg.windows.events import (
    GRABCUT_KEYS,
    SAM_KEYS,
    Binding,
    Mouse,
    Slider,
    help_groups,
)
from icas.segmentimg.windows.panels import help_over, with_bar
from icas.segmentimg.windows.view import Message, ZoomView

ANNOTATIONS, SEGMENTS, BRUSH = "Annotations", "Segments", "brush"
GAP = 6
"""Half the width of what is between the two windows of GrabCut: their frames."""
BOX_OUTLINE = (((0, 0, 0), 3), ((255, 214, 0), 1))
MESSAGE_SECONDS = 8.0
BRUSH_SIZE, MAX_BRUSH_SIZE = 5, 60
BOX_ROUNDS = 5
"""Rounds of GrabCut after a box was drawn, unless one changes nothing."""
STROKE_COLORS = {
    strokes.FOREGROUND: (0, 200, 0),
    strokes.BACKGROUND: (230, 0, 0),
    strokes.PROBABLE_FOREGROUND: (150, 230, 120),
    strokes.PROBABLE_BACKGROUND: (255, 150, 90),
}
POINT_COLORS = ((230, 0, 0), (0, 200, 0))
MASK_COLOR = (80, 160, 255)


class AnnotationView(ZoomView, ABC):
    """The window *Annotations*: boxes with the middle button; subclasses add the rest."""

    keymap: ClassVar[tuple[Binding, ...]]
    hint: ClassVar[str]
    busy_message: ClassVar[str]
    no_mask_message: ClassVar[str]
    working: ClassVar[str] = ""
    """What the bar of the window says while a mask is computed."""
    windows: ClassVar[tuple[str, ...]] = (ANNOTATIONS, SEGMENTS)
    sliders: ClassVar[tuple[tuple[str, str, int, int], ...]] = ()

    def __init__(self, opened: OpenImage, size: Shape, clock: Callable[[], float]) -> None:
        shape = opened.document.labels.shape
        super().__init__(shape, size)
        self.opened, self.guide = opened, opened.guide
        self.layer = AnnotationLayer(shape)
        self.task = BackgroundTask(clock)
        self.mask: NDArray[np.bool_] | None = None
        self._pyramid = Pyramid(opened.document.image)
        self._message = Message(MESSAGE_SECONDS, clock)
        self._box_from: tuple[int, int] | None = None
        self._help = False
        self._drawn: tuple[object, ...] = ()
        self.leaving = ""
        """The action, finish or accept, that is carried out once nothing is computed any more."""
        self.say(self.hint)

    @abstractmethod
    def draw(self, shown: Image) -> None:
        """Draw annotations and results over the image in the window."""

    @abstractmethod
    def annotate(self, event: Mouse) -> None:
        """Handle a mouse event of the left and right button."""

    @abstractmethod
    def compute(self) -> None:
        """Start to compute the mask from the annotations."""

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether the annotations select an object."""

    def update(self) -> None:
        """Compute the mask after annotations have changed; there is none without annotations."""
        self.changed = True
        if self.ready:
            self.compute()
        else:
            self.clear()

    def receive(self, result: Any) -> None:
        """Take what was computed."""
        self.mask, self.changed = result, True

    def clear(self) -> None:
        """Forget the mask and what is being computed."""
        self.task.discard()
        self.mask, self.leaving = None, ""

    def reset(self) -> None:
        """Remove all annotations and the mask."""
        self.layer.reset()
        self.clear()
        self.restart()

    def slider(self, event: Slider) -> None:
        """Handle a slider."""

    def say(self, text: str) -> None:
        """Show a message for a while."""
        self._message.show(text)

    def tick(self) -> None:
        """Take the result of a computation."""
        try:
            result = self.task.collect()
        except IcasError as error:
            self.mask, self.changed = None, True
            self.say(error.message)
        else:
            if result is not None:
                self.receive(result)

    def mouse(self, event: Mouse) -> None:
        """Handle a mouse event."""
        if event.window != ANNOTATIONS:
            return
        self.pointer = (event.x, event.y)
        if self._help and event.kind == "down":
            self._help = False
        elif self.navigate_mouse(event):
            return
        elif event.button == "middle" or self._box_from is not None:
            self._draw_box(event)
        else:
            self.annotate(event)
            return
        self.changed = True

    def act(self, action: str) -> None:
        """Carry out the action of a key."""
        if action == "help":
            self._help = not self._help
        elif action == "compute" and not self.task.busy:
            self.compute()
        elif action == "undo":
            self.undo()
        elif action == "reset":
            self.reset()
        else:
            self.navigate(action)
        self.changed = True

    def undo(self) -> None:
        """Remove the last annotation."""
        if self.layer.undo():
            self.restart()
            self.update()
        else:
            self.say("nothing to undo")

    def restart(self) -> None:
        """Let the next computation not continue from those before."""

    def finish(self, color: Color | None = None) -> bool:
        """Make segments of the mask, and paint it; False if there is none or not yet."""
        if self.task.busy:
            self.say(self.busy_message)
        elif self.mask is None:
            self.leaving = ""
            self.say(self.no_mask_message)
        else:
            self.opened.use_mask(self.mask, color)
            return True
        return False

    def frames(self) -> dict[str, Image]:
        """Images of the windows that have changed."""
        drawn = (self._message.text, self.progress)
        if not self.changed and drawn == self._drawn:
            return {}
        self.changed, self._drawn = False, drawn
        shown = self.image()
        self.draw(shown)
        boxes = list(self.layer.boxes)
        if self._box_from is not None and self.pointer is not None:
            boxes.append(_box_between(self._box_from, self.pixel(*self.pointer)))
        for box in boxes:
            self._outline(shown, box)
        if self._help:
            shown = help_over(shown, help_groups(self.keymap))
        text = self._message.text
        if self.working and self.task.busy:
            text = f"{self.working} … {self.task.seconds:.1f} s"
        return {ANNOTATIONS: with_bar(shown, text, self.hint)}

    @property
    def progress(self) -> int:
        """Quarters of a second since a computation started; -1 if there is none."""
        return int(4 * self.task.seconds) if self.task.busy else -1

    def image(self) -> Image:
        """(h, w, 3): the image through the viewport; may be drawn on."""
        return self._pyramid.seen(self.viewport).copy()

    def visible(self, whole: NDArray[Any]) -> NDArray[Any]:
        """A map of the image through the viewport."""
        height, width = self.viewport.size
        rows, columns = self.viewport.rows(0, height), self.viewport.columns(0, width)
        shown = np.zeros(self.viewport.size, whole.dtype)
        inside = rows_of(self.viewport.inside)
        shown[inside] = whole[rows][:, columns][inside]
        return shown

    def close(self) -> None:
        """Start no more computations."""
        self.task.close()

    def _draw_box(self, event: Mouse) -> None:
        pixel = self.pixel(event.x, event.y)
        if event.kind in ("down", "double"):
            self._box_from = pixel
        elif event.kind == "up" and self._box_from is not None:
            box = _box_between(self._box_from, pixel)
            self._box_from = None
            if box[1] - box[0] > 2 and box[3] - box[2] > 2:
                self.layer.add(box)
                self.update()

    def _outline(self, shown: Image, box: Box) -> None:
        import cv2

        start = self.viewport.to_window(box[0], box[2])
        end = self.viewport.to_window(box[1] - 1, box[3] - 1)
        for color, width in BOX_OUTLINE:
            cv2.rectangle(shown, start, end, color, width)


class GrabCutView(AnnotationView):
    """Boxes and strokes; rounds of GrabCut run in the background, one at a time."""

    keymap = GRABCUT_KEYS
    hint = "drag left: object, right: background, middle: box; Enter: paint the object, h: help"
    busy_message = "GrabCut is running: continues when it is done"
    no_mask_message = "no mask yet: draw a box or strokes"
    sliders = ((ANNOTATIONS, BRUSH, BRUSH_SIZE, MAX_BRUSH_SIZE),)

    def __init__(self, opened: OpenImage, size: Shape, clock: Callable[[], float]) -> None:
        super().__init__(opened, (size[0], max(320, size[1] // 2 - GAP)), clock)
        self._brush_size, self._drawing, self._rounds_left = BRUSH_SIZE, False, 0
        self.restart()
        self._segments_drawn: tuple[Any, Any, int] = (None, None, 0)

    def annotate(self, event: Mouse) -> None:
        """Strokes with the left and right button."""
        pixel = self.pixel(event.x, event.y)
        left, pressed = event.button == "left", event.button in ("left", "right")
        if event.kind in ("down", "double") and pressed:
            value = strokes.FOREGROUND if left else strokes.BACKGROUND
            if event.ctrl:
                value = strokes.PROBABLE_FOREGROUND if left else strokes.PROBABLE_BACKGROUND
            radius = max(0, round(self._brush_size / self.viewport.scale))
            self.layer.add(Stroke(value, radius, (pixel,)))
            self._drawing = self.changed = True
        elif event.kind == "move" and self._drawing and pressed:
            self.layer.extend(pixel)
            self.changed = True
        elif event.kind == "up" and self._drawing:
            self._drawing = False
            self.update()

    def slider(self, event: Slider) -> None:
        """The size of the brush, in pixels of the window."""
        self._brush_size = event.value

    @property
    def ready(self) -> bool:
        """Whether there are boxes or strokes."""
        return bool(self.layer.boxes or self.layer.strokes.any())

    def update(self) -> None:
        """Run the first rounds after annotations have changed."""
        self._rounds_left = BOX_ROUNDS - 1 if self.layer.boxes else 0
        super().update()

    def compute(self) -> None:
        """Start a round."""
        annotation = self.layer.annotation()
        self.task.start(lambda: self.guide.round(annotation).copy())

    def receive(self, result: Any) -> None:
        """Show the mask; with boxes, go on as long as rounds change it."""
        same = self.mask is not None and np.array_equal(self.mask, result)
        super().receive(result)
        if self._rounds_left and not same:
            self._rounds_left -= 1
            self.compute()

    def restart(self) -> None:
        """Forget the rounds so far, in the thread of the rounds."""
        self.task.run_between(self.guide.reset)

    def draw(self, shown: Image) -> None:
        """Draw the strokes."""
        drawn = self.visible(self.layer.strokes)
        for value, color in STROKE_COLORS.items():
            _blend(shown, drawn == value, color, 0.65)

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
        running = f"running GrabCut … {self.task.seconds:.1f} s" if self.task.busy else ""
        return with_bar(shown, running, "the object appears here while you draw")


class SamView(AnnotationView):
    """Boxes and points; masks are predicted in the background, one at a time."""

    keymap = SAM_KEYS
    working = "predicting"
    hint = (
        "click left: object, right: background; drag middle: box; Enter: paint the object, h: help"
    )
    busy_message = "prediction is running: continues when it is done"
    no_mask_message = "no mask yet: add a point on the object, or a box"

    def __init__(self, opened: OpenImage, size: Shape, clock: Callable[[], float]) -> None:
        super().__init__(opened, size, clock)
        self._prediction: Any = None
        self._candidate = 0
        self._refinement = Refinement(self.guide)
        self._chosen: list[int] = []
        """For each annotation the candidate that was shown before, which it refines."""

    def annotate(self, event: Mouse) -> None:
        """Points with the left and right button."""
        if event.kind in ("down", "double") and event.button in ("left", "right"):
            row, col = self.pixel(event.x, event.y)
            self.layer.add(Click(row, col, int(event.button == "left")))
            self.update()

    def act(self, action: str) -> None:
        """Carry out the action of a key."""
        if action != "candidate":
            super().act(action)
        elif self._prediction is None:
            self.say(self.no_mask_message)
        else:
            self._show_candidate((self._candidate + 1) % len(self._prediction.quality))

    @property
    def ready(self) -> bool:
        """Whether there is a box or a point on the object."""
        return bool(self.layer.boxes or any(click.label for click in self.layer.clicks))

    def update(self) -> None:
        """Predict a mask after prompts have changed."""
        del self._chosen[len(self.layer) :]
        if len(self._chosen) < len(self.layer):
            self._chosen.append(self._candidate)
            self._candidate = 0
        super().update()

    def compute(self) -> None:
        """Predict the mask of the prompts, each refining the candidate shown before."""
        chosen = zip(self.layer.prompts(), self._chosen, strict=True)
        steps = [(prompts, number) for prompts, number in chosen if prompts is not None]
        if steps:
            self.task.start(lambda: self._refinement.predict(steps))
        else:
            self.task.start(lambda: self.guide.predict(Prompts()))  # says what is missing

    def receive(self, result: Any) -> None:
        """Show the best candidate."""
        self._prediction = result
        self._show_candidate(0)

    def clear(self) -> None:
        """Forget the mask, its candidates and what is being computed."""
        super().clear()
        self._prediction, self._candidate = None, 0

    def restart(self) -> None:
        """Refine the best candidate after an undo."""
        self._candidate = 0
        del self._chosen[len(self.layer) :]

    def draw(self, shown: Image) -> None:
        """Draw the mask and the points."""
        import cv2

        if self.mask is not None:
            _blend(shown, self.visible(self.mask), MASK_COLOR, 0.5)
        for click in self.layer.clicks:
            center = self.viewport.to_window(click.row, click.col)
            color = POINT_COLORS[click.label]
            cv2.circle(shown, center, 5, (255, 255, 255), cv2.FILLED, cv2.LINE_AA)
            cv2.circle(shown, center, 4, color, cv2.FILLED, cv2.LINE_AA)

    def _show_candidate(self, number: int) -> None:
        self._candidate, self.mask = number, self._prediction.candidate(number)
        self.changed = True
        quality = float(self._prediction.quality[number])
        count = len(self._prediction.quality)
        more = ", m: next" if count > 1 else ""
        self.say(f"mask {number + 1} of {count}, quality {quality:.2f}{more}")


ANNOTATION_VIEWS: dict[str, type[AnnotationView]] = {"strokes": GrabCutView, "prompts": SamView}
"""By `Segmenter.annotation`."""


def _box_between(start: tuple[int, int], end: tuple[int, int]) -> Box:
    (top, bottom), (left, right) = (sorted(pair) for pair in zip(start, end, strict=True))
    return top, bottom + 1, left, right + 1


def _blend(image: Image, mask: NDArray[np.bool_], color: Color, opacity: float) -> None:
    image[mask] = (1 - opacity) * image[mask] + opacity * np.array(color, np.float32)

"""Annotating an image before painting: boxes, strokes and points, and the view they share."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError
from icas.io.reading import Image
from icas.segmentimg.labels.boxes import Box
from icas.segmentimg.labels.labels import connected
from icas.segmentimg.render.canvas import Pyramid
from icas.segmentimg.render.viewport import Shape
from icas.segmentimg.session.open import OpenImage
from icas.segmentimg.windows.events import Binding, Mouse, Slider, help_rows
from icas.segmentimg.windows.text import help_over, notice
from icas.segmentimg.windows.view import Message, ZoomView

ANNOTATIONS, SEGMENTS = "Annotations", "Segments"
BOX_OUTLINE = (((0, 0, 0), 3), ((255, 214, 0), 1))
MESSAGE_SECONDS = 8.0


@dataclass(frozen=True)
class Stroke:
    """A line drawn with a round brush, through pixels (row, column)."""

    value: int
    """As in `icas.segmentimg.grabcut.annotation`."""
    radius: int
    pixels: tuple[tuple[int, int], ...]

    def draw(self, target: NDArray[np.uint8], start: int = 0) -> None:
        """Draw the value into a map, from a pixel of the line on."""
        import cv2

        points = [(col, row) for row, col in self.pixels[max(0, start - 1) :]]
        cv2.circle(target, points[0], self.radius, self.value, cv2.FILLED)
        for before, after in pairwise(points):
            cv2.line(target, before, after, self.value, 2 * self.radius + 1)
            cv2.circle(target, after, self.radius, self.value, cv2.FILLED)


@dataclass(frozen=True)
class Click:
    """A point on the object (label 1) or on the background (0)."""

    row: int
    col: int
    label: int


class AnnotationLayer:
    """Annotations of an image of a shape (h, w), in order, with undo."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._marks: list[Box | Stroke | Click] = []
        self.strokes = np.zeros(shape, np.uint8)
        """Values of the strokes, later over earlier; read only."""

    def add(self, mark: Box | Stroke | Click) -> None:
        """Add a box, a stroke or a point."""
        self._marks.append(mark)
        if isinstance(mark, Stroke):
            mark.draw(self.strokes)

    def extend(self, pixel: tuple[int, int]) -> None:
        """Extend the last stroke to a pixel."""
        last = self._marks[-1] if self._marks else None
        if isinstance(last, Stroke) and last.pixels[-1] != pixel:
            longer = Stroke(last.value, last.radius, (*last.pixels, pixel))
            self._marks[-1] = longer
            longer.draw(self.strokes, start=len(last.pixels))

    def undo(self) -> bool:
        """Remove the last annotation; False if there is none."""
        if not self._marks:
            return False
        self._marks.pop()
        self.strokes[:] = 0
        for mark in self._marks:
            if isinstance(mark, Stroke):
                mark.draw(self.strokes)
        return True

    def reset(self) -> None:
        """Remove all annotations."""
        self._marks.clear()
        self.strokes[:] = 0

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes."""
        return tuple(mark for mark in self._marks if isinstance(mark, tuple))

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The points."""
        return tuple(mark for mark in self._marks if isinstance(mark, Click))


class BackgroundTask:
    """One computation at a time in a thread of its own."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="icas-annotate")
        self._future: Future[Any] | None = None
        self._started = 0.0

    @property
    def busy(self) -> bool:
        """Whether a computation is in progress."""
        return self._future is not None

    @property
    def seconds(self) -> float:
        """Time since its start."""
        return self._clock() - self._started

    def start(self, compute: Callable[[], Any]) -> None:
        """Start a computation."""
        self._started, self._future = self._clock(), self._pool.submit(compute)

    def collect(self) -> Any:
        """The result of a computation that has ended, once, or what it raised; else None."""
        if self._future is None or not self._future.done():
            return None
        future, self._future = self._future, None
        return future.result()

    def discard(self) -> None:
        """Ignore the result of the computation in progress."""
        self._future = None

    def close(self) -> None:
        """Start nothing more."""
        self.discard()
        self._pool.shutdown(wait=False, cancel_futures=True)


class AnnotationView(ZoomView):
    """The window *Annotations*: boxes with the middle button; subclasses add the rest."""

    keymap: ClassVar[tuple[Binding, ...]]
    hint: ClassVar[str]
    busy_message: ClassVar[str]
    no_mask_message: ClassVar[str]
    sliders: ClassVar[tuple[tuple[str, str, int, int], ...]] = ()

    def __init__(
        self, opened: OpenImage, max_size: Shape, clock: Callable[[], float] = time.monotonic
    ) -> None:
        shape = opened.document.labels.shape
        super().__init__(shape, max_size)
        self.opened, self.guide = opened, opened.guide
        self.layer = AnnotationLayer(shape)
        self.task = BackgroundTask(clock)
        self.mask: NDArray[np.bool_] | None = None
        self._pyramid = Pyramid(opened.document.image)
        self._message = Message(MESSAGE_SECONDS, clock)
        self._box_from: tuple[int, int] | None = None
        self._help = False
        self._drawn: tuple[object, ...] = ()
        self.say(self.hint)

    def draw(self, shown: Image) -> None:
        """Draw annotations and results over the image in the window."""
        raise NotImplementedError

    def annotate(self, event: Mouse) -> None:
        """Handle a mouse event of the left and right button."""
        raise NotImplementedError

    def compute(self) -> None:
        """Start to compute the mask from the annotations."""
        raise NotImplementedError

    def receive(self, result: Any) -> None:
        """Take what was computed."""
        self.mask = result

    def reset(self) -> None:
        """Remove all annotations and the mask."""
        self.task.discard()
        self.layer.reset()
        self.mask = None

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
            self.say(str(error))
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
        elif action == "undo" and not self.layer.undo():
            self.say("nothing to undo")
        elif action == "reset":
            self.reset()
        else:
            self.navigate(action)
        self.changed = True

    def finish(self) -> bool:
        """Make segments of the connected regions of the mask; False if there is none yet."""
        if self.task.busy:
            self.say(self.busy_message)
        elif self.mask is None:
            self.say(self.no_mask_message)
        else:
            self.opened.replace_segments(connected(self.mask.astype(np.int32) + 1))
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
        if self._message.text:
            notice(shown, self._message.text)
        return {ANNOTATIONS: help_over(shown, help_rows(self.keymap)) if self._help else shown}

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
        return np.asarray(whole[rows][:, columns])

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

    def _outline(self, shown: Image, box: Box) -> None:
        import cv2

        start = self.viewport.to_window(box[0], box[2])
        end = self.viewport.to_window(box[1] - 1, box[3] - 1)
        for color, width in BOX_OUTLINE:
            cv2.rectangle(shown, start, end, color, width)


def _box_between(start: tuple[int, int], end: tuple[int, int]) -> Box:
    (top, bottom), (left, right) = (sorted(pair) for pair in zip(start, end, strict=True))
    return top, bottom + 1, left, right + 1

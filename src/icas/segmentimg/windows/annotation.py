"""What a person draws to say what they mean: boxes, strokes, points; the last can be taken back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError
from icas.common.registry import Entry
from icas.io.reading import Image
from icas.segmentimg.labels.boxes import Box
from icas.segmentimg.labels.labels import Labels
from icas.segmentimg.render.canvas import Pyramid
from icas.segmentimg.render.viewport import Shape, Viewport
from icas.segmentimg.session.open import Work
from icas.segmentimg.windows.events import (
    CUTTING,
    POINTING,
    Binding,
    Event,
    Key,
    Mouse,
    Slider,
    action_of,
)
from icas.segmentimg.windows.text import laid_over, notice, table_panel

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


@dataclass(frozen=True)
class Stroke:
    """A line drawn with a round brush: (row, column) after (row, column).

    Attributes
    ----------
    value : int
        What it says, see `icas.segmentimg.grabcut.annotation`.
    radius : int
        In pixels of the picture.
    """

    value: int
    radius: int
    places: tuple[tuple[int, int], ...]

    def draw(self, target: NDArray[np.uint8], start: int = 0) -> None:
        """Put the value into a map, from a place of the line on."""
        import cv2

        places = [(col, row) for row, col in self.places[max(0, start - 1) :]]
        cv2.circle(target, places[0], self.radius, self.value, cv2.FILLED)
        for before, after in pairwise(places):
            cv2.line(target, before, after, self.value, 2 * self.radius + 1)
            cv2.circle(target, after, self.radius, self.value, cv2.FILLED)


@dataclass(frozen=True)
class Click:
    """A point: row, column, and whether it lies on what is meant (1) or not (0)."""

    row: int
    col: int
    label: int


Mark = Box | Stroke | Click


class Sketch:
    """Marks on a picture of `shape` (h, w), in the order in which they were made."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._marks: list[Mark] = []
        self._map = np.zeros(shape, np.uint8)

    def add(self, mark: Mark) -> None:
        """One more mark."""
        self._marks.append(mark)
        if isinstance(mark, Stroke):
            mark.draw(self._map)

    def lengthen(self, place: tuple[int, int]) -> None:
        """Draw the last stroke on to another place."""
        last = self._marks[-1]
        if isinstance(last, Stroke) and last.places[-1] != place:
            longer = Stroke(last.value, last.radius, (*last.places, place))
            self._marks[-1] = longer
            longer.draw(self._map, start=len(last.places))

    def undo(self) -> bool:
        """Take the last mark back; whether there was one."""
        if not self._marks:
            return False
        self._marks.pop()
        self._map[:] = 0
        for mark in self._marks:
            if isinstance(mark, Stroke):
                mark.draw(self._map)
        return True

    def reset(self) -> None:
        """Take all marks back."""
        self._marks.clear()
        self._map[:] = 0

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes."""
        return tuple(mark for mark in self._marks if isinstance(mark, tuple))

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The points."""
        return tuple(mark for mark in self._marks if isinstance(mark, Click))

    @property
    def strokes(self) -> NDArray[np.uint8]:
        """(h, w) uint8: the strokes' values, later over earlier; not to be written into."""
        return self._map


ANNOTATIONS = "Annotations"
BOX_COLOR, SHADE = (255, 214, 0), (0, 0, 0)
SAID_SECONDS = 8.0


class Annotator(Protocol):
    """A stage before painting; gives the segments."""

    def mouse(self, event: Mouse) -> None:
        """Do what the mouse says."""
        ...

    def slider(self, event: Slider) -> None:
        """Do what a slider says."""
        ...

    def act(self, action: str) -> None:
        """Do what a key says."""
        ...

    def say(self, text: str) -> None:
        """Show a message for a while."""
        ...

    def tick(self) -> None:
        """Look whether work in the background is done."""
        ...

    def frames(self) -> dict[str, Image]:
        """Windows that look different now."""
        ...

    def sliders(self) -> tuple[tuple[str, str, int, int], ...]:
        """Window, name, value and most of each slider."""
        ...

    def labels(self) -> Labels | None:
        """(h, w) int32: the segments to be painted; None while there are none."""
        ...

    def close(self) -> None:
        """Start no more work."""
        ...


class Background:
    """One piece of work at a time in a thread of its own."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="icas-annotate")
        self._task: tuple[Future[Any], Callable[[Any], None]] | None = None
        self._begun = 0.0

    @property
    def busy(self) -> bool:
        """Whether work is under way."""
        return self._task is not None

    @property
    def seconds(self) -> float:
        """Since when."""
        return self._clock() - self._begun

    def start(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Begin; `then` gets the result in the caller's thread, at a later `settle`."""
        self._begun = self._clock()
        self._task = self._pool.submit(work), then

    def settle(self) -> str:
        """Hand over a result that is there; what went wrong, else ""."""
        if self._task is None or not self._task[0].done():
            return ""
        (future, then), self._task = self._task, None
        try:
            then(future.result())
        except IcasError as error:
            return str(error)
        return ""

    def drop(self) -> None:
        """Forget what is under way; its result comes to nothing."""
        self._task = None

    def close(self) -> None:
        """Start nothing more."""
        self.drop()
        self._pool.shutdown(wait=False, cancel_futures=True)


class Pad:
    """The window *Annotations*: a picture, a sketch on it, boxes drawn with the middle button."""

    def __init__(
        self,
        image: Image,
        most: Shape,
        rows: tuple[tuple[str, str], ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plate = Plate(image, most)
        self.sketch = Sketch((image.shape[0], image.shape[1]))
        self._rows, self._clock = rows, clock
        self._box_from: tuple[int, int] | None = None
        self._said, self._said_until = "", 0.0
        self._help = False
        self.changed = True

    def say(self, text: str) -> None:
        """Show a message for a while."""
        self._said, self._said_until, self.changed = text, self._clock() + SAID_SECONDS, True

    def toggle_help(self) -> None:
        """Show the keys, or no longer."""
        self._help, self.changed = not self._help, True

    def tick(self) -> None:
        """Let an old message go."""
        if self._said and self._clock() > self._said_until:
            self._said, self.changed = "", True

    def mouse(self, event: Mouse) -> bool:
        """Zoom, pan and boxes; False where the event is for others."""
        if self._help and event.kind == "down":
            self.toggle_help()
            return True
        if self.plate.moves(event):
            self.changed = True
            return True
        if event.button == "middle" or self._box_from is not None:
            self._draw_box(event)
            return True
        return False

    def key(self, action: str) -> bool:
        """Zoom, pan and help; False where a key is for others."""
        if action == "help":
            self.toggle_help()
            return True
        done = self.plate.key(action)
        self.changed |= done
        return done

    def picture(self, draw: Callable[[Image], None]) -> Image:
        """(h, w, 3): what the window shows; `draw` puts in what others have to show."""
        shown = self.plate.picture()
        draw(shown)
        boxes = list(self.sketch.boxes)
        if self._box_from is not None and self.plate.pointer is not None:
            boxes.append(_spanned(self._box_from, self.plate.pixel(*self.plate.pointer)))
        for box in boxes:
            self._frame(shown, box)
        if self._said:
            notice(shown, self._said)
        if self._help:
            shown = laid_over(shown, table_panel("Keys and buttons (h closes)", self._rows))
        self.changed = False
        return shown

    def _draw_box(self, event: Mouse) -> None:
        place = self.plate.pixel(event.x, event.y)
        self.changed = True
        if event.kind in ("down", "double"):
            self._box_from = place
        elif event.kind == "up" and self._box_from is not None:
            box = _spanned(self._box_from, place)
            self._box_from = None
            if box[1] - box[0] > 2 and box[3] - box[2] > 2:
                self.sketch.add(box)

    def _frame(self, shown: Image, box: Box) -> None:
        import cv2

        viewport = self.plate.viewport
        start = viewport.to_window(box[0], box[2])
        end = viewport.to_window(box[1] - 1, box[3] - 1)
        for color, width in ((SHADE, 3), (BOX_COLOR, 1)):
            cv2.rectangle(shown, start, end, color, width)


def _spanned(start: tuple[int, int], end: tuple[int, int]) -> Box:
    top, bottom = sorted((start[0], end[0]))
    left, right = sorted((start[1], end[1]))
    return top, bottom + 1, left, right + 1


def seen_mask(plate: Plate, mask: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A map of the picture through a plate's viewport."""
    height, width = plate.viewport.size
    rows, columns = plate.viewport.rows(0, height), plate.viewport.columns(0, width)
    return np.asarray(mask[rows][:, columns])


_HERE = "icas.segmentimg.windows."
ANNOTATORS: Mapping[str, Entry] = {
    "grabcut": Entry(_HERE + "cutting:CutAnnotator", "boxes and strokes"),
    "sam": Entry(_HERE + "pointing:PointAnnotator", "boxes and points"),
}
KEYS: Mapping[str, tuple[Binding, ...]] = {"grabcut": CUTTING, "sam": POINTING}
LEAVING = ("finish", "next", "previous", "quit")
"""Actions that the annotator itself knows nothing of."""


class Annotating:
    """A picture on which a person draws or points until there are segments.

    Parameters
    ----------
    work : Work
        With a guide.
    most : (int, int)
        Height and width that a window has at most.
    clock : callable
    """

    def __init__(self, work: Work, most: Shape, clock: Callable[[], float]) -> None:
        method = str(work.record["method"])
        self.work = work
        self._keys = KEYS[method]
        make = ANNOTATORS[method].load()
        self._annotator: Annotator = make(work.document.image, work.guide, most, clock)

    def handle(self, event: Event) -> str:
        """Do what a person did; one of `LEAVING` where the desk has to do it, else ""."""
        if isinstance(event, Key):
            action = action_of(event.name, self._keys) or ""
            if action in LEAVING:
                return action
            self._annotator.act(action)
        elif isinstance(event, Mouse):
            self._annotator.mouse(event)
        elif isinstance(event, Slider):
            self._annotator.slider(event)
        elif event.window == ANNOTATIONS:
            return "closed"
        return ""

    def tick(self) -> None:
        """Look whether work in the background is done."""
        self._annotator.tick()

    def say(self, text: str) -> None:
        """Show a message for a while."""
        self._annotator.say(text)

    def frames(self) -> dict[str, Image]:
        """Windows that look different now."""
        return self._annotator.frames()

    def sliders(self) -> tuple[tuple[str, str, int, int], ...]:
        """Window, name, value and most of each slider."""
        return self._annotator.sliders()

    def finish(self) -> bool:
        """Make what was found the segments to be painted; False where there is nothing yet."""
        labels = self._annotator.labels()
        if labels is None:
            return False
        self.work.recut(labels)
        return True

    def close(self) -> None:
        """End the stage."""
        self._annotator.close()

"""What the windows have in common in which a person says what is meant, before painting."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from icas.common.errors import IcasError
from icas.common.images import Image
from icas.segmentimg.commands import Box
from icas.segmentimg.labels import Labels
from icas.segmentimg.windows.events import Mouse, Slider
from icas.segmentimg.windows.lettering import laid_over, notice, table_panel
from icas.segmentimg.windows.plate import Plate
from icas.segmentimg.windows.sketch import Sketch
from icas.segmentimg.windows.viewport import Shape

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

"""The stage before painting of methods that have to be told what is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from icas.common.images import Image
from icas.common.registry import Entry
from icas.segmentimg.opening import Work
from icas.segmentimg.windows.annotator import ANNOTATIONS, Annotator
from icas.segmentimg.windows.events import Event, Key, Mouse, Slider
from icas.segmentimg.windows.keymap import CUTTING, POINTING, Binding, action_of
from icas.segmentimg.windows.viewport import Shape

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

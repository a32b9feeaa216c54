"""Decisions of a person about carried masks: accept, fix, absent; with undo."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from icas.notebook.html import counted
from icas.segmentimg.document.palette import Painting
from icas.segmentimg.formats.masks import save_painting, update_record
from icas.segmentimg.propagation_run.images import (
    ACCEPTED,
    FIXED,
    MARK,
    REJECTED,
    ImageState,
    Mark,
    decided,
    painting_digest,
    saved_painting,
)
from icas.segmentimg.session.open import NEVER_SAVED, OpenImage


@dataclass(frozen=True)
class _Decision:
    """What was decided about an image, and what it was before."""

    index: int
    state: str
    painting: Painting
    mark: Mark


@dataclass(frozen=True)
class ReviewSummary:
    """Counts of a review."""

    accepted: int
    fixed: int
    rejected: int
    left: int

    def line(self) -> str:
        """The summary in one line."""
        return (
            f"{counted(self.accepted + self.fixed + self.rejected, 'image')} reviewed:"
            f" {self.accepted} accepted, {self.fixed} fixed, {self.rejected} without the object;"
            f" {self.left} left"
        )


class ReviewDecisions:
    """Decisions about images of a queue, by number; each is on disk when the method returns.

    Parameters
    ----------
    queue : mapping of int to ImageState
        Images to review by number, least sure first.
    save : callable
        Saves the painting of an open image with its record.
    saves, portable_names
        As for `save_painting`, to undo decisions.
    max_pixels : int
        Limit for reading images.
    """

    def __init__(
        self,
        queue: Mapping[int, ImageState],
        save: Callable[[OpenImage], object],
        saves: Sequence[str],
        portable_names: bool,
        max_pixels: int,
    ) -> None:
        self._queue, self._save, self._max_pixels = dict(queue), save, max_pixels
        self._saves = tuple(saves), portable_names
        self._decisions: list[_Decision] = []

    def add(self, queue: Mapping[int, ImageState]) -> None:
        """Add images to review, or replace those that were carried again."""
        self._queue.update(queue)

    @property
    def decided(self) -> set[int]:
        """Numbers of images with a decision."""
        return {one.index for one in self._decisions}

    def next_open(self, index: int) -> int | None:
        """The next image after `index` without a decision, from the start again at the end."""
        order, done = list(self._queue), self.decided
        start = order.index(index) + 1
        following = (*order[start:], *order[:start])
        return next((place for place in following if place not in done), None)

    def describe(self, index: int) -> str:
        """Confidence, source and state of an image."""
        mark = self._queue[index].mark
        if mark is None:
            return ""
        state = self.state_of(index)
        about = f"confidence {mark.confidence:.2f}, from {mark.objects[0].source}"
        return f"{about}: {state}" if state else about

    def state_of(self, index: int) -> str:
        """What was decided about an image; "" for nothing yet."""
        return next((one.state for one in self._decisions if one.index == index), "")

    def decide(self, index: int, opened: OpenImage, *, absent: bool = False) -> str:
        """Accept an image as painted now, or reject its mask; returns the state.

        An image whose painting was changed is fixed, or rejected if nothing is painted.
        """
        state = self._queue[index]
        mark = state.mark
        if mark is None:
            return ""
        earlier = next((one for one in self._decisions if one.index == index), None)
        before = saved_painting(state, self._max_pixels) if earlier is None else earlier.painting
        if absent:
            opened.document.reset()
        painting = opened.painting()
        changed = painting_digest(painting) != mark.painting
        new = FIXED if changed else ACCEPTED
        if absent or (changed and not painting.painted()):
            new = REJECTED
        after = decided(mark, new, painting)
        if changed or earlier is not None:
            opened.record.update(after.entry())
            self._save(opened)
        else:
            update_record(state.picture, after.entry())
        self._decisions = [one for one in self._decisions if one.index != index]
        self._decisions.append(_Decision(index, new, before, mark))
        return new

    def undo(self, index: int | None = None) -> int | None:
        """Undo on disk the last decision, or that about an image; returns its image, or None.

        Paint added before a decision stays in the open image.
        """
        found = [one for one in self._decisions if index in (None, one.index)]
        if not found:
            return None
        last = found[-1]
        picture = self._queue[last.index].picture
        save_painting(picture, last.painting, last.mark.entry(), *self._saves)
        self._decisions.remove(last)
        return last.index

    def reopen(self, index: int, opened: OpenImage, state: str) -> None:
        """Bring the open image of an undone decision in line with its files."""
        if state == REJECTED and not opened.document.painted:
            opened.document.undo()
        mark = self._queue[index].mark
        same = mark is not None and painting_digest(opened.painting()) == mark.painting
        opened.record.pop(MARK, None)
        opened.saved_revision = opened.document.revision if same else NEVER_SAVED
        opened.autosaved_revision = NEVER_SAVED

    @property
    def last_state(self) -> str:
        """State of the last decision; "" where there is none."""
        return self._decisions[-1].state if self._decisions else ""

    def summary(self) -> ReviewSummary:
        """Counts of the decisions."""
        states = [one.state for one in self._decisions]
        return ReviewSummary(
            states.count(ACCEPTED),
            states.count(FIXED),
            states.count(REJECTED),
            len(self._queue) - len(states),
        )

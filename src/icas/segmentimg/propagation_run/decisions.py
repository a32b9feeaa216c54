"""Decisions of a person about carried masks: accept, fix, absent; with undo."""

from __future__ import annotations

from collections.abc import Sequence
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
from icas.segmentimg.session.session import Session


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
    """Decisions about the images of a queue, which the images of a session are.

    Each is on disk when the method returns.
    """

    def __init__(
        self,
        queue: Sequence[ImageState],
        session: Session,
        saves: Sequence[str],
        portable_names: bool,
        max_pixels: int,
    ) -> None:
        self._queue, self._session, self._max_pixels = list(queue), session, max_pixels
        self._saves = tuple(saves), portable_names
        self._decisions: list[_Decision] = []

    @property
    def decided(self) -> set[int]:
        """Indices of images with a decision."""
        return {one.index for one in self._decisions}

    def next_open(self, index: int) -> int | None:
        """The next image after `index` without a decision, from the start again at the end."""
        count, done = len(self._queue), self.decided
        order = ((index + step) % count for step in range(1, count + 1))
        return next((place for place in order if place not in done), None)

    def describe(self, index: int) -> str:
        """Confidence, source and state of an image."""
        mark = self._queue[index].mark
        if mark is None:
            return ""
        state = {one.index: one.state for one in self._decisions}.get(index)
        about = f"confidence {mark.confidence:.2f}, from {mark.objects[0].source}"
        return f"{about}: {state}" if state else about

    def decide(self, opened: OpenImage, *, absent: bool = False) -> str:
        """Accept the current image as painted now, or reject its mask; returns the state.

        An image whose painting was changed is fixed, or rejected if nothing is painted.
        """
        index = self._session.index
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
            self._session.save()
        else:
            update_record(state.picture, after.entry())
        self._decisions = [one for one in self._decisions if one.index != index]
        self._decisions.append(_Decision(index, new, before, mark))
        return new

    def undo(self) -> int | None:
        """Undo the last decision on disk; its image, or None where there is none.

        Paint added before a decision stays in the open image.
        """
        if not self._decisions:
            return None
        last = self._decisions.pop()
        picture = self._queue[last.index].picture
        save_painting(picture, last.painting, last.mark.entry(), *self._saves)
        return last.index

    def reopen(self, opened: OpenImage, state: str) -> None:
        """Bring the open image of an undone decision in line with its files."""
        if state == REJECTED and not opened.document.painted:
            opened.document.undo()
        mark = self._queue[self._session.index].mark
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

"""Review of carried masks in the painting window: least sure first, one key per decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from icas.cli.console import Console
from icas.cli.display import require_windows
from icas.common.errors import IcasError
from icas.parallel.executors import core_count
from icas.segmentimg.document.palette import Palette
from icas.segmentimg.formats.inputs import method_record
from icas.segmentimg.propagation_run.decisions import ReviewDecisions, ReviewSummary
from icas.segmentimg.propagation_run.images import FIXED, REJECTED, ImageState
from icas.segmentimg.propagation_run.settings import PropagateSettings
from icas.segmentimg.segmenters import make_segmenter
from icas.segmentimg.segmenters.segment import WORK_SIZE
from icas.segmentimg.session.folders import require_writable
from icas.segmentimg.session.open import ImageOpener
from icas.segmentimg.session.session import Session
from icas.segmentimg.windows import panels
from icas.segmentimg.windows.annotation_views import AnnotationView
from icas.segmentimg.windows.app import run_session
from icas.segmentimg.windows.controller import Controller
from icas.segmentimg.windows.events import REVIEW_KEYS, Binding
from icas.segmentimg.windows.painting_view import PaintingView

WITHOUT_WINDOWS = "leave out --review, and fix masks where there is a display"
_METHOD = "superpixel"
_TEXTS = {FIXED: "fixed", REJECTED: "the object is not in the image"}


def check_windows() -> None:
    """Raise an IcasError if no window can be opened."""
    require_windows(WITHOUT_WINDOWS)


class ReviewController(Controller):
    """Decides on the images of a session one after the other."""

    keymap: ClassVar[tuple[Binding, ...]] = REVIEW_KEYS
    hint: ClassVar[str] = "space: accept, x: not in the image, z: undo, a: GrabCut, h: all keys"

    def __init__(
        self, session: Session, palette: Palette, decisions: ReviewDecisions, **arguments: Any
    ) -> None:
        super().__init__(session, palette, **arguments)
        self._decisions = decisions
        self._tool.look = replace(self._tool.look, borders=False)
        self._shown: int | None = None

    def tick(self) -> None:
        """Do periodic work, and show what is known about a new image."""
        super().tick()
        if self._shown != self._session.index and isinstance(self._view, PaintingView):
            self._shown = self._session.index
            self._prepare()
            self.say(f"{self._about().partition(',')[0]}; space: accept, x: absent, h: help")

    def _prepare(self) -> None:
        """Select the color of the mask."""
        masks = self._view.opened.document.masks() if self._view is not None else {}
        if masks:
            self._tool.color = max(masks, key=lambda color: np.count_nonzero(masks[color]))

    def _about(self) -> str:
        return self._decisions.describe(self._session.index)

    def _act(self, action: str, key: str) -> None:
        if action == "accept":
            self._decide()
        elif action == "absent":
            self._decide(absent=True)
        elif action == "undo":
            self._undo()
        elif action == "annotate":
            self._annotate_again()
        else:
            super()._act(action, key)

    def _decide(self, *, absent: bool = False) -> None:
        view = self._view
        if not isinstance(view, PaintingView):
            self.say("no decision: the image is not open")
            return
        view.close()
        name = self._session.picture.path.name
        try:
            state = self._decisions.decide(self._session.index, view.opened, absent=absent)
        except IcasError as error:
            self.say(f"not saved: {error.message}", warn=True)
            return
        self._console.detail(f"{name}: {state}")
        self._continue(f"{name}: {_TEXTS.get(state, state)}")

    def _continue(self, done: str) -> None:
        """Go to the next image without a decision."""
        index = self._decisions.next_open(self._session.index)
        if index is None:
            if isinstance(self._view, PaintingView):
                self._view.show(self._view.viewport)
            self.say(f"{done}; all images are reviewed: q quits, z undoes")
        elif index != self._session.index:
            self._go(index - self._session.index)

    def _undo(self) -> None:
        """Undo a change of the image; without one, the last decision."""
        view = self._view
        if isinstance(view, PaintingView):
            before = view.opened.document.revision
            view.act("undo")
            if view.opened.document.revision != before:
                return
        state = self._decisions.last_state
        try:
            index = self._decisions.undo()
        except IcasError as error:
            self.say(f"not undone: {error.message}", warn=True)
            return
        if index is None:
            self.say("nothing to undo")
            return
        if index != self._session.index:
            self._go(index - self._session.index)
        opened = self._session.current
        if opened is not None:
            self._decisions.reopen(index, opened, state)
        self._shown = None
        if isinstance(self._view, PaintingView):
            self._view.show(self._view.viewport)

    def _annotate_again(self) -> None:
        """Annotate for GrabCut, whatever method made the segments."""
        if isinstance(self._view, PaintingView) and self._view.opened.guide is None:
            opened = self._view.opened
            grabcut = make_segmenter("grabcut")
            opened.guide = grabcut.annotator(opened.document.image)
            opened.record.update(method_record(grabcut, WORK_SIZE))
        super()._annotate_again()

    def _leave_annotation(self, view: AnnotationView) -> None:
        """The mask replaces the paint of its class, if that is one object."""
        accepted, mask, color = view.leaving == "accept", view.mask, self._tool.color
        before = [one.number for one in view.opened.document.objects() if one.color == color]
        super()._leave_annotation(view)
        if self._view is view or not accepted or mask is None or len(before) != 1:
            return
        document = view.opened.document
        with document.stroke():
            document.stamp(document.masks()[color], None)
            document.fill_segments(np.unique(document.labels[mask]), color, before[0])
        row, col = np.argwhere(mask)[0]
        document.pick_object(int(row), int(col))

    def _status(self) -> panels.PaletteStatus:
        status = super()._status()
        reviewed = f"{len(self._decisions.decided)} of {status.pictures} reviewed"
        return replace(status, details=(*self._about().split(", "), reviewed, *status.details))


def review_queue(
    queue: Sequence[ImageState],
    palette: Palette,
    settings: PropagateSettings,
    console: Console,
) -> ReviewSummary:
    """Show the images of a queue in windows, to be accepted, fixed or rejected.

    The caller keeps other sessions out of their folders.
    """
    if not queue:
        return ReviewSummary(0, 0, 0, 0)
    check_windows()
    pictures = [state.picture for state in queue]
    require_writable({picture.out for picture in pictures})
    opener = ImageOpener(
        make_segmenter(_METHOD), WORK_SIZE, settings.max_pixels, palette, True, True
    )
    jobs = settings.jobs or max(1, core_count() - 1)
    session = Session(pictures, opener, settings.save, settings.portable_names, ahead=2, jobs=jobs)
    saves = settings.save, settings.portable_names
    decisions = ReviewDecisions(
        dict(enumerate(queue)), lambda opened: session.save(), *saves, settings.max_pixels
    )
    controller = partial(ReviewController, session, palette, decisions, console=console)
    summary = run_session(session, controller)
    for path, reason in {**summary.unreadable, **summary.failed}.items():
        console.warn(f"{path}: {reason}")
    return decisions.summary()

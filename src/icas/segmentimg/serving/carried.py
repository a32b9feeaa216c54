"""Carried masks of a session: the queue of the unsure ones, decisions, and carrying again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from icas.cli.console import Bar, Console
from icas.common.errors import IcasError, UsageError
from icas.notebook.html import visible
from icas.parallel.executors import core_count
from icas.segmentimg.datasets.saved import recorded
from icas.segmentimg.propagation.queue import review_order
from icas.segmentimg.propagation_run.decisions import ReviewDecisions
from icas.segmentimg.propagation_run.history import CLASSES, read_run, run_folder
from icas.segmentimg.propagation_run.images import (
    ACCEPTED,
    CARRIED,
    FIXED,
    LEVEL,
    REJECTED,
    ImageState,
    Mark,
    common_folder,
    file_name,
    read_state,
)
from icas.segmentimg.propagation_run.run import PropagationRun
from icas.segmentimg.propagation_run.settings import PropagateSettings
from icas.segmentimg.propagation_run.table import TABLE_NAME
from icas.segmentimg.session.open import OpenImage
from icas.segmentimg.session.session import Session

TEXTS = {ACCEPTED: "accepted", FIXED: "fixed", REJECTED: "the object is not in the image"}
MARKS = {CARRIED: "unsure", ACCEPTED: "saved", FIXED: "saved", REJECTED: "absent"}
"""Mark in the file list by state."""
BUSY = "masks are being carried: wait until that is done"

Notify = Callable[..., None]
"""Takes the name of an event and its data."""


@dataclass(frozen=True)
class _Progress(Console):
    """Reports the progress bars of a run."""

    report: Callable[[float], None] = lambda share: None

    @contextmanager
    def bar(self, total: int, what: str, unit: str) -> Iterator[Bar]:
        """Report the share that is done."""
        yield _ProgressBar(total, self.report)


class _ProgressBar:
    def __init__(self, total: int, report: Callable[[float], None]) -> None:
        self._total, self._report, self._done = max(1, total), report, 0

    def update(self, steps: int) -> None:
        """Report more steps."""
        self._done += steps
        self._report(min(1.0, self._done / self._total))


class CarriedQueue:
    """Images of a session with masks of `segmentimg propagate`; for several threads.

    Parameters
    ----------
    session : Session
    save : callable
        Saves the painting of an open image with its record.
    max_pixels : int
        Limit for reading images.
    notify : callable
        Takes the name of an event, ``queue`` or ``carrying``, and its data.
    reload : callable
        Takes numbers of images whose files have changed.
    """

    def __init__(
        self,
        session: Session,
        save: Callable[[OpenImage], object],
        max_pixels: int,
        notify: Notify,
        reload: Callable[[Sequence[int]], None],
    ) -> None:
        self._session, self._max_pixels = session, max_pixels
        self._notify, self._reload = notify, reload
        self._lock = threading.RLock()
        self._states: dict[int, ImageState] = {}
        saves = session.saves, session.portable_names
        self._decisions = ReviewDecisions({}, save, *saves, max_pixels)
        self._queue: set[int] = set()
        self._fixed: set[int] = set()
        """Images fixed or rejected since masks were carried."""
        self.progress: float | None = None
        """Progress of carrying again, 0 to 1; None where nothing is carried."""
        outs = sorted({picture.out for picture in session.pictures})
        self._outs = [out for out in outs if self._was_carried(out)]
        self._loaded = threading.Event()
        if self._outs:
            threading.Thread(target=self._load, name="icas-queue", daemon=True).start()
        else:
            self._loaded.set()

    @staticmethod
    def _was_carried(out: Any) -> bool:
        return (out / TABLE_NAME).exists() and run_folder(out).is_dir()

    # --- the queue ----------------------------------------------------------------------------

    @property
    def waiting(self) -> int | None:
        """Number of images that wait for a decision; None while they are looked up."""
        if not self._loaded.is_set():
            return None
        with self._lock:
            open_ones = self._queue - self._decisions.decided
            return sum(self._states[number].state == CARRIED for number in open_ones)

    def state(self) -> dict[str, Any]:
        """What the page shows: the number of waiting images, null where masks were not carried."""
        return {"queue": self.waiting if self._outs else None, "carrying": self.progress}

    def rows(self) -> dict[str, Any]:
        """The images of the queue, least sure first, with what was decided about them."""
        if not self._loaded.is_set():
            return {"rows": [], "wait": True, "again": False, "carrying": None}
        with self._lock:
            sure = {number: self._mark_of(number).confidence for number in self._queue}
            rows = [self._row(number) for number in review_order(sure)]
            again = bool(self._fixed) and self.progress is None
        return {"rows": rows, "wait": False, "again": again, "carrying": self.progress}

    def mark(self, number: int) -> str | None:
        """Mark of an image in the file list; None where no mask was carried to it."""
        with self._lock:
            state = self._states.get(number)
            if state is None:
                return None
            decision = self._decisions.state_of(number)
            if not decision and state.state == ACCEPTED and self._mark_of(number).by == LEVEL:
                return "carried"
            return MARKS.get(decision or state.state)

    def _mark_of(self, number: int) -> Mark:
        mark = self._states[number].mark
        assert mark is not None
        return mark

    def _row(self, number: int) -> dict[str, Any]:
        state, mark = self._states[number], self._mark_of(number)
        first = mark.objects[0]
        names = dict.fromkeys(one.name for one in mark.objects if one.name)
        return {
            "image": number,
            "file": visible(state.file),
            "confidence": round(mark.confidence, 3),
            "state": self._decisions.state_of(number) or state.state,
            "source": visible(first.source),
            "route": first.route,
            "class": visible(", ".join(names)),
        }

    def _load(self) -> None:
        """Find the images with carried masks; only the unsure ones are read."""
        pictures = self._session.pictures
        root, found = common_folder(pictures), dict[int, ImageState]()
        for number, picture in enumerate(pictures):
            mark = Mark.of(recorded(picture)) if picture.out in self._outs else None
            if mark is None:
                continue
            file = file_name(picture, root)
            if mark.state == CARRIED:
                found[number] = read_state(picture, file, self._max_pixels)
            else:
                found[number] = ImageState(picture, file, mark.state, mark.painting, mark)
        with self._lock:
            self._take(found)
            if self._queue:  # an earlier session may have ended before they were carried from
                self._fixed = {n for n, state in found.items() if state.state == FIXED}
            self._loaded.set()
        self._notify("queue", waiting=self.waiting)

    def move(self) -> None:
        """Follow the images of the session to other paths."""
        self._loaded.wait()
        with self._lock:
            pictures = self._session.pictures
            self._states = {
                number: replace(state, picture=pictures[number])
                for number, state in self._states.items()
            }
            self._decisions.add({number: self._states[number] for number in self._queue})

    def _take(self, found: dict[int, ImageState]) -> None:
        self._states = found
        queue = {
            number: state
            for number, state in found.items()
            if state.state == CARRIED and state.mark is not None
        }
        decided = self._decisions.decided & found.keys()
        self._queue = {*queue, *decided}
        self._decisions.add(queue)

    # --- decisions ----------------------------------------------------------------------------

    def check_free(self, number: int) -> None:
        """Raise UsageError where the mask of an image may be carried again at the moment."""
        with self._lock:
            if self.progress is not None and number in self._queue:
                raise UsageError(BUSY)

    def decide(self, number: int, opened: OpenImage, *, absent: bool = False) -> str:
        """Accept the mask of an image as painted now, or reject it; returns a text for people.

        It is on disk when this returns. UsageError where no mask of it waits for a decision.
        """
        with self._lock:
            self.check_free(number)
            if number not in self._queue:
                raise UsageError("no carried mask of this image waits for a decision")
            state = self._decisions.decide(number, opened, absent=absent)
            self._fixed -= {number}
            self._fixed |= {number} if state == FIXED else set()
        self._notify("queue", waiting=self.waiting)
        return TEXTS.get(state, state)

    def saved(self, number: int) -> None:
        """Note that an image was saved without a decision: a changed mask is fixed."""
        with self._lock:
            if number not in self._queue or self._decisions.state_of(number):
                return
            state = self._states[number]
            now = read_state(state.picture, state.file, self._max_pixels)
            if now.state == CARRIED or now.mark is None:
                return
            self._states[number] = now
            self._fixed |= {number} if now.is_source else set()
        self._notify("queue", waiting=self.waiting)

    def undo(self, number: int, opened: OpenImage) -> None:
        """Undo the decision about an image, on disk and in its document."""
        with self._lock:
            self.check_free(number)
            state = self._decisions.state_of(number)
            if self._decisions.undo(number) is not None:
                self._decisions.reopen(number, opened, state)
            self._fixed -= {number}
        self._notify("queue", waiting=self.waiting)

    # --- carrying again -----------------------------------------------------------------------

    def carry_again(self) -> str:
        """Carry from the fixed images too, in the background; returns a text for people.

        Events ``carrying`` have the progress. Images that were accepted, fixed or rejected, or
        have unsaved painting, stay as they are.
        """
        with self._lock:
            if self.progress is not None:
                raise UsageError(BUSY)
            if not self._outs:
                raise UsageError("no masks were carried: run segmentimg propagate first")
            if not self._fixed:
                raise UsageError("nothing to carry again: no mask was fixed")
            self.progress = 0.0
            count = len(self._fixed)
        threading.Thread(target=self._carry, name="icas-carrying", daemon=True).start()
        self._notify("carrying", progress=0.0, done=False, text="")
        return f"carry masks again from {count} fixed {'image' if count == 1 else 'images'}"

    def _carry(self) -> None:
        error, changed = None, list[int]()
        try:
            text, changed = self._carried()
        except IcasError as reason:
            text = error = f"not carried: {reason.message}"
        except Exception as reason:  # the server goes on
            text = error = f"not carried: internal error: {type(reason).__name__}"
        self._reload(changed)
        with self._lock:
            self.progress = None
        shown = None if error is None else visible(error)
        self._notify("carrying", progress=1.0, done=True, text=visible(text), error=shown)
        self._notify("queue", waiting=self.waiting)

    def _carried(self) -> tuple[str, list[int]]:
        pictures = self._session.pictures
        runs = [run for run in map(read_run, self._outs) if run is not None]
        run = PropagationRun(
            [picture.path for picture in pictures], self._settings(runs), _Progress(report=self._at)
        )
        before = {state.picture.path: (state.digest, state.mark) for state in run.states}
        report = run.carry(resume=any(not one.finished for one in runs))
        numbers = {picture.path: number for number, picture in enumerate(pictures)}
        after = {numbers[state.picture.path]: state for state in run.states}
        changed = [
            number
            for number, state in after.items()
            if before[state.picture.path] != (state.digest, state.mark)
        ]
        with self._lock:
            self._take({n: state for n, state in after.items() if state.mark is not None})
            self._fixed = set()
        return report.lines()[-1], sorted(changed)

    def _settings(self, runs: Sequence[Any]) -> PropagateSettings:
        """Those of the last run; one core is left to the person."""
        options = dict(max(runs, key=lambda run: run.number).options) if runs else {}
        options.pop(CLASSES, None)
        if "save" in options:
            options["save"] = tuple(options["save"])
        outs = {picture.out for picture in self._session.pictures}
        settings = PropagateSettings(**options, max_pixels=self._max_pixels)
        out = next(iter(outs)) if len(outs) == 1 else None
        return replace(settings, out=out, jobs=max(1, core_count() - 1))

    def _at(self, share: float) -> None:
        self.progress = share
        self._notify("carrying", progress=round(share, 3), done=False, text="")

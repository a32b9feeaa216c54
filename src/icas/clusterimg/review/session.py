"""A review of a finished run: commands are checked, stored durably, then applied."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from icas.cli.console import Console
from icas.clusterimg.editing.constrained_run import current_paths
from icas.clusterimg.editing.recut import check_linked
from icas.clusterimg.journal.journal import REVIEW
from icas.clusterimg.quality.best import best_of_images, criteria
from icas.clusterimg.results.best_images import DEFAULT_BY
from icas.clusterimg.results.saved import FinishedRun, check_recorded
from icas.clusterimg.review.analysis.background import Background
from icas.clusterimg.review.analysis.checks import ReviewChecks, leaks
from icas.clusterimg.review.analysis.questions import ReviewQuestions
from icas.clusterimg.review.analysis.similar import LatestSpread, SimilarImages
from icas.clusterimg.review.document.changes import REJECTED, Change, Label, Pair
from icas.clusterimg.review.document.commands import (
    COMMANDS,
    Args,
    Draft,
    set_spread,
    set_threshold,
)
from icas.clusterimg.review.document.document import ReviewDocument, Touched
from icas.clusterimg.review.document.tree import Tree
from icas.clusterimg.review.log import CommandLog, Entry
from icas.clusterimg.review.result import digest, opening
from icas.clusterimg.transfer.destination import locked
from icas.clusterimg.transfer.relocation import finish_interrupted
from icas.common.errors import ConflictError, IcasError, UsageError
from icas.dataset.image_labels import SPREAD
from icas.io.files import one_line_errors
from icas.io.locks import folder_lock
from icas.notebook.html import counted, visible

UNDO, REDO, JUMP, APPLY, OPEN = "undo", "redo", "jump", "apply", "open"
LONGEST_ID = 100
"""Characters of the id of a command."""


class StaleError(ConflictError):
    """A command for an earlier revision of the document; `rev` is the current one."""

    def __init__(self, rev: int) -> None:
        super().__init__(f"the review is at revision {rev}: get the state and try again")
        self.rev = rev


@dataclass
class _History:
    """The commands in effect, and those that were undone and can be redone."""

    done: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)  # the next to redo last
    applied: tuple[int, ...] = ()
    applied_rev: int = 0

    def steps_to(self, seq: int) -> tuple[str, int]:
        """UNDO or REDO, and how often, until `seq` is the last command in effect; 0 = none."""
        if seq == 0 or seq in self.done:
            place = 0 if seq == 0 else self.done.index(seq) + 1
            return UNDO, len(self.done) - place
        if seq in self.undone:
            return REDO, len(self.undone) - self.undone.index(seq)
        raise UsageError(f"no command {seq} in the history")

    @property
    def pending(self) -> int:
        """Commands since the last apply."""
        common = 0
        for one, other in zip(self.done, self.applied, strict=False):
            if one != other:
                break
            common += 1
        return len(self.done) + len(self.applied) - 2 * common


class ReviewSession:
    """The review of the result in a folder; use `open_review`."""

    def __init__(self, finished: FinishedRun, log: CommandLog, *, read_only: bool) -> None:
        self.finished, self.log, self.read_only = finished, log, read_only
        self.tree = Tree(finished.state.forest)
        self.document = ReviewDocument(len(finished.state.files), self.tree)
        self.history = _History()
        self.rev = -1
        self.lock = threading.RLock()
        self.similar = Background(lambda console: SimilarImages.read(finished.root, console))
        self.spread = LatestSpread()
        self.checks = Background(lambda console: ReviewChecks.read(self.finished, console))
        self.questions = ReviewQuestions(self.document)
        self._own: dict[str, Callable[[Draft, Args], str]] = {
            "threshold": self._set_threshold,
            "answer": self.questions.answer,
            "keep_best": self._keep_best,
            "spread": self._spread,
        }
        self._entries: dict[int, Entry] = {}
        self._revs: dict[str, int] = {}
        self._touched: list[Touched] = []
        self._listeners: list[Callable[[int], None]] = []

    @property
    def root(self) -> Path:
        """The result folder."""
        return self.finished.root

    def load(self, after: int = -1) -> None:
        """Apply what is in the log after a revision."""
        for entry, change in self.log.entries(after):
            self._replay(entry, change)

    def begin(self) -> None:
        """Start the log with the result as it is."""
        change = opening(self.finished, self.tree)
        entry = Entry(0, OPEN, OPEN, {}, "open the result", _now())
        self.log.append(entry, change.packed(), {"digest": digest(self.finished)})
        self.load()

    def on_change(self, listener: Callable[[int], None]) -> Callable[[], None]:
        """Call `listener` with each new revision; returns a function that stops it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def refresh(self) -> None:
        """Read what another process wrote to the log."""
        if self.read_only:
            with self.lock:
                before = self.rev
                self.load(before)
                if self.rev != before:
                    self.notify()

    def notify(self) -> None:
        """Call the listeners with the current revision."""
        for listener in list(self._listeners):
            listener(self.rev)

    # --- commands -----------------------------------------------------------------------------

    def execute(self, op: str, args: Mapping[str, Any], rev: int, id: str) -> dict[str, Any]:
        """Carry out a command; the answer of an earlier one with this `id` is repeated."""
        if op not in COMMANDS and op not in self._own:
            raise UsageError(f"unknown command {op!r}")
        if not isinstance(args, dict):
            raise UsageError("args: expected an object")
        with self.lock:
            repeated = self.repeated(op, args, id)
            if repeated is not None:
                return repeated
            self.check(rev)
            draft = Draft(self.document)
            text = self._run(draft, op, args)
            return self.store(op, args, id, text, draft.change())

    def _run(self, draft: Draft, op: str, args: Mapping[str, Any]) -> str:
        return {**COMMANDS, **self._own}[op](draft, args)

    def _set_threshold(self, draft: Draft, args: Mapping[str, Any]) -> str:
        check_linked(self.finished, "cannot get another threshold")
        return set_threshold(draft, self.finished.state.forest, args.get("value"))

    def _keep_best(self, draft: Draft, args: Mapping[str, Any]) -> str:
        """The image that is given, or the best one by ``by``."""
        if "image" in args:
            return COMMANDS["keep_best"](draft, args)
        by = args.get("by") or DEFAULT_BY
        if not isinstance(by, (str, tuple)):
            raise UsageError("by: expected names of criteria")
        files, paths = self.finished.state.files, self.paths()
        members = self.document.cluster(args.get("cluster")).members
        file = best_of_images({files[image]: paths[image] for image in members}, criteria(by))
        image = next(image for image in members if files[image] == file)
        return COMMANDS["keep_best"](draft, {**args, "image": image})

    def _spread(self, draft: Draft, args: Mapping[str, Any]) -> str:
        """Names of similar images for the others, from a confidence on."""
        least = args.get("least", 0.0)
        if isinstance(least, bool) or not isinstance(least, (int, float)) or not 0 <= least <= 1:
            raise UsageError("least: expected a confidence from 0 to 1")
        similar = self.similar.get()
        if similar is None:
            raise ConflictError("the images are still being compared: try again")
        names = {
            image: Label(name, SPREAD, round(confidence, 4))
            for image, (name, confidence) in similar.spread(self.named()).items()
            if confidence >= least and self.document.place[image] != REJECTED
        }
        return set_spread(draft, names)

    def named(self) -> dict[int, str]:
        """The images whose class is from a person."""
        return {
            image: label.name
            for image, label in self.document.all_labels().items()
            if label.source != SPREAD
        }

    def store(
        self,
        op: str,
        args: Mapping[str, Any],
        id: str,
        text: str,
        change: Change | None,
        facts: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Store a command durably, then apply its change; returns the answer."""
        entry = Entry(self.rev + 1, id, op, args, str(visible(text)), _now())
        data = None if change is None else change.packed()
        self.log.append(entry, data, facts)
        self._replay(entry, data)
        self.notify()
        return self._answer(entry)

    def _answer(self, entry: Entry) -> dict[str, Any]:
        return {"rev": self.rev, "delta": self.state(entry.rev - 1), "text": entry.text}

    def repeated(self, op: str, args: Mapping[str, Any], id: object) -> dict[str, Any] | None:
        """The answer of the command that had this id; None where there was none."""
        if not isinstance(id, str) or not 0 < len(id) <= LONGEST_ID or not id.isprintable():
            raise UsageError(f"id: expected text of up to {LONGEST_ID} characters")
        if id == OPEN:
            raise UsageError("id: choose another")
        rev = self._revs.get(id)
        if rev is None:
            return None
        entry = self._entries[rev]
        if entry.op != op or dict(entry.args) != dict(args):
            raise UsageError(f"id {id} was used for another command")
        return self._answer(entry)

    def check(self, rev: object) -> None:
        """Raise ConflictError where nothing may be changed, or `rev` is not the current one."""
        if self.read_only:
            raise ConflictError("this page is read only: another process edits the review")
        if isinstance(rev, bool) or not isinstance(rev, int):
            raise UsageError("rev: expected a number")
        if rev != self.rev:
            raise StaleError(self.rev)

    def undo(self, rev: int, id: str) -> dict[str, Any]:
        """Undo the last command."""
        return self._step(UNDO, rev, id)

    def redo(self, rev: int, id: str) -> dict[str, Any]:
        """Redo the command that was undone last."""
        return self._step(REDO, rev, id)

    def _step(self, op: str, rev: int, id: str) -> dict[str, Any]:
        with self.lock:
            repeated = self.repeated(op, {}, id)
            if repeated is not None:
                return repeated
            self.check(rev)
            stack = self.history.done if op == UNDO else self.history.undone
            if not stack:
                raise UsageError(f"nothing to {op}")
            return self.store(op, {}, id, f"{op} {self._entries[stack[-1]].text}", None)

    def jump(self, seq: int, rev: int, id: str) -> dict[str, Any]:
        """Undo or redo until the command `seq` is the last one in effect; 0 = none."""
        with self.lock:
            args = {"seq": seq}
            repeated = self.repeated(JUMP, args, id)
            if repeated is not None:
                return repeated
            self.check(rev)
            if isinstance(seq, bool) or not isinstance(seq, int):
                raise UsageError("seq: expected a number")
            op, count = self.history.steps_to(seq)
            return self.store(JUMP, args, id, f"{op} {counted(count, 'command')}", None)

    def _replay(self, entry: Entry, data: bytes | None) -> None:
        """Apply a row of the log."""
        touched, history = Touched(), self.history
        if entry.op in (UNDO, REDO):
            self._walk(entry.op, 1, touched)
        elif entry.op == JUMP:
            self._walk(*history.steps_to(entry.args["seq"]), touched)
        elif entry.op == APPLY:
            history.applied, history.applied_rev = tuple(history.done), entry.rev
        else:
            if data is None:
                raise IcasError(f"{self.log.path} is damaged: command {entry.rev} has no change")
            change = Change.unpacked(data)
            self.document.apply(change)
            touched.add(change)
            if entry.op != OPEN:
                history.done.append(entry.rev)
                history.undone.clear()
        self._entries[entry.rev] = entry
        self._revs[entry.id] = entry.rev
        self._touched.append(touched)
        self.rev = entry.rev

    def _walk(self, op: str, count: int, touched: Touched) -> None:
        history = self.history
        for _ in range(count):
            seq = (history.done if op == UNDO else history.undone).pop()
            change = Change.unpacked(self.log.change(seq))
            self.document.apply(change.inverse() if op == UNDO else change)
            touched.add(change)
            (history.undone if op == UNDO else history.done).append(seq)

    # --- what the page gets -------------------------------------------------------------------

    def state(self, since: int | None = None) -> dict[str, Any]:
        """The whole document, or what has changed since a revision."""
        with self.lock:
            history = self.history
            touched = None
            if since is not None and 0 <= since <= self.rev:
                touched = Touched()
                for one in self._touched[since + 1 :]:
                    touched.update(one)
            last = self._entries[history.done[-1]].text if history.done else None
            following = self._entries[history.undone[-1]].text if history.undone else None
            head: dict[str, Any] = {
                "rev": self.rev,
                "read_only": self.read_only,
                "undo": last,
                "redo": following,
                "applied_rev": history.applied_rev,
                "pending": history.pending,
            }
            if touched is None:
                head["run"] = self.about()
            else:
                head["since"] = since
            return head | self.document.shown_state(touched)

    def about(self) -> dict[str, Any]:
        """The run."""
        run = self.finished.run
        return {
            "dst": visible(str(self.root)),
            "src": visible(str(run["source"])),
            "method": run["method"],
            "threshold": run["threshold"],
            "images": self.document.count,
            "unreadable": len(self.finished.tables.unreadable),
            "linkage": run["settings"].get("linkage") or "single",
            "floor": self.tree.floor,
        }

    def cluster(self, number: int) -> dict[str, Any]:
        """One cluster with its similarities, bridge and links."""
        with self.lock:
            self.document.cluster(number)
            shape, bridge = self.document.shape(number), self.document.shape(number).bridge
            return {
                "id": number,
                "members": list(shape.order),
                "similarity": list(shape.strength),
                "bridge": bridge
                and {
                    "a": bridge.a,
                    "b": bridge.b,
                    "similarity": round(bridge.similarity, 4),
                    "left": list(bridge.left),
                    "right": list(bridge.right),
                    "striking": bridge.striking and not self.document.is_confirmed(number),
                },
                "edges": [[a, b, round(value, 4)] for a, b, value in shape.edges],
            }

    def question(self, skip: Collection[Pair]) -> dict[str, Any]:
        """The next question; until all pairs are compared, whether a bridge is right."""
        wait: dict[str, Any] = {"wait": False}
        try:
            similar = self.similar.get()
            if similar is None:
                wait = self.similar.waiting()
        except IcasError:  # such as images that were removed
            similar = None
        with self.lock:
            return self.questions.next(similar, skip) | wait

    def naming(self, count: int) -> dict[str, Any]:
        """Images to name next, the unsure ones, and names of similar images."""
        similar = self.similar.get()
        if similar is None:
            return {"order": [], "unsure": [], "spread": {}, **self.similar.waiting()}
        with self.lock:
            named, place = self.named(), list(self.document.place)
        found, stale = self.spread.get(similar, named)
        spread = {image: one for image, one in found.items() if place[image] != REJECTED}
        unsure = sorted(spread, key=lambda image: (spread[image][1], image))
        order = similar.naming_order(named, count)
        return {
            "order": [image for image in order if place[image] != REJECTED],
            "unsure": unsure[:count],
            "spread": {
                str(image): [name, round(confidence, 4)]
                for image, (name, confidence) in spread.items()
            },
            "stale": stale,
            "wait": False,
            "progress": 1.0,
        }

    def near(self, images: Collection[int], count: int) -> dict[str, Any]:
        """The clusters and outliers most similar to some images, each by its most similar image."""
        if not all(0 <= image < self.document.count for image in images):
            raise UsageError("images: expected numbers of images")
        similar = self.similar.get()
        if similar is None:
            return {"rows": [], **self.similar.waiting()}
        with self.lock:
            place = list(self.document.place)
        seen = {place[image] for image in images}
        rows: list[dict[str, Any]] = []
        for image, similarity in similar.near(images):
            number = place[image]
            if number == REJECTED or (number >= 0 and number in seen):
                continue
            seen.add(number)
            rows.append({"image": image, "similarity": round(similarity, 4)})
            if len(rows) == count:
                break
        return {"rows": rows, "wait": False, "progress": 1.0}

    def quality(self) -> dict[str, Any]:
        """The issues of single images, and clusters across given splits."""
        checks = self.checks.get()
        with self.lock:
            found = leaks(self.document, self.finished.state.files)
        if checks is None:
            return {"rows": [], "leaks": found, **self.checks.waiting()}
        return {"rows": checks.rows(), "leaks": found, "wait": False, "progress": 1.0}

    def duplicates(self) -> dict[str, Any]:
        """Groups of images with the same pixels."""
        checks = self.checks.get()
        if checks is None:
            return {"groups": [], **self.checks.waiting()}
        return {"groups": checks.duplicates(), "wait": False, "progress": 1.0}

    def forest(self) -> bytes:
        """The spanning forest: count, a, b, similarity, little endian."""
        forest = self.finished.state.forest
        return struct.pack("<I", len(forest.a)) + b"".join(
            np.ascontiguousarray(array, kind).tobytes()
            for array, kind in ((forest.a, "<i4"), (forest.b, "<i4"), (forest.similarity, "<f4"))
        )

    def commands(self) -> list[dict[str, Any]]:
        """Every command that is in effect or can be redone, in order."""
        with self.lock:
            history = self.history
            undone = set(history.undone)
            rows = [*history.done, *reversed(history.undone)]
            return [
                {
                    "seq": seq,
                    "op": self._entries[seq].op,
                    "text": self._entries[seq].text,
                    "time": self._entries[seq].time,
                    "undone": seq in undone,
                }
                for seq in rows
            ]

    def paths(self) -> list[Path]:
        """The path of each image now."""
        paths = current_paths(self.finished)
        return [paths[file] for file in self.finished.state.files]


@contextmanager
def open_review(root: Path, *, discard: bool = False) -> Iterator[ReviewSession]:
    """The review of the result in `root`.

    It is read only where another process reviews the result. With `discard` a review that cannot
    be continued, because the result was changed by something else, is started again.
    """
    check_recorded(root)
    with ExitStack() as stack:
        read_only = False
        folder = root / REVIEW
        with one_line_errors(f"cannot review {root}"):
            folder.mkdir(exist_ok=True)
        try:
            stack.enter_context(folder_lock(folder, root))
        except ConflictError:
            read_only = True
        if not read_only:
            with locked(root):
                finish_interrupted(root, Console(), dry_run=False)
        finished = FinishedRun.read(root)
        log = stack.enter_context(CommandLog(root, write=not read_only))
        session = ReviewSession(finished, log, read_only=read_only)
        session.load()
        if session.rev < 0:
            session.begin()
        elif not read_only and log.fact("digest") != (now := digest(finished)):
            if log.fact("applying"):  # killed while it was applied
                log.set_facts({"digest": now, "applying": ""})
            else:
                session = _restarted(session, discard)
        yield session


def _restarted(session: ReviewSession, discard: bool) -> ReviewSession:
    """A new review of a result that was changed; ConflictError if commands would be lost."""
    pending = session.history.pending
    if pending and not discard:
        raise ConflictError(
            f"{session.root} was changed since its review, which has"
            f" {counted(pending, 'command')} that {'is' if pending == 1 else 'are'} not applied:"
            " --discard drops them"
        )
    session.log.clear()
    fresh = ReviewSession(session.finished, session.log, read_only=False)
    fresh.begin()
    return fresh


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")

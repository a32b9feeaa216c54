"""A painting session for a page: images by number, commands checked, stored durably, answered."""

from __future__ import annotations

import gzip
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any
from weakref import ReferenceType, ref

import numpy as np

from icas.common.errors import ConflictError, IcasError, UsageError
from icas.io.find import RESULT_MARK
from icas.io.reading import MAX_PIXELS
from icas.notebook.html import counted, visible
from icas.segmentimg.formats import FORMATS
from icas.segmentimg.formats.inputs import ImageFile
from icas.segmentimg.formats.masks import names_in
from icas.segmentimg.labels.labels import Box
from icas.segmentimg.segmenters.sam import SamSegmenter
from icas.segmentimg.serving.carried import CarriedQueue
from icas.segmentimg.serving.classes import EDITS, VIEW, ClassViews
from icas.segmentimg.serving.commands import COMMANDS, Args, Done, Target
from icas.segmentimg.serving.served import ServedImage
from icas.segmentimg.serving.thumbnails import ThumbnailFiles
from icas.segmentimg.serving.tools import Tools, growth_steps
from icas.segmentimg.session.changes import Change, Recorder
from icas.segmentimg.session.log import Entry, PaintingLog, PaintingLogs
from icas.segmentimg.session.open import OpenImage
from icas.segmentimg.session.session import Mark, Session
from icas.segmentimg.templates.files import TemplateSet

UNDO, REDO = "undo", "redo"
ACCEPT, ABSENT = DECISIONS = "accept", "absent"
"""Commands that decide about a carried mask."""
IMAGE = "image"
"""Key of the number of the image among the arguments of a command."""
_UNSURE = "unsure:"
"""Beginning of the keys of the log for images that a person marked."""
LONGEST_ID = 100
"""Characters of the id of a command."""
_ANSWERS = 256
"""Answers that are repeated as they were."""
_PATIENCE = 5.0
"""Seconds for which the end waits for an image that is being opened."""
_TICK = 0.5
"""Seconds between two looks at what has to be autosaved."""


class StaleError(ConflictError):
    """A command for an earlier revision; `rev` is the current one."""

    def __init__(self, rev: int) -> None:
        super().__init__(f"the painting is at revision {rev}: get the state and try again")
        self.rev = rev


@dataclass(frozen=True)
class _Step:
    """A command that can be undone, and what it did."""

    op: str
    text: str


@dataclass
class _Steps:
    """The commands of an open image: in effect, and undone with the next to redo last."""

    opened: ReferenceType[OpenImage]
    done: list[_Step] = field(default_factory=list)
    undone: list[_Step] = field(default_factory=list)


Operation = Callable[[Target, Args], Done]
Action = Callable[[Args, "int | None"], "tuple[str, dict[str, Any]]"]
"""Takes the arguments and the number of an image or None; returns a text and the answer."""


class PaintingSession:
    """Paints the images of a session by commands; used by several threads.

    Attributes
    ----------
    session : Session
    lock : RLock
        Held while documents are read or changed.
    rev : int
        Number of the last command.
    operations : dict
        Commands on the document of an image by name, which can be undone.
    actions : dict
        Other commands by name. Further ones may be added to both.
    views : ClassViews
        Hidden and locked classes.
    """

    def __init__(
        self,
        session: Session,
        method: str = "",
        max_pixels: int = MAX_PIXELS,
        sam: SamSegmenter | str = "",
        templates: TemplateSet | None = None,
    ) -> None:
        self.session = session
        self.lock = threading.RLock()
        self.rev, self.method = 0, method
        self.tools = Tools(session, max_pixels, sam, templates or TemplateSet(), self._embedding)
        self.operations: dict[str, Operation] = {**COMMANDS, **self.tools.operations}
        self.actions: dict[str, Action] = {
            "save": self._save,
            "mark": self._mark,
            "class_view": self._view_class,
            "redo_carrying": self._carry_again,
            **{op: partial(self._edit_classes, op=op) for op in EDITS},
        }
        self._steps: dict[int, _Steps] = {}
        self._answers: OrderedDict[str, tuple[str, Args, int, dict[str, Any]]] = OrderedDict()
        self._logs = PaintingLogs()
        self._based: dict[int, tuple[ReferenceType[OpenImage], int]] = {}
        self._listeners: list[Callable[[str, dict[str, Any]], None]] = []
        self._thumbnails = ThumbnailFiles(session.pictures, max_pixels)
        self.carried = CarriedQueue(
            session, lambda opened: session.save(), max_pixels, self._on_queue, self._reload
        )
        self.operations |= {op: partial(self._decide, op=op) for op in DECISIONS}
        self._closed = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="icas-autosave", daemon=True)
        self.views = ClassViews(None)
        self._unsure: set[tuple[Path, str]] = set()
        self._marks_sent: dict[int, str] = {}
        log = self._log(self.session.pictures[0].out)
        if log is not None:
            self.views = ClassViews(log.fact(VIEW))
        self._ticker.start()

    # --- listeners ----------------------------------------------------------------------------

    def on_event(self, listener: Callable[[str, dict[str, Any]], None]) -> Callable[[], None]:
        """Call `listener` with the name and the data of events; returns a function to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def notify(self, name: str = "state", **data: Any) -> None:
        """Call the listeners; ``state`` has the revision."""
        content = data or {"rev": self.rev}
        for listener in list(self._listeners):
            listener(name, content)

    # --- images -------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.session.pictures)

    def check_number(self, number: Any) -> int:
        """The number of an image."""
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < self.count:
            raise UsageError(f"no image {number}")
        return number

    def open(self, number: int) -> OpenImage | None:
        """An image, opened; None while it is being opened in the background."""
        self.check_number(number)
        with self.lock:
            opened = self.session.at(number)
            self._log(self.session.pictures[number].out)
            if opened is None and self.session.error:
                name = visible(self.session.picture.path.name)
                raise UsageError(f"{name} cannot be painted: {self.session.error}")
            return opened

    def opened(self, number: int) -> OpenImage:
        """An image that is open."""
        opened = self.open(number)
        if opened is None:
            raise ConflictError(f"image {number} is still being opened: try again")
        return opened

    def wait(self, number: int, seconds: float) -> OpenImage | None:
        """`open`, after waiting up to some seconds for it."""
        opened = self.open(number)
        if opened is None:
            self.session.await_open(number, seconds)
            opened = self.open(number)
        return opened

    def move(self, pictures: Sequence[ImageFile]) -> None:
        """Continue with the same images at other paths."""
        with self.lock:
            self.session.pictures[:] = pictures
            self.carried.move()

    def offer_classes(self, names: Iterable[str]) -> None:
        """Add classes of these names, unless there are such."""
        with self.lock:
            for name in names:
                with suppress(UsageError):  # of a name that no class can have, or one has
                    self.execute("class_add", None, {"name": name}, self.rev, secrets.token_hex(8))

    # --- commands -----------------------------------------------------------------------------

    def execute(self, op: Any, image: Any, args: Any, rev: Any, id: Any) -> dict[str, Any]:
        """Carry out a command; an earlier one with this `id` is answered again."""
        if not isinstance(args, dict):
            raise UsageError("args: expected an object")
        if isinstance(op, str) and op in self.operations:
            work = self._painted
        elif isinstance(op, str) and op in self.actions:
            work = self._acted
        else:
            raise UsageError(f"unknown command {op!r}")
        if op == "template":
            self.tools.search(self.check_number(image))  # takes long, so not under the lock
        with self.lock:
            args = {**args, IMAGE: image}
            return self._repeated(op, args, id) or work(op, image, args, rev, id)

    def undo(self, image: Any, rev: Any, id: Any) -> dict[str, Any]:
        """Undo the last command on an image."""
        return self._step(UNDO, image, rev, id)

    def redo(self, image: Any, rev: Any, id: Any) -> dict[str, Any]:
        """Redo the command on an image that was undone last."""
        return self._step(REDO, image, rev, id)

    def _step(self, op: str, image: Any, rev: Any, id: Any) -> dict[str, Any]:
        with self.lock:
            args = {IMAGE: image}
            return self._repeated(op, args, id) or self._painted(op, image, args, rev, id)

    def _painted(self, op: str, image: Any, args: Args, rev: Any, id: str) -> dict[str, Any]:
        """Change the document, store the change, and answer with it."""
        self._check(rev)
        number = self.check_number(image)
        opened = self.opened(number)
        self._ensure_base(number, opened)
        document, served = opened.document, ServedImage.of(opened)
        recorder, before, colors = Recorder(document), document.revision, len(document.colors)
        text, box = self._changed(op, number, opened, args)
        change = recorder.change(box) if document.revision != before else None
        try:
            self._store(number, op, args, id, text, change)
        except BaseException:
            if document.revision != before:
                self._take_back(op, number, opened)
            raise
        served.update(box)
        if not opened.unsaved:  # after a decision: the autosave file of its save lacks this command
            self.session.store.autosave(number, force=True)
        self._notify_mark(number)
        if opened.document.revision != before:
            self.notify("doc", n=number, doc_rev=document.revision)
        answer = {
            "rev": self.rev,
            "doc_rev": document.revision,
            "text": text,
            "delta": self.delta(
                number,
                change or recorder.change(None),
                new_classes=len(document.colors) > colors,
            ),
        }
        self._remember(op, args, id, answer)
        self.notify()
        return answer

    def _acted(self, op: str, image: Any, args: Args, rev: Any, id: str) -> dict[str, Any]:
        """Carry out a command that changes no document, and answer with what it returned."""
        self._check(rev)
        number = None if image is None else self.check_number(image)
        text, content = self.actions[op](args, number)
        text = str(visible(text))
        picture = self.session.pictures[number or 0]
        name = "" if number is None else picture.name
        entry = Entry(self.rev + 1, id, name, "", op, args, text, _now())
        self._writing_log(picture.out).append(entry, None)
        self.rev = entry.rev
        answer = {"rev": self.rev, "text": text, "delta": {"n": number, **content}}
        self._remember(op, args, id, answer)
        self.notify()
        return answer

    def _save(self, args: Args, number: int | None) -> tuple[str, dict[str, Any]]:
        """``save {formats?}``: the files of an image, in the formats of the session or others."""
        number = self.check_number(number)
        formats = args.get("formats")
        if formats is not None and not (
            isinstance(formats, list)
            and formats
            and all(isinstance(name, str) and name in FORMATS for name in formats)
        ):
            raise UsageError(f"formats: choose from {', '.join(FORMATS)}")
        self.carried.check_free(number)
        opened = self.opened(number)
        files = self.session.save(formats or ())
        self.session.store.flush(number)
        self.carried.saved(number)
        self._notify_mark(number)
        return f"save {counted(len(files), 'file')}", self._about(number, opened)

    def _edit_classes(self, args: Args, number: int | None, op: str) -> tuple[str, dict[str, Any]]:
        """Change the class list; that of an image, if one is given, is made the one of all."""
        opened = None if number is None else self.opened(number)
        palette = self.session.palette if opened is None else opened.painting_classes()
        edited = EDITS[op](palette, args)
        numbers = self._numbers(opened)
        try:
            self.session.change_classes(edited.palette, dict(edited.changed))
        except IcasError as error:
            edited = replace(edited, text=f"{edited.text}; not listed: {error.message}")
        self.views.rename(edited.changed)
        self._store_views()
        for index, (based, _) in self._based.items():
            opened_now = self.session.store.images.get(index)
            if opened_now is not None and based() is opened_now:
                # the log refers to the classes by their former numbers, names and colors
                self.session.store.keep_now(index)
        content: dict[str, Any] = {"classes": self.views.rows(self.session.palette)}
        if opened is not None:
            content |= {
                "palette": self.views.rows(opened.classes),
                "doc_rev": opened.document.revision,
                "reload": self._numbers(opened) != numbers,
            }
        return edited.text, content

    def _numbers(self, opened: OpenImage | None) -> list[int]:
        return [] if opened is None else opened.document.codes.tolist()

    def _view_class(self, args: Args, number: int | None) -> tuple[str, dict[str, Any]]:
        palette = self.session.palette if number is None else self.opened(number).classes
        text = self.views.change(palette, args)
        self._store_views()
        return text, {"classes": self.views.rows(self.session.palette)}

    def _store_views(self) -> None:
        self._writing_log(self.session.pictures[0].out).set_fact(VIEW, self.views.text())

    def _mark(self, args: Args, number: int | None) -> tuple[str, dict[str, Any]]:
        """``mark {unsure}``: a person comes back to an image later."""
        number, unsure = self.check_number(number), args.get("unsure")
        if not isinstance(unsure, bool):
            raise UsageError("unsure: expected true or false")
        picture = self.session.pictures[number]
        self._writing_log(picture.out).set_fact(_UNSURE + picture.name, "1" if unsure else "")
        (self._unsure.add if unsure else self._unsure.discard)((picture.out, picture.name))
        self._notify_mark(number)
        return "mark as unsure" if unsure else "unmark", {"mark": self.mark(number)}

    def _notify_mark(self, number: int) -> None:
        """Notify the listeners if the mark of an image has changed."""
        mark = self.mark(number)
        if self._marks_sent.get(number) != mark:
            self._marks_sent[number] = mark
            self.notify("files", marks={str(number): mark})

    def _changed(self, op: str, number: int, opened: OpenImage, args: Args) -> Done:
        steps, document = self._steps_of(number, opened), opened.document
        if op in (UNDO, REDO):
            source, target = steps.done, steps.undone
            if op == REDO:
                source, target = target, source
            box = self._moved(op, source[-1] if source else None, number, opened)
            if box is None and not (source and source[-1].op in DECISIONS):
                source.clear()
                raise UsageError(f"nothing to {op}")
            step = source.pop() if source else _Step("", "command")
            target.append(step)
            return f"{op} {step.text}", box
        before = document.revision
        text, box = self.operations[op](Target(opened, number, self.locked(opened)), args)
        text = str(visible(text))
        if document.revision != before or op in DECISIONS:
            steps.done.append(_Step(op, text))
            steps.undone.clear()
        return text, box

    def _steps_of(self, number: int, opened: OpenImage) -> _Steps:
        """The steps of an image; of one that was closed and opened again, only last decisions."""
        steps = self._steps.get(number)
        if steps is None or steps.opened() is not opened:
            done = [] if steps is None else steps.done
            others = [place for place, step in enumerate(done) if step.op not in DECISIONS]
            kept = done[others[-1] + 1 :] if others else done
            steps = self._steps[number] = _Steps(ref(opened), kept)
        return steps

    def _moved(self, op: str, step: _Step | None, number: int, opened: OpenImage) -> Box | None:
        """Undo or redo a step, or a command before this session; the box of what changed."""
        if step is None or step.op not in DECISIONS:
            return opened.document.undo() if op == UNDO else opened.document.redo()
        before = opened.document.revision
        if op == UNDO:
            self.carried.undo(number, opened)
        else:
            self.carried.decide(number, opened, absent=step.op == ABSENT)
        return _changed_box(opened, before)

    def _take_back(self, op: str, number: int, opened: OpenImage) -> None:
        """The document as before a command that could not be stored."""
        steps = self._steps_of(number, opened)
        source, target = (steps.undone, steps.done) if op == UNDO else (steps.done, steps.undone)
        step = source.pop()
        self._moved(REDO if op == UNDO else UNDO, step, number, opened)
        if op in (UNDO, REDO):
            target.append(step)

    def _check(self, rev: Any) -> None:
        if isinstance(rev, bool) or not isinstance(rev, int):
            raise UsageError("rev: expected a number")
        if rev != self.rev:
            raise StaleError(self.rev)

    def _repeated(self, op: str, args: Args, id: Any) -> dict[str, Any] | None:
        """The answer of the command that had this id; None where there was none."""
        if not isinstance(id, str) or not 0 < len(id) <= LONGEST_ID or not id.isprintable():
            raise UsageError(f"id: expected text of up to {LONGEST_ID} characters")
        known = self._answers.get(id)
        if known is not None:
            known_op, known_args, rev, answer = known
            answer = answer if rev == self.rev else {**answer, "rev": self.rev, "stale": True}
        else:
            entry = self._logs.find(id)
            if entry is None:
                return None
            known_op, known_args = entry.op, entry.args
            answer = {"rev": self.rev, "text": entry.text, "delta": None, "stale": True}
        if known_op != op or dict(known_args) != dict(args):
            raise UsageError(f"id {id} was used for another command")
        return answer

    def _remember(self, op: str, args: Args, id: str, answer: dict[str, Any]) -> None:
        self._answers[id] = op, args, self.rev, answer
        while len(self._answers) > _ANSWERS:
            self._answers.popitem(last=False)

    # --- the log ------------------------------------------------------------------------------

    def _log(self, out: Path) -> PaintingLog | None:
        """The log of an output folder, if there is one."""
        return self._writing_log(out) if self._logs.has(out) else None

    def _writing_log(self, out: Path) -> PaintingLog:
        """The log of an output folder; the revision is at least that of its last command."""
        known, log = out in self._logs, self._logs.of(out)
        if not known:
            self.rev = max(self.rev, log.last)
            marked = log.facts(_UNSURE)
            self._unsure |= {(out, name) for name, value in marked.items() if value}
        return log

    def _store(
        self, number: int, op: str, args: Args, id: str, text: str, change: Change | None
    ) -> None:
        """Append a command to the log of its image."""
        picture = self.session.pictures[number]
        opened = self.session.store.images[number]
        entry = Entry(self.rev + 1, id, picture.name, opened.base, op, args, text, _now())
        log = self._writing_log(picture.out)
        log.append(entry, None if change is None else change.packed())
        self.rev = opened.rev = entry.rev

    def _ensure_base(self, number: int, opened: OpenImage) -> None:
        """Write the autosave file that the commands of an image follow, unless there is one.

        Another one is needed when the classes have other numbers.
        """
        based, edits = self._based.get(number, (None, -1))
        if based is not None and based() is opened and edits == opened.class_edits:
            return
        picture = self.session.pictures[number]
        log = self._writing_log(picture.out)
        opened.base, opened.rev = secrets.token_hex(8), self.rev
        self.session.store.keep_now(number)
        log.drop_changes(picture.name, opened.base)
        self._based[number] = ref(opened), opened.class_edits

    def _tick(self) -> None:
        while not self._closed.wait(_TICK):
            with self.lock:
                message = self.session.tick()
            if message:
                self.notify("message", text=str(visible(message)))

    def close(self) -> None:
        """Autosave everything and end."""
        self._closed.set()
        self._ticker.join()
        self.tools.close()
        with self.lock:
            self.summary = self.session.close(_PATIENCE)
            self._logs.close()

    # --- what the page gets -------------------------------------------------------------------

    def locked(self, opened: OpenImage) -> frozenset[int]:
        """Numbers of the locked classes of an image."""
        names = self.views.locked
        if not names:
            return frozenset()
        rows = enumerate(opened.painting_classes(), start=1)
        return frozenset(number for number, entry in rows if entry.name in names)

    def state(self) -> dict[str, Any]:
        """The session."""
        with self.lock:
            session = self.session
            return {
                "rev": self.rev,
                "read_only": False,
                "out": visible(str(session.pictures[0].out)),
                "formats": list(session.saves),
                "images": self.count,
                "method": self.method,
                "classes": self.views.rows(session.palette),
                "ops": sorted({*self.operations, *self.actions}),
                "folder": visible(session.pictures[0].path.parent.name),
                "autosave": True,
                **self.tools.state(),
                **self.carried.state(),
            }

    def document(self, number: int, opened: OpenImage) -> dict[str, Any]:
        """An image with its segments and classes."""
        with self.lock:
            return {
                "n": number,
                "file": visible(opened.picture.path.name),
                "note": visible(opened.note),
                "palette": self.views.rows(opened.painting_classes()),
                "objects_by_segment": opened.segments_are_objects,
                **ServedImage.of(opened).shown(),
                **self._about(number, opened),
            }

    def _about(self, number: int, opened: OpenImage) -> dict[str, Any]:
        steps = self._steps_of(number, opened)
        return {
            **ServedImage.of(opened).shown_objects(),
            "undo": steps.done[-1].text if steps.done else None,
            "redo": steps.undone[-1].text if steps.undone else None,
            "mark": self.mark(number),
        }

    def delta(self, number: int, change: Change, *, new_classes: bool = False) -> dict[str, Any]:
        """What a command changed, for the page."""
        opened = self.session.store.images[number]
        palette = self.views.rows(opened.painting_classes()) if new_classes else None
        return {
            "n": number,
            "palette": palette,
            **ServedImage.of(opened).shown_change(change),
            **self._about(number, opened),
        }

    def labels(self, number: int, rev: int | None = None) -> tuple[bytes, int]:
        """The label map of an image, raw little endian, compressed by gzip; and its revision."""
        with self.lock:
            opened = self._at_revision(number, rev)
            return ServedImage.of(opened).labels(), opened.document.revision

    def overrides(self, number: int, rev: int | None = None) -> tuple[bytes, int]:
        """The codes of the brushed pixels of an image, as `labels`: int32, -1 elsewhere."""
        with self.lock:
            document = self._at_revision(number, rev).document
            overrides, now = document.overrides_of(np.s_[:, :]), document.revision
        if overrides is None:
            raise UsageError(f"image {number} has no brushed pixels")
        return gzip.compress(overrides.astype("<i4").tobytes(), 1), now

    def _at_revision(self, number: int, rev: int | None) -> OpenImage:
        opened = self.opened(number)
        if rev is not None and rev != opened.document.revision:
            raise ConflictError(f"image {number} is at revision {opened.document.revision}")
        return opened

    # --- tools --------------------------------------------------------------------------------

    def growth(self, number: int, row: int, col: int) -> list[list[int]]:
        """Segments that each step of growing adds around a pixel of an open image."""
        with self.lock:
            return growth_steps(self.opened(number), row, col)

    def _embedding(self, number: int, progress: float) -> None:
        self.notify("embedding", image=number, progress=round(progress, 2))

    # --- carried masks ------------------------------------------------------------------------

    def _decide(self, target: Target, _: Args, op: str) -> Done:
        """``accept`` and ``absent``: a decision about the carried mask of an image."""
        before = target.document.revision
        if op == ABSENT and target.locked:
            raise UsageError("a class is locked: unlock all classes to clear the image")
        text = self.carried.decide(target.number, target.opened, absent=op == ABSENT)
        return text, _changed_box(target.opened, before)

    def _carry_again(self, args: Args, number: int | None) -> tuple[str, dict[str, Any]]:
        """``redo_carrying``: carry masks again, from those that were fixed too."""
        store = self.session.store
        for index in store.unsaved & store.images.keys():  # so that carrying leaves them alone
            store.keep_now(index)
        return self.carried.carry_again(), {}

    def _on_queue(self, name: str, **data: Any) -> None:
        self.notify(name, **data)

    def _reload(self, numbers: Sequence[int]) -> None:
        """Open images again whose files were changed by carrying."""
        with self.lock:
            for number in numbers:
                if number in self.session.store.unsaved:
                    continue
                was_open = number in self.session.store.images
                self.session.reload(number)
                self._steps.pop(number, None)
                self._based.pop(number, None)
                if was_open:
                    self.notify("doc", n=number, doc_rev=-1)
            marks = {str(number): self.mark(number) for number in numbers}
        self._marks_sent.update({int(number): mark for number, mark in marks.items()})
        if marks:
            self.notify("files", marks=marks)

    # --- files and pixels ---------------------------------------------------------------------

    def files(self, start: int, count: int) -> dict[str, Any]:
        """Names and marks of the images from `start` on."""
        numbers = range(self.count)[start : start + count]
        with self.lock:
            marks = self.marks(numbers)
        names = [visible(self.session.pictures[number].path.name) for number in numbers]
        return {"files": names, "marks": marks}

    def marks(self, numbers: Sequence[int]) -> list[str]:
        """The marks of images; files are looked for once for each folder."""
        pictures = self.session.pictures
        names: dict[Path, set[str]] = {}
        for out in {pictures[number].out for number in numbers}:
            names[out] = names_in(out) | names_in(out / RESULT_MARK)
            self._log(out)
        return [self._mark_of(number, names[pictures[number].out]) for number in numbers]

    def mark(self, number: int) -> str:
        """Whether an image is painted, or marked."""
        return self._mark_of(number, None)

    def _mark_of(self, number: int, names: set[str] | None) -> str:
        """The mark; `names`: files of the output folder, to look no further without any."""
        session, picture = self.session, self.session.pictures[number]
        if number in session.errors:
            return "unreadable"
        if (picture.out, picture.name) in self._unsure:
            return "unsure"
        opened = number in session.store.images
        if names is not None and not opened and not session.may_be_painted(number, names):
            return ""
        mark = session.mark(number).value
        return mark if mark == Mark.UNSAVED.value else self.carried.mark(number) or mark

    def thumb(self, number: int, size: int) -> bytes:
        """A JPEG with sides of at most `size` pixels."""
        return self._thumbnails.thumb(self.check_number(number), size)

    def whole(self, number: int) -> tuple[bytes, str]:
        """An open image, encoded, and its media type."""
        served = ServedImage.of(self.opened(number))
        if served.is_tiled:
            raise UsageError(f"image {number} is sent in tiles")
        return served.whole()

    def tile(self, number: int, level: int, row: int, col: int) -> bytes:
        """A tile of an open image."""
        data = ServedImage.of(self.opened(number)).tile(level, row, col)
        if data is None:
            raise UsageError(f"image {number} has no such tile")
        return data


def _changed_box(opened: OpenImage, before: int) -> Box | None:
    """The box of the whole image, unless its document is as at a revision."""
    height, width = opened.document.labels.shape
    return None if opened.document.revision == before else (0, height, 0, width)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")

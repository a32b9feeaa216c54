"""The runs in an output folder: which one is unfinished, replaced paintings, undo.

``OUT/.icas/propagation/`` holds ``run.json``, found clusters, features of the images and replaced
paintings. What a run has made of an image is in NAME.json, written in one step with the masks.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from icas.common.errors import ConflictError, IcasError, UsageError
from icas.io.files import one_line_errors, write_whole
from icas.io.find import RESULT_MARK
from icas.io.locks import folder_lock
from icas.notebook.html import counted
from icas.segmentimg.datasets.saved import recorded
from icas.segmentimg.document.palette import PaintClass, Painting
from icas.segmentimg.formats.inputs import ImageFile, find_image_files
from icas.segmentimg.formats.masks import pending_of, remove_painting, save_painting, strings
from icas.segmentimg.propagation_run.images import (
    ACCEPTED,
    CARRIED,
    LEVEL,
    ImageState,
    Mark,
    read_states,
)
from icas.segmentimg.propagation_run.settings import PropagateSettings
from icas.segmentimg.propagation_run.table import TABLE_NAME, write_tables
from icas.segmentimg.session.folders import painting_locked

FOLDER = "propagation"
RUN_NAME = "run.json"
CLASSES = "classes"
"""Option of a recorded run: names and colors of the classes that it carried."""


def run_folder(out: Path) -> Path:
    """The folder of the runs in an output folder."""
    return out / RESULT_MARK / FOLDER


@dataclass(frozen=True)
class Run:
    """A run as recorded when it starts."""

    number: int
    settings: dict[str, Any]
    finished: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the call, to carry again in the same way."""


def read_run(out: Path) -> Run | None:
    """The last run in an output folder; None where there was none."""
    path = run_folder(out) / RUN_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        options = dict(content.get("options", {}))
        return Run(
            int(content["run"]), dict(content["settings"]), bool(content["finished"]), options
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConflictError(f"{path} cannot be read ({error}): move it away") from None


def carried_classes(outs: Iterable[Path]) -> list[PaintClass]:
    """The classes of the last runs in output folders; none where there was no run."""
    found: dict[PaintClass, None] = {}
    for run in map(read_run, outs):
        with suppress(ValueError, TypeError):
            for name, (red, green, blue) in run.options.get(CLASSES, ()) if run else ():
                found[PaintClass(str(name), (int(red), int(green), int(blue)))] = None
    return list(found)


def write_run(outs: Iterable[Path], run: Run) -> None:
    """Record a run in its output folders."""
    content = {
        "run": run.number,
        "settings": run.settings,
        "finished": run.finished,
        "options": run.options,
    }
    for out in outs:
        folder = run_folder(out)
        with one_line_errors(f"cannot write to {out}"):
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / RUN_NAME, (json.dumps(content, indent=2) + "\n").encode())


def begin_run(
    outs: Sequence[Path],
    states: Sequence[ImageState],
    settings: dict[str, Any],
    resume: bool,
    options: dict[str, Any],
) -> Run:
    """The run to start, or the unfinished one to continue.

    Raises UsageError: there is an unfinished run and `resume` is off, or it has other settings.
    """
    unfinished = [run for run in map(read_run, outs) if run is not None and not run.finished]
    if unfinished:
        run = max(unfinished, key=lambda one: one.number)
        if not resume:
            raise UsageError(
                f"a run in {outs[0]} is unfinished: --resume continues it, --undo removes its masks"
            )
        for name, value in run.settings.items():
            if settings.get(name) != value:
                flag = "--" + name.replace("_", "-")
                raise UsageError(
                    f"the unfinished run has {flag} {value}, not {settings.get(name)}: give the"
                    " same settings, or --undo it first"
                )
        return run
    marks = [state.mark.run for state in states if state.mark is not None]
    known = [run.number for run in map(read_run, outs) if run is not None]
    return Run(max([0, *marks, *known]) + 1, settings, options=options)


@contextmanager
def locked(outs: Sequence[Path]) -> Any:
    """Keep other processes out of the runs in output folders while the block runs."""
    with ExitStack() as stack:
        for out in outs:
            folder = run_folder(out)
            with one_line_errors(f"cannot write to {out}"):
                folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(folder_lock(folder, out))
        yield


def backup_file(picture: ImageFile, run: int) -> Path:
    """Where the painting that a run replaces is kept."""
    return run_folder(picture.out) / f"{picture.name}.before-{run}.npz"


def write_backup(picture: ImageFile, run: int, painting: Painting, record: dict[str, Any]) -> None:
    """Keep a carried painting and its record, before a run replaces it."""
    about = {
        "record": record,
        "classes": [[entry.name, list(entry.color)] for entry in painting.classes],
    }
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {"class_map": painting.class_map}
    if painting.instance_map is not None:
        arrays["instance_map"] = painting.instance_map.astype(np.int16)
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez_compressed(buffer, about=text, **arrays)
    write_whole(backup_file(picture, run), buffer.getvalue())


def _read_backup(path: Path) -> tuple[Painting, dict[str, Any]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            numbers = arrays["instance_map"].astype(np.uint16) if "instance_map" in arrays else None
            classes = tuple(PaintClass(name, tuple(color)) for name, color in about["classes"])
            return Painting(arrays["class_map"], classes, numbers), about["record"]
    except Exception as error:  # ZIP and array readers raise almost any exception
        raise IcasError(f"{path} is damaged ({error}): nothing was restored from it") from error


@dataclass
class PropagationUndo:
    """What the undo of a run did.

    Attributes
    ----------
    run : int
        Number of the run.
    removed, restored : int
        Images without a painting again, and with the one of an earlier run.
    kept : list of str
        Files that a person has fixed, checked or rejected since: not changed.
    """

    run: int
    out: tuple[Path, ...]
    removed: int = 0
    restored: int = 0
    kept: list[str] = field(default_factory=list)
    planned: bool = False

    def lines(self) -> list[str]:
        """Describe the undo in lines; the last one has the totals."""
        lines = [f"kept, as a person changed or checked it: {file}" for file in self.kept]
        verb = "would remove" if self.planned else "removed"
        lines.append(
            f"run {self.run}: {verb} the masks of {counted(self.removed, 'image')};"
            f" {self.restored} restored, {len(self.kept)} kept -> {', '.join(map(str, self.out))}"
        )
        return lines


def undo_run(
    paths: Sequence[str | Path], settings: PropagateSettings, *, dry_run: bool = False
) -> PropagationUndo:
    """Undo the last run: what it has made is removed, what it has replaced comes back.

    Paintings that a person has changed, checked or rejected since are kept. UsageError where there
    is no run.
    """
    pictures = find_image_files(paths, settings.out, settings.recursive)
    outs = tuple(sorted({picture.out for picture in pictures}))
    with ExitStack() as stack:
        if not dry_run and any(run_folder(out).is_dir() for out in outs):
            stack.enter_context(painting_locked(outs))
            stack.enter_context(locked(outs))
        states = read_states(pictures, settings.max_pixels)
        marked = [state for state in states if state.mark is not None]
        runs = [run.number for run in map(read_run, outs) if run is not None]
        number = max(runs or [state.mark.run for state in marked if state.mark], default=0)
        if number == 0:
            raise UsageError(f"no run of propagate in {', '.join(map(str, outs))}")
        report = PropagationUndo(number, outs, planned=dry_run)
        for state in marked:
            if state.mark is not None and state.mark.run == number:
                _undo_image(state, state.mark, report)
        if not dry_run:
            _finish(pictures, outs, number, settings)
    return report


def _undo_image(state: ImageState, mark: Mark, report: PropagationUndo) -> None:
    picture = state.picture
    own = state.state == CARRIED or (state.state == ACCEPTED and mark.by == LEVEL)
    emptied = state.digest != mark.painting and not state.classes and _is_emptied(picture)
    if not (own or emptied):
        if state.digest:
            report.kept.append(state.file)
        return
    backup = backup_file(picture, mark.run)
    if backup.exists():
        report.restored += 1
        if not report.planned:
            painting, record = _read_backup(backup)
            save_painting(picture, painting, record, _saves_of(record))
            backup.unlink()
        return
    report.removed += 1
    if not report.planned:
        remove_painting(picture, mark.before)


def _is_emptied(picture: ImageFile) -> bool:
    """Whether an undo of this image was interrupted."""
    return bool(strings(pending_of(recorded(picture)).get("stale")))


def _saves_of(record: dict[str, Any]) -> tuple[str, ...]:
    """The kinds of files that a record lists."""
    names = [str(name) for name in record.get("painted_files", ())]
    kinds = {
        "masks": any("_mask_(" in name for name in names),
        "labels": any(name.endswith("_labels.png") for name in names),
        "labelme": any(name.endswith("_labelme.json") for name in names),
        "instances": any(name.endswith("_instances.png") for name in names),
    }
    return tuple(kind for kind, present in kinds.items() if present) or ("masks", "labels")


def _finish(
    pictures: Sequence[ImageFile], outs: Sequence[Path], number: int, settings: PropagateSettings
) -> None:
    """Write the tables again, or remove all traces after the undo of the first run."""
    states = read_states(pictures, settings.max_pixels)
    left = [state.mark.run for state in states if state.mark is not None and state.digest]
    before = max((run for run in left if run < number), default=0)
    if left:
        write_tables(states)
        options = next((run.options for run in map(read_run, outs) if run is not None), {})
        write_run(outs, Run(before, {}, True, options))
        return
    for out in outs:
        (out / TABLE_NAME).unlink(missing_ok=True)
        for path in run_folder(out).iterdir():
            if path.name != "lock":
                path.unlink(missing_ok=True)


def remove_leftovers(outs: Iterable[Path]) -> None:
    """Remove the empty folders that an undone run leaves."""
    for out in outs:
        for folder in (run_folder(out), out / RESULT_MARK, out):
            with suppress(OSError):
                folder.rmdir()

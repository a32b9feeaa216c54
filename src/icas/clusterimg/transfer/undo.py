"""Undo a run; every step can be repeated after an interruption."""

from __future__ import annotations

import filecmp
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.clusterimg.journal.journal import FOLDER, FileRecord, FolderRecord, Journal, has_journal
from icas.clusterimg.transfer.cleanup import (
    check_inside,
    remove_empty_folders,
    remove_if_empty,
    remove_record,
    remove_unfinished,
    why_kept,
)
from icas.clusterimg.transfer.destination import is_free, locked
from icas.clusterimg.transfer.operations import (
    LeftAloneError,
    Transfer,
    fingerprint,
    move,
    part_name,
)
from icas.clusterimg.transfer.relocation import finish_interrupted, remove_prepared
from icas.common.errors import ConflictError, IcasError, UsageError
from icas.io.files import as_typed, one_line_errors, path_of


@dataclass(frozen=True)
class Undone:
    """Result of `icas.undo`.

    Attributes
    ----------
    dst : Path
        Result folder.
    moved_back : int
        Number of images moved back to the source.
    removed : int
        Number of files removed.
    left : tuple of (str, str)
        Files that were kept, and why.
    written : bool
        False after a dry run.

    See Also
    --------
    icas.undo : Undo a run.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> undone = icas.Undone(Path("sorted"), moved_back=0, removed=12, left=())
    >>> undone.summary()
    '0 images moved back, 12 files removed, 0 left in sorted'
    >>> undone.as_dict()["dry_run"]
    False
    """

    dst: Path
    moved_back: int
    removed: int
    left: tuple[tuple[str, str], ...]
    written: bool = True

    def summary(self) -> str:
        """Return the last line that the command prints.

        Returns
        -------
        str
        """
        dry = "" if self.written else " (dry run, nothing changed)"
        return (
            f"{self.moved_back} images moved back, {self.removed} files removed,"
            f" {len(self.left)} left in {self.dst}{dry}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the result as for ``--json``.

        Returns
        -------
        dict
            With ``dst``, ``moved_back``, ``removed``, ``left`` and ``dry_run``.
        """
        left = [{"file": file, "reason": reason} for file, reason in self.left]
        return {
            "dst": str(self.dst),
            "moved_back": self.moved_back,
            "removed": self.removed,
            "left": left,
            "dry_run": not self.written,
        }


def undo(dst: str | Path, *, dry_run: bool = False, progress: bool = False) -> Undone:
    """Undo a run, finished or interrupted.

    Moved images return to their source paths with their modification times. Other files of the
    run, and folders that become empty, are removed. Files that changed since the run, and files
    whose removal would lose data, stay and are listed. Files that the run did not write are not
    touched. After an interruption, call it again.

    Parameters
    ----------
    dst : str or Path
        Result folder.
    dry_run : bool, default False
        Plan only, change nothing.
    progress : bool, default False
        Show progress bars and warnings on stderr.

    Returns
    -------
    Undone
        Number of files moved back and removed, and the files kept.

    Raises
    ------
    UsageError
        Missing folder, or no run recorded in it.
    ConflictError
        Another process uses the folder.
    IcasError
        A disk error; another call continues.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> how = {"method": "imagehash", "threshold": 0.9}
    >>> report = icas.cluster("photos", **how, dst="sorted", transfer="move")
    >>> Path("photos/cup.jpg").exists()
    False
    >>> icas.undo("sorted").moved_back
    1
    >>> Path("photos/cup.jpg").exists(), Path("sorted").exists()
    (True, False)
    """
    return undo_run(path_of(dst, "dst"), Console(warnings=progress, bars=progress), dry_run=dry_run)


def undo_run(root: Path, console: Console, *, dry_run: bool = False) -> Undone:
    """As `undo`, with messages to `console`."""
    try:
        return _undo(root, console, dry_run)
    except FileNotFoundError as error:
        if root.exists():
            raise
        raise _undone_by_another(root) from error


def _undone_by_another(root: Path) -> ConflictError:
    return ConflictError(f"another clusterimg process has just undone {root}")


def _errors(root: Path) -> AbstractContextManager[None]:
    hint = f"; no file is lost, run clusterimg undo {root} again to continue"
    return one_line_errors("interrupted", hint, subject=str(root))


def _undo(root: Path, console: Console, dry_run: bool) -> Undone:
    if not root.is_dir():
        raise UsageError(f"no folder {str(root)!r}: give the result folder of a clusterimg run")
    if not has_journal(root):
        return _undo_unplanned(root, console, dry_run)
    with nullcontext() if dry_run else locked(root):
        if not has_journal(root):
            raise _undone_by_another(root)
        finished = finish_interrupted(root, console, dry_run, quiet=True)
        if finished is None and not dry_run:
            with _errors(root):
                remove_prepared(root)
        with Journal(root) as journal:
            records, folders = list(journal.files()), journal.folders()
        check_inside(root, records)
        # The file that a symbolic link points to must be back before the link.
        steps = [_step_of(root, one) for one in sorted(records, key=lambda one: bool(one.link))]
        count = Counter(step.action for step in steps)
        console.line(
            f"plan: move {count['back']} images back, remove {count['remove']} files that the"
            f" run wrote to {root}"
        )
        for step in steps:
            if step.action == "back":
                source = as_typed(step.record.source or "", root)
                console.detail(f"plan: move {root / step.record.target} -> {source}")
            elif step.action == "remove":
                console.detail(f"plan: remove {root / step.record.target}")
        left = tuple((step.record.target, step.reason) for step in steps if step.action == "leave")
        undone = Undone(root, count["back"], count["remove"], left, not dry_run)
        if dry_run:
            return undone
        with _errors(root):
            _execute(root, steps, console)
            if not left:
                remove_record(root)
    if not left:
        _remove_folders(root, folders)
    return undone


def _undo_unplanned(root: Path, console: Console, dry_run: bool) -> Undone:
    """Remove what a run prepared that was killed before its plan was in the journal."""
    if not (root / FOLDER).is_dir() or not is_free(root):
        raise UsageError(f"{root} has no record of a clusterimg run: nothing to undo")
    if not dry_run:
        with locked(root):
            pass  # which removes what has no plan
    console.line(
        f"plan: nothing to move, the run into {root} was interrupted before its first image"
    )
    return Undone(root, 0, 0, (), not dry_run)


@dataclass(frozen=True)
class _Step:
    """What is done with one file, and why where it is left.

    The actions are ``back`` (moved to its source), ``remove``, ``none`` (it is gone already) and
    ``leave``.
    """

    record: FileRecord
    action: str
    reason: str = ""


def _step_of(root: Path, record: FileRecord) -> _Step:
    path, source = root / record.target, Path(record.source or "")
    if not os.path.lexists(path):
        if record.how == "move" and record.is_done and not os.path.lexists(source):
            return _Step(record, "leave", "is missing: it was moved or removed after the run")
        return _Step(record, "none")
    if record.how != "move":
        reason = why_kept(root, record)
        return _Step(record, "remove") if reason is None else _Step(record, "leave", reason)
    if os.path.lexists(source):
        if os.path.realpath(source) == os.path.realpath(path):
            return _Step(record, "leave", f"cannot be moved back: {source} is now a link to it")
        if source.exists() and (source.samefile(path) or filecmp.cmp(source, path, shallow=False)):
            return _Step(record, "remove")
        return _Step(record, "leave", f"cannot be moved back: {source} is now another file")
    if fingerprint(path) not in (record.state, record.planned_state):
        return _Step(record, "leave", "has changed since the run that moved it")
    return _Step(record, "back")


def _execute(root: Path, steps: Sequence[_Step], console: Console) -> None:
    """Execute the steps; files stay in the journal until the last one is done."""
    done = [step.record for step in steps if step.action != "leave"]
    with Journal(root) as journal:
        remove_unfinished(root)  # frees space on a full disk
        try:
            _begin(journal)
        except IcasError:  # removing the tables frees more
            for step in steps:
                if step.action == "remove" and step.record.how == "write":
                    (root / step.record.target).unlink(missing_ok=True)
            _begin(journal)
        with console.bar(len(steps), "undo", "files") as bar:
            for step in steps:
                if step.action == "back":
                    _move_back(root, step.record)
                elif step.action == "remove":
                    (root / step.record.target).unlink(missing_ok=True)
                bar.update(1)
        remove_empty_folders(root, done)
        sources = [step.record.source for step in steps if step.action == "leave"]
        _restore_times(journal.folders(), {str(Path(one).parent) for one in sources if one})
        journal.forget(one.target for one in done)


def _begin(journal: Journal) -> None:
    """Begin undoing; source folders that were changed since the run keep their mtimes."""
    if journal.phase == "undoing":
        return
    changed = [
        folder.path
        for folder in journal.folders()
        if not folder.created
        and folder.after_ns is not None
        and Path(folder.path).exists()
        and Path(folder.path).stat().st_mtime_ns != folder.after_ns
    ]
    journal.forget_folders(changed)
    journal.enter("undoing")


def _move_back(root: Path, record: FileRecord) -> None:
    """Move an image to its source, with its earlier mtime."""
    source, path = Path(record.source or ""), root / record.target
    source.parent.mkdir(parents=True, exist_ok=True)
    part = source.with_name(f".icas-{part_name(record)}.part")
    if record.link is not None:
        linked = source.parent / record.link
        if linked.is_file() and filecmp.cmp(linked, path, shallow=False):
            _create_link(source, part, record)
            path.unlink()
            return
    try:
        move(Transfer(path, source, part))
    except LeftAloneError as error:
        raise IcasError(f"cannot move {path} back to {source}: {error}") from error
    if record.from_mtime_ns is not None and fingerprint(source)[1] != record.from_mtime_ns:
        os.utime(source, ns=(source.stat().st_atime_ns, record.from_mtime_ns))


def _create_link(source: Path, part: Path, record: FileRecord) -> None:
    """Create the symbolic link that `source` was, with its mtime, over the name `part`."""
    part.unlink(missing_ok=True)
    part.symlink_to(record.link or "")
    if record.link_mtime_ns is not None and os.utime in os.supports_follow_symlinks:
        times = (part.lstat().st_atime_ns, record.link_mtime_ns)
        os.utime(part, ns=times, follow_symlinks=False)
    part.rename(source)


def _restore_times(folders: Iterable[FolderRecord], incomplete: Collection[str]) -> None:
    """Restore the mtimes of folders that images were moved out of, but for `incomplete` ones."""
    for folder in folders:
        path = Path(folder.path)
        if folder.mtime_ns is not None and folder.path not in incomplete and path.is_dir():
            os.utime(path, ns=(path.stat().st_atime_ns, folder.mtime_ns))


def _remove_folders(root: Path, folders: Sequence[FolderRecord]) -> None:
    """Remove the folders that were created for the result."""
    resolved = root.resolve()  # paths may contain `..`
    above = [one for one in folders if resolved.is_relative_to(Path(one.path).resolve())]
    created = [Path(folder.path) for folder in above if folder.created]
    for folder in sorted(created, key=lambda path: -len(path.parts)):
        remove_if_empty(folder)
    _restore_times(above, ())

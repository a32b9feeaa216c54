"""The steps by which a run is taken back; each can be done again after an interruption."""

from __future__ import annotations

import contextlib
import filecmp
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.clusterimg.journal import relocation_log as rearrangements
from icas.clusterimg.journal.journal import FOLDER, Journal, has_journal
from icas.clusterimg.journal.records import Folder, Made
from icas.clusterimg.transfer.cleanup import (
    check_inside,
    remove_empty_folders,
    remove_if_empty,
    remove_record,
    remove_unfinished,
    why_kept,
)
from icas.clusterimg.transfer.destination import at_work, is_free
from icas.clusterimg.transfer.operations import Carrying, LeftAloneError, fingerprint, move, part_of
from icas.clusterimg.transfer.relocation import finish, remove_prepared
from icas.common.errors import ConflictError, IcasError, UsageError


@dataclass(frozen=True)
class Step:
    """What becomes of one file on record.

    Attributes
    ----------
    made : Made
    what : str
        ``back`` (moved back), ``remove``, ``nothing`` (it is not there, and needs not be) or
        ``leave``.
    why : str
        Why it is left.
    """

    made: Made
    what: str
    why: str = ""


def step_of(root: Path, made: Made) -> Step:
    """What becomes of the file `made` in the result `root`, as it lies there now."""
    path = root / made.target
    if not os.path.lexists(path):
        if made.how == "move" and made.is_done and not _is_back(made):
            return Step(made, "leave", "is not there any more: it was moved or removed since")
        return Step(made, "nothing")
    if made.how == "move":
        return _step_of_moved(path, made)
    why = why_kept(root, made)
    return Step(made, "remove") if why is None else Step(made, "leave", why)


def _is_back(made: Made) -> bool:
    return os.path.lexists(made.source or "")


def _step_of_moved(path: Path, made: Made) -> Step:
    source = Path(made.source or "")
    if os.path.lexists(source):
        if os.path.realpath(source) == os.path.realpath(path):
            return Step(made, "leave", f"cannot go back: a link to it is at {source}")
        if source.exists() and (source.samefile(path) or filecmp.cmp(source, path, shallow=False)):
            return Step(made, "remove")
        return Step(made, "leave", f"cannot go back: another file is at {source}")
    known = {(made.size, made.mtime_ns), (made.from_size, made.from_mtime_ns)}
    if fingerprint(path) not in known:
        return Step(made, "leave", "was changed since the run that moved it")
    return Step(made, "back")


def do(root: Path, steps: Sequence[Step], console: Console) -> None:
    """Do every step; all stay on record until the last is done, and can be done again."""
    done = [step.made for step in steps if step.what != "leave"]
    with Journal(root) as journal:
        remove_unfinished(root)  # which makes room on a full disk
        try:
            _begin(journal)
        except IcasError:  # the tables make more, and nobody needs them any longer
            for step in steps:
                if step.what == "remove" and step.made.how == "write":
                    _remove(root, step.made)
            _begin(journal)
        with console.bar(len(steps), "undo", "files") as bar:
            for step in steps:
                if step.what in _DO:
                    _DO[step.what](root, step.made)
                bar.update(1)
        remove_empty_folders(root, done)
        waiting = {step.made.source for step in steps if step.what == "leave"}
        _restore_times(journal.folders(), {str(Path(one).parent) for one in waiting if one})
        journal.forget(one.target for one in done)


def _begin(journal: Journal) -> None:
    """Source folders that were changed since the run keep the times that they have."""
    if journal.phase == "undoing":
        return
    changed = [
        folder.path
        for folder in journal.folders()
        if not folder.made
        and folder.after_ns is not None
        and _time_of(Path(folder.path)) not in (folder.after_ns, None)
    ]
    journal.forget_folders(changed)
    journal.enter("undoing")


def _time_of(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return None


def _back(root: Path, made: Made) -> None:
    """One moved image at its old place again, with its old time."""
    source, path = Path(made.source or ""), root / made.target
    source.parent.mkdir(parents=True, exist_ok=True)
    part = source.with_name(f".icas-{part_of(made)}.part")
    if made.link is not None and _shows_the_same(source.parent / made.link, path):
        _make_link(source, part, made)
        path.unlink()
        return
    try:
        move(Carrying(path, source, part))
    except LeftAloneError as error:
        raise IcasError(f"cannot move {path} back to {source}: {error}") from error
    if made.from_mtime_ns is not None and fingerprint(source)[1] != made.from_mtime_ns:
        os.utime(source, ns=(source.stat().st_atime_ns, made.from_mtime_ns))


def _make_link(source: Path, part: Path, made: Made) -> None:
    """The link that `source` was, with its time; it grows under the name `part`."""
    part.unlink(missing_ok=True)
    part.symlink_to(made.link or "")
    if made.link_mtime_ns is not None and os.utime in os.supports_follow_symlinks:
        times = (part.lstat().st_atime_ns, made.link_mtime_ns)
        os.utime(part, ns=times, follow_symlinks=False)
    part.rename(source)


def _shows_the_same(link: Path, path: Path) -> bool:
    return link.is_file() and filecmp.cmp(link, path, shallow=False)


def _remove(root: Path, made: Made) -> None:
    (root / made.target).unlink(missing_ok=True)


_DO: dict[str, Callable[[Path, Made], None]] = {"back": _back, "remove": _remove}


def _restore_times(folders: Iterable[Folder], waiting: Collection[str]) -> None:
    """Give the folders that images were moved out of the times that they had before.

    Not those that still wait for an image.
    """
    for folder in folders:
        path = Path(folder.path)
        if folder.mtime_ns is not None and folder.path not in waiting and path.is_dir():
            os.utime(path, ns=(path.stat().st_atime_ns, folder.mtime_ns))


def remove_folders(root: Path, folders: Sequence[Folder]) -> None:
    """Remove the folders that were made for the result, now that nothing is on record."""
    whole = root.resolve()  # and so are the others: `..` in a path may be said in many ways
    above = [folder for folder in folders if whole.is_relative_to(Path(folder.path).resolve())]
    made = [Path(folder.path) for folder in above if folder.made]
    for folder in sorted(made, key=lambda path: -len(path.parts)):
        remove_if_empty(folder)
    _restore_times(above, ())


@dataclass(frozen=True)
class Undone:
    """What taking a run back did, or would do.

    What `icas.undo` gives.

    Attributes
    ----------
    dst : Path
        The result folder.
    moved_back : int
        Images that are at their old places again.
    removed : int
        Files that the run had made.
    left : tuple of (str, str)
        Files of the result that were left, and why.
    written : bool
        False after a dry run.

    See Also
    --------
    icas.undo : makes one.

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
        """The line that the command ends with.

        Returns
        -------
        str
        """
        dry = "" if self.written else " (dry run, nothing done)"
        return (
            f"{self.moved_back} images moved back, {self.removed} files removed,"
            f" {len(self.left)} left in {self.dst}{dry}"
        )

    def as_dict(self) -> dict[str, Any]:
        """The same for ``--json``.

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
    """Take a run back, finished or interrupted.

    Moved images go back to where they were, with their times; whatever else the run made goes
    away, and so do the folders that this leaves empty. What was changed since, and what would be
    lost with it, stays and is named; nothing that the run did not make is touched. A call that
    was interrupted goes on with the next one.

    Parameters
    ----------
    dst : str or Path
        The result folder.
    dry_run : bool, default False
        Plan only; nothing is changed.
    progress : bool, default False
        Show progress bars and warnings on stderr.

    Returns
    -------
    Undone
        How many files went back or away, and what was left.

    Raises
    ------
    UsageError
        No such folder, or no run is recorded in it.
    ConflictError
        Another process is at work in it.
    IcasError
        The disk fails; another call goes on.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> report = icas.cluster("photos", threshold=0.9, dst="sorted", transfer="move")
    >>> Path("photos/cup.jpg").exists()
    False
    >>> icas.undo("sorted").moved_back
    1
    >>> Path("photos/cup.jpg").exists(), Path("sorted").exists()
    (True, False)
    """
    return undo_run(Path(dst), Console(warnings=progress, bars=progress), dry_run=dry_run)


def undo_run(root: Path, console: Console, *, dry_run: bool = False) -> Undone:
    """As `undo`, with the words to `console`."""
    try:
        return _undone(root, console, dry_run)
    except FileNotFoundError as error:
        if root.exists():
            raise
        raise _taken_back(root) from error


def _taken_back(root: Path) -> ConflictError:
    return ConflictError(f"another clusterimg has just taken {root} back")


def _undone(root: Path, console: Console, dry_run: bool) -> Undone:
    if not root.is_dir():
        raise UsageError(f"no folder {str(root)!r}: clusterimg undo takes a result folder")
    if not has_journal(root):
        return _before_record(root, console, dry_run)
    with nullcontext() if dry_run else at_work(root):
        if not has_journal(root):
            raise _taken_back(root)
        _finish_rearrangement(root, console, dry_run)
        with Journal(root) as journal:
            made, folders = list(journal.made()), journal.folders()
        check_inside(root, made)
        # What links showed must be back before them.
        steps = [step_of(root, one) for one in sorted(made, key=lambda one: one.link is not None)]
        _print_plan(root, steps, console)
        undone = _told(root, steps, written=not dry_run)
        if dry_run:
            return undone
        with _one_line(root):
            do(root, steps, console)
            if not undone.left:
                remove_record(root)
    if not undone.left:
        remove_folders(root, folders)
    return undone


def _before_record(root: Path, console: Console, dry_run: bool) -> Undone:
    """What a run prepared goes, that was killed before it put anything on record."""
    if not (root / FOLDER).is_dir() or not is_free(root):
        raise UsageError(f"{root} holds no record of a run: nothing to take back")
    if not dry_run:
        with at_work(root):
            pass  # which removes what has no plan
    console.line(f"plan: the run into {root} was killed before its first image")
    return Undone(root, 0, 0, (), not dry_run)


def _print_plan(root: Path, steps: Sequence[Step], console: Console) -> None:
    """Say what is going to be done, before it is."""
    back = sum(step.what == "back" for step in steps)
    gone = sum(step.what == "remove" for step in steps)
    console.line(f"plan: move {back} images back, remove {gone} files that a run made in {root}")
    for step in steps:
        if step.what == "back":
            console.detail(f"plan: move {root / step.made.target} -> {step.made.source}")
        elif step.what == "remove":
            console.detail(f"plan: remove {root / step.made.target}")


def _told(root: Path, steps: Iterable[Step], *, written: bool = True) -> Undone:
    steps = list(steps)
    left = tuple((step.made.target, step.why) for step in steps if step.what == "leave")
    back = sum(step.what == "back" for step in steps)
    return Undone(root, back, sum(step.what == "remove" for step in steps), left, written)


def _finish_rearrangement(root: Path, console: Console, dry_run: bool) -> None:
    """A re-cut or a split that was interrupted is finished, so that every file has one place."""
    with Journal(root) as journal:
        one = rearrangements.unfinished(journal.database)
    if one is None:
        if not dry_run:
            with _one_line(root):
                remove_prepared(root)
        return
    if dry_run:
        raise ConflictError(
            f"a {one.told()} of {root} was interrupted: without --dry-run it is finished first"
        )
    finish(root, console)


@contextlib.contextmanager
def _one_line(root: Path) -> Iterator[None]:
    """Turns what the disk says into one line."""
    try:
        yield
    except OSError as error:
        if isinstance(error, IcasError):
            raise
        raise IcasError(
            f"stopped in the middle: {error.filename}: {error.strerror or error}; nothing is lost,"
            f" clusterimg undo {root} goes on"
        ) from error

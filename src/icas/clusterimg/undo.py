"""A run taken back: moved images to where they were, everything that it made away."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.clusterimg import rearrangements
from icas.clusterimg.destination import at_work, is_free
from icas.clusterimg.journal import FOLDER, Journal, has_journal
from icas.clusterimg.rearrange import finish, remove_prepared
from icas.clusterimg.removing import (
    check_inside,
    remove_record,
)
from icas.clusterimg.undo_steps import Step, step_of
from icas.clusterimg.undoing import do, remove_folders
from icas.common.errors import ConflictError, IcasError, UsageError
from icas.common.progress import Console


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

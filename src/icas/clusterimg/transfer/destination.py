"""The result folder: whether it may be used, who uses it, and what is put on record about it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.journal.journal import FOLDER, Journal, phase_of, remove_journal
from icas.clusterimg.journal.records import Folder, Made
from icas.clusterimg.transfer.cleanup import (
    check_removable,
    remove_if_empty,
    remove_made,
    remove_unfinished,
)
from icas.clusterimg.transfer.plan import Move, Plan
from icas.clusterimg.transfer.preflight import existing
from icas.common.errors import ConflictError, IcasError
from icas.io.files import check_no_links
from icas.io.locks import just_taken_away, only_one

_LONGEST_ROOT = 504 - len(f"/{FOLDER}/journal.db")
"""Bytes that the path of a result folder may have."""


@dataclass(frozen=True)
class Destination:
    """The result folder, found free or clearable before any work starts.

    Attributes
    ----------
    root : Path
    earlier : tuple of Made
        Files that an earlier run made there and that this one is going to remove.
    folders : tuple of Folder
        Those that this run made for it, and the one that they were made in.
    """

    root: Path
    earlier: tuple[Made, ...] = ()
    folders: tuple[Folder, ...] = ()

    @classmethod
    def of(cls, root: Path, *, overwrite: bool = False, resume: bool = False) -> Destination:
        """The result folder `root`.

        Raises
        ------
        ConflictError
            It is a file, or is not empty and may not be cleared, or may not be written.
        """
        if os.path.lexists(root) and not root.is_dir():
            what = "a file" if root.exists() else "a link that leads nowhere"
            raise ConflictError(f"result folder {root} is {what}: choose another --dst")
        _check_writable(root)
        _check_short(root)
        if is_free(root):
            return cls(root)
        phase = phase_of(root)
        if phase == "carrying" and not overwrite:
            raise ConflictError(
                f"a run into {root} was interrupted: the same command with --resume goes on where"
                f" it stopped, clusterimg undo {root} takes it back"
            )
        if not overwrite and not (resume and phase == "clearing"):
            raise ConflictError(
                f"result folder {root} is not empty: choose another --dst, or --overwrite to remove"
                " what an earlier run made there"
            )
        return cls(root, tuple(check_removable(root)))

    @property
    def going(self) -> frozenset[Path]:
        """Files that are going to be removed."""
        return frozenset(self.root / made.target for made in self.earlier)

    def check_spares(self, images: Sequence[ImageRef]) -> None:
        """Make sure that no image to be clustered is among the files to be removed.

        Raises
        ------
        ConflictError
            One is: the result folder holds the source, or the source links into it.
        """
        going = {_entry(path) for path in self.going}
        for ref in images if going else ():
            if not going.isdisjoint((_entry(ref.path), Path(os.path.realpath(ref.path)))):
                raise ConflictError(
                    f"{ref.path} is to be clustered, and --overwrite would remove it from"
                    f" {self.root}: choose another --dst"
                )

    def check_free(self, name: str) -> None:
        """Make sure that nothing of somebody else's is where the file `name` is to be.

        Raises
        ------
        ConflictError
            Something is.
        """
        path = self.root / name
        if os.path.lexists(path) and path not in self.going:
            raise ConflictError(f"{path} exists already and is not overwritten")


def _entry(path: Path) -> Path:
    """The file `path` itself, also where it is a link."""
    return path.parent.resolve() / path.name


def is_free(root: Path) -> bool:
    """Whether there is nothing in `root` but what a run left that was killed before its plan."""
    if not root.exists():
        return True
    if any(entry.name != FOLDER for entry in root.iterdir()):
        return False
    return phase_of(root) is None


def _check_writable(root: Path) -> None:
    """Find out at once what else would be found out after hours."""
    ground = existing(root)
    if not ground.is_dir():
        raise ConflictError(f"{root} would lie in {ground}, which is a file: choose another --dst")
    if not os.access(ground, os.W_OK | os.X_OK):
        raise ConflictError(f"folder {ground} may not be written: choose another --dst")


@contextmanager
def claimed(root: Path, *, overwrite: bool = False, resume: bool = False) -> Iterator[Destination]:
    """The result folder `root`, locked for this process.

    Raises
    ------
    ConflictError
        As `Destination.of`, or another process is at work in it.
    """
    if not (root / FOLDER).is_dir():
        Destination.of(
            root, overwrite=overwrite, resume=resume
        )  # what is refused is left without a trace
    with at_work(root) as folders:
        destination = Destination.of(root, overwrite=overwrite, resume=resume)
        yield replace(destination, folders=folders)


def _check_short(root: Path) -> None:
    """SQLite opens no database whose path is longer, and the journal is one."""
    too_long = len(os.fsencode(os.path.realpath(root))) - _LONGEST_ROOT
    if too_long > 0 and sys.platform != "win32":
        raise ConflictError(
            f"the whole path of result folder {root.name} is {too_long} bytes longer than the"
            f" {_LONGEST_ROOT} that the record of a run allows: choose a shorter --dst"
        )


@contextmanager
def at_work(root: Path) -> Iterator[tuple[Folder, ...]]:
    """Keep other runs out of the result folder `root` while the block runs.

    It is made where it is not there; what nothing was put into is removed again.

    Yields
    ------
    tuple of Folder
        The folders that were made for it, and the one that they were made in.

    Raises
    ------
    ConflictError
        Another process is at work in it; the message says which.
    """
    ground = existing(root).absolute()
    ground_ns = ground.stat().st_mtime_ns
    made = _folders_made(root / FOLDER)
    try:
        try:
            check_no_links(root / FOLDER)
        except FileNotFoundError:
            raise just_taken_away(root / FOLDER) from None
        with only_one(root / FOLDER, root):
            try:
                ours = [Folder(str(one.absolute()), True) for one in made if one != root / FOLDER]
                yield (*ours, *([Folder(str(ground), False, ground_ns)] if ours else []))
            finally:
                _leave_nothing_unplanned(root)
    finally:
        for folder in {root / FOLDER: None, **dict.fromkeys(reversed(made))}:
            remove_if_empty(folder)


def _leave_nothing_unplanned(root: Path) -> None:
    """Where no plan came on record, nothing that was prepared stays."""
    with contextlib.suppress(IcasError):  # a journal that fails has been told of
        if phase_of(root) is None:
            remove_unfinished(root)
            remove_journal(root)


def _folders_made(folder: Path) -> list[Path]:
    """Make `folder` and those above it that are missing; these, the outermost first."""
    if folder.is_symlink():
        raise ConflictError(f"{folder} is a link: remove it, or choose another --dst")
    missing = []
    for one in (folder, *folder.parents):
        if one.exists():
            break
        missing.append(one)
    try:
        for one in reversed(missing):
            one.mkdir(exist_ok=True)
    except FileNotFoundError:
        raise just_taken_away(folder) from None
    except OSError as error:
        for one in missing:
            remove_if_empty(one)
        raise IcasError(f"cannot make folder {error.filename}: {error.strerror}") from error
    return missing[::-1]


def record(
    destination: Destination,
    plan: Plan,
    prepared: Iterable[Made],
    how: str,
    about: dict[str, str],
) -> None:
    """Put the whole plan on record; what an earlier run made is removed before.

    Images move only after this. Killed in between, nothing but what an earlier run made is gone,
    and the plan is made anew.
    """
    root = destination.root
    with Journal(root) as journal:
        if destination.earlier:
            journal.enter("clearing")
            remove_made(root, destination.earlier)
        folders = [*_left_folders(plan, how), *destination.folders]
        folders += [folder for folder in journal.folders() if folder.made]
        journal.plan(
            [*(_planned(move, how) for move in plan.moves), *prepared],
            about,
            {folder.path: folder for folder in folders}.values(),
        )


def _planned(move: Move, how: str) -> Made:
    source = move.source.absolute()
    size, mtime_ns = move.state or (None, None)
    planned = Made(str(move.target), how, str(source), from_size=size, from_mtime_ns=mtime_ns)
    try:
        if not source.is_symlink():
            return planned
        link = os.readlink(source)  # noqa: PTH115  (its very text: a Path would tidy it)
        link_mtime_ns = source.lstat().st_mtime_ns
    except OSError:  # gone meanwhile, or not to be reached: told when it is carried
        return planned
    return replace(planned, link=link, link_mtime_ns=link_mtime_ns)


def _left_folders(plan: Plan, how: str) -> list[Folder]:
    """Folders that images are moved out of, with their times."""
    if how != "move":
        return []
    found = []
    for folder in sorted({move.source.absolute().parent for move in plan.moves}):
        with contextlib.suppress(OSError):  # gone meanwhile: told when its images are carried
            found.append(Folder(str(folder), False, folder.stat().st_mtime_ns))
    return found

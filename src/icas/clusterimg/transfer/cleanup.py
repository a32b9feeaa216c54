"""What a run made goes away again, if nothing is lost with it: for --overwrite and for undo."""

from __future__ import annotations

import contextlib
import filecmp
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from icas.clusterimg.journal import relocation_log as rearrangements
from icas.clusterimg.journal.journal import (
    FOLDER,
    PARTS,
    Journal,
    being_undone,
    has_journal,
    remove_journal,
)
from icas.clusterimg.journal.records import Made
from icas.clusterimg.transfer.staging import PREPARED
from icas.common.errors import ConflictError

OWN_FOLDERS = (PARTS, PREPARED)
"""Folders in which only runs of ours put files, whose ends they wait for there."""


def check_removable(root: Path) -> list[Made]:
    """The files that an earlier run made in `root` and that can go without any loss.

    Raises
    ------
    ConflictError
        Nothing is recorded, a file was changed since, or it is the only copy of an image.
    """
    if not has_journal(root):
        raise ConflictError(
            f"{root} is not empty and holds no record of an earlier run: --overwrite removes only"
            " what a run recorded that it made; choose another --dst"
        )
    with Journal(root) as journal:
        unfinished = rearrangements.unfinished(journal.database)
        phase = journal.phase
        recorded = [made for made in journal.made() if os.path.lexists(root / made.target)]
    if unfinished is not None:
        raise ConflictError(
            f"{root} was left in the middle of a {unfinished.told()}: the same command finishes it"
        )
    if phase == "undoing":
        raise being_undone(root)
    check_inside(root, recorded)
    for made in recorded:
        why = why_kept(root, made)
        if why is not None:
            raise ConflictError(
                f"{root / made.target} {why}: --overwrite does not remove it; choose another"
                " --dst, or move it elsewhere first (clusterimg undo takes a whole run back)"
            )
    return recorded


def check_inside(root: Path, recorded: Iterable[Made]) -> None:
    """Make sure that no place on record is reached through a link out of the result.

    Raises
    ------
    ConflictError
        One is: a folder was replaced by a link since.
    """
    whole = Path(os.path.realpath(root))
    for folder in sorted({(root / made.target).parent for made in recorded}):
        if not Path(os.path.realpath(folder)).is_relative_to(whole):
            raise ConflictError(
                f"{folder} lies outside of {root} through a link: remove that link; nothing was"
                " done"
            )


def why_kept(root: Path, made: Made) -> str | None:
    """Why a file that is there may not be removed; None if nothing is lost with it."""
    path = root / made.target
    if path.is_dir() and not path.is_symlink():
        return "is a folder now"
    if made.how == "symlink":
        source = Path(made.source or "")
        return None if path.is_symlink() and path.readlink() == source else "is another link"
    if made.source is None:
        return None if _is_as_written(path, made) else "was changed since the run that made it"
    if path.is_symlink():
        return "is a link now"
    source = Path(made.source)
    if not source.exists() or os.path.realpath(source) == os.path.realpath(path):
        return f"is the only copy of {source}"
    if source.samefile(path) or _state(source) == _state(path) == _done(made):
        return None
    if not filecmp.cmp(source, path, shallow=False):
        known = _state(path) in (_done(made), (made.from_size, made.from_mtime_ns))
        which = "differs from" if not known else "is the only copy as it was of"
        return f"{which} {source}, one of which was changed since the run"
    return None


def _is_as_written(path: Path, made: Made) -> bool:
    """Whether a table is as the run put it there, whether that was marked or not."""
    return _state(path) in (_done(made), (made.from_size, made.from_mtime_ns))


def _state(path: Path) -> tuple[int | None, int | None]:
    status = os.lstat(path)
    return status.st_size, status.st_mtime_ns


def _done(made: Made) -> tuple[int | None, int | None]:
    return made.size, made.mtime_ns


def remove_made(root: Path, recorded: Iterable[Made]) -> None:
    """Remove the `recorded` files and the folders that this leaves empty; the record stays."""
    recorded = list(recorded)
    for made in recorded:
        (root / made.target).unlink(missing_ok=True)
    remove_empty_folders(root, recorded)


def remove_empty_folders(root: Path, recorded: Iterable[Made]) -> None:
    """Remove the folders below `root` that held `recorded` files and hold nothing any more."""
    above = (parent for made in recorded for parent in Path(made.target).parents)
    folders = {root / parent for parent in above if parent.parts} - {root / FOLDER}
    for folder in sorted(folders, key=lambda path: -len(path.parts)):
        remove_if_empty(folder)


def remove_if_empty(folder: Path) -> bool:
    """Remove `folder` if it is there and empty; whether it is gone."""
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not os.path.lexists(folder)


def remove_unfinished(root: Path) -> None:
    """Remove what runs left that were killed: files that were not whole, prepared tables."""
    for path in _unfinished(root):
        path.unlink()
    for name in OWN_FOLDERS:
        for folder, _, _ in os.walk(root / name, topdown=False):
            remove_if_empty(Path(folder))


def _unfinished(root: Path) -> Iterator[Path]:
    for name in OWN_FOLDERS:
        if not (root / name).is_symlink():
            for folder, _, files in os.walk(root / name):
                yield from (Path(folder) / file for file in files)


def remove_record(root: Path) -> None:
    """Remove the journal and its folder, last of all."""
    remove_unfinished(root)
    remove_journal(root)
    remove_if_empty(root / FOLDER)

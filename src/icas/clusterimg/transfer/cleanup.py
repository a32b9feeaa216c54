"""Files of a result compared with the journal, and removed if nothing is lost."""

from __future__ import annotations

import contextlib
import filecmp
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from icas.clusterimg.journal.journal import (
    FOLDER,
    PARTS,
    REVIEW,
    FileRecord,
    Journal,
    being_undone,
    has_journal,
    remove_journal,
)
from icas.clusterimg.transfer.plan import TREE
from icas.common.errors import ConflictError
from icas.io.files import remove_abandoned

PREPARED = f"{FOLDER}/prepared"
"""Folder of the result in which tables are written before images are transferred."""
REVIEW_FILES = ("commands.db-wal", "commands.db-shm", "commands.db", "lock")
SYSTEM_FILES = frozenset((".ds_store", "thumbs.db", "desktop.ini"))
"""Files that file managers create; they are ignored."""
_NAMED = 3
"""Files that an error names."""


def check_removable(root: Path) -> list[FileRecord]:
    """The files that an earlier run wrote in `root`, all of which can be removed without loss."""
    if not has_journal(root):
        raise ConflictError(
            f"{root} is not empty and has no record of a clusterimg run, so --overwrite would"
            " remove nothing: choose another --dst"
        )
    with Journal(root) as journal:
        unfinished = journal.rearrangement()
        phase = journal.phase
        records = [one for one in journal.files() if os.path.lexists(root / one.target)]
    if unfinished is not None:
        raise ConflictError(
            f"an interrupted {unfinished.description()} of {root} is not finished: run that"
            " command again first"
        )
    if phase == "undoing":
        raise being_undone(root)
    check_inside(root, records)
    for one in records:
        reason = why_kept(root, one)
        if reason is not None:
            raise ConflictError(
                f"{root / one.target} {reason}, so --overwrite does not remove it: choose"
                " another --dst, or move that file elsewhere"
            )
    return records


def check_inside(root: Path, records: Iterable[FileRecord]) -> None:
    """Raise ConflictError if a folder was replaced by a link out of the result."""
    resolved = Path(os.path.realpath(root))
    for folder in sorted({(root / one.target).parent for one in records}):
        if not Path(os.path.realpath(folder)).is_relative_to(resolved):
            raise ConflictError(
                f"{folder} is a link out of {root}: remove the link; nothing was changed"
            )


def why_kept(root: Path, record: FileRecord) -> str | None:
    """Why an existing file must not be removed; None if nothing is lost with it."""
    path = root / record.target
    if path.is_dir() and not path.is_symlink():
        return "is now a folder"
    if record.how == "symlink":
        source = Path(record.source or "")
        return None if path.is_symlink() and path.readlink() == source else "is now another link"
    known = file_state(path) in (record.state, record.planned_state)
    if record.source is None:
        return None if known else "has changed since the run that wrote it"
    if path.is_symlink():
        return "is now a link"
    source = Path(record.source)
    if not source.exists() or os.path.realpath(source) == os.path.realpath(path):
        return f"is the only copy of {source}"
    if source.samefile(path) or file_state(source) == file_state(path) == record.state:
        return None
    if not filecmp.cmp(source, path, shallow=False):
        which = "differs from" if not known else "is the only unchanged copy of"
        return f"{which} {source}, which has changed since the run"
    return None


def file_state(path: Path) -> tuple[int, int]:
    """Size and mtime of the file at `path`; of a link, not of what it leads to."""
    status = os.lstat(path)
    return status.st_size, status.st_mtime_ns


def remove_files(root: Path, records: Iterable[FileRecord]) -> None:
    """Remove files and the folders that this leaves empty; the journal stays."""
    records = list(records)
    for one in records:
        (root / one.target).unlink(missing_ok=True)
    remove_empty_folders(root, records)


def remove_empty_folders(root: Path, records: Iterable[FileRecord]) -> None:
    """Remove the folders of these files that are empty."""
    above = (parent for one in records for parent in Path(one.target).parents)
    folders = {root / parent for parent in above if parent.parts} - {root / FOLDER}
    for folder in sorted(folders, key=lambda path: -len(path.parts)):
        remove_if_empty(folder)


def remove_if_empty(folder: Path) -> None:
    """Remove `folder` if it exists and is empty."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def remove_unfinished(root: Path) -> None:
    """Remove incomplete files and prepared tables of killed runs."""
    for name in (PARTS, PREPARED):
        if not (root / name).is_symlink():
            for folder, _, files in os.walk(root / name, topdown=False):
                for file in files:
                    (Path(folder) / file).unlink()
                remove_if_empty(Path(folder))


def remove_review(root: Path) -> None:
    """Remove the commands of a review of the result."""
    if not (root / REVIEW).is_symlink():
        remove_abandoned(root / REVIEW)
        for name in REVIEW_FILES:
            (root / REVIEW / name).unlink(missing_ok=True)
        remove_if_empty(root / REVIEW)


def remove_record(root: Path) -> None:
    """Remove the journal and its folder."""
    remove_unfinished(root)
    remove_review(root)
    remove_journal(root)
    remove_if_empty(root / FOLDER)


def check_untouched(root: Path, records: Iterable[FileRecord]) -> None:
    """Check that tables and ``result/`` are as they were written."""
    records = [one for one in records if one.left_alone is None]
    tree = {one.target: one for one in records if PurePosixPath(one.target).parts[0] == TREE}
    tables = [one for one in records if one.how == "write"]
    existing = set(files_below(root, TREE))
    removed = [target for target in tree if target not in existing]
    removed += [one.target for one in tables if not os.path.lexists(root / one.target)]
    _refuse(root, removed, "was removed", "put it back")
    _refuse(root, sorted(existing - set(tree)), "was added", "move it away")
    changed = [one.target for one in (*tree.values(), *tables) if not is_unchanged(root, one)]
    _refuse(root, changed, "was changed", "keep your changes elsewhere and start a new run")


def files_below(root: Path, folder: str) -> Iterator[str]:
    """Files and links below `root`/`folder`, relative to `root`; no link is followed."""
    for path, folders, names in os.walk(root / folder):
        links = [name for name in folders if (Path(path) / name).is_symlink()]
        for name in (*names, *links):
            if name.lower() not in SYSTEM_FILES:
                yield (Path(path) / name).relative_to(root).as_posix()


def is_unchanged(root: Path, record: FileRecord) -> bool:
    """Whether the file has the size and mtime of the journal."""
    status = os.lstat(root / record.target)
    return (status.st_size, status.st_mtime_ns) == record.state


def _refuse(root: Path, targets: list[str], what: str, instead: str) -> None:
    if targets:
        named = ", ".join(str(root / target) for target in targets[:_NAMED])
        more = f" and {len(targets) - _NAMED} more" if len(targets) > _NAMED else ""
        raise ConflictError(f"{named}{more} {what} since the run: {instead}; nothing was moved")

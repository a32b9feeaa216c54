"""The result folder: whether it can be used, its lock, and the plan in its journal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.journal.journal import (
    FOLDER,
    FileRecord,
    FolderRecord,
    Journal,
    phase_of,
    remove_journal,
)
from icas.clusterimg.transfer.cleanup import (
    check_removable,
    remove_files,
    remove_if_empty,
    remove_review,
    remove_unfinished,
)
from icas.clusterimg.transfer.plan import Operation, Plan, existing
from icas.common.errors import ConflictError, IcasError
from icas.io.files import check_no_links
from icas.io.locks import folder_lock, removed_meanwhile

_LONGEST_ROOT = 504 - len(f"/{FOLDER}/journal.db")
"""Bytes that the path of a result folder may have."""


@dataclass(frozen=True)
class Destination:
    """The result folder, found usable before any work starts."""

    root: Path
    earlier: tuple[FileRecord, ...] = ()  # files of an earlier run that will be removed
    folders: tuple[FolderRecord, ...] = ()  # created for this run, and the one they are in

    @classmethod
    def of(cls, root: Path, *, overwrite: bool = False, resume: bool = False) -> Destination:
        """The result folder `root`."""
        if os.path.lexists(root) and not root.is_dir():
            what = "a file" if root.exists() else "a broken link"
            raise ConflictError(f"result folder {root} is {what}: choose another --dst")
        _check_writable(root)
        _check_length(root)
        if is_free(root):
            return cls(root)
        phase = phase_of(root)
        if phase == "carrying" and not overwrite:
            raise ConflictError(
                f"the run into {root} was interrupted: repeat the command with --resume to"
                f" continue it, or undo it with clusterimg undo {root}"
            )
        if not overwrite and not (resume and phase == "clearing"):
            raise ConflictError(
                f"result folder {root} is not empty: choose another --dst, or use --overwrite to"
                " replace the previous result"
            )
        return cls(root, tuple(check_removable(root)))

    @property
    def removed(self) -> frozenset[Path]:
        """Files that will be removed."""
        return frozenset(self.root / one.target for one in self.earlier)

    def check_spares(self, images: Sequence[ImageRef]) -> None:
        """Check that none of `images` will be removed."""
        removed = {path.parent.resolve() / path.name for path in self.removed}
        for ref in images if removed else ():
            entry = ref.path.parent.resolve() / ref.path.name
            if not removed.isdisjoint((entry, Path(os.path.realpath(ref.path)))):
                raise ConflictError(
                    f"--overwrite would remove {ref.path}, which is one of the images to"
                    " cluster: choose another --dst"
                )

    def check_free(self, name: str) -> None:
        """Raise ConflictError where another file has the path of the table `name`."""
        path = self.root / name
        if os.path.lexists(path) and path not in self.removed:
            raise ConflictError(
                f"{path} already exists and is not overwritten: move it"
                " elsewhere, or choose another --dst"
            )


def is_free(root: Path) -> bool:
    """Whether `root` is empty, but for what a run left that was killed before its plan."""
    if not root.exists():
        return True
    if any(entry.name != FOLDER for entry in root.iterdir()):
        return False
    return phase_of(root) is None


def _check_writable(root: Path) -> None:
    parent = existing(root)
    if not parent.is_dir():
        raise ConflictError(
            f"result folder {root} cannot be created, {parent} is a file: choose another --dst"
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ConflictError(f"no permission to write to folder {parent}: choose another --dst")


def _check_length(root: Path) -> None:
    """SQLite cannot open a database with a longer path."""
    excess = len(os.fsencode(os.path.realpath(root))) - _LONGEST_ROOT
    if excess > 0 and sys.platform != "win32":
        raise ConflictError(
            f"the absolute path of result folder {root.name} is {excess} bytes too long (limit:"
            f" {_LONGEST_ROOT} bytes): choose a shorter --dst"
        )


@contextmanager
def claimed(root: Path, *, overwrite: bool = False, resume: bool = False) -> Iterator[Destination]:
    """The result folder `root`, locked for this process."""
    if not (root / FOLDER).is_dir():
        # A refused folder is left untouched.
        Destination.of(root, overwrite=overwrite, resume=resume)
    with locked(root) as folders:
        destination = Destination.of(root, overwrite=overwrite, resume=resume)
        yield replace(destination, folders=folders)


@contextmanager
def locked(root: Path) -> Iterator[tuple[FolderRecord, ...]]:
    """Lock the result folder `root` while the block runs.

    It is created where it does not exist, and removed again if it stays empty. Yields the folders
    created for it, and the one that they were created in.
    """
    parent = existing(root).absolute()
    parent_ns = parent.stat().st_mtime_ns
    created = _create_folders(root / FOLDER)
    try:
        try:
            check_no_links(root / FOLDER)
        except FileNotFoundError:
            raise removed_meanwhile(root / FOLDER) from None
        with folder_lock(root / FOLDER, root):
            try:
                new = [path for path in created if path != root / FOLDER]
                records = [FolderRecord(str(path.absolute()), True) for path in new]
                if new:
                    records.append(FolderRecord(str(parent), False, parent_ns))
                yield tuple(records)
            finally:
                with contextlib.suppress(IcasError):  # reported already
                    if phase_of(root) is None:  # without a plan nothing prepared stays
                        remove_unfinished(root)
                        remove_journal(root)
    finally:
        for folder in {root / FOLDER: None, **dict.fromkeys(reversed(created))}:
            remove_if_empty(folder)


def _create_folders(folder: Path) -> list[Path]:
    """Create `folder` and its missing parents; those created, the outermost first."""
    if folder.is_symlink():
        raise ConflictError(f"{folder} is a link: remove it, or choose another --dst")
    missing: list[Path] = []
    for path in (folder, *folder.parents):
        if path.exists():
            break
        missing.insert(0, path)
    try:
        for path in missing:
            path.mkdir(exist_ok=True)
    except FileNotFoundError:
        raise removed_meanwhile(folder) from None
    except OSError as error:
        for path in reversed(missing):
            remove_if_empty(path)
        raise IcasError(f"cannot create folder {error.filename}: {error.strerror}") from error
    return missing


def record(
    destination: Destination,
    plan: Plan,
    prepared: Iterable[FileRecord],
    how: str,
    about: dict[str, str],
) -> None:
    """Remove the files of an earlier run, and write the whole plan to the journal.

    Images are transferred only after this.
    """
    root = destination.root
    with Journal(root) as journal:
        if destination.earlier:
            journal.enter("clearing")
            remove_files(root, destination.earlier)
            remove_review(root)
        folders = [*source_folders(plan, how), *destination.folders]
        folders += [folder for folder in journal.folders() if folder.created]
        journal.plan(
            [*(planned_record(operation, how) for operation in plan.operations), *prepared],
            about,
            {folder.path: folder for folder in folders}.values(),
        )


def planned_record(operation: Operation, how: str) -> FileRecord:
    """The record of a planned transfer."""
    source = operation.source.absolute()
    size, mtime_ns = operation.state or (None, None)
    planned = FileRecord(
        str(operation.target), how, str(source), from_size=size, from_mtime_ns=mtime_ns
    )
    try:
        if not source.is_symlink():
            return planned
        link = os.readlink(source)  # noqa: PTH115  (its very text: a Path would tidy it)
        link_mtime_ns = source.lstat().st_mtime_ns
    except OSError:  # reported when it is transferred
        return planned
    return replace(planned, link=link, link_mtime_ns=link_mtime_ns)


def source_folders(plan: Plan, how: str) -> list[FolderRecord]:
    """Folders that images are moved out of, with their mtimes."""
    if how != "move":
        return []
    records = []
    for folder in sorted({operation.source.absolute().parent for operation in plan.operations}):
        with contextlib.suppress(OSError):  # reported when its images are transferred
            records.append(FolderRecord(str(folder), False, folder.stat().st_mtime_ns))
    return records

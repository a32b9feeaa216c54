"""Move files within a finished result: planned, journalled, then executed.

An interrupted rearrangement can be continued at any moment, in these phases:

- *fetching*, if images are added: they are transferred to ``.icas/added/``.
- *clearing*: every file leaves its old path. It goes to its new path if no other file that moves
  is there, else to ``.icas/moving/``. Nothing is moved to an old path in this phase.
- *placing*: parked files go to their new paths, which are all free by now.
- *writing*: tables, prepared in ``.icas/moving/`` beforehand, replace the earlier ones.

A phase begins only after the previous one is on disk.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath

from icas.cli.console import Console
from icas.clusterimg.journal.journal import (
    ADDED,
    FOLDER,
    PARTS,
    FileRecord,
    FolderRecord,
    Journal,
    Rearrangement,
    Relocation,
)
from icas.clusterimg.transfer.cleanup import is_unchanged, remove_if_empty
from icas.clusterimg.transfer.execution import record_times, transfer_all
from icas.clusterimg.transfer.operations import fingerprint
from icas.clusterimg.transfer.plan import TREE
from icas.common.errors import ConflictError
from icas.io.files import folded, one_line_errors, sync_folder, within, write_whole

MOVING = f"{FOLDER}/moving"


def plan_relocations(paths: Mapping[str, str]) -> tuple[Relocation, ...]:
    """The moves for old path -> new path of all files of the tree.

    No two new paths are equal, also on a file system that ignores case.
    """
    moving = sorted((old, new) for old, new in paths.items() if old != new)
    taken = {folded(old) for old, _ in moving}
    relocations = []
    for number, (old, new) in enumerate(moving):
        is_taken = folded(new) in taken
        parked = f"{MOVING}/{number}{PurePosixPath(old).suffix}" if is_taken else None
        relocations.append(Relocation(old, new, parked))
    return tuple(relocations)


def check_relocations(root: Path, relocations: Sequence[Relocation]) -> None:
    """Detect conflicts of the plan before anything is changed."""
    for one in relocations:
        if one.parked is None and os.path.lexists(root / one.new):
            raise ConflictError(
                f"{root / one.new} already exists and is not overwritten: move"
                " it elsewhere, then run the command again"
            )
    disk = os.lstat(root / FOLDER).st_dev
    folders = {(root / path).parent for one in relocations for path in (one.old, one.new)}
    for folder in sorted({root, root / FOLDER, root / TREE, *folders}):
        if not folder.is_dir():
            continue
        if folder.stat().st_dev != disk:
            raise ConflictError(
                f"{folder} is on another file system than {root}: nothing was moved"
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConflictError(f"no permission to write to {folder}: nothing was moved")


def begin(
    root: Path,
    rearrangement: Rearrangement,
    contents: Mapping[str, bytes],
    added: Sequence[FileRecord] = (),
    folders: Sequence[FolderRecord] = (),
) -> None:
    """Prepare the tables with these `contents`, and write the plan to the journal."""
    with _errors("cannot write the tables"):
        (root / MOVING).mkdir(exist_ok=True)
        _remove_parts(root)
        for name, content in contents.items():
            if "/" in name:
                (root / MOVING / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(root / MOVING / name, content)
        for folder in {(root / MOVING / name).parent for name in contents}:
            sync_folder(folder)
        with Journal(root) as journal:
            journal.begin_rearrangement(rearrangement, added, folders)


def finish(root: Path, console: Console) -> Rearrangement | None:
    """Execute the rearrangement in the journal from where it is; None where there is none."""
    start = time.perf_counter()
    with _errors("interrupted"), Journal(root) as journal:
        rearrangement = journal.rearrangement()
        if rearrangement is None:
            return None
        if rearrangement.phase == "fetching":
            _fetch(root, journal, console)
            rearrangement = journal.rearrangement() or rearrangement
        relocations = rearrangement.relocations
        paths = [
            path
            for one in relocations
            for path in (one.old, one.parked, one.new)
            if path is not None
        ]
        for path in (*paths, *rearrangement.tables):
            within(root, path)  # the journal may come from someone else
        folders = {(root / path).parent for path in paths}
        records = {one.target: one for one in journal.files()}
        with console.bar(len(relocations), "move", "images") as bar:
            if rearrangement.phase == "clearing":
                for one in relocations:
                    _move(root, one.old, one.parked or one.new)
                    bar.update(1)
                _sync(root, folders)
                journal.begin_placing()
            if rearrangement.phase != "writing":
                for one in relocations:
                    if one.parked is not None:
                        _move(root, one.parked, one.new)
                _sync(root, folders)
                seconds = time.perf_counter() - start
                journal.begin_writing(_table_states(root, rearrangement, seconds))
        _write_tables(root, rearrangement, records)
        _remove_parts(root)
        left = {(root / one.old).parent for one in relocations}
        left |= {(root / MOVING / name).parent for name in rearrangement.tables}
        for folder in sorted({*left, root / MOVING, root / PARTS}, reverse=True):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        journal.end_rearrangement()
    return rearrangement


def _fetch(root: Path, journal: Journal, console: Console) -> None:
    """Transfer the images that are added; those that cannot be are named and left out."""
    records = [one for one in journal.files() if one.target.startswith(f"{ADDED}/")]
    pending = [one for one in records if one.is_pending]
    with console.bar(len(pending), "transfer", "images") as bar:
        transfer_all(root, pending, journal, None, bar)
    record_times(journal)
    left = {one.target: one for one in journal.files() if one.left_alone is not None}
    for one in left.values():
        console.warn(f"{one.source}: not transferred: {one.left_alone}")
    journal.begin_clearing(left)


def finish_interrupted(
    root: Path, console: Console, dry_run: bool, *, quiet: bool = False
) -> Rearrangement | None:
    """Finish the interrupted rearrangement in `root`, if there is one; not in a dry run."""
    with Journal(root) as journal:
        unfinished = journal.rearrangement()
    if unfinished is None:
        return None
    what = unfinished.description()
    if dry_run:
        raise ConflictError(
            f"the {what} of {root} was interrupted: run the command without --dry-run to finish"
            " it first"
        )
    if not quiet:
        console.line(f"finishing the interrupted {what}")
    return finish(root, console)


def _errors(what: str) -> AbstractContextManager[None]:
    hint = "; no file is lost, run the command again to continue"
    return one_line_errors(what, hint, subject="its journal")


def _move(root: Path, old: str, new: str) -> None:
    """Move a file from `old` to `new`, unless it is there already."""
    (root / new).parent.mkdir(parents=True, exist_ok=True)
    is_old, is_new = os.path.lexists(root / old), os.path.lexists(root / new)
    if is_old and is_new:
        raise ConflictError(
            f"cannot move {root / old} to {root / new}, which already exists: move the latter"
            " elsewhere, then run the command again"
        )
    if not is_old and not is_new:
        raise ConflictError(f"{root / old} is missing: put it back, then run the command again")
    if is_old:
        (root / old).rename(root / new)


def _sync(root: Path, folders: set[Path]) -> None:
    """Bring the file names to disk, before the journal records the next phase."""
    for folder in sorted({root / TREE, *folders} if folders else ()):
        if folder.is_dir():
            sync_folder(folder)


def _table_states(
    root: Path, rearrangement: Rearrangement, seconds: float
) -> dict[str, tuple[int, int]]:
    """Size and mtime of each prepared table, after the duration is added to ``run.json``."""
    states = {}
    for name in rearrangement.tables:
        path = root / MOVING / name
        if name == "run.json":
            summary = json.loads(path.read_bytes())
            times = summary["seconds"]
            times[rearrangement.what] = round(times.get(rearrangement.what, 0.0) + seconds, 3)
            write_whole(path, (json.dumps(summary, indent=2, ensure_ascii=True) + "\n").encode())
        states[name] = fingerprint(path)
    return states


def _write_tables(
    root: Path, rearrangement: Rearrangement, records: Mapping[str, FileRecord]
) -> None:
    """Replace the tables; those that are not in ``.icas/moving`` are replaced already."""
    for name in rearrangement.tables:
        prepared, target = root / MOVING / name, root / name
        if not prepared.exists():
            continue
        record = records.get(name)
        if os.path.lexists(target) and (record is None or not is_unchanged(root, record)):
            raise ConflictError(
                f"{target} was changed: move it elsewhere, then run the command again"
            )
        if not target.parent.is_dir():
            target.parent.mkdir(parents=True)
        prepared.replace(target)
    for folder in {(root / name).parent for name in rearrangement.tables}:
        sync_folder(folder)


def _remove_parts(root: Path) -> None:
    """Remove tables that were not complete when a process was killed; never an image."""
    for part in (root / MOVING).rglob(".icas-*.part"):
        part.unlink()


def remove_prepared(root: Path) -> None:
    """Remove the tables of a rearrangement that is not in the journal; never a parked image."""
    folder = root / MOVING
    if not folder.is_dir() or folder.is_symlink():
        return
    _remove_parts(root)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            remove_if_empty(path)
        elif path.parent != folder or not path.stem.isdigit():
            path.unlink()
    remove_if_empty(folder)

"""Files of a finished result get other places in it: planned whole, recorded, then carried out.

The record in the journal and the disk together tell at every moment where each file is, so that a
rearrangement that was killed can be finished by whoever comes next:

- *clearing*: every file leaves its old place. It goes to its new place if no other file that moves
  lies there, and else to ``.icas/moving/``. Nothing ever comes to an old place in this phase.
- *placing*: what was parked goes to its new place. All of these are free by now.
- *writing*: tables, prepared in ``.icas/moving/`` beforehand, take the place of the earlier ones.

A phase begins only after the one before is on disk.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from icas.cli.console import Bar, Console
from icas.clusterimg.journal import relocation_log as rearrangements
from icas.clusterimg.journal.journal import FOLDER, Journal
from icas.clusterimg.journal.records import Made
from icas.clusterimg.journal.relocation_log import Rearrangement, Relocation
from icas.clusterimg.transfer.plan import TREE, folded
from icas.clusterimg.transfer.verify import as_left
from icas.common.errors import ConflictError, IcasError
from icas.io.files import sync_folder, within, write_whole


def check_possible(root: Path, relocations: Sequence[Relocation]) -> None:
    """Find out what would stop the plan before anything is touched.

    Raises
    ------
    ConflictError
        Something lies at a new place and does not move away, a folder may not be written, or lies
        on another disk than the journal.
    """
    for one in relocations:
        if one.parked is None and os.path.lexists(root / one.new):
            raise ConflictError(f"{root / one.new} exists already and is not overwritten")
    disk = os.lstat(root / FOLDER).st_dev
    places = {(root / name).parent for one in relocations for name in (one.old, one.new)}
    for folder in sorted({root, root / FOLDER, root / TREE, *places}):
        if not folder.is_dir():
            continue
        if folder.stat().st_dev != disk:
            raise ConflictError(f"{folder} is on another disk than {root}: nothing was moved")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConflictError(f"{folder} may not be written: nothing was moved")


MOVING = f"{FOLDER}/moving"


def plan_relocations(places: Mapping[str, str]) -> tuple[Relocation, ...]:
    """Old place -> new place of every file of the result, as what has to be moved.

    Parameters
    ----------
    places : mapping of str to str
        All files of the tree, also those that stay. No two new places are the same, also for a
        file system that knows no case.
    """
    moving = sorted((old, new) for old, new in places.items() if old != new)
    taken = {folded(old) for old, _ in moving}
    relocations = []
    for number, (old, new) in enumerate(moving):
        parked = None
        if folded(new) in taken:
            parked = f"{MOVING}/{number}{PurePosixPath(old).suffix}"
        relocations.append(Relocation(old, new, parked))
    return tuple(relocations)


def begin(root: Path, rearrangement: Rearrangement, contents: Mapping[str, bytes]) -> None:
    """Prepare the tables and write the whole plan down; no file has moved yet.

    Parameters
    ----------
    contents : mapping of str to bytes
        What each of ``rearrangement.tables`` is to hold.
    """
    with _told("cannot prepare the tables"):
        (root / MOVING).mkdir(exist_ok=True)
        _remove_parts(root)
        for name, content in contents.items():
            write_whole(root / MOVING / name, content)
        sync_folder(root / MOVING)
        with Journal(root) as journal:
            rearrangements.begin(journal.database, rearrangement)


def finish(root: Path, console: Console) -> Rearrangement | None:
    """Carry out what the journal holds, from where it is; the rearrangement, if there was one.

    Raises
    ------
    ConflictError
        A file is not where the record and the disk say that it must be.
    IcasError
        The disk fails. What was done is done; another call goes on.
    """
    start = time.perf_counter()
    with _told("stopped in the middle"), Journal(root) as journal:
        one = rearrangements.unfinished(journal.database)
        if one is None:
            return None
        _check_places(root, one)
        made = {each.target: each for each in journal.made()}
        with console.bar(len(one.relocations), "move", "images") as bar:
            if one.phase == "clearing":
                _clear(root, one, bar)
                rearrangements.placing(journal.database)
            if one.phase != "writing":
                _place(root, one)
                tables = _prepared(root, one, time.perf_counter() - start)
                rearrangements.placed(journal.database, tables)
        _write(root, one, made)
        _remove_empty(root, one)
        rearrangements.finished(journal.database)
    return one


def _check_places(root: Path, one: Rearrangement) -> None:
    """Make sure that a record that somebody handed over leads nowhere out of the result."""
    for move in one.relocations:
        for place in (move.old, move.parked, move.new):
            if place is not None:
                within(root, place)
    for table in one.tables:
        within(root, table)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turns what the disk says into one line."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if isinstance(error, IcasError):
            raise
        place = getattr(error, "filename", None) or "its record"
        reason = getattr(error, "strerror", None) or error
        raise IcasError(
            f"{what}: {place}: {reason}; no file is lost, the same command goes on"
        ) from error


def _clear(root: Path, one: Rearrangement, bar: Bar) -> None:
    """Every file leaves its old place."""
    for relocation in one.relocations:
        target = relocation.parked or relocation.new
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        _move(root, relocation.old, target)
        bar.update(1)
    _sync(root, one)


def _place(root: Path, one: Rearrangement) -> None:
    """Every parked file takes its new place."""
    for relocation in one.relocations:
        if relocation.parked is not None:
            (root / relocation.new).parent.mkdir(parents=True, exist_ok=True)
            _move(root, relocation.parked, relocation.new)
    _sync(root, one)


def _move(root: Path, old: str, new: str) -> None:
    """One file from `old` to `new`, unless it is there already."""
    here, there = os.path.lexists(root / old), os.path.lexists(root / new)
    if here and there:
        raise ConflictError(
            f"{root / new} is in the way of {root / old}: move it elsewhere, then call again"
        )
    if not here and not there:
        raise ConflictError(f"{root / old} is missing: put it back, then call again")
    if here:
        (root / old).rename(root / new)


def _sync(root: Path, one: Rearrangement) -> None:
    """Bring the names to disk, so that no record can come there before them."""
    places = {
        (root / name).parent
        for relocation in one.relocations
        for name in (relocation.old, relocation.new, relocation.parked)
        if name is not None
    }
    for folder in sorted({root / TREE, *places} if places else ()):
        if folder.is_dir():
            sync_folder(folder)


def _prepared(root: Path, one: Rearrangement, seconds: float) -> dict[str, tuple[int, int]]:
    """Size and time of each prepared table, after the time of the moves came into ``run.json``."""
    tables = {}
    for name in one.tables:
        path = root / MOVING / name
        if name == "run.json":
            _add_seconds(path, one.what, seconds)
        status = path.stat()
        tables[name] = (status.st_size, status.st_mtime_ns)
    return tables


def _write(root: Path, one: Rearrangement, made: Mapping[str, Made]) -> None:
    """The prepared tables take their places; those gone from ``.icas/moving`` are there."""
    for name in one.tables:
        prepared, target = root / MOVING / name, root / name
        if not prepared.exists():
            continue
        if os.path.lexists(target) and not as_left(root, made[name]):
            raise ConflictError(f"{target} was changed: move it elsewhere, then call again")
        prepared.replace(target)
    sync_folder(root)


def _add_seconds(path: Path, stage: str, seconds: float) -> None:
    """The time of the moves, which was not known when ``run.json`` was prepared."""
    told = json.loads(path.read_bytes())
    told["seconds"][stage] = round(told["seconds"].get(stage, 0.0) + seconds, 3)
    write_whole(path, (json.dumps(told, indent=2, ensure_ascii=True) + "\n").encode())


def _remove_parts(root: Path) -> None:
    """Remove tables that were only half prepared when a process was killed; never an image."""
    for part in (root / MOVING).glob(".icas-*.part"):
        part.unlink()


def remove_prepared(root: Path) -> None:
    """Remove tables that were prepared for what never came on record; never a parked image."""
    folder = root / MOVING
    if not folder.is_dir() or folder.is_symlink():
        return
    _remove_parts(root)
    for path in folder.iterdir():
        if not path.stem.isdigit():
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _remove_empty(root: Path, one: Rearrangement) -> None:
    """Remove the folders that nothing is left in; one with a system's own file stays."""
    _remove_parts(root)
    left = {(root / relocation.old).parent for relocation in one.relocations}
    for folder in sorted({*left, root / MOVING}):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

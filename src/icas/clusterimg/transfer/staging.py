"""Tables that are written before the first image moves, and put in their places after the last.

So nothing has to be computed again when a run is killed in between, and a disk too full for the
tables is found out while every image is still at its old place.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from icas.clusterimg.journal.journal import FOLDER, Journal
from icas.clusterimg.journal.records import Made
from icas.common.errors import ConflictError, IcasError
from icas.io.files import sync_folder, write_whole
from icas.io.tables import peak_memory_mb, run_json, table

PREPARED = f"{FOLDER}/prepared"
UNREADABLE = "unreadable.csv"
RUN = "run.json"


def prepare(root: Path, name: str, content: bytes | Iterable[bytes]) -> Made:
    """Write what is going to be the file `name` of the result; how the journal is to have it.

    Raises
    ------
    IcasError
        The disk fails.
    """
    path = root / PREPARED / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        return Made(name, "write", None, None, None, *_state(path))
    except OSError as error:
        raise IcasError(f"cannot write {path}: {error.strerror or error}") from error


def _state(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_size, status.st_mtime_ns


def tell_afterwards(root: Path, journal: Journal, left: Mapping[str, str], seconds: float) -> None:
    """Bring what was not known before into the prepared tables.

    Parameters
    ----------
    left : mapping of str to str
        Images that were left alone (as ``clusters.csv`` names them), with the reason.
    seconds : float
        What carrying the images took.
    """
    told, unreadable = root / PREPARED / RUN, root / PREPARED / UNREADABLE
    if not told.exists() or not unreadable.exists():
        return  # they are being put in place: all is told
    summary = json.loads(told.read_bytes())
    rows = _rows(unreadable)
    new = [(file, reason) for file, reason in left.items() if (file, reason) not in rows]
    if new:
        write_whole(unreadable, table(("file", "reason"), [*rows, *new]))
    summary["unreadable"] = len(rows) + len(new)
    summary["seconds"]["transfer"] = round(summary["seconds"].get("transfer", 0) + seconds, 3)
    summary["peak_memory_mb"] = max(
        (peak for peak in (summary["peak_memory_mb"], peak_memory_mb()) if peak), default=None
    )
    write_whole(told, run_json(summary))
    journal.prepared({name: _state(root / PREPARED / name) for name in (RUN, UNREADABLE)})


def _rows(path: Path) -> list[tuple[str, str]]:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    return [(row[0], row[1]) for row in list(csv.reader(io.StringIO(text, newline="")))[1:]]


def put_in_place(root: Path, journal: Journal, made: Iterable[Made]) -> None:
    """Give the prepared files their places, ``run.json`` last; those that are there stay.

    Raises
    ------
    ConflictError
        Something else stands at a place.
    IcasError
        A prepared file is gone, or the disk fails.
    """
    names = sorted((one for one in made if one.is_pending), key=lambda one: one.target == RUN)
    try:
        for one in names:
            _put(root, one)
        for folder in {(root / one.target).parent for one in names}:
            sync_folder(folder)
    except OSError as error:
        if isinstance(error, IcasError):
            raise
        raise IcasError(f"cannot put {error.filename} in place: {error.strerror}") from error
    journal.done(one.target for one in names)


def _put(root: Path, one: Made) -> None:
    prepared, target = root / PREPARED / one.target, root / one.target
    if os.path.lexists(target):
        if _state(target) != (one.from_size, one.from_mtime_ns):
            raise ConflictError(
                f"{target} exists already and is not overwritten: move it elsewhere, then call"
                " again"
            )
        return
    if not prepared.exists():
        raise IcasError(
            f"{prepared} is gone, and with it what the killed run had found: clusterimg undo"
            f" {root} takes the run back"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    prepared.rename(target)

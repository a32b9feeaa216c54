"""What a run planned and made in its result folder, written down before and after it is done.

The journal is an SQLite database (write-ahead log) in ``DST/.icas/journal.db``. File names are
kept as the bytes that the system uses, since not every name is text.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from icas.clusterimg import rearrangements
from icas.common.errors import ConflictError, IcasError
from icas.common.find import RESULT_MARK

FOLDER = RESULT_MARK
LOCK = "lock.db"
"""File in it that tells that a rearrangement is at work; empty, and left there."""

_TABLES = """
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS made (
    target BLOB PRIMARY KEY,   -- relative to the result folder
    how TEXT NOT NULL,         -- copy, move, hardlink, symlink, write
    source BLOB,               -- the image it comes from; none for a table or a report
    size INTEGER,              -- bytes and time once it is done; empty while it is only planned
    mtime_ns INTEGER
);
"""


@dataclass(frozen=True)
class Made:
    """One file of the result.

    Attributes
    ----------
    target : str
        Where it is, relative to the result folder.
    how : str
        ``copy``, ``move``, ``hardlink``, ``symlink`` or ``write`` (a table, a report).
    source : str or None
        The image that it comes from.
    size, mtime_ns : int or None
        As they were when it was done; None while it was only planned.
    """

    target: str
    how: str
    source: str | None = None
    size: int | None = None
    mtime_ns: int | None = None


class Journal:
    """The journal of one result folder; a context manager.

    Raises
    ------
    IcasError
        It cannot be opened or written, or is no journal.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        folder = root / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self.database = sqlite3.connect(folder / "journal.db", check_same_thread=False)
            self.database.execute("PRAGMA journal_mode=WAL")
            self.database.executescript(_TABLES + rearrangements.TABLES)
        except sqlite3.Error as error:
            raise IcasError(f"cannot open the journal in {folder}: {error}") from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def plan(self, files: Iterable[Made], about: Mapping[str, str]) -> None:
        """Write down what is going to be made; on disk before this returns."""
        with self.database as database:
            database.executemany("INSERT OR REPLACE INTO run VALUES (?, ?)", about.items())
            database.executemany(
                "INSERT OR REPLACE INTO made VALUES (?, ?, ?, NULL, NULL)",
                ((_bytes(made.target), made.how, _bytes(made.source)) for made in files),
            )

    def done(self, targets: Iterable[str]) -> None:
        """Mark `targets` as made, with their size and time."""
        rows = []
        for target in targets:
            status = os.lstat(self.root / target)
            rows.append((status.st_size, status.st_mtime_ns, _bytes(target)))
        with self.database as database:
            database.executemany("UPDATE made SET size = ?, mtime_ns = ? WHERE target = ?", rows)

    def made(self) -> Iterator[Made]:
        """Every file that was planned or made, in order of its name."""
        rows = self.database.execute(
            "SELECT target, how, source, size, mtime_ns FROM made ORDER BY target"
        )
        for target, how, source, size, mtime_ns in rows:
            yield Made(
                os.fsdecode(target),
                how,
                None if source is None else os.fsdecode(source),
                size,
                mtime_ns,
            )


def _bytes(name: str | None) -> bytes | None:
    return None if name is None else os.fsencode(name)


def has_journal(root: Path) -> bool:
    """Whether a run recorded in `root` what it made there."""
    return (root / FOLDER / "journal.db").is_file()


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
        recorded = [made for made in journal.made() if os.path.lexists(root / made.target)]
    if unfinished is not None:
        raise ConflictError(
            f"{root} was left in the middle of a {unfinished.told()}: the same command finishes it"
        )
    for made in recorded:
        _check_one(root, made)
    return recorded


def _check_one(root: Path, made: Made) -> None:
    path = root / made.target
    status = os.lstat(path)
    if made.size is not None and (status.st_size, status.st_mtime_ns) != (made.size, made.mtime_ns):
        raise ConflictError(f"{path} was changed since the run that made it: move it away first")
    if made.source is None or made.how == "symlink":
        return
    if not _same_content(Path(made.source), path):
        raise ConflictError(
            f"{path} is the only copy of {made.source}: --overwrite does not remove it;"
            " choose another --dst, or move the images back first"
        )


def _same_content(source: Path, copy: Path) -> bool:
    """Whether the image is still at its old place, by size (a run never changes its sources)."""
    try:
        return source.stat().st_size == copy.stat().st_size
    except OSError:
        return False


def remove_made(root: Path, recorded: Iterable[Made]) -> None:
    """Remove the `recorded` files, the folders that this leaves empty, and the journal."""
    folders: set[Path] = set()
    for made in recorded:
        path = root / made.target
        path.unlink(missing_ok=True)
        folders.update(folder for folder in path.parents if folder.is_relative_to(root))
    for name in ("journal.db", "journal.db-wal", "journal.db-shm", LOCK):
        (root / FOLDER / name).unlink(missing_ok=True)
    for folder in sorted({*folders, root / FOLDER} - {root}, key=lambda path: -len(path.parts)):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

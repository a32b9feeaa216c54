"""What a run planned and made in its result folder, written down before and after it is done.

The journal is an SQLite database (write-ahead log) in ``DST/.icas/journal.db``. File names are
kept as the bytes that the system uses, since not every name is text.

A run is *carrying* from the moment its whole plan is on record until its last table is in place;
then it is *done*. ``--overwrite`` marks it as *clearing* before it removes what it made, and
``clusterimg undo`` as *undoing*. Whoever finds a journal knows from its phase what to do next.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from icas.clusterimg.journal import relocation_log as rearrangements
from icas.clusterimg.journal.records import (
    COLUMNS,
    Folder,
    Made,
    made_of,
    row_of,
    stored_name,
    stored_time,
    time_of,
)
from icas.common.errors import ConflictError
from icas.io.files import check_no_links, told_as
from icas.io.find import RESULT_MARK

FOLDER = RESULT_MARK
PARTS = f"{FOLDER}/parts"
"""Folder of the result in which files grow until they are whole."""
PHASES = ("carrying", "done", "clearing", "undoing")

_TABLES = """
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS made (
    target BLOB PRIMARY KEY,   -- relative to the result folder
    how TEXT NOT NULL,         -- copy, move, hardlink, symlink, write
    source BLOB,               -- the image it comes from; none for a table or a report
    size INTEGER,              -- bytes and time once it is done; empty while it is only planned
    mtime_ns INTEGER
);
CREATE TABLE IF NOT EXISTS folder (
    path BLOB PRIMARY KEY,
    made INTEGER NOT NULL,     -- 1: the run made it; 0: images are moved out of it
    mtime_ns INTEGER,          -- its time before the run
    after_ns INTEGER           -- and after it; empty while that is not known
);
"""
_LATER_COLUMNS = {
    "from_size": "INTEGER",  # bytes and time of what it is made from, as it was planned
    "from_mtime_ns": "INTEGER",
    "link": "BLOB",  # where the source points to, if it is a symbolic link
    "link_mtime_ns": "INTEGER",  # and the time of that link itself
    "left_alone": "TEXT",  # why it was not carried, if it was not
}
"""Columns of the table `made` that journals of older versions have not."""
_INSERT = f"INSERT INTO made ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


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
        with self._told():
            check_no_links(folder)
            folder.mkdir(parents=True, exist_ok=True)
            self.database = sqlite3.connect(folder / "journal.db", check_same_thread=False)
        with self._told():
            self.database.execute("PRAGMA journal_mode=WAL")
            self.database.execute("PRAGMA synchronous=FULL")
            self.database.executescript(_TABLES + rearrangements.TABLES)
            known = {row[1] for row in self.database.execute("PRAGMA table_info(made)")}
            for name, kind in _LATER_COLUMNS.items():
                if name not in known:
                    self.database.execute(f"ALTER TABLE made ADD COLUMN {name} {kind}")

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def _told(self) -> AbstractContextManager[None]:
        return told_as(f"the journal in {self.root / FOLDER} fails")

    def plan(
        self,
        files: Iterable[Made],
        about: Mapping[str, str],
        folders: Iterable[Folder] = (),
    ) -> None:
        """Write down what is going to be made, in place of any earlier plan; on disk afterwards."""
        rows = (row_of(made) for made in files)
        with self._told(), self.database as database:
            for table in ("run", "made", "folder"):
                database.execute(f"DELETE FROM {table}")
            database.execute("INSERT INTO run VALUES ('phase', 'carrying')")
            database.executemany("INSERT OR REPLACE INTO run VALUES (?, ?)", _rows_of(about))
            database.executemany(_INSERT, rows)
            database.executemany(
                "INSERT INTO folder VALUES (?, ?, ?, ?)",
                (
                    (
                        stored_name(one.path),
                        one.made,
                        stored_time(one.mtime_ns),
                        stored_time(one.after_ns),
                    )
                    for one in folders
                ),
            )

    @property
    def phase(self) -> str | None:
        """One of `PHASES`; None where no plan was ever written down."""
        with self._told():
            row = self.database.execute("SELECT value FROM run WHERE key = 'phase'").fetchone()
            if row is not None:
                return str(row[0])
            missing = "SELECT count(*), sum(size IS NULL) FROM made"  # of an older version
            count, planned = self.database.execute(missing).fetchone()
        return None if not count else "carrying" if planned else "done"

    def enter(self, phase: str) -> None:
        """Write down that a phase begins; on disk before this returns."""
        with self._told(), self.database as database:
            database.execute("INSERT OR REPLACE INTO run VALUES ('phase', ?)", (phase,))

    def about(self) -> dict[str, str]:
        """How the run was asked for."""
        with self._told():
            rows = self.database.execute("SELECT key, value FROM run WHERE key != 'phase'")
            return {key: os.fsdecode(value) for key, value in rows}

    def done(self, targets: Iterable[str]) -> None:
        """Mark `targets` as made, with their size and time."""
        rows = []
        with self._told():
            for target in targets:
                status = os.lstat(self.root / target)
                rows.append((status.st_size, stored_time(status.st_mtime_ns), stored_name(target)))
            with self.database as database:
                statement = "UPDATE made SET size = ?, mtime_ns = ? WHERE target = ?"
                database.executemany(statement, rows)

    def prepared(self, states: Mapping[str, tuple[int, int]]) -> None:
        """Write down size and time of what is going to be put at each target."""
        rows = [
            (size, stored_time(mtime_ns), stored_name(target))
            for target, (size, mtime_ns) in states.items()
        ]
        with self._told(), self.database as database:
            statement = "UPDATE made SET from_size = ?, from_mtime_ns = ? WHERE target = ?"
            database.executemany(statement, rows)

    def leave_alone(self, reasons: Mapping[str, str]) -> None:
        """Write down why the sources of these targets stay where they are."""
        rows = [(reason, stored_name(target)) for target, reason in reasons.items()]
        with self._told(), self.database as database:
            database.executemany("UPDATE made SET left_alone = ? WHERE target = ?", rows)

    def moved(self, places: Mapping[str, str]) -> None:
        """Write down that files are at other places in the result now: old target -> new one."""
        rows = [
            replace(one, target=places[one.target]) for one in self.made() if one.target in places
        ]
        with self._told(), self.database as database:
            database.executemany(
                "DELETE FROM made WHERE target = ?", [(stored_name(old),) for old in places]
            )
            database.executemany(_INSERT, map(row_of, rows))

    def forget(self, targets: Iterable[str]) -> None:
        """Take files off the record, which are no longer there."""
        rows = [(stored_name(target),) for target in targets]
        with self._told(), self.database as database:
            database.executemany("DELETE FROM made WHERE target = ?", rows)

    def made(self) -> Iterator[Made]:
        """Every file that was planned or made, in order of its name.

        Raises
        ------
        ConflictError
            A place on record lies outside the result folder: no run of ours wrote that.
        """
        with self._told():
            for row in self.database.execute(f"SELECT {COLUMNS} FROM made ORDER BY target"):
                yield self._checked(made_of(row))

    def _checked(self, made: Made) -> Made:
        parts = Path(made.target).parts
        if not parts or Path(made.target).is_absolute() or ".." in parts:
            raise ConflictError(
                f"the journal in {self.root / FOLDER} names {made.target!r}, which is outside of"
                f" {self.root}: it is damaged or was not written by icas, nothing was done"
            )
        return made

    def folders(self) -> list[Folder]:
        """Folders that the run made, or moves images out of."""
        with self._told():
            rows = self.database.execute("SELECT * FROM folder ORDER BY path").fetchall()
        return [
            Folder(os.fsdecode(path), bool(made), *map(time_of, times))
            for path, made, *times in rows
        ]

    def folders_after(self, times: Mapping[str, int]) -> None:
        """Write down the times that the run left its source folders with."""
        rows = [(stored_time(after_ns), stored_name(path)) for path, after_ns in times.items()]
        with self._told(), self.database as database:
            database.executemany("UPDATE folder SET after_ns = ? WHERE path = ?", rows)

    def forget_folders(self, paths: Iterable[str]) -> None:
        """Take folders off the record."""
        with self._told(), self.database as database:
            rows = [(stored_name(path),) for path in paths]
            database.executemany("DELETE FROM folder WHERE path = ?", rows)


def _rows_of(about: Mapping[str, str]) -> Iterator[tuple[str, str | bytes]]:
    """What is told of a run; paths that are no text as bytes."""
    for key, value in about.items():
        try:
            value.encode()
        except UnicodeEncodeError:
            yield key, os.fsencode(value)
        else:
            yield key, value


def has_journal(root: Path) -> bool:
    """Whether a run recorded in `root` what it made there."""
    return (root / FOLDER / "journal.db").is_file()


def phase_of(root: Path) -> str | None:
    """The phase of the run recorded in `root`; None where nothing is recorded."""
    if not has_journal(root):
        return None
    with Journal(root) as journal:
        return journal.phase


def being_undone(root: Path) -> ConflictError:
    """The error of whoever finds the result `root` half taken back."""
    return ConflictError(f"{root} is being taken back: finish that first, clusterimg undo {root}")


def remove_journal(root: Path) -> None:
    """Remove the journal's own files; the last of them is the journal itself."""
    for name in ("lock.db", "journal.db-wal", "journal.db-shm", "journal.db"):
        (root / FOLDER / name).unlink(missing_ok=True)

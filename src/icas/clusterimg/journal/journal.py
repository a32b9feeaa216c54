"""The journal of a result folder: an SQLite database (write-ahead log) in ``DST/.icas/journal.db``.

A run is *carrying* from the moment its whole plan is in the journal until its last table is in
place; then it is *done*. ``--overwrite`` marks it as *clearing* before it removes files, and
``clusterimg undo`` as *undoing*. The phase determines how an interrupted run is continued.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from icas.common.errors import ConflictError
from icas.io.database import SIDE_FILES, DatabaseKind, execute_all, transaction
from icas.io.files import check_no_links, remove_abandoned
from icas.io.find import RESULT_MARK

FOLDER = RESULT_MARK
PARTS = f"{FOLDER}/parts"
"""Folder of the result in which files are written before they get their names."""
ADDED = f"{FOLDER}/added"
"""Folder of the result to which images are transferred that are added to a finished run."""
REVIEW = f"{FOLDER}/review"
"""Folder of the result with the commands of its review."""
NAME = "journal.db"
PHASES = ("carrying", "done", "clearing", "undoing")

_TABLES = """
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS made (
    target BLOB PRIMARY KEY,   -- relative to the result folder
    how TEXT NOT NULL,         -- copy, move, hardlink, symlink, write
    source BLOB,               -- the image; NULL for a table or a report
    size INTEGER,              -- bytes and mtime of the written file; NULL while only planned
    mtime_ns INTEGER
);
CREATE TABLE IF NOT EXISTS folder (
    path BLOB PRIMARY KEY,
    made INTEGER NOT NULL,     -- 1: the run created it; 0: images are moved out of it
    mtime_ns INTEGER,          -- before the run
    after_ns INTEGER           -- after the run; NULL while not known
);
CREATE TABLE IF NOT EXISTS rearrangement (
    only INTEGER PRIMARY KEY CHECK (only = 0),   -- one at a time
    what TEXT NOT NULL,        -- recut, split, add
    about TEXT NOT NULL,       -- its parameters, JSON
    tables TEXT NOT NULL,      -- files that are replaced, with size and mtime, JSON
    phase TEXT NOT NULL        -- fetching, clearing, placing, writing
);
CREATE TABLE IF NOT EXISTS relocation (
    old BLOB PRIMARY KEY,      -- relative to the result folder, as the others
    parked BLOB,               -- temporary path; NULL where the new one is free from the start
    new BLOB NOT NULL UNIQUE
);
"""
_LATER_COLUMNS = {
    "from_size": "INTEGER",  # bytes and mtime of the source when it was planned
    "from_mtime_ns": "INTEGER",
    "link": "BLOB",  # target of the source, if that is a symbolic link
    "link_mtime_ns": "INTEGER",
    "left_alone": "TEXT",  # why it was not transferred
}
"""Columns of the table `made` that journals of older versions do not have."""
_JOURNAL = DatabaseKind(
    "journal",
    0x69636A6E,
    1,
    _TABLES
    + "".join(
        f"ALTER TABLE made ADD COLUMN {one} {kind};\n" for one, kind in _LATER_COLUMNS.items()
    ),
    "restore a backup, or move it away; the images stay where they are",
    unmarked_table="made",
)
COLUMNS = (
    "target, how, source, size, mtime_ns, from_size, from_mtime_ns, link, link_mtime_ns, left_alone"
)
"""Columns of a row that is a `FileRecord`."""
_INSERT = f"INSERT INTO made ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of the result, planned or written.

    Attributes
    ----------
    target : str
        Path relative to the result folder.
    how : str
        ``copy``, ``move``, ``hardlink``, ``symlink`` or ``write`` (a table, a report).
    source : str or None
        The image that is transferred.
    size, mtime_ns : int or None
        Of the written file; None while it is only planned.
    from_size, from_mtime_ns : int or None
        Of its source (or of the prepared table) when it was planned.
    link, link_mtime_ns : str or None, int or None
        Target and mtime of the source, if that is a symbolic link.
    left_alone : str or None
        Why the source was not transferred, if it was not.
    """

    target: str
    how: str
    source: str | None = None
    size: int | None = None
    mtime_ns: int | None = None
    from_size: int | None = None
    from_mtime_ns: int | None = None
    link: str | None = None
    link_mtime_ns: int | None = None
    left_alone: str | None = None

    @property
    def is_done(self) -> bool:
        return self.size is not None

    @property
    def is_pending(self) -> bool:
        """Whether it is planned, and neither written nor left alone."""
        return self.size is None and self.left_alone is None

    @property
    def state(self) -> tuple[int | None, int | None]:
        """Size and mtime of the written file."""
        return self.size, self.mtime_ns

    @property
    def planned_state(self) -> tuple[int | None, int | None]:
        """Size and mtime of the source, or of the prepared table."""
        return self.from_size, self.from_mtime_ns

    def row(self) -> tuple[object, ...]:
        """The values of `COLUMNS`."""
        return (
            stored_name(self.target),
            self.how,
            stored_name(self.source),
            self.size,
            stored_time(self.mtime_ns),
            self.from_size,
            stored_time(self.from_mtime_ns),
            stored_name(self.link),
            stored_time(self.link_mtime_ns),
            self.left_alone,
        )

    @classmethod
    def of_row(cls, row: tuple[Any, ...]) -> FileRecord:
        """The record with these values of `COLUMNS`."""
        target, how, source, size, mtime_ns, from_size, from_mtime_ns, *rest = row
        link, link_mtime_ns, left_alone = rest
        return cls(
            os.fsdecode(target),
            how,
            name_of(source),
            size,
            time_of(mtime_ns),
            from_size,
            time_of(from_mtime_ns),
            name_of(link),
            time_of(link_mtime_ns),
            left_alone,
        )


@dataclass(frozen=True)
class FolderRecord:
    """A folder that the run created (`created`), or that images are moved out of.

    `mtime_ns` is its mtime before the run, `after_ns` after it, None where that is not known.
    """

    path: str
    created: bool
    mtime_ns: int | None = None
    after_ns: int | None = None


@dataclass(frozen=True)
class Relocation:
    """A file of the result that moves from `old` to `new`, over `parked` while `new` is taken."""

    old: str
    new: str
    parked: str | None = None


@dataclass(frozen=True)
class Rearrangement:
    """Files of a finished result that move, and tables that are replaced or new.

    Size and mtime of the new tables are known once all files have moved.
    """

    what: str  # recut, split, label, add
    about: Mapping[str, Any]  # its parameters
    tables: Mapping[str, tuple[int, int] | None]
    relocations: tuple[Relocation, ...]
    phase: str = "clearing"  # then placing, writing; fetching comes first if images are added

    def description(self) -> str:
        """Its kind and parameters, for messages."""
        return f"{self.what} ({', '.join(f'{name} {value}' for name, value in self.about.items())})"


def stored_name(name: str | None) -> bytes | None:
    """A file name as stored: the bytes that the system uses, since not every name is text."""
    return None if name is None else os.fsencode(name)


def name_of(stored: bytes | None) -> str | None:
    """The inverse of `stored_name`."""
    return None if stored is None else os.fsdecode(stored)


def stored_time(ns: int | None) -> int | bytes | None:
    """A time in nanoseconds as stored: times after 2262 exceed the integers of SQLite."""
    return ns if ns is None or -(1 << 63) <= ns < 1 << 63 else b"%d" % ns


def time_of(stored: int | bytes | None) -> int | None:
    """The inverse of `stored_time`."""
    return None if stored is None else int(stored)


class Journal:
    """The journal of one result folder, in a read-only folder to read; a context manager."""

    def __init__(self, root: Path) -> None:
        self.root = root
        folder = root / FOLDER
        with self._errors():
            check_no_links(folder)
            write = not folder.is_dir() or os.access(folder, os.W_OK)
            if write:
                folder.mkdir(parents=True, exist_ok=True)
            self.database = _JOURNAL.open(folder / NAME, write=write)
        try:
            with self._errors():
                if write:
                    self._complete()
        except BaseException:
            self.database.close()
            raise

    def _complete(self) -> None:
        """Add the tables and columns that a journal of an older version does not have."""
        if _JOURNAL.is_marked(self.database):
            return
        with transaction(self.database) as database:
            execute_all(database, _TABLES)
            known = {row[1] for row in database.execute("PRAGMA table_info(made)")}
            for name, kind in _LATER_COLUMNS.items():
                if name not in known:
                    database.execute(f"ALTER TABLE made ADD COLUMN {name} {kind}")
            _JOURNAL.mark(database)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def _errors(self) -> AbstractContextManager[None]:
        return _JOURNAL.errors(self.root / FOLDER / NAME)

    def _write(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Execute `statement` for each row, in one transaction."""
        with self._errors(), transaction(self.database) as database:
            database.executemany(statement, rows)

    def plan(
        self,
        files: Iterable[FileRecord],
        about: Mapping[str, str],
        folders: Iterable[FolderRecord] = (),
    ) -> None:
        """Replace the plan; it is on disk when this returns."""
        with self._errors(), transaction(self.database) as database:
            for table in ("run", "made", "folder"):
                database.execute(f"DELETE FROM {table}")
            database.execute("INSERT INTO run VALUES ('phase', 'carrying')")
            database.executemany("INSERT OR REPLACE INTO run VALUES (?, ?)", _rows_of(about))
            database.executemany(_INSERT, (one.row() for one in files))
            rows = (
                (
                    stored_name(one.path),
                    one.created,
                    *map(stored_time, (one.mtime_ns, one.after_ns)),
                )
                for one in folders
            )
            database.executemany("INSERT INTO folder VALUES (?, ?, ?, ?)", rows)

    @property
    def phase(self) -> str | None:
        """One of `PHASES`; None without a plan."""
        with self._errors():
            row = self.database.execute("SELECT value FROM run WHERE key = 'phase'").fetchone()
            if row is not None:
                return str(row[0])
            older = "SELECT count(*), sum(size IS NULL) FROM made"  # of an older version
            count, planned = self.database.execute(older).fetchone()
        return None if not count else "carrying" if planned else "done"

    def enter(self, phase: str) -> None:
        """Begin a phase; it is on disk when this returns."""
        self._write("INSERT OR REPLACE INTO run VALUES ('phase', ?)", [(phase,)])

    def about(self) -> dict[str, str]:
        """The run's parameters."""
        with self._errors():
            rows = self.database.execute("SELECT key, value FROM run WHERE key != 'phase'")
            return {key: os.fsdecode(value) for key, value in rows}

    def done(self, targets: Iterable[str]) -> None:
        """Mark `targets` as written, with their size and mtime."""
        rows = []
        with self._errors():
            for target in targets:
                status = os.lstat(self.root / target)
                rows.append((status.st_size, stored_time(status.st_mtime_ns), stored_name(target)))
        self._write("UPDATE made SET size = ?, mtime_ns = ? WHERE target = ?", rows)

    def prepared(self, states: Mapping[str, tuple[int, int]]) -> None:
        """Record size and mtime of the prepared tables."""
        rows = [
            (size, stored_time(mtime_ns), stored_name(target))
            for target, (size, mtime_ns) in states.items()
        ]
        self._write("UPDATE made SET from_size = ?, from_mtime_ns = ? WHERE target = ?", rows)

    def leave_alone(self, reasons: Mapping[str, str]) -> None:
        """Record why the sources of these targets are not transferred."""
        rows = [(reason, stored_name(target)) for target, reason in reasons.items()]
        self._write("UPDATE made SET left_alone = ? WHERE target = ?", rows)

    def moved(self, targets: Mapping[str, str]) -> None:
        """Record that files were moved within the result: old target -> new one."""
        rows = [
            replace(one, target=targets[one.target]).row()
            for one in self.files()
            if one.target in targets
        ]
        with self._errors(), transaction(self.database) as database:
            old = [(stored_name(target),) for target in targets]
            database.executemany("DELETE FROM made WHERE target = ?", old)
            database.executemany(_INSERT, rows)

    def forget(self, targets: Iterable[str]) -> None:
        """Remove files from the journal."""
        rows = [(stored_name(target),) for target in targets]
        self._write("DELETE FROM made WHERE target = ?", rows)

    def files(self) -> Iterator[FileRecord]:
        """Every planned or written file, ordered by target."""
        with self._errors():
            for row in self.database.execute(f"SELECT {COLUMNS} FROM made ORDER BY target"):
                record = FileRecord.of_row(row)
                path = Path(record.target)
                if not path.parts or path.is_absolute() or ".." in path.parts:
                    raise ConflictError(
                        f"the journal in {self.root / FOLDER} names {record.target!r}, which is"
                        f" outside {self.root}: it is damaged or not from icas; nothing was"
                        " changed"
                    )
                yield record

    def folders(self) -> list[FolderRecord]:
        """Folders that the run created, or moves images out of."""
        with self._errors():
            rows = self.database.execute("SELECT * FROM folder ORDER BY path").fetchall()
        return [
            FolderRecord(os.fsdecode(path), bool(created), *map(time_of, times))
            for path, created, *times in rows
        ]

    def folders_after(self, times: Mapping[str, int]) -> None:
        """Record the mtimes of source folders at the end of the run."""
        rows = [(stored_time(after_ns), stored_name(path)) for path, after_ns in times.items()]
        self._write("UPDATE folder SET after_ns = ? WHERE path = ?", rows)

    def forget_folders(self, paths: Iterable[str]) -> None:
        """Remove folders from the journal."""
        self._write("DELETE FROM folder WHERE path = ?", [(stored_name(path),) for path in paths])

    def begin_rearrangement(
        self,
        rearrangement: Rearrangement,
        added: Iterable[FileRecord] = (),
        folders: Iterable[FolderRecord] = (),
    ) -> None:
        """Record a whole rearrangement; it is on disk when this returns.

        `added` are planned transfers of images to `ADDED`, `folders` those they are moved out of.
        """
        about, tables = json.dumps(rearrangement.about), json.dumps(rearrangement.tables)
        with transaction(self.database) as database:
            database.execute(
                "INSERT INTO rearrangement VALUES (0, ?, ?, ?, ?)",
                (rearrangement.what, about, tables, rearrangement.phase),
            )
            rows = (
                tuple(map(stored_name, (one.old, one.parked, one.new)))
                for one in rearrangement.relocations
            )
            database.executemany("INSERT INTO relocation VALUES (?, ?, ?)", rows)
            database.executemany(_INSERT, (one.row() for one in added))
            before = (
                (stored_name(one.path), one.created, stored_time(one.mtime_ns)) for one in folders
            )
            database.executemany("INSERT OR IGNORE INTO folder VALUES (?, ?, ?, NULL)", before)

    def begin_clearing(self, left: Iterable[str]) -> None:
        """Record that added images are transferred, but for those with the paths `left`."""
        with transaction(self.database) as database:
            rows = [(stored_name(target),) for target in left]
            database.executemany("DELETE FROM relocation WHERE old = ?", rows)
            database.execute("UPDATE rearrangement SET phase = 'clearing'")

    def rearrangement(self) -> Rearrangement | None:
        """The rearrangement that is not finished, if there is one."""
        query = "SELECT what, about, tables, phase FROM rearrangement"
        row = self.database.execute(query).fetchone()
        if row is None:
            return None
        what, about, tables, phase = row
        states = {name: state and tuple(state) for name, state in json.loads(tables).items()}
        rows = self.database.execute("SELECT old, new, parked FROM relocation ORDER BY old")
        relocations = tuple(
            Relocation(os.fsdecode(old), os.fsdecode(new), name_of(parked))
            for old, new, parked in rows
        )
        return Rearrangement(what, json.loads(about), states, relocations, phase)

    def begin_placing(self) -> None:
        """Record that all old paths are free."""
        with transaction(self.database) as database:
            database.execute("UPDATE rearrangement SET phase = 'placing'")

    def begin_writing(self, tables: Mapping[str, tuple[int, int]]) -> None:
        """Record that all files are at their new paths, and size and mtime of the new tables."""
        with transaction(self.database) as database:
            names = [row[1] for row in database.execute("PRAGMA table_info(made)")]
            columns = ", ".join(name for name in names if name != "target")
            rows = database.execute(
                f"SELECT new, {columns} FROM made JOIN relocation ON target = old"
            ).fetchall()
            database.execute("DELETE FROM made WHERE target IN (SELECT old FROM relocation)")
            marks = ", ".join("?" * len(names))
            database.executemany(f"INSERT INTO made (target, {columns}) VALUES ({marks})", rows)
            database.execute(
                "UPDATE rearrangement SET phase = 'writing', tables = ?", (json.dumps(tables),)
            )

    def end_rearrangement(self) -> None:
        """Record that the new tables are in place."""
        rearrangement = self.rearrangement()
        states = rearrangement.tables.items() if rearrangement is not None else ()
        rows = [
            (stored_name(name), state[0], stored_time(state[1]))
            for name, state in states
            if state is not None
        ]
        with transaction(self.database) as database:
            database.executemany(
                "INSERT INTO made (target, how, size, mtime_ns) VALUES (?, 'write', ?, ?) ON"
                " CONFLICT (target) DO UPDATE SET size = excluded.size, mtime_ns ="
                " excluded.mtime_ns",
                rows,
            )
            database.execute("DELETE FROM rearrangement")
            database.execute("DELETE FROM relocation")


def _rows_of(about: Mapping[str, str]) -> Iterator[tuple[str, str | bytes]]:
    """The parameters of a run; paths that are not text as bytes."""
    for key, value in about.items():
        try:
            value.encode()
        except UnicodeEncodeError:
            yield key, os.fsencode(value)
        else:
            yield key, value


def has_journal(root: Path) -> bool:
    """Whether `root` holds the journal of a run."""
    return (root / FOLDER / NAME).is_file()


def phase_of(root: Path) -> str | None:
    """The phase of the run in `root`; None without a journal or a plan."""
    if not has_journal(root):
        return None
    with Journal(root) as journal:
        return journal.phase


def being_undone(root: Path) -> ConflictError:
    """The error for a result that is partly undone."""
    return ConflictError(f"the undo of {root} is not finished: run clusterimg undo {root} first")


def remove_journal(root: Path) -> None:
    """Remove the journal's files, the database last."""
    remove_abandoned(root / FOLDER)
    for name in ("lock.db", *(NAME + ending for ending in reversed(SIDE_FILES))):
        (root / FOLDER / name).unlink(missing_ok=True)

"""Opening of the SQLite files of icas: identity, version and damage are checked before any write.

A new file gets its name when it is complete, so that a file of another program, or an empty one,
is never taken for one that a killed process left.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from icas.common.errors import IcasError
from icas.io.files import one_line_errors, remove_abandoned, sync_folder, write_whole
from icas.io.folders import ScratchFolder

SIDE_FILES = ("", "-wal", "-shm", "-journal")
"""Endings of a database and of the files that SQLite keeps beside it."""
_OUTSIDE_CAUSES = (
    *("locked", "locking", "is full", "readonly", "I/O error", "unable to open", "interrupted"),
    *("permission", "out of memory"),
)
"""Words of SQLite errors that do not mean damage to the file."""


class UnusableDatabaseError(IcasError):
    """A file is of another program, of a newer icas version, or damaged.

    Attributes
    ----------
    reason : str
        The reason without the path and what to do.
    is_ours : bool
        Whether icas wrote the file.
    """

    def __init__(self, message: str, reason: str, is_ours: bool) -> None:
        super().__init__(message)
        self.reason, self.is_ours = reason, is_ours


@dataclass(frozen=True)
class DatabaseKind:
    """A kind of SQLite file.

    Attributes
    ----------
    what : str
        For messages: ``painting log``.
    application_id : int
        In the header of each file.
    version : int
        Files of newer versions are refused.
    schema : str
        Statements that create the tables.
    instead : str
        For messages: what to do about a file that is damaged or of another program.
    pragmas : tuple of str
        For each connection that writes.
    first_pragmas : tuple of str
        Set before the tables are created.
    unmarked_table : str or None
        A table of the files that earlier versions wrote without an application id.
    """

    what: str
    application_id: int
    version: int
    schema: str
    instead: str
    pragmas: tuple[str, ...] = ("journal_mode = WAL", "synchronous = FULL")
    first_pragmas: tuple[str, ...] = ()
    unmarked_table: str | None = None

    def open(self, path: Path, *, write: bool, timeout: float = 5.0) -> sqlite3.Connection:
        """Open the database at `path` in autocommit mode; with `write` it is created if missing.

        Raises
        ------
        UnusableDatabaseError
            The file is of another program, newer or damaged; it was not changed.
        sqlite3.Error, OSError
            It cannot be opened.
        """
        if write:
            remove_abandoned(path.parent)
        if write and not os.path.lexists(path):
            self._create(path)
        if path.stat().st_size == 0:
            raise self.damaged(path, "the file is empty")
        if (application := _application_in(path)) != self.application_id:
            self._check_unmarked(path, application)
        database = _connect(path, _mode(path, write), timeout)
        try:
            with self.damage(path):
                self._check(database, path)
                for pragma in self.pragmas if write else ():
                    database.execute(f"PRAGMA {pragma}").fetchall()
        except BaseException:
            database.close()
            raise
        return database

    def is_marked(self, database: sqlite3.Connection) -> bool:
        """Whether a database has the application id."""
        return _pragma(database, "application_id") == self.application_id

    def mark(self, database: sqlite3.Connection) -> None:
        """Set application id and version."""
        database.execute(f"PRAGMA application_id = {self.application_id}")
        database.execute(f"PRAGMA user_version = {self.version}")

    @contextmanager
    def errors(self, path: Path) -> Iterator[None]:
        """Convert errors of SQLite and the disk into an `IcasError` of one line."""
        with one_line_errors(f"cannot use the {self.what} {path}"), self.damage(path):
            yield

    def damaged(self, path: Path, reason: str) -> UnusableDatabaseError:
        """The error for a damaged file."""
        message = f"{path} is damaged ({reason}): {self.instead}"
        is_ours = path.stat().st_size == 0 or _application_in(path) == self.application_id
        return UnusableDatabaseError(message, reason, is_ours)

    @contextmanager
    def damage(self, path: Path) -> Iterator[None]:
        """Convert the errors of a damaged file."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if is_damage(error):
                raise self.damaged(path, error_text(error)) from error
            raise

    def _check_unmarked(self, path: Path, application: int | None) -> None:
        """Refuse a file of another program, without what SQLite writes before it reads."""
        if application is None or not (self.unmarked_table or _has_log(path)):
            raise self._foreign(path)
        mode = "ro" if _has_log(path) else "ro&immutable=1"
        with self.damage(path), closing(_connect(path, mode)) as database:
            self._check(database, path)

    def _check(self, database: sqlite3.Connection, path: Path) -> None:
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
        if not self.is_marked(database):
            if _pragma(database, "application_id") or self.unmarked_table not in tables:
                raise self._foreign(path)
        elif _pragma(database, "user_version") > self.version:
            reason = "written by a newer icas version"
            raise UnusableDatabaseError(f"{path} was {reason}: update icas", reason, True)

    def _foreign(self, path: Path) -> UnusableDatabaseError:
        reason = f"not a {self.what} of icas"
        return UnusableDatabaseError(f"{path} is {reason}: {self.instead}", reason, False)

    def _create(self, path: Path) -> None:
        """Create an empty database at `path`, unless there is one by now."""
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = ScratchFolder()
        try:
            new = scratch.path / path.name
            with closing(_connect(new, "rwc")) as database:
                for pragma in ("synchronous = OFF", *self.first_pragmas):
                    database.execute(f"PRAGMA {pragma}").fetchall()
                with transaction(database):
                    self.mark(database)
                    execute_all(database, self.schema)
            write_whole(path, new.read_bytes(), replace=False)
        finally:
            scratch.cleanup()
        sync_folder(path.parent)


def is_damage(error: Exception) -> bool:
    """Whether an error means that the file is damaged, not a lock, a full disk or permissions."""
    if isinstance(error, sqlite3.OperationalError):
        return not any(word in str(error) for word in _OUTSIDE_CAUSES)
    return isinstance(error, UnicodeDecodeError) or type(error) is sqlite3.DatabaseError


def error_text(error: Exception) -> str:
    """SQLite's message, unless damage made it unreadable."""
    return "the text in it is damaged" if isinstance(error, UnicodeDecodeError) else str(error)


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All changes of the block, or none; no other process changes anything meanwhile."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield database
        database.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite may have rolled it back
            database.execute("ROLLBACK")
        raise


def execute_all(database: sqlite3.Connection, statements: str) -> None:
    """Execute statements within the transaction, which `executescript` would commit."""
    statement = ""
    for line in statements.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            database.execute(statement)
            statement = ""


def _pragma(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])


def _application_in(path: Path) -> int | None:
    """The application id in the header of a file; None where it is not a database.

    Read by SQLite: to open and close the file here would drop the locks of this process on it.
    """
    with closing(_connect(path, "ro&immutable=1")) as database:
        try:
            database.execute("PRAGMA writable_schema = ON")  # reads truncated files too
            return _pragma(database, "application_id")
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                return None
            raise


def _has_log(path: Path) -> bool:
    """Whether a write-ahead log may hold the first page, with the application id."""
    return os.path.lexists(f"{path}-wal")


def _mode(path: Path, write: bool) -> str:
    """The mode for SQLite; nothing is created, and reading works in a read-only folder."""
    if write:
        return "rw"
    immutable = not os.access(path.parent, os.W_OK) and not _has_log(path)
    return "ro&immutable=1" if immutable else "ro"


def _connect(path: Path, mode: str, timeout: float = 5.0) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
    )

"""The database file of the cache: made, opened, told from others, put aside, removed.

Several processes may use it at once. Whoever opens it, makes it anew or removes it does so alone,
by a lock that the system takes back when a process dies: nobody opens what another one removes.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from icas.clusterimg.cache_tables import EVERYTHING, LAYOUT, TABLES, one_number

NAME = "features.db"
BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database, as endings of its name."""
LOCK = "features.lock"
OURS = 0x69636166
"""Application id of the file ("icaf")."""
BUSY_SECONDS = 20.0
"""How long to wait for other processes."""

_TROUBLE = (
    *("locked", "locking", "is full", "readonly", "I/O error", "unable to open", "interrupted"),
    *("permission", "out of memory"),
)
"""Words of SQLite's errors that say nothing against the file."""


class NoCacheError(Exception):
    """A file of that name that is no cache, or one that cannot be used any more.

    Attributes
    ----------
    removable : bool
        It was a cache of icas, so nothing is lost with it.
    """

    def __init__(self, why: str, removable: bool) -> None:
        super().__init__(why)
        self.removable = removable


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep others from opening, making or removing the cache in `folder` meanwhile.

    Raises
    ------
    sqlite3.Error
        The folder cannot be written, or another process holds it for too long.
    """
    with closing(_connected(folder / LOCK)) as lock:
        lock.execute("PRAGMA locking_mode=NORMAL")
        lock.execute("BEGIN EXCLUSIVE")
        yield


def open_database(folder: Path) -> sqlite3.Connection:
    """The cache in `folder`, made where there is none; to be called `alone`.

    Raises
    ------
    NoCacheError
        A file is in the way.
    sqlite3.OperationalError
        It cannot be opened or written.
    """
    path = folder / NAME
    database = _connected(path)
    try:
        if _check(database, path):
            _make(database)
        database.execute("PRAGMA journal_mode=WAL").fetchall()
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute("PRAGMA journal_size_limit=16000000")
        database.execute("PRAGMA cell_size_check=ON")
        database.execute(EVERYTHING)
    except BaseException as error:
        database.close()
        _refuse_damaged(error, path)
        raise
    return database


def read_database(folder: Path) -> sqlite3.Connection:
    """The cache in `folder`, only to look at; nothing is made.

    Raises
    ------
    NoCacheError, sqlite3.OperationalError
        As `open_database`; also where there is no such file.
    """
    path = folder / NAME
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS
    )
    try:
        if _check(database, path):
            raise NoCacheError("it is empty", False)
        database.execute(EVERYTHING)
    except BaseException as error:
        database.close()
        _refuse_damaged(error, path)
        raise
    return database


def _connected(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    # Names and layouts are text; what damage made of them must not raise.
    database.text_factory = lambda content: content.decode("utf-8", "replace")
    return database


def _check(database: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is empty yet; a file of another kind is refused."""
    kind = one_number(database, "PRAGMA application_id")
    if one_number(database, "PRAGMA page_count") == 0:
        return True
    if kind != OURS:
        raise NoCacheError("it is another database", removable=False)
    if one_number(database, "PRAGMA user_version") != LAYOUT:
        raise NoCacheError("it is of another version of icas", removable=True)
    return False


def _make(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA auto_vacuum=INCREMENTAL")
    database.executescript(
        f"BEGIN IMMEDIATE; PRAGMA application_id={OURS}; PRAGMA user_version={LAYOUT};"
        f"{TABLES} COMMIT;"
    )


def _refuse_damaged(error: BaseException, path: Path) -> None:
    """Say that the file is no cache, where `error` says so."""
    if isinstance(error, (sqlite3.Error, UnicodeDecodeError)) and not is_trouble(error):
        raise NoCacheError(words_of(error), _was_ours(path)) from error


def words_of(error: Exception) -> str:
    """What SQLite says; where damage made no text of it, that."""
    return "it is damaged" if isinstance(error, UnicodeDecodeError) else str(error)


def _was_ours(path: Path) -> bool:
    """Whether the header of a damaged file says that it was a cache of icas."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError:
        return False
    return head[:15] == b"SQLite format 3" and head[68:72] == OURS.to_bytes(4, "big")


def is_trouble(error: Exception) -> bool:
    """Whether `error` comes from outside (locked, full, read-only), not from damage.

    Damage speaks in other words, and where these are damaged too, it is a UnicodeDecodeError.
    """
    told = str(error)
    return isinstance(error, sqlite3.OperationalError) and any(word in told for word in _TROUBLE)


def out_of_the_way(folder: Path, removable: bool) -> str:
    """Remove the file that is in the way, or rename it; what was done, in words.

    Raises
    ------
    OSError
        It cannot be moved.
    """
    if removable:
        remove_database(folder)
        return "made anew"
    aside = _free_name(folder / f"{NAME}.aside")
    for ending in ("", *BESIDE):
        if os.path.lexists(folder / (NAME + ending)):
            (folder / (NAME + ending)).replace(f"{aside}{ending}")
    return f"put aside as {aside.name}"


def _free_name(path: Path) -> Path:
    number, free = 2, path
    while os.path.lexists(free):
        free = path.with_name(f"{path.name}-{number}")
        number += 1
    return free


def remove_database(folder: Path) -> None:
    """Remove the cache's own files from `folder`."""
    for ending in ("", *BESIDE):
        (folder / (NAME + ending)).unlink(missing_ok=True)

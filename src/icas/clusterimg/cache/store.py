"""The cache's database in a run: nothing that is wrong with it stops the run.

What is damaged is made anew, what cannot be used is left alone, each with one warning.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from icas.clusterimg.cache import schema as cache_tables
from icas.clusterimg.cache.schema import EVERYTHING, LAYOUT, TABLES, Found, Kept, one_number

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


LOG = logging.getLogger(__name__)
T = TypeVar("T")

MARKS_AT_ONCE = 5000
"""Used entries that are marked together; marks of a killed run are lost, which does no harm."""
TIMES = 3
"""So often a database that was damaged or removed meanwhile is opened again."""


class Store:
    """The rows of one cache folder. May be used by several threads, and by several processes.

    Parameters
    ----------
    folder : Path
        Made when the first row is kept.
    limit : int
        Bytes that the database may take.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self._limit = folder, limit
        self._database: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._run = 0
        self._used: list[int] = []
        self._full = self._off = False
        self._opened = 0
        self._lock = threading.RLock()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Found]:
        """What is kept under `keys`, by key."""
        if self._database is None and not os.path.lexists(self.folder / NAME):
            return {}
        return self._tried(lambda database: cache_tables.find(database, keys)) or {}

    def mark(self, ids: Iterable[int]) -> None:
        """Say that the entries `ids` were of use in this run."""
        self._used.extend(ids)
        if len(self._used) >= MARKS_AT_ONCE:
            self._tried(self._mark)

    def put(self, digest: bytes, method: str, rows: Sequence[Kept]) -> None:
        """Keep `rows`, made by the recipe of that `digest`; what is kept there is replaced."""

        def write(database: sqlite3.Connection) -> None:
            wanted = cache_tables.bytes_of(rows)
            with cache_tables.transaction(database):
                self._full = not cache_tables.make_room(database, self._run, wanted, self._limit)
                if not self._full:
                    cache_tables.insert(database, self._run, digest, method, rows)

        if rows and not self._full:
            self._tried(write)

    def close(self) -> None:
        """Write down what was used, give back what is free, and let the database go."""
        with self._lock:
            if self._database is not None:
                with suppress(
                    sqlite3.Error, UnicodeDecodeError
                ):  # all that is wanted is kept already
                    self._finish(self._database)
            self._shut()

    def _mark(self, database: sqlite3.Connection) -> None:
        used, self._used = self._used, []
        cache_tables.mark(database, self._run, used)

    def _finish(self, database: sqlite3.Connection) -> None:
        self._mark(database)
        with cache_tables.transaction(database):
            cache_tables.make_room(database, self._run, 0, self._limit)
        cache_tables.give_back(database)

    def _tried(self, act: Callable[[sqlite3.Connection], T]) -> T | None:
        """What `act` gives; None where the database is of no use any more, which is told once."""
        with self._lock:
            while not self._off:
                try:
                    return act(self._open())
                except (sqlite3.Error, UnicodeDecodeError) as error:
                    self._recover(error)
                except NoCacheError as error:
                    self._give_up(str(error))
                except OSError as error:
                    self._give_up(error.strerror or str(error))
            return None

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self._opened += 1
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with alone(self.folder):
                self._database = self._opened_or_new()
                self._identity = _identity(self.folder / NAME)
            self._run = cache_tables.begin_run(self._database, self._limit)
        return self._database

    def _opened_or_new(self) -> sqlite3.Connection:
        try:
            return open_database(self.folder)
        except NoCacheError as error:
            done = out_of_the_way(self.folder, error.removable)
            self._warn(str(error), done)
        return open_database(self.folder)

    def _recover(self, error: sqlite3.Error | UnicodeDecodeError) -> None:
        """After an error: remove a damaged database, or go on without one."""
        identity = self._identity
        moved = identity not in (None, _identity(self.folder / NAME))
        self._shut()
        if self._opened >= TIMES or (not moved and (identity is None or is_trouble(error))):
            self._give_up(words_of(error))
        elif not moved:
            self._remove_damaged(identity, words_of(error))

    def _remove_damaged(self, identity: tuple[int, int] | None, why: str) -> None:
        try:
            with alone(self.folder):
                if identity == _identity(self.folder / NAME):  # else another process did it
                    self._warn(why, out_of_the_way(self.folder, removable=True))
        except (OSError, sqlite3.Error) as error:
            self._give_up(str(error))

    def _warn(self, why: str, done: str) -> None:
        LOG.warning("the cache %s cannot be used (%s): %s", self.folder / NAME, why, done)

    def _give_up(self, why: str) -> None:
        self._off = True
        self._shut()
        LOG.warning("features are not kept in %s: %s", self.folder, why)

    def _shut(self) -> None:
        self._used = []
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
        self._database = self._identity = None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino

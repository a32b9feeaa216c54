"""The cache's database in a run: nothing that is wrong with it stops the run.

What is damaged is made anew, what cannot be used is left alone, each with one warning.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from icas.clusterimg import cache_tables
from icas.clusterimg.cache_database import (
    NAME,
    NoCacheError,
    alone,
    is_trouble,
    open_database,
    out_of_the_way,
    words_of,
)
from icas.clusterimg.cache_tables import Found, Kept

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

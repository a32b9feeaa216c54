"""The SQLite database of the cache: entries by key, with a size limit and LRU eviction.

No error of the database stops a run: a damaged one is removed and created again, one that cannot
be used is skipped, each with one warning.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from icas.common.errors import ConflictError, IcasError
from icas.io.database import (
    SIDE_FILES,
    DatabaseKind,
    UnusableDatabaseError,
    error_text,
    is_damage,
    transaction,
)
from icas.io.formats import os_reason

LOG = logging.getLogger(__name__)
T = TypeVar("T")

NAME, LOCK = "features.db", "features.lock"
SCHEMA_VERSION = 1
"""Raise it when tables change; a database of another version is created again."""
BUSY_SECONDS = 20.0
"""How long to wait for other processes."""
KEYS_PER_QUERY = EVICTED_AT_ONCE = 500
SPARE = 20  # when the limit is reached, 1 / SPARE of it is freed
OVERHEAD = 200  # bytes that an entry takes beside its data, approximately
FREE_PAGES = 64  # free pages that stay in the file
MARKS_AT_ONCE = 5000
MAX_OPENED = 3  # how often a database that was damaged or removed meanwhile is opened again

TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE recipes (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, method TEXT NOT NULL);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,   -- digest of the image's path and of the recipe
    recipe INTEGER NOT NULL,
    size INTEGER NOT NULL,      -- of the image file in bytes
    mtime_ns INTEGER NOT NULL,
    used INTEGER NOT NULL       -- number of the last run that used it
);
CREATE INDEX entries_by_use ON entries (used);
CREATE TABLE features (
    id INTEGER PRIMARY KEY,     -- of the entry
    layout TEXT NOT NULL,
    sum BLOB NOT NULL,          -- checksum of this row and its key
    data BLOB NOT NULL
);
INSERT INTO about VALUES ('runs', 0), ('limit', 0);
"""
_ALL_COLUMNS = (
    "SELECT e.id, e.key, e.recipe, e.size, e.mtime_ns, e.used, f.layout, f.sum, f.data, r.digest,"
    " r.method, a.value FROM entries e, features f, recipes r, about a LIMIT 0"
)
"""Fails where a column is missing."""
_BY_METHOD = (
    "SELECT r.method, count(*) FROM entries e JOIN recipes r ON r.id = e.recipe"
    " GROUP BY r.method ORDER BY r.method"
)
_CACHE = DatabaseKind(
    "feature cache",
    0x69636166,
    SCHEMA_VERSION,
    TABLES,
    "clusterimg cache clear removes it",
    pragmas=(
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "journal_size_limit = 16000000",
        "cell_size_check = ON",
    ),
    first_pragmas=("auto_vacuum = INCREMENTAL",),
)


class Entry(NamedTuple):
    """Features of an image file of that size and mtime; `layout` says what `data` holds."""

    key: bytes
    size: int
    mtime_ns: int
    checksum: bytes
    layout: str
    data: bytes
    id: int = 0


class Database:
    """The entries in one cache folder, for several threads and processes.

    The folder is created with the first entry; `limit` is the maximum size in bytes.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self._limit = folder, limit
        self._database: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._run = 0
        self._used: list[int] = []
        self._full = self._disabled = False
        self._opened = 0
        self._lock = threading.RLock()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """The entries of those of `keys` that there are."""
        if self._database is None and not os.path.lexists(self.folder / NAME):
            return {}
        return self._attempt(lambda database: _find(database, keys)) or {}

    def mark_used(self, ids: Iterable[int]) -> None:
        """Record that this run used these entries."""
        self._used.extend(ids)
        if len(self._used) >= MARKS_AT_ONCE:
            self._attempt(self._flush)

    def put(self, digest: bytes, method: str, entries: Sequence[Entry]) -> None:
        """Store `entries` of the recipe with this `digest`, replacing those with equal keys."""

        def write(database: sqlite3.Connection) -> None:
            needed = sum(len(one.data) + len(one.layout) + OVERHEAD for one in entries)
            with transaction(database):
                self._full = not self._evict(database, needed)
                if not self._full:
                    _insert(database, self._run, digest, method, entries)

        if entries and not self._full:
            self._attempt(write)

    def close(self) -> None:
        """Write the marks, shrink the file to its limit and close it."""
        with self._lock:
            if self._database is not None:
                # All entries are stored already.
                with suppress(sqlite3.Error, UnicodeDecodeError):
                    self._flush(self._database)
                    if _integer(self._database, "PRAGMA freelist_count") > FREE_PAGES:
                        # `execute` would stop after one page.
                        self._database.executescript("PRAGMA incremental_vacuum")
            self._disconnect()

    def _flush(self, database: sqlite3.Connection) -> None:
        """Write the marks, and remove what is over the limit."""
        with transaction(database):
            self._write_marks(database)
            self._evict(database, 0)

    def _write_marks(self, database: sqlite3.Connection) -> None:
        used, self._used = self._used, []
        database.executemany(
            "UPDATE entries SET used = ?1 WHERE id = ?2 AND used < ?1",
            ((self._run, number) for number in used),
        )

    def _evict(self, database: sqlite3.Connection, needed: int) -> bool:
        """Remove least recently used entries until `needed` more bytes fit; whether they do.

        Entries of this run stay.
        """
        if _bytes_used(database) + needed <= self._limit:
            return True
        self._write_marks(database)
        target = self._limit - self._limit // SPARE
        while (excess := _bytes_used(database) + needed - target) > 0:
            oldest = _oldest(database, self._run, excess)
            if not oldest:
                return _bytes_used(database) + needed <= self._limit
            database.executemany("DELETE FROM features WHERE id = ?", oldest)
            if database.executemany("DELETE FROM entries WHERE id = ?", oldest).rowcount == 0:
                raise sqlite3.DatabaseError("the usage order is damaged")
        return True

    def _attempt(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """The result of `action`; None where the database cannot be used, with one warning."""
        with self._lock:
            while not self._disabled:
                try:
                    return action(self._connect())
                except (sqlite3.Error, UnicodeDecodeError) as error:
                    self._recover(error)
                except UnusableDatabaseError as error:
                    self._disable(error.reason)
                except OSError as error:
                    self._disable(error.strerror or str(error))
            return None

    def _connect(self) -> sqlite3.Connection:
        if self._database is None:
            self._opened += 1
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with locked(self.folder):
                try:
                    self._database = _open(self.folder)
                except UnusableDatabaseError as error:
                    self._warn(error.reason, _move_away(self.folder, error.is_ours))
                    self._database = _open(self.folder)
                self._identity = _identity(self.folder / NAME)
            self._run = _begin_run(self._database, self._limit)
        return self._database

    def _recover(self, error: sqlite3.Error | UnicodeDecodeError) -> None:
        """Remove a damaged database, or continue without one."""
        identity = self._identity
        replaced = identity not in (None, _identity(self.folder / NAME))
        self._disconnect()
        if self._opened >= MAX_OPENED or (
            not replaced and (identity is None or not is_damage(error))
        ):
            self._disable(error_text(error))
        elif not replaced:
            try:
                with locked(self.folder):
                    if identity == _identity(self.folder / NAME):  # else another process did it
                        self._warn(error_text(error), _move_away(self.folder, removable=True))
            except (OSError, sqlite3.Error) as failure:
                self._disable(str(failure))

    def _warn(self, why: str, done: str) -> None:
        LOG.warning("cannot use the cache %s (%s): %s", self.folder / NAME, why, done)

    def _disable(self, why: str) -> None:
        self._disabled = True
        self._disconnect()
        LOG.warning("features are not cached in %s: %s", self.folder, why)

    def _disconnect(self) -> None:
        self._used = []
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
        self._database = self._identity = None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """No other process opens, creates or removes the cache in `folder` meanwhile."""
    with closing(sqlite3.connect(folder / LOCK, BUSY_SECONDS, isolation_level=None)) as lock:
        lock.execute("PRAGMA locking_mode=NORMAL")
        lock.execute("BEGIN EXCLUSIVE")
        yield


def _open(folder: Path, *, write: bool = True) -> sqlite3.Connection:
    """The database in `folder`, with `write` created if missing; call it while `locked`."""
    path = folder / NAME
    if write and path.is_file() and path.stat().st_size == 0:
        path.unlink()
    database = _CACHE.open(path, write=write, timeout=BUSY_SECONDS)
    # Damaged text must not raise.
    database.text_factory = lambda content: content.decode("utf-8", "replace")
    try:
        with _CACHE.damage(path):
            if _integer(database, "PRAGMA user_version") != SCHEMA_VERSION:
                raise _CACHE.damaged(path, "from another version of icas")
            database.execute(_ALL_COLUMNS)
    except BaseException:
        database.close()
        raise
    return database


def _move_away(folder: Path, removable: bool) -> str:
    """Remove the database, or rename one that is not of icas; what was done, for a message."""
    if removable:
        _remove(folder)
        return "a new one was created"
    number, aside = 2, folder / f"{NAME}.aside"
    while os.path.lexists(aside):
        aside, number = folder / f"{NAME}.aside-{number}", number + 1
    for suffix in SIDE_FILES:
        if os.path.lexists(folder / (NAME + suffix)):
            (folder / (NAME + suffix)).replace(f"{aside}{suffix}")
    return f"renamed to {aside.name}, a new one is created"


def _remove(folder: Path) -> None:
    for suffix in SIDE_FILES:
        (folder / (NAME + suffix)).unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _integer(database: sqlite3.Connection, query: str) -> int:
    """The integer that `query` selects; 0 where there is no row."""
    row = database.execute(query).fetchone()
    if row is not None and not isinstance(row[0], int):
        raise sqlite3.DatabaseError("a number is damaged")
    return row[0] if row is not None else 0


def _begin_run(database: sqlite3.Connection, limit: int) -> int:
    """The number of a new run; age is counted in runs, because clocks jump."""
    with transaction(database):
        database.execute("UPDATE about SET value = value + 1 WHERE name = 'runs'")
        database.execute("UPDATE about SET value = ? WHERE name = 'limit'", (limit,))
        return _integer(database, "SELECT value FROM about WHERE name = 'runs'")


def _find(database: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Entry]:
    entries: dict[bytes, Entry] = {}
    for start in range(0, len(keys), KEYS_PER_QUERY):
        part = keys[start : start + KEYS_PER_QUERY]
        rows = database.execute(
            "SELECT e.key, e.size, e.mtime_ns, f.sum, f.layout, f.data, e.id FROM entries e"
            f" JOIN features f ON f.id = e.id WHERE e.key IN ({','.join('?' * len(part))})",
            part,
        )
        entries.update((row[0], Entry(*row)) for row in rows)
    return entries


def _insert(
    database: sqlite3.Connection, run: int, digest: bytes, method: str, entries: Sequence[Entry]
) -> None:
    database.execute(
        "INSERT INTO recipes (digest, method) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (digest, method),
    )
    query = "SELECT id FROM recipes WHERE digest = ?"
    recipe = int(database.execute(query, (digest,)).fetchone()[0])
    database.executemany(
        "INSERT INTO entries (key, recipe, size, mtime_ns, used) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET recipe = excluded.recipe, size = excluded.size,"
        " mtime_ns = excluded.mtime_ns, used = excluded.used",
        [(one.key, recipe, one.size, one.mtime_ns, run) for one in entries],
    )
    database.executemany(
        "INSERT OR REPLACE INTO features SELECT id, ?, ?, ? FROM entries WHERE key = ?",
        [(one.layout, one.checksum, one.data, one.key) for one in entries],
    )


def _oldest(database: sqlite3.Connection, run: int, needed: int) -> list[tuple[int]]:
    """Least recently used entries with `needed` bytes together, or as many as go at once."""
    rows = database.execute(
        "SELECT e.id, length(f.data) FROM entries e LEFT JOIN features f ON f.id = e.id"
        " WHERE e.used < ? ORDER BY e.used, e.id LIMIT ?",
        (run, EVICTED_AT_ONCE),
    )
    ids = []
    for number, length in rows:
        ids.append((number,))
        needed -= (length or 0) + OVERHEAD
        if needed <= 0:
            break
    return ids


def _bytes_used(database: sqlite3.Connection) -> int:
    """Bytes of the file without its free pages."""
    pages, free, size = (
        _integer(database, f"PRAGMA {name}")
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def cache_info(folder: Path) -> dict[str, Any]:
    """Contents, size and limit (0 = unknown) of the cache in `folder`."""
    place, size, methods, limit = folder / NAME, _size(folder), dict[str, int](), 0
    try:
        if place.exists():
            with closing(_open(folder, write=False)) as database:
                methods = {method: int(count) for method, count in database.execute(_BY_METHOD)}
                limit = _integer(database, "SELECT value FROM about WHERE name = 'limit'")
    except (UnusableDatabaseError, sqlite3.Error) as error:
        reason = getattr(error, "reason", error)
        raise IcasError(
            f"cannot read the cache {place} ({reason}): the next run with a cache creates a new one"
        ) from error
    return {
        "place": str(place),
        "entries": sum(methods.values()),
        "bytes": size,
        "limit": limit,
        "methods": methods,
    }


def info_lines(info: dict[str, Any]) -> list[str]:
    """What `cache_info` returned, as lines to print."""
    lines = [f"{info['place']}: {_size_text(info['bytes'])}, features of {info['entries']} images"]
    lines += [f"  {method:10} {count}" for method, count in info["methods"].items()]
    if info["limit"]:
        lines.append(f"maximum size in the last run: {_size_text(info['limit'])}")
    return lines


def clear_cache(folder: Path) -> str:
    """Remove the cache in `folder`, and no other file there; what was done, for a message."""
    place = folder / NAME
    if not place.exists():
        return f"no cache in {folder}: nothing removed"
    try:
        with locked(folder):
            size, contents = _size(folder), _contents_text(folder)
            _remove(folder)
        (folder / LOCK).unlink(missing_ok=True)
    except OSError as error:
        raise IcasError(f"cannot remove {place}: {os_reason(error)}") from error
    except sqlite3.Error as error:
        raise IcasError(f"cannot remove {place}: {error}") from error
    return f"removed {place}: {contents}{_size_text(size)}"


def _contents_text(folder: Path) -> str:
    """Number of entries for a message; empty where damage hides it."""
    try:
        with closing(_open(folder, write=False)) as database:
            count = _integer(database, "SELECT count(*) FROM entries")
    except UnusableDatabaseError as error:
        if not error.is_ours:
            raise ConflictError(f"{folder / NAME} is {error.reason}: nothing removed") from error
        return ""
    except sqlite3.Error:
        return ""
    return f"features of {count} images, "


def _size(folder: Path) -> int:
    files = [folder / (NAME + suffix) for suffix in SIDE_FILES]
    return sum(file.stat().st_size for file in files if file.exists())


def _size_text(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"

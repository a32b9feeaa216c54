"""Tables of the cache's database, and what is asked of them and written into them."""

from __future__ import annotations

import hashlib
import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.cache.key import Recipe
from icas.clusterimg.data.featureset import FeatureSet

KINDS = "biuf"
"""Numbers of these kinds are kept: truth values, integers, floats; objects never."""
SUM_BYTES = 16


@dataclass(frozen=True)
class Row:
    """Features of one image.

    Attributes
    ----------
    layout : str
        ``name:dtype:shape`` of each array, without the axis of the images, by semicolons.
    data : bytes
        The image's part of each array, one behind the other.
    """

    layout: str
    data: bytes

    def sum(self, *about: bytes | int) -> bytes:
        """Checksum of the row and of what it is `about`."""
        written = b"".join(
            b"%d:%b" % (len(part), part) if isinstance(part, bytes) else b"%d;" % part
            for part in (*about, str(self.layout).encode("utf-8", "replace"))
        )
        state = hashlib.blake2b(written, digest_size=SUM_BYTES)
        state.update(self.data)
        return state.digest()


def rows_of(features: FeatureSet) -> list[Row]:
    """Every image's features as a row; none where an array holds something else than numbers."""
    arrays = {name: np.ascontiguousarray(array) for name, array in features.arrays.items()}
    if any(array.dtype.kind not in KINDS for array in arrays.values()):
        return []
    layout = ";".join(f"{name}:{_kind_of(array)}" for name, array in arrays.items())
    flat = [_as_bytes(array) for array in arrays.values()]
    return [Row(layout, row.tobytes()) for row in np.concatenate(flat, axis=1)]


def _kind_of(array: NDArray[np.generic]) -> str:
    return f"{array.dtype.str}:{'x'.join(map(str, array.shape[1:]))}"


def _as_bytes(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    """(n, bytes) uint8 of an array whose first axis has length n."""
    width = array.itemsize * math.prod(array.shape[1:])
    return np.frombuffer(array.tobytes(), np.uint8).reshape(len(array), width)


def features_from(recipe: Recipe, rows: Sequence[Row], files: Sequence[str]) -> FeatureSet:
    """The features of `files`, of which `rows` holds one each, all of one layout.

    Raises
    ------
    ValueError
        A row is not what its layout says.
    """
    parts = [_part(text) for text in rows[0].layout.split(";")]
    width = sum(kind.itemsize * math.prod(shape) for _, kind, shape in parts)
    flat = np.frombuffer(b"".join(row.data for row in rows), np.uint8).reshape(len(rows), width)
    arrays, start = {}, 0
    for name, kind, shape in parts:
        end = start + kind.itemsize * math.prod(shape)
        mine = np.ascontiguousarray(flat[:, start:end]).reshape(-1).view(kind)
        arrays[name] = mine.reshape(len(rows), *shape)
        start = end
    return FeatureSet(recipe.method, arrays, recipe.settings, tuple(files))


def _part(text: str) -> tuple[str, np.dtype[np.generic], tuple[int, ...]]:
    name, kind, shape = text.split(":")
    found = np.dtype(kind)
    if found.kind not in KINDS:
        raise ValueError(f"{kind} is no kind of number")
    return name, found, tuple(int(side) for side in shape.split("x") if side)


LAYOUT = 1
"""Raise it when tables change; older ones are made anew."""
KEYS_AT_ONCE = 500
"""Rows asked for by one question."""
EVICTED_AT_ONCE = 500
"""Entries that go together."""
SPARE = 20
"""One part in so many of the limit is made free when the cache is full, not for every row again."""
OVERHEAD = 200
"""Bytes that a row takes beside its data, roughly."""
LOOSE_PAGES = 64
"""Free pages that stay in the file for the next run."""

TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE recipes (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, method TEXT NOT NULL);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,   -- digest of the image's path and of how its features are made
    recipe INTEGER NOT NULL,
    size INTEGER NOT NULL,      -- of the image file in bytes
    mtime_ns INTEGER NOT NULL,
    used INTEGER NOT NULL       -- number of the last run that used it
);
CREATE INDEX entries_by_use ON entries (used);
CREATE TABLE features (
    id INTEGER PRIMARY KEY,     -- of the entry
    layout TEXT NOT NULL,
    sum BLOB NOT NULL,          -- checksum of everything that this row and its key say
    data BLOB NOT NULL
);
INSERT INTO about VALUES ('runs', 0), ('limit', 0);
"""
EVERYTHING = (
    "SELECT e.id, e.key, e.recipe, e.size, e.mtime_ns, e.used, f.layout, f.sum, f.data, r.digest,"
    " r.method, a.value FROM entries e, features f, recipes r, about a LIMIT 0"
)
"""Fails where a column is missing."""


class Found(NamedTuple):
    """A row as it was kept.

    Attributes
    ----------
    id : int
        Of the entry, for `mark`.
    size, mtime_ns : int
        Of the image when its features were made.
    sum : bytes
        Checksum.
    row : Row
    """

    id: int
    size: int
    mtime_ns: int
    sum: bytes
    row: Row


class Kept(NamedTuple):
    """A row to be kept; see `Found`."""

    key: bytes
    size: int
    mtime_ns: int
    sum: bytes
    row: Row


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Everything in the block, or nothing; waits for other processes that write."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise


def one_number(database: sqlite3.Connection, question: str) -> int:
    """The number that `question` asks for; 0 where there is no answer.

    Raises
    ------
    sqlite3.DatabaseError
        Damage made something else of it.
    """
    row = database.execute(question).fetchone()
    if row is not None and not isinstance(row[0], int):
        raise sqlite3.DatabaseError("a number is damaged")
    return row[0] if row is not None else 0


def begin_run(database: sqlite3.Connection, limit: int) -> int:
    """The number of a new run; the age of an entry is counted in runs, for clocks jump."""
    with transaction(database):
        database.execute("UPDATE about SET value = value + 1 WHERE name = 'runs'")
        database.execute("UPDATE about SET value = ? WHERE name = 'limit'", (limit,))
        return one_number(database, "SELECT value FROM about WHERE name = 'runs'")


def find(database: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Found]:
    """What is kept under `keys`, by key."""
    found: dict[bytes, Found] = {}
    for start in range(0, len(keys), KEYS_AT_ONCE):
        part = keys[start : start + KEYS_AT_ONCE]
        rows = database.execute(
            "SELECT e.key, e.id, e.size, e.mtime_ns, f.layout, f.sum, f.data FROM entries e"
            f" JOIN features f ON f.id = e.id WHERE e.key IN ({','.join('?' * len(part))})",
            part,
        )
        for key, number, size, mtime_ns, layout, check, data in rows:
            found[key] = Found(number, size, mtime_ns, check, Row(layout, data))
    return found


def insert(
    database: sqlite3.Connection, run: int, digest: bytes, method: str, rows: Sequence[Kept]
) -> None:
    """Keep `rows`, made by the recipe of that `digest`; what is there under their keys goes."""
    recipe = _recipe(database, digest, method)
    database.executemany(
        "INSERT INTO entries (key, recipe, size, mtime_ns, used) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET recipe = excluded.recipe, size = excluded.size,"
        " mtime_ns = excluded.mtime_ns, used = excluded.used",
        [(one.key, recipe, one.size, one.mtime_ns, run) for one in rows],
    )
    database.executemany(
        "INSERT OR REPLACE INTO features SELECT id, ?, ?, ? FROM entries WHERE key = ?",
        [(one.row.layout, one.sum, one.row.data, one.key) for one in rows],
    )


def _recipe(database: sqlite3.Connection, digest: bytes, method: str) -> int:
    database.execute(
        "INSERT INTO recipes (digest, method) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (digest, method),
    )
    asked = "SELECT id FROM recipes WHERE digest = ?"
    return int(database.execute(asked, (digest,)).fetchone()[0])


def bytes_of(rows: Sequence[Kept]) -> int:
    """What `rows` will take, roughly."""
    return sum(len(one.row.data) + len(one.row.layout) + OVERHEAD for one in rows)


def mark(database: sqlite3.Connection, run: int, ids: Iterable[int]) -> None:
    """Write down that the entries `ids` were of use in `run`."""
    with transaction(database):
        database.executemany(
            "UPDATE entries SET used = ?1 WHERE id = ?2 AND used < ?1",
            ((run, number) for number in ids),
        )


def make_room(database: sqlite3.Connection, run: int, wanted: int, limit: int) -> bool:
    """Whether `wanted` bytes more fit `limit`, once what no run used for longest has gone.

    What was used in `run` itself stays.
    """
    if _bytes_used(database) + wanted <= limit:
        return True
    least = limit - limit // SPARE
    while (excess := _bytes_used(database) + wanted - least) > 0:
        oldest = _oldest(database, run, excess)
        if not oldest:
            return _bytes_used(database) + wanted <= limit
        database.executemany("DELETE FROM features WHERE id = ?", oldest)
        if database.executemany("DELETE FROM entries WHERE id = ?", oldest).rowcount == 0:
            raise sqlite3.DatabaseError("the order of use is damaged")
    return True


def _oldest(database: sqlite3.Connection, run: int, wanted: int) -> list[tuple[int]]:
    """Entries that no run used for longest, with `wanted` bytes together or as many as go."""
    rows = database.execute(
        "SELECT e.id, length(f.data) FROM entries e LEFT JOIN features f ON f.id = e.id"
        " WHERE e.used < ? ORDER BY e.used, e.id LIMIT ?",
        (run, EVICTED_AT_ONCE),
    )
    found = []
    for number, length in rows:
        found.append((number,))
        wanted -= (length or 0) + OVERHEAD
        if wanted <= 0:
            break
    return found


def _bytes_used(database: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    pages, free, size = (
        one_number(database, f"PRAGMA {name}")
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def give_back(database: sqlite3.Connection) -> None:
    """Make the file smaller by what is free in it."""
    if one_number(database, "PRAGMA freelist_count") > LOOSE_PAGES:
        database.executescript("PRAGMA incremental_vacuum")  # `execute` stops after one page

"""What the cache holds, and clearing it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.clusterimg.cache.schema import one_number
from icas.clusterimg.cache.store import (
    BESIDE,
    LOCK,
    NAME,
    NoCacheError,
    alone,
    read_database,
    remove_database,
)
from icas.common.errors import ConflictError, IcasError
from icas.io.formats import os_reason

_BY_METHOD = (
    "SELECT r.method, count(*) FROM entries e JOIN recipes r ON r.id = e.recipe"
    " GROUP BY r.method ORDER BY r.method"
)


@dataclass(frozen=True)
class CacheInfo:
    """What a cache holds.

    Attributes
    ----------
    place : Path
        Its database.
    methods : dict of str to int
        For each method how many images' features.
    bytes : int
        That its files take on disk.
    limit : int
        Bytes that they might take in the last run that used it; 0 where there was none.
    """

    place: Path
    methods: dict[str, int]
    bytes: int
    limit: int

    @property
    def entries(self) -> int:
        """Features of how many images; of each method and its settings by themselves."""
        return sum(self.methods.values())

    def as_dict(self) -> dict[str, Any]:
        return {
            "place": str(self.place),
            "entries": self.entries,
            "bytes": self.bytes,
            "limit": self.limit,
            "methods": self.methods,
        }

    def words(self) -> list[str]:
        """Lines for people."""
        lines = [f"{self.place}: {told_bytes(self.bytes)}, features of {self.entries} images"]
        lines += [f"  {method:10} {count}" for method, count in self.methods.items()]
        if self.limit:
            lines.append(f"limit of the last run: {told_bytes(self.limit)}")
        return lines


def cache_info(folder: Path) -> CacheInfo:
    """What the cache in `folder` holds; nothing is written.

    Raises
    ------
    IcasError
        It is damaged, no cache, or cannot be read.
    """
    place = folder / NAME
    if not place.exists():
        return CacheInfo(place, {}, 0, 0)
    size = _size(folder)
    try:
        with closing(read_database(folder)) as database:
            methods = {method: int(count) for method, count in database.execute(_BY_METHOD)}
            limit = one_number(database, "SELECT value FROM about WHERE name = 'limit'")
    except (NoCacheError, sqlite3.Error) as error:
        raise IcasError(
            f"{place} cannot be read as a cache ({error}); the next run that keeps features makes"
            " it anew"
        ) from error
    return CacheInfo(place, methods, size, limit)


def clear_cache(folder: Path) -> str:
    """Remove the cache in `folder`, and nothing else there; what was done, in words.

    Raises
    ------
    ConflictError
        A file of that name is there and no cache of icas.
    IcasError
        It cannot be removed.
    """
    place = folder / NAME
    if not place.exists():
        return f"no cache in {folder}: nothing removed"
    try:
        with alone(folder):
            size, told = _size(folder), _counted(folder)
            remove_database(folder)
        (folder / LOCK).unlink(missing_ok=True)
    except OSError as error:
        raise IcasError(f"cannot remove {place}: {os_reason(error)}") from error
    except sqlite3.Error as error:
        raise IcasError(f"cannot remove {place}: {error}") from error
    return f"removed {place}: {told}{told_bytes(size)}"


def _counted(folder: Path) -> str:
    """What is about to go; empty where damage hides it."""
    try:
        with closing(read_database(folder)) as database:
            count = one_number(database, "SELECT count(*) FROM entries")
    except NoCacheError as error:
        if not error.removable:
            raise ConflictError(f"{folder / NAME} is no cache ({error}): left alone") from error
        return ""
    except sqlite3.Error:
        return ""
    return f"features of {count} images, "


def _size(folder: Path) -> int:
    files = [folder / (NAME + ending) for ending in ("", *BESIDE)]
    return sum(file.stat().st_size for file in files if file.exists())


def told_bytes(count: int) -> str:
    """A number of bytes in words: ``1.2 GB``, ``56.7 MB``, ``12 kB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"

"""Entries of the journal: files, folders and rearrangements, and how SQLite stores them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COLUMNS = (
    "target, how, source, size, mtime_ns, from_size, from_mtime_ns, link, link_mtime_ns, left_alone"
)
"""Columns of a row that is a `FileRecord`."""


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
    """Files of a finished result that move, and tables that are replaced.

    Size and mtime of the new tables are known once all files have moved.
    """

    what: str  # recut, split
    about: Mapping[str, Any]  # its parameters
    tables: Mapping[str, tuple[int, int] | None]
    relocations: tuple[Relocation, ...]
    phase: str = "clearing"  # then placing, writing

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

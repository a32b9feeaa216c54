"""What a run makes, a file or a folder at a time, and how databases keep it.

File names are kept as the bytes that the system uses, since not every name is text.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

COLUMNS = (
    "target, how, source, size, mtime_ns, from_size, from_mtime_ns, link, link_mtime_ns, left_alone"
)
"""Columns of a row that is a `Made`."""


@dataclass(frozen=True, slots=True)
class Made:
    """One file of the result.

    Attributes
    ----------
    target : str
        Where it is, relative to the result folder.
    how : str
        ``copy``, ``move``, ``hardlink``, ``symlink`` or ``write`` (a table, a report).
    source : str or None
        The image that it comes from.
    size, mtime_ns : int or None
        As they were when it was done; None while it was only planned.
    from_size, from_mtime_ns : int or None
        Those of its source (or of the prepared table) as they were when it was planned.
    link, link_mtime_ns : str or None, int or None
        Where the source points to, if it is a symbolic link, and that link's own time.
    left_alone : str or None
        Why the source was left where it is, if it was.
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
        """Whether it is planned, and neither done nor given up."""
        return self.size is None and self.left_alone is None


@dataclass(frozen=True)
class Folder:
    """A folder that the run made, or that images are moved out of.

    Attributes
    ----------
    path : str
        Absolute.
    made : bool
    mtime_ns : int or None
        Its time before the run.
    after_ns : int or None
        Its time after the run; None while that is not known.
    """

    path: str
    made: bool
    mtime_ns: int | None = None
    after_ns: int | None = None


def row_of(made: Made) -> tuple[object, ...]:
    """`made` as a row of the journal, in the order of `COLUMNS`."""
    return (
        stored_name(made.target),
        made.how,
        stored_name(made.source),
        made.size,
        stored_time(made.mtime_ns),
        made.from_size,
        stored_time(made.from_mtime_ns),
        stored_name(made.link),
        stored_time(made.link_mtime_ns),
        made.left_alone,
    )


def made_of(row: tuple[Any, ...]) -> Made:
    """The `Made` that a row of the journal is."""
    target, how, source, size, mtime_ns, from_size, from_mtime_ns, *others = row
    link, link_mtime_ns, left_alone = others
    return Made(
        os.fsdecode(target),
        how,
        None if source is None else os.fsdecode(source),
        size,
        time_of(mtime_ns),
        from_size,
        time_of(from_mtime_ns),
        None if link is None else os.fsdecode(link),
        time_of(link_mtime_ns),
        left_alone,
    )


def stored_name(name: str | None) -> bytes | None:
    """A file name as the databases have it."""
    return None if name is None else os.fsencode(name)


_LARGEST = 1 << 63
"""SQLite's integers are below: nanoseconds up to the year 2262; file systems know later ones."""


def stored_time(ns: int | None) -> int | bytes | None:
    """A time as the databases have it."""
    return ns if ns is None or -_LARGEST <= ns < _LARGEST else b"%d" % ns


def time_of(time: int | bytes | None) -> int | None:
    """The time that `stored_time` stored, in nanoseconds."""
    return None if time is None else int(time)

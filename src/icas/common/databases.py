"""SQLite's errors as one line."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from icas.common.errors import IcasError


@contextmanager
def told_as(what: str) -> Iterator[None]:
    """Turn what SQLite or the disk says within the block into one line that begins with `what`.

    Raises
    ------
    IcasError
        Something went wrong.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise IcasError(f"{what}: {why}") from error

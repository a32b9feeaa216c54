"""The SQLite database of a review, ``.icas/review/commands.db`` in the result: one row a command.

A command is on disk before `CommandLog.append` returns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.clusterimg.journal.journal import REVIEW
from icas.common.errors import ConflictError
from icas.io.database import DatabaseKind, transaction
from icas.io.files import check_no_links

NAME = "commands.db"
_SCHEMA = """
CREATE TABLE command (
    rev INTEGER PRIMARY KEY,   -- 0: the result as it was when the review began
    id TEXT NOT NULL UNIQUE,   -- chosen by the page: a repeated request does nothing twice
    op TEXT NOT NULL,
    args TEXT NOT NULL,        -- JSON
    text TEXT NOT NULL,        -- for people
    time TEXT NOT NULL,        -- ISO 8601, UTC
    change BLOB                -- values before and after; NULL for undo, redo, jump, apply
);
CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_LOG = DatabaseKind("review log", 0x69637276, 1, _SCHEMA, "move it away to begin the review again")


@dataclass(frozen=True)
class Entry:
    """A row of the log without its change."""

    rev: int
    id: str
    op: str
    args: Mapping[str, Any]
    text: str
    time: str


class CommandLog:
    """The log of the review of the result in `root`; a context manager."""

    def __init__(self, root: Path, *, write: bool = True) -> None:
        self.path = root / REVIEW / NAME
        with self._errors():
            if write:
                self.path.parent.mkdir(exist_ok=True)
            check_no_links(self.path.parent)
            self._database = _LOG.open(self.path, write=write)
            self._identity = self.path.stat()

    def __enter__(self) -> CommandLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _errors(self) -> AbstractContextManager[None]:
        return _LOG.errors(self.path)

    def entries(self, after: int = -1) -> Iterator[tuple[Entry, bytes | None]]:
        """Every row after a revision, with its change."""
        query = (
            "SELECT rev, id, op, args, text, time, change FROM command WHERE rev > ? ORDER BY rev"
        )
        with self._errors():
            for rev, id, op, args, text, time, change in self._database.execute(query, (after,)):
                yield Entry(rev, id, op, json.loads(args), text, time), change

    def change(self, rev: int) -> bytes:
        """The change of one command."""
        with self._errors():
            query = "SELECT change FROM command WHERE rev = ?"
            return bytes(self._database.execute(query, (rev,)).fetchone()[0])

    def append(
        self, entry: Entry, change: bytes | None, facts: Mapping[str, str] | None = None
    ) -> None:
        """Store a command durably."""
        self._check_same_file()
        args = json.dumps(entry.args, separators=(",", ":"))
        row = (entry.rev, entry.id, entry.op, args, entry.text, entry.time, change)
        with self._errors(), transaction(self._database) as database:
            database.execute("INSERT INTO command VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            self._set(facts or {})

    def _check_same_file(self) -> None:
        """Raise ConflictError where the result was undone or replaced meanwhile."""
        try:
            same = os.path.samestat(self._identity, self.path.stat())
        except OSError:
            same = False
        if not same:
            raise ConflictError(f"{self.path} was removed: the result was undone or replaced")

    def fact(self, key: str) -> str | None:
        """A value that was set."""
        with self._errors():
            row = self._database.execute("SELECT value FROM fact WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_facts(self, facts: Mapping[str, str]) -> None:
        """Set values durably."""
        self._check_same_file()
        with self._errors(), transaction(self._database):
            self._set(facts)

    def _set(self, facts: Mapping[str, str]) -> None:
        self._database.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", facts.items())

    def clear(self) -> None:
        """Remove every command and value."""
        with self._errors(), transaction(self._database) as database:
            database.execute("DELETE FROM command")
            database.execute("DELETE FROM fact")

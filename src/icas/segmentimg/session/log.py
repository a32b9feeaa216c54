"""The SQLite database of the commands on the images of a folder, in ``OUT/.icas/painting``.

A command is on disk before `PaintingLog.append` returns. A row holds what the command changed,
beginning with an autosave file that names the `base` of the row; see `pending`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.io.database import DatabaseKind
from icas.io.files import check_no_links
from icas.segmentimg.formats.autosave import Autosave
from icas.segmentimg.formats.inputs import ImageFile
from icas.segmentimg.session.changes import Change, replayed
from icas.segmentimg.session.folders import painting_folder

NAME = "commands.db"
KEPT_ROWS = 10_000
"""Rows without a change that are kept."""
_SCHEMA = """
CREATE TABLE command (
    rev INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,   -- chosen by the page: a repeated request does nothing twice
    image TEXT NOT NULL,       -- name of its results; empty: of no image
    base TEXT NOT NULL,        -- autosave file that the change follows
    op TEXT NOT NULL,
    args TEXT NOT NULL,        -- JSON
    text TEXT NOT NULL,        -- for people
    time TEXT NOT NULL,        -- ISO 8601, UTC
    change BLOB                -- values after the command; NULL: it changed no image
);
CREATE INDEX command_image ON command (image, base);
CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_LOG = DatabaseKind("painting log", 0x69637061, 1, _SCHEMA, "move it away")


@dataclass(frozen=True)
class Entry:
    """A row of the log without its change."""

    rev: int
    id: str
    image: str
    base: str
    op: str
    args: Mapping[str, Any]
    text: str
    time: str


class PaintingLog:
    """The log of the folder `out`; `write`: it is made where there is none."""

    def __init__(self, out: Path, *, write: bool = True) -> None:
        self.path = log_path(out)
        with self._errors():
            if write:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            check_no_links(self.path.parent)
            self._database = _LOG.open(self.path, write=write)
        if write:
            self._drop_old_rows()

    def _drop_old_rows(self) -> None:
        """Remove old rows without a change, which are needed only against repetition."""
        newest = "SELECT MAX(rev) FROM command"
        query = f"DELETE FROM command WHERE change IS NULL AND rev < ({newest}) - ?"
        try:
            with self._errors():
                self._database.execute(query, (KEPT_ROWS,))
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _errors(self) -> AbstractContextManager[None]:
        return _LOG.errors(self.path)

    @property
    def last(self) -> int:
        """Revision of the last command; 0 if there is none."""
        with self._errors():
            row = self._database.execute("SELECT MAX(rev) FROM command").fetchone()
        return int(row[0] or 0)

    def find(self, id: str) -> Entry | None:
        """The command with an id."""
        query = "SELECT rev, id, image, base, op, args, text, time FROM command WHERE id = ?"
        with self._errors():
            row = self._database.execute(query, (id,)).fetchone()
        if row is None:
            return None
        rev, _, image, base, op, args, text, time = row
        return Entry(rev, id, image, base, op, json.loads(args), text, time)

    def append(self, entry: Entry, change: bytes | None) -> None:
        """Store a command durably."""
        args = json.dumps(entry.args, separators=(",", ":"))
        row = (entry.rev, entry.id, entry.image, entry.base, entry.op, args, entry.text, entry.time)
        with self._errors():
            self._database.execute(
                "INSERT INTO command VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, change)
            )

    def changes(self, image: str, base: str, after: int) -> Iterator[bytes]:
        """What the commands on an image after a revision changed, in order."""
        query = (
            "SELECT change FROM command WHERE image = ? AND base = ? AND rev > ?"
            " AND change IS NOT NULL ORDER BY rev"
        )
        with self._errors():
            for (data,) in self._database.execute(query, (image, base, after)):
                yield data

    def drop_changes(self, image: str, base: str) -> None:
        """Remove the changes of an image that do not follow `base`; its rows stay."""
        with self._errors():
            self._database.execute(
                "UPDATE command SET change = NULL WHERE image = ? AND base <> ?", (image, base)
            )

    def fact(self, key: str) -> str | None:
        """A value that was set."""
        with self._errors():
            row = self._database.execute("SELECT value FROM fact WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def facts(self, start: str) -> dict[str, str]:
        """All values whose keys begin with `start`, by the rest of the key."""
        with self._errors():
            query = "SELECT key, value FROM fact WHERE substr(key, 1, ?) = ?"
            rows = self._database.execute(query, (len(start), start)).fetchall()
        return {key[len(start) :]: value for key, value in rows}

    def set_fact(self, key: str, value: str) -> None:
        """Set a value durably."""
        with self._errors():
            self._database.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (key, value))


class PaintingLogs:
    """The logs of several output folders, opened at first use."""

    def __init__(self) -> None:
        self._open: dict[Path, PaintingLog] = {}

    def __contains__(self, out: Path) -> bool:
        return out in self._open

    def has(self, out: Path) -> bool:
        """Whether a folder has a log."""
        return out in self._open or log_path(out).exists()

    def of(self, out: Path) -> PaintingLog:
        """The log of a folder; it is made where there is none."""
        if out not in self._open:
            self._open[out] = PaintingLog(out)
        return self._open[out]

    def find(self, id: str) -> Entry | None:
        """The command with an id, in one of the open logs."""
        return next((entry for log in self._open.values() if (entry := log.find(id))), None)

    def close(self) -> None:
        """Close all databases."""
        for log in self._open.values():
            log.close()


def log_path(out: Path) -> Path:
    """The log of an output folder."""
    return painting_folder(out) / NAME


@contextmanager
def reading(out: Path) -> Iterator[PaintingLog | None]:
    """The log of a folder, if there is one, to read."""
    if not log_path(out).exists():
        yield None
        return
    with closing(PaintingLog(out, write=False)) as log:
        yield log


def with_logged(picture: ImageFile, kept: Autosave) -> Autosave:
    """An autosaved document with the commands that followed it, of a server that was killed."""
    if not kept.base:
        return kept
    with reading(picture.out) as log:
        if log is None:
            return kept
        data = list(log.changes(picture.name, kept.base, kept.rev))
    if not data:
        return kept
    state = replayed(kept.state, [Change.unpacked(one) for one in data])
    return Autosave(state, kept.names, kept.about, saved=False, files=kept.files)

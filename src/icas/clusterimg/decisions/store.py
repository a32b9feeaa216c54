"""Remembered decisions: what a person said about images, kept by their contents, in SQLite.

They lie in ``decisions.db`` beside the cache of features, and are not a part of it: they are a
person's work, which cannot be made again. A store that is damaged is never begun anew.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from icas.clusterimg.decisions.model import APART, TOGETHER, Decision, Picture, Sides
from icas.common.errors import IcasError
from icas.io.files import told_as, unfinished
from icas.io.folders import cache_folder

NAME = "decisions.db"
WAIT = 60.0
"""Seconds to wait for another process that is writing."""

_MARK = 0x69636473
_VERSION = 1
_SCHEMA = f"""
PRAGMA application_id = {_MARK};
PRAGMA user_version = {_VERSION};
CREATE TABLE decision (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,        -- together: each side belongs together; apart: sides are apart
    how BLOB NOT NULL,         -- in words; names in it are bytes as the system has them
    made TEXT NOT NULL
);
CREATE TABLE member (
    decision INTEGER NOT NULL REFERENCES decision (number) ON DELETE CASCADE,
    key BLOB NOT NULL,         -- of the content
    side INTEGER NOT NULL,
    size INTEGER NOT NULL,     -- bytes: files of other sizes need not be looked into
    name BLOB NOT NULL,        -- as it was called then
    PRIMARY KEY (decision, key)
) WITHOUT ROWID;
"""


def decisions_folder(cache: str | Path | bool | None) -> Path:
    """Where decisions are for a run with that ``--cache``; also a run without a cache has them.

    Raises
    ------
    IcasError
        The user has no cache folder.
    """
    return cache_folder() if cache is None or isinstance(cache, bool) else Path(cache)


class DecisionStore:
    """The decisions in one folder; a context manager.

    Parameters
    ----------
    folder : Path
    write : bool
        Also for changes; the store is made where there is none.

    Raises
    ------
    IcasError
        It is damaged, or cannot be opened.
    """

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self.path = folder / NAME
        with self._told():
            if write:
                _make(self.path)
            self._database = sqlite3.connect(
                _address(self.path, write), uri=True, timeout=WAIT, isolation_level=None
            )
        try:
            with self._told():
                self._database.execute("PRAGMA foreign_keys = ON")
                self._check()
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> DecisionStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    def _told(self) -> AbstractContextManager[None]:
        return told_as(f"the remembered decisions in {self.path} fail")

    def _check(self) -> None:
        """Make sure that it is whole.

        Raises
        ------
        IcasError
            It is not.
        """
        try:
            mark = self._database.execute("PRAGMA application_id").fetchone()[0]
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            state = self._database.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
                raise
            raise IcasError(self._damaged(str(error))) from error
        if mark != _MARK:
            raise IcasError(self._damaged("it is no store of decisions"))
        if version > _VERSION:
            raise IcasError(f"{self.path} was written by a newer icas: update this one")
        if state != "ok":
            raise IcasError(self._damaged(state.splitlines()[-1]))

    def _damaged(self, why: str) -> str:
        return (
            f"{self.path} is damaged ({why}), and remembered decisions are not begun anew in"
            " silence: put a copy of it back, or move it away"
        )

    @contextmanager
    def changing(self) -> Iterator[None]:
        """While the block runs no other process changes anything; all of its changes, or none."""
        with self._told():
            self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        with self._told():
            self._database.execute("COMMIT")

    def all(self) -> list[Decision]:
        """Every decision, by number.

        Raises
        ------
        IcasError
            The store is damaged.
        """
        sides: dict[int, dict[int, list[Picture]]] = {}
        try:
            with self._told():
                heads = self._database.execute(
                    "SELECT number, kind, how, made FROM decision ORDER BY number"
                ).fetchall()
                rows = self._database.execute(
                    "SELECT decision, side, key, size, name FROM member ORDER BY decision, side,"
                    " name, key"
                )
                for number, side, key, size, name in rows:
                    picture = Picture(bytes(key), int(size), os.fsdecode(name))
                    sides.setdefault(number, {}).setdefault(side, []).append(picture)
            return [
                Decision(_kind(kind), _ordered(sides[number]), os.fsdecode(how), made, number)
                for number, kind, how, made in heads
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise IcasError(self._damaged(f"a decision cannot be read: {error}")) from error

    def add(self, decision: Decision) -> Decision:
        """Keep `decision`; with its number and time it comes back."""
        made = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with self._told():
            cursor = self._database.execute(
                "INSERT INTO decision (kind, how, made) VALUES (?, ?, ?)",
                (decision.kind, os.fsencode(decision.how), made),
            )
        kept = replace(decision, made=made, number=cursor.lastrowid or 0)
        self._fill(kept)
        return kept

    def change(self, decision: Decision) -> None:
        """Keep other pictures for a decision that there is."""
        with self._told():
            self._database.execute("DELETE FROM member WHERE decision = ?", (decision.number,))
        self._fill(decision)

    def remove(self, numbers: Sequence[int]) -> None:
        """Forget decisions."""
        with self._told():
            self._database.executemany(
                "DELETE FROM decision WHERE number = ?", [(number,) for number in numbers]
            )

    def _fill(self, decision: Decision) -> None:
        with self._told():
            self._database.executemany(
                "INSERT INTO member (decision, side, key, size, name) VALUES (?, ?, ?, ?, ?)",
                (
                    (decision.number, side, one.key, one.size, os.fsencode(one.name))
                    for side, pictures in enumerate(decision.sides)
                    for one in pictures
                ),
            )


def has_decisions(folder: Path) -> bool:
    """Whether anything was ever decided there."""
    return os.path.lexists(folder / NAME)


def _kind(kind: str) -> str:
    if kind not in (TOGETHER, APART):
        raise ValueError(f"no kind {kind!r}")
    return kind


def _ordered(sides: dict[int, list[Picture]]) -> Sides:
    return tuple(tuple(sides[side]) for side in sorted(sides))


def _make(path: Path) -> None:
    """An empty store at `path`, unless something is there; whole from its first moment."""
    if os.path.lexists(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = unfinished(path)
    try:
        with closing(sqlite3.connect(new)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_SCHEMA)
        try:
            os.link(new, path)  # unlike a rename, this never takes another's place
        except FileExistsError:
            return
        except OSError:  # no hard links here
            if not os.path.lexists(path):
                new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _address(path: Path, write: bool) -> str:
    """`path` as SQLite takes it: nothing is made, and what is only read need not be writable."""
    address = path.absolute().as_uri()
    if write:
        return f"{address}?mode=rw"
    still = not os.access(path.parent, os.W_OK) and not path.with_name(f"{NAME}-wal").exists()
    return f"{address}?mode=ro{'&immutable=1' if still else ''}"

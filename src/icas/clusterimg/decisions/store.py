"""The SQLite database of constraints and class names, ``decisions.db`` beside the feature cache.

Unlike the cache it cannot be computed again: a damaged database is never replaced.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from icas.dataset.image_labels import ImageLabel
from icas.io.database import DatabaseKind, execute_all, transaction
from icas.io.folders import cache_folder

TOGETHER, APART = "together", "apart"
KEY_BYTES = 20


@dataclass(frozen=True)
class ImageContent:
    """An image file by the digest of its content; `name` is as it was when a constraint was set."""

    key: bytes
    size: int
    name: str


Sides = tuple[tuple[ImageContent, ...], ...]


@dataclass(frozen=True)
class Constraint:
    """A must-link, cannot-link or reject constraint.

    Attributes
    ----------
    sides : tuple of tuple of ImageContent
        Together: the images of a side belong in one cluster. Apart: images of different sides
        are never in one cluster. No image is in it twice.
    how : str
        For messages: ``must-link a.jpg b.jpg``.
    made : str
        Time, ISO 8601 in UTC.
    number : int
        0 until it is stored.
    """

    kind: str
    sides: Sides
    how: str
    made: str = ""
    number: int = 0

    @property
    def images(self) -> tuple[ImageContent, ...]:
        return tuple(image for side in self.sides for image in side)

    def side_of(self) -> dict[bytes, int]:
        """Key of each image -> number of its side."""
        return {image.key: number for number, side in enumerate(self.sides) for image in side}

    def description(self) -> str:
        """Number and content, for messages."""
        return f"constraint {self.number} ({self.how})"


def content_of(path: Path, name: str) -> ImageContent:
    """The content of the file at `path`; OSError where it cannot be read."""
    state, size = hashlib.blake2b(digest_size=KEY_BYTES), 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            state.update(part)
            size += len(part)
    return ImageContent(state.digest(), size, name)


NAME = "decisions.db"
BUSY_SECONDS = 60.0
"""How long to wait for another process that is writing."""

_SCHEMA = """
CREATE TABLE decision (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,        -- together: each side belongs together; apart: sides are apart
    how BLOB NOT NULL,         -- for messages; names in it are bytes as the system has them
    made TEXT NOT NULL
);
CREATE TABLE member (
    decision INTEGER NOT NULL REFERENCES decision (number) ON DELETE CASCADE,
    key BLOB NOT NULL,         -- digest of the content
    side INTEGER NOT NULL,
    size INTEGER NOT NULL,     -- bytes: files of other sizes need not be read
    name BLOB NOT NULL,        -- when the constraint was set
    PRIMARY KEY (decision, key)
) WITHOUT ROWID;
"""
_STORE = DatabaseKind(
    "constraint database",
    0x69636473,
    1,
    _SCHEMA,
    "restore a backup, or move the file away to start without constraints",
    pragmas=("journal_mode = WAL",),
)
_NAMES_SCHEMA = """
CREATE TABLE IF NOT EXISTS class (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of first use
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS image_class (
    key BLOB PRIMARY KEY,      -- digest of the content
    size INTEGER NOT NULL,
    name BLOB NOT NULL,        -- when the class was set
    class INTEGER NOT NULL REFERENCES class (number),
    source TEXT NOT NULL,      -- cluster, image, spread
    confidence REAL NOT NULL
) WITHOUT ROWID;
"""
"""Later tables, which versions that do not know them ignore."""


@dataclass(frozen=True)
class NamedImage:
    """An image with its class name."""

    image: ImageContent
    label: ImageLabel


def constraints_folder(cache: str | Path | bool | None) -> Path:
    """The folder of the database for a run with that ``--cache``, also without a cache."""
    return cache_folder() if cache is None or isinstance(cache, bool) else Path(cache)


def has_constraints(folder: Path) -> bool:
    """Whether there is a database in `folder`."""
    return os.path.lexists(folder / NAME)


class ConstraintStore:
    """The constraints in one folder; a context manager.

    With `write` the database is created where there is none, and can be changed.
    """

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self.path = folder / NAME
        with self._errors():
            self._database = _STORE.open(self.path, write=write, timeout=BUSY_SECONDS)
        try:
            with self._errors():
                self._database.execute("PRAGMA foreign_keys = ON")
                state = self._database.execute("PRAGMA quick_check(1)").fetchone()[0]
            if state != "ok":
                raise _STORE.damaged(self.path, state.splitlines()[-1])
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> ConstraintStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def _errors(self) -> AbstractContextManager[None]:
        return _STORE.errors(self.path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes of the block, or none; no other process changes anything meanwhile."""
        with self._errors(), transaction(self._database):
            yield

    def all(self) -> list[Constraint]:
        """Every constraint, by number."""
        sides: dict[int, dict[int, list[ImageContent]]] = {}
        constraints = []
        try:
            with self._errors():
                heads = self._database.execute(
                    "SELECT number, kind, how, made FROM decision ORDER BY number"
                ).fetchall()
                rows = self._database.execute(
                    "SELECT decision, side, key, size, name FROM member ORDER BY decision, side,"
                    " name, key"
                )
                for number, side, key, size, name in rows:
                    image = ImageContent(bytes(key), int(size), os.fsdecode(name))
                    sides.setdefault(number, {}).setdefault(side, []).append(image)
            for number, kind, how, made in heads:
                if kind not in (TOGETHER, APART):
                    raise ValueError(f"unknown kind {kind!r}")
                images = tuple(tuple(side) for _, side in sorted(sides[number].items()))
                constraints.append(Constraint(kind, images, os.fsdecode(how), made, number))
        except (KeyError, TypeError, ValueError) as error:
            raise _STORE.damaged(self.path, f"a constraint cannot be read: {error}") from error
        return constraints

    def names(self) -> list[NamedImage]:
        """Every image with a class name."""
        if not self._has_names():
            return []
        query = (
            "SELECT key, size, image_class.name, class.name, source, confidence FROM image_class"
            " JOIN class ON class = number"
        )
        try:
            with self._errors():
                return [
                    NamedImage(
                        ImageContent(bytes(key), int(size), os.fsdecode(name)),
                        ImageLabel(str(label), str(source), float(confidence)),
                    )
                    for key, size, name, label, source, confidence in self._database.execute(query)
                ]
        except (TypeError, ValueError) as error:
            raise _STORE.damaged(self.path, f"a class name cannot be read: {error}") from error

    def classes(self) -> list[str]:
        """Every class name, in the order of first use."""
        if not self._has_names():
            return []
        with self._errors():
            rows = self._database.execute("SELECT name FROM class ORDER BY number")
            return [str(name) for (name,) in rows]

    def _has_names(self) -> bool:
        query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'image_class'"
        with self._errors():
            return bool(self._database.execute(query).fetchone()[0])

    def set_names(self, named: Sequence[NamedImage]) -> None:
        """Store the class name of each image, in place of an earlier one."""
        rows = [
            (
                one.image.key,
                one.image.size,
                os.fsencode(one.image.name),
                one.label.label,
                one.label.source,
                one.label.confidence,
            )
            for one in named
        ]
        with self._errors():
            execute_all(self._database, _NAMES_SCHEMA)
            classes = dict.fromkeys(one.label.label for one in named)
            self._database.executemany(
                "INSERT OR IGNORE INTO class (name) VALUES (?)", [(name,) for name in classes]
            )
            self._database.executemany(
                "INSERT OR REPLACE INTO image_class (key, size, name, class, source, confidence)"
                " VALUES (?, ?, ?, (SELECT number FROM class WHERE name = ?), ?, ?)",
                rows,
            )

    def remove_names(self, keys: Sequence[bytes]) -> None:
        """Remove the class names of images."""
        if self._has_names():
            with self._errors():
                self._database.executemany(
                    "DELETE FROM image_class WHERE key = ?", [(key,) for key in keys]
                )

    def add(self, constraint: Constraint) -> Constraint:
        """Store `constraint`; returned with its number and time."""
        made = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with self._errors():
            cursor = self._database.execute(
                "INSERT INTO decision (kind, how, made) VALUES (?, ?, ?)",
                (constraint.kind, os.fsencode(constraint.how), made),
            )
        stored = replace(constraint, made=made, number=cursor.lastrowid or 0)
        self.update(stored)
        return stored

    def update(self, constraint: Constraint) -> None:
        """Replace the images of a stored constraint."""
        rows = [
            (constraint.number, side, image.key, image.size, os.fsencode(image.name))
            for side, images in enumerate(constraint.sides)
            for image in images
        ]
        with self._errors():
            self._database.execute("DELETE FROM member WHERE decision = ?", (constraint.number,))
            self._database.executemany(
                "INSERT INTO member (decision, side, key, size, name) VALUES (?, ?, ?, ?, ?)", rows
            )

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove constraints."""
        rows = [(number,) for number in numbers]
        with self._errors():
            self._database.executemany("DELETE FROM decision WHERE number = ?", rows)

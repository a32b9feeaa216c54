"""The journal's record of a rearrangement: written before its first file moves, until its end."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from icas.clusterimg.journal.records import stored_name

TABLES = """
CREATE TABLE IF NOT EXISTS rearrangement (
    only INTEGER PRIMARY KEY CHECK (only = 0),   -- one at a time
    what TEXT NOT NULL,        -- recut, split
    about TEXT NOT NULL,       -- how it was asked for, JSON
    tables TEXT NOT NULL,      -- files that get new contents, with their size and time, JSON
    phase TEXT NOT NULL        -- clearing, placing, writing
);
CREATE TABLE IF NOT EXISTS relocation (
    old BLOB PRIMARY KEY,      -- relative to the result folder, as the others
    parked BLOB,               -- place in between; none where the new one is free from the start
    new BLOB NOT NULL UNIQUE
);
"""
PHASES = ("clearing", "placing", "writing")
"""Of a rearrangement: files leave their old places; parked ones take their new; tables follow."""


@dataclass(frozen=True)
class Relocation:
    """One file of the result that gets another place in it; all relative to the result folder.

    Attributes
    ----------
    old, new : str
    parked : str or None
        Where it waits while another file still lies at `new`.
    """

    old: str
    new: str
    parked: str | None = None


@dataclass(frozen=True)
class Rearrangement:
    """A rearrangement that was begun and is not finished.

    Attributes
    ----------
    what : str
        ``recut`` or ``split``.
    about : mapping
        How it was asked for.
    tables : mapping of str to (int, int) or None
        Files that get new contents, with the size and time that these have once all is moved.
    relocations : tuple of Relocation
    phase : str
        One of `PHASES`.
    """

    what: str
    about: Mapping[str, Any]
    tables: Mapping[str, tuple[int, int] | None]
    relocations: tuple[Relocation, ...]
    phase: str = PHASES[0]

    def told(self) -> str:
        """What it does, in words."""
        how = ", ".join(f"{name} {value}" for name, value in self.about.items())
        return f"{self.what} ({how})"


def begin(database: sqlite3.Connection, rearrangement: Rearrangement) -> None:
    """Write down a whole rearrangement; on disk before this returns."""
    about, tables = json.dumps(rearrangement.about), json.dumps(rearrangement.tables)
    with database:
        database.execute(
            "INSERT INTO rearrangement VALUES (0, ?, ?, ?, ?)",
            (rearrangement.what, about, tables, rearrangement.phase),
        )
        database.executemany(
            "INSERT INTO relocation VALUES (?, ?, ?)",
            (
                (stored_name(one.old), stored_name(one.parked), stored_name(one.new))
                for one in rearrangement.relocations
            ),
        )


def unfinished(database: sqlite3.Connection) -> Rearrangement | None:
    """The rearrangement that was begun and is not at its end, if there is one."""
    row = database.execute("SELECT what, about, tables, phase FROM rearrangement").fetchone()
    if row is None:
        return None
    what, about, names, phase = row
    tables = {name: tuple(state) if state else None for name, state in json.loads(names).items()}
    rows = database.execute("SELECT old, new, parked FROM relocation ORDER BY old")
    relocations = tuple(
        Relocation(_name(old), _name(new), _name(on) or None) for old, new, on in rows
    )
    return Rearrangement(what, json.loads(about), tables, relocations, phase)


def placing(database: sqlite3.Connection) -> None:
    """Write down that every old place is clear."""
    with database:
        database.execute("UPDATE rearrangement SET phase = 'placing'")


def placed(database: sqlite3.Connection, tables: Mapping[str, tuple[int, int]]) -> None:
    """Write down that every file is at its new place, under which it is known from now on.

    Parameters
    ----------
    tables : mapping of str to (int, int)
        Size and time in nanoseconds of what is going to be in each table.
    """
    with database:
        names = [row[1] for row in database.execute("PRAGMA table_info(made)")]
        kept = ", ".join(name for name in names if name != "target")
        rows = database.execute(
            f"SELECT new, {kept} FROM made JOIN relocation ON target = old"
        ).fetchall()
        database.execute("DELETE FROM made WHERE target IN (SELECT old FROM relocation)")
        places = ", ".join("?" * len(names))
        database.executemany(f"INSERT INTO made (target, {kept}) VALUES ({places})", rows)
        database.execute(
            "UPDATE rearrangement SET phase = 'writing', tables = ?", (json.dumps(tables),)
        )


def finished(database: sqlite3.Connection) -> None:
    """Write down that it is at its end: its tables are the result's from now on."""
    one = unfinished(database)
    states = one.tables.items() if one is not None else ()
    rows = [(*state, stored_name(name)) for name, state in states if state is not None]
    with database:
        database.executemany("UPDATE made SET size = ?, mtime_ns = ? WHERE target = ?", rows)
        database.execute("DELETE FROM rearrangement")
        database.execute("DELETE FROM relocation")


def _name(name: bytes | None) -> str:
    return "" if name is None else os.fsdecode(name)

"""``propagated.csv``: a row per object that was carried."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from icas.common.errors import ConflictError
from icas.io.files import one_line_errors, table, write_whole
from icas.segmentimg.propagation_run.images import ImageState

TABLE_NAME = "propagated.csv"
COLUMNS = ("file", "class", "instance", "source", "route", "confidence", "state")
_DECIMALS = 3


def rows_of(states: Sequence[ImageState]) -> list[tuple[Any, ...]]:
    """A row per object of each image with a mark, sorted by file, class and object."""
    rows: list[tuple[Any, ...]] = []
    for state in sorted(states, key=lambda one: one.file):
        if state.mark is None or not state.digest:
            continue
        objects = sorted(state.mark.objects, key=lambda one: (one.name, one.instance))
        for one in objects:
            confidence = round(one.confidence, _DECIMALS)
            start = (state.file, one.name, one.instance if one.name else "", one.source)
            rows.append((*start, one.route, f"{confidence:.{_DECIMALS}f}", state.state))
    return rows


def write_tables(states: Sequence[ImageState]) -> list[Path]:
    """Write the table of each output folder; returns the files."""
    files = []
    for out in sorted({state.picture.out for state in states}):
        own = [state for state in states if state.picture.out == out]
        rows = rows_of(own)
        path = out / TABLE_NAME
        if rows or path.exists():
            with one_line_errors(f"cannot write {path}"):
                check_table(out)
                out.mkdir(parents=True, exist_ok=True)
                write_whole(path, table(COLUMNS, rows))
            files.append(path)
    return files


def check_table(out: Path) -> None:
    """Raise ConflictError where a file of another program has the name of the table."""
    path = out / TABLE_NAME
    head = ",".join(COLUMNS).encode()
    if path.exists():
        with path.open("rb") as file:
            if file.read(len(head)) != head:
                raise ConflictError(f"{path} is from another program: move it away")


def counts_of(states: Sequence[ImageState]) -> dict[str, int]:
    """Number of images in each state."""
    counts: dict[str, int] = {}
    for state in states:
        if state.mark is not None and state.digest:
            counts[state.state] = counts.get(state.state, 0) + 1
    return counts

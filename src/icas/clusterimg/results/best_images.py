"""The image to keep of each cluster: criteria, order, and the table ``best.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.clusterimg.graph.forest import Labels
from icas.common.errors import IcasError
from icas.io.files import table
from icas.io.find import natural_key

BEST = "best.csv"
DEFAULT_BY = ("largest", "least-compressed", "sharpest")
Value = float | int
Values = Mapping[str, Value]
"""Column -> number, of one image."""
Key = tuple[Value, ...]
LINK = "link"
"""Column: 1 for a symbolic link, which is never kept where there is a file."""


@dataclass(frozen=True)
class Criterion:
    """One way to prefer images: its columns, a key that is less for better ones, and its help."""

    columns: tuple[str, ...]
    key: Callable[[Values], Key]
    help: str


def _most(column: str, help: str) -> Criterion:
    return Criterion((column,), lambda of: (-of[column],), help)


def _least(column: str, help: str) -> Criterion:
    return Criterion((column,), lambda of: (of[column],), help)


CRITERIA: dict[str, Criterion] = {
    "largest": _most("pixels", "most pixels"),
    "least-compressed": Criterion(
        ("lossless", "bytes_per_pixel"),
        lambda of: (-of["lossless"], -of["bytes_per_pixel"]),
        "lossless formats first, then most bytes per pixel",
    ),
    "sharpest": _most("sharpness", "highest variance of the Laplacian"),
    "most-colorful": _most("colorfulness", "highest colorfulness; gray copies last"),
    "newest": _most("mtime_ns", "latest modification time"),
    "oldest": _least("mtime_ns", "earliest modification time"),
    "longest-path": _most("path_length", "longest path in the source folder"),
    "shortest-path": _least("path_length", "shortest path in the source folder"),
    "name": Criterion((), lambda of: (), "first file name (img2 before img10)"),
}
"""Ties are decided by the next criterion, at last by file name."""


@dataclass(frozen=True)
class BestImage:
    """An image of a result, and whether it is the one to keep of its cluster.

    Attributes
    ----------
    file : str
        Its name in ``clusters.csv``.
    cluster : int
        Its cluster; -1 = outlier, which is kept.
    keep : bool
        Whether it is to be kept.
    reason : str
        The criterion that decided, with both values.
    values : dict of str to float
        Its numbers; empty for outliers.
    """

    file: str
    cluster: int
    keep: bool
    reason: str
    values: Values


def ranked(
    files: Sequence[str], labels: Labels, values: Mapping[str, Values], by: Sequence[str]
) -> tuple[BestImage, ...]:
    """All images in the order of `files`, with exactly one to keep of each cluster.

    Images without `values` are kept only if no image of their cluster has any.
    """
    members: dict[int, list[str]] = {}
    for file, label in zip(files, labels.tolist(), strict=True):
        members.setdefault(int(label), []).append(file)
    images = {}
    for cluster, inside in members.items():
        if cluster < 0:
            for file in inside:
                images[file] = BestImage(file, cluster, True, "outlier", values.get(file, {}))
            continue
        first, *rest = sorted(inside, key=lambda file: _key(file, values.get(file, {}), by))
        for file in (first, *rest):
            other = first if file != first or not rest else rest[0]
            reason = _reason(values.get(file, {}), values.get(other, {}), by)
            images[file] = BestImage(file, cluster, file == first, reason, values.get(file, {}))
    return tuple(images[file] for file in files)


def _key(file: str, of: Values, by: Sequence[str]) -> tuple[Any, ...]:
    if not of:
        return True, 0, (), natural_key(file)
    return False, of[LINK], tuple(CRITERIA[name].key(of) for name in by), natural_key(file)


def _reason(of: Values, other: Values, by: Sequence[str]) -> str:
    """What decides between two images: the criterion, with the value of each."""
    if not of or not other:
        return "not measured" if not of else "the other was not measured"
    if of[LINK] != other[LINK]:
        return "a symbolic link" if of[LINK] else "not a symbolic link"
    for name in by:
        criterion = CRITERIA[name]
        if criterion.key(of) != criterion.key(other):
            column = next(one for one in criterion.columns if of[one] != other[one])
            return f"{name}: {column} {_shown(of[column])}, other {_shown(other[column])}"
    return "name"


def columns_of(by: Sequence[str]) -> list[str]:
    """The columns of numbers for these criteria."""
    columns = (column for name in by for column in CRITERIA[name].columns)
    return [*dict.fromkeys(columns), LINK]


def best_table(images: Sequence[BestImage], by: Sequence[str]) -> bytes:
    """``best.csv``: one line an image."""
    columns = columns_of(by)
    rows = (
        (
            *(one.file, one.cluster, int(one.keep), one.reason),
            *(_shown(one.values[column]) if one.values else "" for column in columns),
        )
        for one in images
    )
    return table(("file", "cluster", "keep", "reason", *columns), rows)


def read_best(root: Path) -> tuple[BestImage, ...]:
    """The images of ``root/best.csv``; empty where there is no such file."""
    path = root / BEST
    if not path.is_file():
        return ()
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        return tuple(map(_image, rows))
    except (OSError, ValueError, KeyError) as error:
        raise IcasError(f"cannot read {path}: {error}") from error


def _image(row: Mapping[str, str]) -> BestImage:
    own = ("file", "cluster", "keep", "reason")
    values = {name: _number(text) for name, text in row.items() if name not in own and text}
    return BestImage(row["file"], int(row["cluster"]), row["keep"] == "1", row["reason"], values)


def _number(text: str) -> Value:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _shown(value: Value) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def kept_files(images: Sequence[BestImage]) -> frozenset[str]:
    """The images to keep of clusters."""
    return frozenset(one.file for one in images if one.keep and one.cluster >= 0)

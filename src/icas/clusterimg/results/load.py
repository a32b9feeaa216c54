"""A finished result read from disk: tables, ``run.json`` and saved state."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.clustering.cohesion import Certificate
from icas.clusterimg.data.images import Unreadable
from icas.clusterimg.graph.forest import Labels
from icas.clusterimg.journal.journal import Journal, being_undone, has_journal
from icas.clusterimg.journal.records import Made
from icas.clusterimg.results.saved import FOREST, SavedState
from icas.clusterimg.results.tables import earlier_run
from icas.clusterimg.transfer.verify import check_untouched
from icas.common.errors import IcasError, UsageError


@dataclass(frozen=True)
class Tables:
    """The tables of a finished result of n images: ``clusters.csv`` and two more.

    The certificates lack what follows from the links.
    """

    files: tuple[str, ...]
    labels: Labels
    batch: NDArray[np.int64]
    representative: NDArray[np.bool_]
    certificates: tuple[Certificate, ...]
    unreadable: tuple[Unreadable, ...]

    @classmethod
    def read(cls, root: Path) -> Tables:
        """The tables in `root`.

        Raises
        ------
        IcasError
            One cannot be read.
        """
        try:
            clusters = _rows(root / "clusters.csv")
            return cls(
                tuple(row["file"] for row in clusters),
                np.array([row["cluster"] for row in clusters], np.int64),
                np.array([row["batch"] for row in clusters], np.int64),
                np.array([row["representative"] == "1" for row in clusters], bool),
                tuple(map(_certificate, _rows(root / "certificate.csv"))),
                tuple(Unreadable(**row) for row in _rows(root / "unreadable.csv")),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IcasError(f"cannot read the tables in {root}: {error}") from error


def _rows(path: Path) -> list[dict[str, str]]:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _certificate(row: Mapping[str, str]) -> Certificate:
    weakest, least = (float(row[name] or "nan") for name in ("weakest_link", "least_similar_pair"))
    return Certificate(int(row["cluster"]), int(row["images"]), weakest, least, row["medoid"])


@dataclass(frozen=True)
class FinishedRun:
    """A finished result of n images.

    Attributes
    ----------
    root : Path
    state : SavedState
    run : mapping
        Content of ``run.json``.
    made : tuple of Made
        Every file of the result, from the journal.
    tables : Tables
    """

    root: Path
    state: SavedState
    run: Mapping[str, Any]
    made: tuple[Made, ...]
    tables: Tables

    @classmethod
    def read(cls, root: Path) -> FinishedRun:
        """The result in `root`, if it is as its run left it.

        Raises
        ------
        UsageError
            There is no finished result, or none that can be recut.
        ConflictError
            A file was changed, removed or added since.
        IcasError
            A table cannot be read.
        """
        check_recorded(root)
        with Journal(root) as journal:
            made, phase = tuple(journal.made()), journal.phase
        if phase == "undoing":
            raise being_undone(root)
        if phase != "done":
            raise UsageError(
                f"the run in {root} was interrupted: the command that began it goes on with"
                f" --resume, clusterimg undo {root} takes it back"
            )
        if all(file.target != FOREST for file in made):
            raise UsageError(
                f"{root} cannot be cut anew: it is a result of --stage batch or --reference, or of"
                " an older icas that kept nothing for it"
            )
        check_untouched(root, made)
        state, tables = SavedState.read(root), Tables.read(root)
        if tables.files != state.files:
            raise IcasError(
                f"cannot read the tables in {root}: the files of clusters.csv are not those of the"
                " run"
            )
        return cls(root, state, earlier_run(root), made, tables)

    @property
    def labels(self) -> Labels:
        """(n,) cluster of each image, -1 = outlier."""
        return self.tables.labels

    @property
    def clusters(self) -> int:
        """How many clusters."""
        return int(self.labels.max(initial=-1)) + 1

    def has(self, name: str) -> bool:
        """Whether the run made the file `name`."""
        return any(file.target == name for file in self.made)


def check_recorded(root: Path) -> None:
    """Raise UsageError if `root` holds no journal of a run."""
    if not has_journal(root):
        raise UsageError(f"{root} holds no finished run")

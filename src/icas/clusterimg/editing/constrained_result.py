"""Applied decisions and a finished result: its clusters are cut anew as they allow it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.clustering.constrained_linkage import Joined, each_once, inside, join_apart
from icas.clusterimg.data.links import NONE, Links, join_links
from icas.clusterimg.decisions.apply import Applied, stored_constraints
from icas.clusterimg.decisions.constraints import ConstraintArrays
from icas.clusterimg.graph.forest import Labels, components, labels_at, spanning_forest
from icas.clusterimg.results.saved import FinishedRun
from icas.clusterimg.transfer.plan import TREE
from icas.common.errors import IcasError
from icas.common.union_find import unions

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Redecided:
    """A finished result and what is remembered about its images now.

    Attributes
    ----------
    finished : FinishedRun
    known : Applied
    """

    finished: FinishedRun
    known: Applied

    @classmethod
    def of(cls, finished: FinishedRun) -> Redecided:
        """What is remembered where the run looked for it, if it did.

        Raises
        ------
        IcasError
            The store of decisions is damaged.
        """
        settings = finished.run["settings"]
        if not settings.get("decisions", True):
            return cls(finished, Applied())
        return cls(
            finished, stored_constraints(_places(finished), settings.get("cache"), settings.get("jobs"))
        )

    @cached_property
    def marks(self) -> ConstraintArrays:
        return self.known.constraints.marks(self.finished.state.files)

    def labels_at(self, threshold: float) -> Labels:
        """The clusters at `threshold`.

        Where links of the forest have to be refused, all links that the run found count.

        Raises
        ------
        UsageError
            It lies below the one that images were compared at.
        """
        forest = self.finished.state.forest
        plain = labels_at(forest, threshold)
        if not self.marks:
            return plain
        tree = forest.links().at_least(threshold)

        def among(_: Numbers) -> Links:
            return each_once(join_links([tree, self._links.at_least(threshold)]))

        return join_apart(self.marks.starts(), tree, self.marks, among).labels

    def holding(self, labels: Labels) -> FinishedRun:
        """The result with a forest that joins the clusters `labels`, as far as links are known.

        Pairs that are together by decision only have no similarity there (NaN).
        """
        if not self.marks:
            return self.finished
        kept = self.finished.state
        a, b = self.marks.pairs()
        tree = inside(kept.forest.links(), labels)
        joined = components(len(labels), np.append(tree.a, a), np.append(tree.b, b))
        if not _joins(joined, labels):
            tree = Joined(labels, join_links([tree, self._links])).tree()
        decided = _without_similarity(tree, labels, a, b)
        forest = spanning_forest(len(labels), [join_links([tree, decided])], kept.forest.floor)
        return replace(self.finished, state=replace(kept, forest=forest))

    @property
    def afterwards(self) -> dict[str, dict[str, int]]:
        """What ``run.json`` is to say of it."""
        return {"decisions": self.known.as_dict()} if self.known else {}

    @cached_property
    def _links(self) -> Links:
        """All links that the run found, from its tables."""
        numbers = {file: image for image, file in enumerate(self.finished.state.files)}
        tables = sorted((self.finished.root / "similarities").glob("*.csv"))
        return join_links([_table(path, numbers) for path in tables])


def _places(finished: FinishedRun) -> dict[str, Path]:
    """Image -> where it is now."""
    files = dict(zip(finished.state.sources, finished.state.files, strict=True))
    places = {file: Path(source) for source, file in files.items()}
    for one in finished.records:
        if one.source in files and one.left_alone is None and one.target.startswith(f"{TREE}/"):
            places[files[str(one.source)]] = finished.root / one.target
    return places


def _joins(joined: Labels, labels: Labels) -> bool:
    """Whether `joined` has all clusters of `labels` whole."""
    members = np.flatnonzero(labels >= 0)
    pairs = np.unique(np.stack([labels[members], joined[members]]), axis=1)
    return bool((joined[members] >= 0).all()) and pairs.shape[1] == len(np.unique(labels[members]))


def _without_similarity(tree: Links, labels: Labels, a: Numbers, b: Numbers) -> Links:
    """Those of the pairs that join clusters which `tree` does not."""
    parts = unions(len(labels), tree.a, tree.b)
    found = []
    for row in np.flatnonzero((labels[a] == labels[b]) & (labels[a] >= 0)).tolist():
        if parts[a[row]] != parts[b[row]]:
            parts[parts == parts[b[row]]] = parts[a[row]]
            found.append(row)
    nothing = np.full(len(found), np.nan, np.float32)
    return Links(np.minimum(a, b)[found], np.maximum(a, b)[found], nothing) if found else NONE


def _table(path: Path, numbers: Mapping[str, int]) -> Links:
    """The links of one table."""
    rows = list(_rows(path, numbers))
    if not rows:
        return NONE
    a, b, similarity = zip(*rows, strict=True)
    first, second = np.array(a, np.int64), np.array(b, np.int64)
    values = np.array(similarity, np.float32)
    return Links(np.minimum(first, second), np.maximum(first, second), values)


def _rows(path: Path, numbers: Mapping[str, int]) -> Iterator[tuple[int, int, float]]:
    try:
        with path.open("rb") as file:
            text = io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
            for row in csv.DictReader(text):
                yield numbers[row["a"]], numbers[row["b"]], float(row["similarity"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IcasError(f"cannot read the links in {path}: {error}") from error

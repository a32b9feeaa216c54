"""A finished run with the stored constraints on its images."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.clustering.constrained_linkage import Joined, inside, join_apart
from icas.clusterimg.data.links import NONE, Links, each_once, join_links
from icas.clusterimg.decisions.apply import Applied, stored_constraints
from icas.clusterimg.decisions.constraints import ConstraintArrays
from icas.clusterimg.graph.forest import Labels, components, labels_at, spanning_forest
from icas.clusterimg.results.saved import FinishedRun
from icas.clusterimg.transfer.plan import TREE
from icas.common.errors import IcasError
from icas.common.union_find import unions

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class ConstrainedRun:
    """A finished run and the constraints that apply to its images now."""

    finished: FinishedRun
    applied: Applied
    more: Links = NONE  # links that are not in the tables yet

    @classmethod
    def of(cls, finished: FinishedRun, more: Links = NONE) -> ConstrainedRun:
        """With the constraints that are stored where the run looked for them, if it did."""
        settings = finished.run["settings"]
        if not settings.get("decisions", True):
            return cls(finished, Applied(), more)
        paths = current_paths(finished)
        applied = stored_constraints(paths, settings.get("cache"), settings.get("jobs"))
        return cls(finished, applied, more)

    @cached_property
    def arrays(self) -> ConstraintArrays:
        return self.applied.constraints.arrays(self.finished.state.files)

    def labels_at(self, threshold: float) -> Labels:
        """The clusters at `threshold`.

        Where constraints remove links of the forest, all links of the run are used.
        """
        forest = self.finished.state.forest
        labels = labels_at(forest, threshold)
        if not self.arrays:
            return labels
        tree = forest.links().at_least(threshold)

        def among(_: Numbers) -> Links:
            return each_once(join_links([tree, self._links.at_least(threshold)]))

        return join_apart(self.arrays.starts(), tree, self.arrays, among).labels

    def with_forest_of(self, labels: Labels) -> FinishedRun:
        """The run with a forest that joins the clusters `labels`, as far as links are known.

        Pairs that only a constraint joins have no similarity (NaN).
        """
        if not self.arrays:
            return self.finished
        state = self.finished.state
        a, b = self.arrays.pairs()
        tree = inside(state.forest.links(), labels)
        joined = components(len(labels), np.append(tree.a, a), np.append(tree.b, b))
        if not _joins(joined, labels):
            tree = Joined(labels, join_links([tree, self._links])).tree()
        constrained = _without_similarity(tree, labels, a, b)
        links = join_links([tree, constrained])
        forest = spanning_forest(len(labels), [links], state.forest.floor)
        return replace(self.finished, state=replace(state, forest=forest))

    @property
    def afterwards(self) -> dict[str, dict[str, int]]:
        """The entry of ``run.json``."""
        return {"decisions": self.applied.as_dict()} if self.applied else {}

    @cached_property
    def _links(self) -> Links:
        """All links of the run, from its tables."""
        return join_links([links_of(self.finished), self.more])


def links_of(finished: FinishedRun) -> Links:
    """The links in the tables of a run."""
    numbers = {file: image for image, file in enumerate(finished.state.files)}
    tables = sorted((finished.root / "similarities").glob("*.csv"))
    return join_links(_read_links(path, numbers) for path in tables)


def current_paths(finished: FinishedRun) -> dict[str, Path]:
    """Image -> its path now."""
    files = dict(zip(finished.state.sources, finished.state.files, strict=True))
    paths = {file: Path(source) for source, file in files.items()}
    for one in finished.records:
        if one.source in files and one.left_alone is None and one.target.startswith(f"{TREE}/"):
            paths[files[str(one.source)]] = finished.root / one.target
    return paths


def _joins(joined: Labels, labels: Labels) -> bool:
    """Whether each cluster of `labels` is within one of `joined`."""
    members = np.flatnonzero(labels >= 0)
    pairs = np.unique(np.stack([labels[members], joined[members]]), axis=1)
    return bool((joined[members] >= 0).all()) and pairs.shape[1] == len(np.unique(labels[members]))


def _without_similarity(tree: Links, labels: Labels, a: Numbers, b: Numbers) -> Links:
    """Those of the pairs within clusters that `tree` does not join."""
    parts = unions(len(labels), tree.a, tree.b)
    rows = []
    for row in np.flatnonzero((labels[a] == labels[b]) & (labels[a] >= 0)).tolist():
        if parts[a[row]] != parts[b[row]]:
            parts[parts == parts[b[row]]] = parts[a[row]]
            rows.append(row)
    nothing = np.full(len(rows), np.nan, np.float32)
    return Links(np.minimum(a, b)[rows], np.maximum(a, b)[rows], nothing) if rows else NONE


def _read_links(path: Path, numbers: Mapping[str, int]) -> Links:
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

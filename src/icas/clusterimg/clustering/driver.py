"""Features of batches -> clusters of all images: the middle of the story, without any disk."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.clusterimg.clustering.base import Grouping, LinkGrouping
from icas.clusterimg.clustering.batches import BatchClusters, cluster_batch, given_batch
from icas.clusterimg.clustering.linkage import LinkageGrouping
from icas.clusterimg.clustering.medoids import Cohesion
from icas.clusterimg.clustering.merging import Merged, merge_exactly, merge_representatives
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import Unreadable
from icas.clusterimg.data.links import Links, join_links
from icas.clusterimg.data.memory import UNLIMITED, MemoryBudget
from icas.clusterimg.decisions.constraints import NOTHING, ConstraintArrays, Constraints
from icas.clusterimg.graph.forest import Labels, weakest_links
from icas.clusterimg.linking.tiles import starts_of
from icas.parallel.executors import ALONE, Workers


@dataclass
class Stopwatch:
    """Seconds that each stage took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to stage `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class Clustering:
    """Clusters of n images, numbered through all batches.

    Attributes
    ----------
    files : tuple of str
        The images that could be read (empty where the images were arrays).
    unreadable : tuple of Unreadable
        The others.
    labels : (n,) int64 ndarray
        Cluster of each image, -1 = outlier.
    batches : tuple of BatchClusters
        Each batch by itself, its images numbered from 0.
    starts : (batches + 1,) int64 ndarray
        Number of the first image of each batch.
    merged_links : Links
        Links found across batches.
    cohesions : tuple of Cohesion
        One for each cluster.
    compared : int
        Pairs compared in search of links.
    tree : Links or None
        What holds the clusters together, where decisions changed how batches were merged.
    """

    files: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]
    labels: Labels
    batches: tuple[BatchClusters, ...]
    starts: NDArray[np.int64]
    merged_links: Links
    cohesions: tuple[Cohesion, ...]
    compared: int
    tree: Links | None = field(default=None, kw_only=True)

    @property
    def count(self) -> int:
        return len(self.labels)

    @property
    def possible(self) -> int:
        """Pairs that could be compared."""
        return self.count * (self.count - 1) // 2

    @property
    def batch(self) -> NDArray[np.int64]:
        """(n,) batch of each image."""
        return np.repeat(np.arange(len(self.batches)), np.diff(self.starts))

    @property
    def representative(self) -> NDArray[np.bool_]:
        """(n,) whether an image stood for itself or its cluster when batches were merged."""
        standing = np.zeros(self.count, bool)
        for batch, start in zip(self.batches, self.starts, strict=False):
            standing[batch.representatives + start] = True
        return standing

    def batch_links(self, number: int) -> Links:
        """Links inside one batch; the images are numbered through all batches."""
        return self.batches[number].links.shifted(int(self.starts[number]))

    def links(self) -> Links:
        """All links that were found."""
        inside = [self.batch_links(number) for number in range(len(self.batches))]
        return join_links([*inside, self.merged_links])

    def trees(self) -> Links:
        """What holds the clusters together: their spanning trees, and the links across batches."""
        if self.tree is not None:
            return self.tree
        trees = [
            batch.tree.shifted(int(start))
            for batch, start in zip(self.batches, self.starts, strict=False)
        ]
        return join_links([*trees, self.merged_links])

    def weakest_links(self) -> list[float]:
        """For each cluster the similarity at which it would break."""
        return weakest_links(self.labels, self.trees())


def cluster_batches(
    grouping: Grouping,
    parts: Iterable[tuple[FeatureSet, Labels | None]],
    *,
    merge: str = "representatives",
    workers: Workers = ALONE,
    watch: Stopwatch | None = None,
    console: Console | None = None,
    budget: MemoryBudget = UNLIMITED,
    constraints: Constraints = NOTHING,
) -> Clustering:
    """Cluster batch by batch, then merge the batches.

    Parameters
    ----------
    grouping : Grouping
    parts : iterable of (FeatureSet, labels or None)
        Features of each batch, and its clusters where they are given (put together by hand).
    merge : {"representatives", "exact", "none"}
        ``none`` leaves each batch by itself: clusters are numbered through all batches.
    budget : MemoryBudget
        Where features go that wait for the merging of batches.
    constraints : Constraints
        What is decided about the files. Clusters that were put together by hand count more.
    """
    watch, console = watch or Stopwatch(), console or Console()
    batches: list[BatchClusters] = []
    kept: list[FeatureSet] = []
    files: list[str] = []
    unreadable: list[Unreadable] = []
    compared = overruled = 0
    asked, whole = constraints, not _by_links_alone(grouping)
    for features, given in parts:
        with watch.stage("links"):
            marks = constraints.marks(features.files) if constraints else None
            if given is None:
                batch = cluster_batch(grouping, features, workers, console, marks)
            else:
                together = given if marks is None else marks.starts(given)
                batch, whole = given_batch(grouping.method, features, together, workers), True
                overruled += constraints.overruled(features.files, batch.labels)
        if constraints:  # what came together stays so, also where a later batch has its like
            constraints = constraints.joined(features.files, batch.labels)
        compared += batch.compared
        batches.append(batch)
        files.extend(features.files)
        unreadable.extend(features.unreadable)
        if merge == "exact":
            kept.append(features)
        elif merge != "none":
            kept.append(budget.chosen(features, batch.representatives))
        del features
    if overruled:
        console.warn(f"decisions: {overruled} left out: folders put together by hand count more")
    marks = (constraints if whole or merge != "exact" else asked).marks(files) if asked else None
    with watch.stage("merge"):
        merged = _merged(grouping, batches, kept, merge, workers, marks, whole)
    return Clustering(
        tuple(files),
        tuple(unreadable),
        merged.labels,
        tuple(batches),
        starts_of([len(batch.labels) for batch in batches]),
        merged.links,
        merged.cohesions,
        compared + merged.compared,
        tree=merged.tree,
    )


def _by_links_alone(grouping: Grouping) -> bool:
    return isinstance(grouping, LinkGrouping) and not isinstance(grouping, LinkageGrouping)


def _merged(
    grouping: Grouping,
    batches: Sequence[BatchClusters],
    kept: Sequence[FeatureSet],
    merge: str,
    workers: Workers,
    marks: ConstraintArrays | None,
    whole: bool,
) -> Merged:
    if merge == "none" or len(batches) < 2:
        return _side_by_side(batches)
    if merge == "exact":
        return merge_exactly(grouping, batches, kept, workers, marks, whole)
    return merge_representatives(grouping, batches, kept, workers, marks)


def _side_by_side(batches: Sequence[BatchClusters]) -> Merged:
    """The batches' own clusters, numbered through all batches in the order of the batches."""
    labels: list[Labels] = [np.empty(0, np.int64)]
    cohesions: list[Cohesion] = []
    start = 0
    for batch in batches:
        labels.append(np.where(batch.labels < 0, -1, batch.labels + len(cohesions)))
        cohesions.extend(
            Cohesion(one.medoid + start, one.least_similar_pair) for one in batch.cohesions
        )
        start += len(batch.labels)
    return Merged(np.concatenate(labels), join_links([]), tuple(cohesions), 0)

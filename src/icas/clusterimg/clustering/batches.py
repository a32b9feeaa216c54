"""Batches of images, clustered one by one and merged: features -> clusters of all images."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.clusterimg.clustering.base import Clusterer, Partition, partition_of
from icas.clusterimg.clustering.cohesion import Cohesion, cohesions_of
from icas.clusterimg.clustering.constrained_linkage import constrained
from icas.clusterimg.clustering.merging import merge_batches
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import Unreadable
from icas.clusterimg.data.links import Links, join_links
from icas.clusterimg.data.memory import UNLIMITED, MemoryBudget
from icas.clusterimg.decisions.constraints import NOTHING, ConstraintArrays, Constraints
from icas.clusterimg.graph.forest import Labels, weakest_links
from icas.clusterimg.linking.tiles import starts_of
from icas.clusterimg.methods.base import Method
from icas.parallel.executors import ALONE, Workers

MOST_IMAGES = 10_000
BATCH_BYTES = 2 * 1024**3
"""Most bytes of features of one batch by default. A fixed number, not a share of the
machine's memory, so that the same folder gives the same batches everywhere."""


def default_batch_size(method: Method) -> int:
    """Images per batch, by the memory that the method's features take; at most 10,000."""
    return batch_size_for(method.extract([np.zeros((64, 64, 3), np.uint8)]))


def batch_size_for(image: FeatureSet) -> int:
    """Images per batch whose features take as much memory as those of one `image`."""
    return max(2, min(MOST_IMAGES, BATCH_BYTES // max(1, image.nbytes)))


STAGES = ("scan", "features", "links", "merge", "transfer")


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

    def rounded(self) -> dict[str, float]:
        """Seconds of every stage, to the millisecond."""
        return {stage: round(self.seconds.get(stage, 0.0), 3) for stage in STAGES}


@dataclass(frozen=True)
class Clustering:
    """Clusters of n images, numbered through all batches."""

    files: tuple[str, ...]  # the images that could be read (empty where the images were arrays)
    unreadable: tuple[Unreadable, ...]  # the others
    labels: Labels  # (n,) cluster of each image, -1 = outlier
    batches: tuple[Partition, ...]  # each batch by itself, its images numbered from 0
    starts: NDArray[np.int64]  # (batches + 1,) number of the first image of each batch
    merged_links: Links  # links found across batches
    cohesions: tuple[Cohesion, ...]  # one for each cluster
    compared: int  # pairs compared in search of links
    # spanning trees of the clusters, where constraints changed how batches were merged
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
        """(n,) whether an image represented itself or its cluster when batches were merged."""
        chosen = np.zeros(self.count, bool)
        for batch, start in self._placed():
            chosen[batch.representatives + start] = True
        return chosen

    def _placed(self) -> list[tuple[Partition, int]]:
        """Each batch with the number of its first image."""
        return list(zip(self.batches, self.starts.tolist(), strict=False))

    def links(self) -> Links:
        """All links that were found."""
        inside = [batch.links.shifted(start) for batch, start in self._placed()]
        return join_links([*inside, self.merged_links])

    def trees(self) -> Links:
        """Links that connect the clusters: spanning trees of batches, and the links across them."""
        if self.tree is not None:
            return self.tree
        trees = [batch.tree.shifted(start) for batch, start in self._placed()]
        return join_links([*trees, self.merged_links])

    def weakest_links(self) -> list[float]:
        """For each cluster the similarity at which it would break."""
        return weakest_links(self.labels, self.trees())


def cluster_batches(
    clusterer: Clusterer,
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
    parts : iterable of (FeatureSet, labels or None)
        Features of each batch, and its clusters where a person edited them.
    merge : {"representatives", "exact", "none"}
        ``none`` leaves each batch by itself: clusters are numbered through all batches.
    budget : MemoryBudget
        Where features go that wait for the merging of batches.
    constraints : Constraints
        Must-link and cannot-link constraints of the files. Clusters edited by a person override
        them.
    """
    watch, console = watch or Stopwatch(), console or Console()
    batches: list[Partition] = []
    kept: list[FeatureSet] = []
    files: list[str] = []
    unreadable: list[Unreadable] = []
    overruled = 0
    initial, whole = constraints, not clusterer.merges_exactly
    for features, edited in parts:
        with watch.stage("links"):
            arrays = constraints.arrays(features.files) if constraints else None
            if edited is None:
                batch = cluster_batch(clusterer, features, workers, console, arrays)
            else:
                together = edited if arrays is None else arrays.starts(edited)
                batch = partition_of(clusterer.method, features, together, workers)
                batch = _measured(clusterer.method, features, batch, workers)
                overruled += constraints.overruled(features.files, batch.labels)
                whole = True
        if constraints:  # clusters stay whole, also where a later batch has similar images
            constraints = constraints.joined(features.files, batch.labels)
        batches.append(batch)
        files.extend(features.files)
        unreadable.extend(features.unreadable)
        if merge == "exact":
            kept.append(features)
        elif merge != "none":
            kept.append(budget.chosen(features, batch.representatives))
        del features
    if overruled:
        console.warn(
            f"constraints: {overruled} ignored, because the edited batch folders contradict them"
        )
    final = constraints if whole or merge != "exact" else initial
    with watch.stage("merge"):
        arrays = final.arrays(files) if initial else None
        merged = merge_batches(clusterer, batches, kept, merge, workers, arrays, whole=whole)
    return Clustering(
        tuple(files),
        tuple(unreadable),
        merged.labels,
        tuple(batches),
        starts_of([len(batch.labels) for batch in batches]),
        merged.links,
        merged.cohesions,
        merged.compared + sum(batch.compared for batch in batches),
        tree=merged.tree,
    )


def cluster_batch(
    clusterer: Clusterer,
    features: FeatureSet,
    workers: Workers = ALONE,
    console: Console | None = None,
    constraints: ConstraintArrays | None = None,
) -> Partition:
    """Partition of a batch under constraints, with the cohesion of each cluster."""
    partition = clusterer.partition(features, workers, console or Console())
    if constraints is not None:
        by_links = clusterer.threshold is not None
        partition = constrained(
            clusterer.method, features, partition, constraints, workers, by_links=by_links
        )
    return _measured(clusterer.method, features, partition, workers)


def _measured(
    method: Method, features: FeatureSet, partition: Partition, workers: Workers
) -> Partition:
    cohesions = cohesions_of(method, features, partition.labels, partition.links, workers)
    return replace(partition, cohesions=cohesions)


def split(count: int, batch_size: int) -> list[slice]:
    """`count` images in batches of `batch_size`, the last may be smaller."""
    return [slice(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]

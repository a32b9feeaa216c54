"""Batches: a part of the images, clustered by itself, and who stands for it when batches merge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.clusterimg.clustering.base import Grouped, Grouping, LinkGrouping, with_trees
from icas.clusterimg.clustering.constrained_linkage import constrained
from icas.clusterimg.clustering.medoids import Cohesion, cohesions_of
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links
from icas.clusterimg.decisions.constraints import ConstraintArrays
from icas.clusterimg.graph.forest import Labels
from icas.clusterimg.methods.base import Method
from icas.parallel.executors import ALONE, Workers

MOST_IMAGES = 10_000
BATCH_BYTES = 2 * 1024**3
"""Features of one batch take no more than this by default. A fixed figure, not a share of the
machine's memory, so that the same folder gives the same batches everywhere."""


def default_batch_size(method: Method) -> int:
    """Images a batch, by the memory that the method's features take; at most 10,000."""
    sample = method.extract([np.zeros((64, 64, 3), np.uint8)])
    return max(2, min(MOST_IMAGES, BATCH_BYTES // max(1, sample.nbytes)))


@dataclass(frozen=True)
class BatchClusters:
    """The clusters of one batch; its images are numbered from 0.

    Attributes
    ----------
    labels : (n,) int64 ndarray
        Cluster of each image, -1 = outlier.
    links : Links
        Links among the images.
    cohesions : tuple of Cohesion
        One for each cluster.
    tree : Links
        Maximum spanning trees of the clusters: what holds them together.
    compared : int
        Pairs that were compared in search of links.
    """

    labels: Labels
    links: Links
    cohesions: tuple[Cohesion, ...]
    tree: Links
    compared: int

    @property
    def representatives(self) -> NDArray[np.int64]:
        """Medoid of every cluster and every outlier, ascending: who stands for the batch."""
        medoids = np.array([cluster.medoid for cluster in self.cohesions], np.int64)
        return np.sort(np.concatenate([medoids, np.flatnonzero(self.labels < 0)]))


def cluster_batch(
    grouping: Grouping,
    features: FeatureSet,
    workers: Workers = ALONE,
    console: Console | None = None,
    marks: ConstraintArrays | None = None,
) -> BatchClusters:
    """The clusters that `grouping` finds in a batch, as far as `marks` allow them."""
    grouped = grouping.within(features, workers, console or Console())
    if marks is not None:
        by_links = isinstance(grouping, LinkGrouping)
        grouped = constrained(grouping.method, features, grouped, marks, workers, by_links=by_links)
    return _with_cohesions(grouping.method, features, grouped, workers)


def given_batch(
    method: Method, features: FeatureSet, labels: Labels, workers: Workers = ALONE
) -> BatchClusters:
    """A batch whose clusters were put together by hand: no links are looked for."""
    return _with_cohesions(method, features, with_trees(method, features, labels, workers), workers)


def _with_cohesions(
    method: Method, features: FeatureSet, grouped: Grouped, workers: Workers
) -> BatchClusters:
    cohesions = cohesions_of(method, features, grouped.labels, grouped.links, workers)
    return BatchClusters(grouped.labels, grouped.links, cohesions, grouped.tree, grouped.compared)


def split(count: int, batch_size: int) -> list[slice]:
    """`count` images in batches of `batch_size`, the last may be smaller."""
    return [slice(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]

"""Batches: a part of the images, clustered by itself, and who stands for it when batches merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.graph import (
    Cohesion,
    Labels,
    cohesion,
    components,
    members_of,
    number_clusters,
    spanning_forest,
)
from icas.clusterimg.methods.base import Method
from icas.clusterimg.similarity import ALONE, Links, join_links, links_within, upper_tiles
from icas.common.executors import Workers
from icas.common.progress import Console

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
    """

    labels: Labels
    links: Links
    cohesions: tuple[Cohesion, ...]
    tree: Links

    @property
    def representatives(self) -> NDArray[np.int64]:
        """Medoid of every cluster and every outlier, ascending: who stands for the batch."""
        medoids = np.array([cluster.medoid for cluster in self.cohesions], np.int64)
        return np.sort(np.concatenate([medoids, np.flatnonzero(self.labels < 0)]))


def cluster_batch(
    method: Method,
    features: FeatureSet,
    threshold: float,
    workers: Workers = ALONE,
    console: Console | None = None,
) -> BatchClusters:
    """Links at or above `threshold` among `features`, and their connected components."""
    tiles = sum(1 for _ in upper_tiles(len(features), method.tile))
    parts = []
    with (console or Console()).bar(tiles, "links", "tiles") as bar:
        for part in links_within(method, features, threshold, workers):
            parts.append(part)
            bar.update(1)
    links = join_links(parts)
    labels = components(len(features), links.a, links.b)
    tree = spanning_forest(len(features), [links]).links()
    return BatchClusters(labels, links, cohesions_of(method, features, labels, workers), tree)


def given_batch(
    method: Method, features: FeatureSet, labels: Labels, workers: Workers = ALONE
) -> BatchClusters:
    """A batch whose clusters were put together by hand: no links are looked for.

    What holds a cluster together is the maximum spanning tree of all its similarities, also below
    any threshold.
    """
    labels = number_clusters(labels)
    trees = []
    for members in members_of(labels):
        inside = links_within(method, features[members], -np.inf, workers)
        trees.append(spanning_forest(len(members), inside).links().renumbered(members))
    cohesions = cohesions_of(method, features, labels, workers)
    return BatchClusters(labels, join_links([]), cohesions, join_links(trees))


def cohesions_of(
    method: Method, features: FeatureSet, labels: Labels, workers: Workers = ALONE
) -> tuple[Cohesion, ...]:
    """Medoid and least similar pair of every cluster."""
    tasks = ((method, features, members) for members in members_of(labels))
    return tuple(workers.ordered(cohesion, tasks))


def split(count: int, batch_size: int) -> list[slice]:
    """`count` images in batches of `batch_size`, the last may be smaller."""
    return [slice(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]


def starts_of(lengths: Sequence[int]) -> NDArray[np.int64]:
    """Number of the first image of each batch, and behind them the number of all images."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

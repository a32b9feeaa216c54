"""Batches -> one set of clusters: through representatives, or exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.clustering.base import Grouping, LinkGrouping
from icas.clusterimg.clustering.batches import BatchClusters
from icas.clusterimg.clustering.constrained_linkage import (
    Joined,
    all_inside,
    held_by_decision,
    inside,
    join_apart,
)
from icas.clusterimg.clustering.linkage import side_by_side
from icas.clusterimg.clustering.medoids import Cohesion, cohesions_of
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.links import Links, join_links
from icas.clusterimg.decisions.constraints import ConstraintArrays
from icas.clusterimg.graph.forest import Labels, components, members_of
from icas.clusterimg.linking.tiles import starts_of
from icas.parallel.executors import ALONE, Workers


@dataclass(frozen=True)
class Merged:
    """The clusters of all batches together; images are numbered through all batches.

    Attributes
    ----------
    labels : (n,) int64 ndarray
        Cluster of each image, -1 = outlier.
    links : Links
        Links found across batches.
    cohesions : tuple of Cohesion
        One for each cluster.
    compared : int
        Pairs that were compared across batches.
    tree : Links or None
        What holds the clusters together, where that is not just what holds those of the batches
        together and the links across.
    """

    labels: Labels
    links: Links
    cohesions: tuple[Cohesion, ...]
    compared: int
    tree: Links | None = None


def merge_representatives(
    grouping: Grouping,
    batches: Sequence[BatchClusters],
    standing: Sequence[FeatureSet],
    workers: Workers = ALONE,
    marks: ConstraintArrays | None = None,
) -> Merged:
    """Merge clusters whose representatives belong together, as `grouping` says.

    Parameters
    ----------
    grouping : Grouping
    batches : sequence of BatchClusters
    standing : sequence of FeatureSet
        Features of each batch's representatives, in the order of `BatchClusters.representatives`.
    marks : ConstraintArrays, optional
        What is decided about the images; the batches' clusters, which stay whole, follow it.
    """
    starts = starts_of([len(batch.labels) for batch in batches])
    numbers = np.concatenate(
        [batch.representatives + start for batch, start in zip(batches, starts, strict=False)]
    )
    found, compared = grouping.across(standing, workers)
    links = found.renumbered(numbers)
    together = concatenate(list(standing))
    tree = None
    if marks:
        joined = _apart(grouping, batches, starts, found, together, marks, numbers, workers)
        labels = joined.labels
        tree = _held(grouping, batches, starts, joined, together, marks, numbers)
    else:
        labels = _joined(batches, starts, links)
    among = cohesions_of(grouping.method, together, labels[numbers], found, workers)
    cohesions = _joined_cohesions(batches, starts, labels, among, numbers)
    return Merged(labels, links, cohesions, compared, tree)


def merge_exactly(
    grouping: Grouping,
    batches: Sequence[BatchClusters],
    features: Sequence[FeatureSet],
    workers: Workers = ALONE,
    marks: ConstraintArrays | None = None,
    whole: bool = True,
) -> Merged:
    """Compare all pairs across batches too: with links the same clusters as one big batch.

    Parameters
    ----------
    marks : ConstraintArrays, optional
        What is decided about the images.
    whole : bool
        With `marks`: whether clusters of batches stay whole. They need not where links alone make
        them: a link across batches may part what had to be refused otherwise.
    """
    starts = starts_of([len(batch.labels) for batch in batches])
    links, compared = grouping.across(features, workers, [batch.labels for batch in batches])
    own = [batch.links.shifted(int(start)) for batch, start in zip(batches, starts, strict=False)]
    known, together = join_links([*own, links]), concatenate(list(features))
    tree = None
    if marks:
        every = np.arange(int(starts[-1]))
        if whole:
            joined = _apart(grouping, batches, starts, links, together, marks, every, workers)
        else:
            joined = join_apart(marks.starts(), known, marks, lambda _: known)
        labels = joined.labels
        tree = _held(grouping, batches if whole else (), starts, joined, together, marks, every)
    else:
        labels = _joined(batches, starts, links)
    cohesions = cohesions_of(grouping.method, together, labels, known, workers)
    return Merged(labels, links, cohesions, compared, tree)


def _apart(
    grouping: Grouping,
    batches: Sequence[BatchClusters],
    starts: NDArray[np.int64],
    found: Links,
    features: FeatureSet,
    marks: ConstraintArrays,
    numbers: NDArray[np.int64],
    workers: Workers,
) -> Joined:
    """The batches' clusters, joined by links across as far as `marks` allow it.

    Parameters
    ----------
    found : Links
        Among the images that `features` are of.
    numbers : (r,) int64 ndarray
        The numbers of these images, ascending.
    """
    links = found.renumbered(numbers)

    def among(images: NDArray[np.int64]) -> Links:
        if isinstance(grouping, LinkGrouping):
            return links
        groups = components(len(numbers), found.a, found.b)  # models give trees of their groups
        places = np.flatnonzero(np.isin(numbers, images))
        return all_inside(grouping.method, features, groups, places, workers).renumbered(numbers)

    clusters = side_by_side([batch.labels for batch in batches])
    return join_apart(marks.starts(clusters), links, marks, among)


def _held(
    grouping: Grouping,
    batches: Sequence[BatchClusters],
    starts: NDArray[np.int64],
    joined: Joined,
    features: FeatureSet,
    marks: ConstraintArrays,
    numbers: NDArray[np.int64],
) -> Links:
    """What holds the clusters together: trees of the batches' clusters, links, and decisions."""
    trees = [batch.tree.shifted(int(start)) for batch, start in zip(batches, starts, strict=False)]
    labels = joined.labels
    known = join_links([*trees, inside(joined.known, labels)])
    tree = Joined(labels, known).tree()
    a, b = (_standing(batches, starts)[side] for side in marks.pairs())
    apart = a != b
    held = held_by_decision(
        grouping.method, features, labels, tree, a[apart], b[apart], rows=numbers
    )
    return join_links([tree, held])


def _standing(batches: Sequence[BatchClusters], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) who stands for each image: the medoid of its batch cluster, or the image itself."""
    standing = np.arange(int(starts[-1]))
    for batch, start in zip(batches, starts, strict=False):
        medoids = np.array([one.medoid for one in batch.cohesions], np.int64)
        clustered = np.flatnonzero(batch.labels >= 0)
        standing[clustered + start] = medoids[batch.labels[clustered]] + start
    return standing


def _joined(batches: Sequence[BatchClusters], starts: NDArray[np.int64], across: Links) -> Labels:
    """Components of the batches' clusters and the links across them."""
    a, b = [across.a], [across.b]
    for batch, start in zip(batches, starts, strict=False):
        for members in members_of(batch.labels):
            a.append(np.full(len(members) - 1, members[0] + start))
            b.append(members[1:] + start)
    return components(int(starts[-1]), np.concatenate(a), np.concatenate(b))


def _joined_cohesions(
    batches: Sequence[BatchClusters],
    starts: NDArray[np.int64],
    labels: Labels,
    among: Sequence[Cohesion],
    numbers: NDArray[np.int64],
) -> tuple[Cohesion, ...]:
    """Cohesion of merged clusters from what was compared: their parts and their representatives.

    Parameters
    ----------
    among : sequence of Cohesion
        For each merged cluster that of the representatives in it.
    numbers : (r,) int64 ndarray
        The representatives, ascending.
    """
    least = [one.least_similar_pair for one in among]
    medoid = [int(numbers[one.medoid]) for one in among]
    standing = np.bincount(labels[numbers][labels[numbers] >= 0], minlength=len(among))
    for batch, start in zip(batches, starts, strict=False):
        for part in batch.cohesions:
            cluster = int(labels[part.medoid + start])
            least[cluster] = min(least[cluster], part.least_similar_pair)
            if standing[cluster] == 1:
                medoid[cluster] = part.medoid + int(start)
    return tuple(Cohesion(*one) for one in zip(medoid, least, strict=True))

"""Batches -> one set of clusters: through representatives, or exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.batches import BatchClusters
from icas.clusterimg.cohesion import Cohesion, cohesions_of
from icas.clusterimg.features import FeatureSet, concatenate
from icas.clusterimg.graph import Labels, components, members_of
from icas.clusterimg.grouping import Grouping
from icas.clusterimg.links import Links, join_links
from icas.clusterimg.similarity import ALONE, starts_of
from icas.common.executors import Workers


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
    """

    labels: Labels
    links: Links
    cohesions: tuple[Cohesion, ...]
    compared: int


def merge_representatives(
    grouping: Grouping,
    batches: Sequence[BatchClusters],
    standing: Sequence[FeatureSet],
    workers: Workers = ALONE,
) -> Merged:
    """Merge clusters whose representatives belong together, as `grouping` says.

    Parameters
    ----------
    grouping : Grouping
    batches : sequence of BatchClusters
    standing : sequence of FeatureSet
        Features of each batch's representatives, in the order of `BatchClusters.representatives`.
    """
    starts = starts_of([len(batch.labels) for batch in batches])
    numbers = np.concatenate(
        [batch.representatives + start for batch, start in zip(batches, starts, strict=False)]
    )
    found, compared = grouping.across(standing, workers)
    links = found.renumbered(numbers)
    labels = _joined(batches, starts, links)
    together = concatenate(list(standing))
    among = cohesions_of(grouping.method, together, labels[numbers], found, workers)
    cohesions = _joined_cohesions(batches, starts, labels, among, numbers)
    return Merged(labels, links, cohesions, compared)


def merge_exactly(
    grouping: Grouping,
    batches: Sequence[BatchClusters],
    features: Sequence[FeatureSet],
    workers: Workers = ALONE,
) -> Merged:
    """Compare all pairs across batches too: with links the same clusters as one big batch."""
    starts = starts_of([len(batch.labels) for batch in batches])
    links, compared = grouping.across(features, workers, [batch.labels for batch in batches])
    labels = _joined(batches, starts, links)
    inside = [
        batch.links.shifted(int(start)) for batch, start in zip(batches, starts, strict=False)
    ]
    known = join_links([*inside, links])
    cohesions = cohesions_of(grouping.method, concatenate(list(features)), labels, known, workers)
    return Merged(labels, links, cohesions, compared)


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

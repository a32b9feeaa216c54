"""Merging of batches into one set of clusters: by representatives, or by all pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.clustering.base import Clusterer, Partition
from icas.clusterimg.clustering.cohesion import Cohesion, cohesions_of
from icas.clusterimg.clustering.constrained_linkage import (
    Joined,
    all_inside,
    held_by_decision,
    inside,
    join_apart,
)
from icas.clusterimg.clustering.dense_linkage import side_by_side
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.links import NONE, Links, join_links
from icas.clusterimg.decisions.constraints import ConstraintArrays
from icas.clusterimg.graph.forest import Labels, components, members_of
from icas.clusterimg.linking.tiles import starts_of
from icas.parallel.executors import ALONE, Workers


@dataclass(frozen=True)
class Merged:
    """The clusters of all batches together; images are numbered through all batches."""

    labels: Labels  # (n,) cluster of each image, -1 = outlier
    links: Links  # links found across batches
    cohesions: tuple[Cohesion, ...]  # one for each cluster
    compared: int  # pairs that were compared across batches
    # spanning trees of the clusters, where they are not those of the batches and the links across
    # them
    tree: Links | None = None


def merge_batches(
    clusterer: Clusterer,
    batches: Sequence[Partition],
    features: Sequence[FeatureSet],
    merge: str,
    workers: Workers = ALONE,
    constraints: ConstraintArrays | None = None,
    *,
    whole: bool = True,
) -> Merged:
    """Merge the clusters of batches.

    Parameters
    ----------
    features : sequence of FeatureSet
        Of each batch: with ``exact`` of all images, with ``representatives`` of these, in the order
        of `Partition.representatives`.
    merge : {"representatives", "exact", "none"}
        Pairs of representatives are compared, or all pairs across batches too: with links the same
        clusters as one large batch. ``none`` leaves batches by themselves.
    whole : bool
        With `constraints` and ``exact``: clusters of batches stay whole. They need not where links
        alone make them: a link across batches may replace one that was refused.
    """
    if merge == "none" or len(batches) < 2:
        return _unmerged(batches)
    merging = _Merging(clusterer, batches, merge == "exact", features, workers)
    return merging.constrained(constraints, whole) if constraints else merging.merged()


def _unmerged(batches: Sequence[Partition]) -> Merged:
    """The batches' own clusters, numbered through all batches in the order of the batches."""
    cohesions: list[Cohesion] = []
    start = 0
    for batch in batches:
        for cluster in batch.cohesions:
            cohesions.append(Cohesion(cluster.medoid + start, cluster.least_similar_pair))
        start += len(batch.labels)
    return Merged(side_by_side([batch.labels for batch in batches]), NONE, tuple(cohesions), 0)


@dataclass(frozen=True)
class _Merging:
    """Batches to be merged; `features` are of all images if `exact`, else of representatives."""

    clusterer: Clusterer
    batches: Sequence[Partition]
    exact: bool
    features: Sequence[FeatureSet]
    workers: Workers

    def merged(self) -> Merged:
        """Connected components of the batches' clusters and the links across them."""
        links, compared = self._across
        a, b = [links.a], [links.b]
        for batch, start in self._placed():
            for members in members_of(batch.labels):
                a.append(np.full(len(members) - 1, members[0] + start))
                b.append(members[1:] + start)
        labels = components(int(self._starts[-1]), np.concatenate(a), np.concatenate(b))
        return Merged(labels, links, self._cohesions(labels), compared)

    def constrained(self, constraints: ConstraintArrays, whole: bool) -> Merged:
        """The batches' clusters, joined by links across as far as `constraints` allow it."""
        links, compared = self._across
        if self.exact and not whole:
            known = self._known
            joined = join_apart(constraints.starts(), known, constraints, lambda _: known)
        else:
            whole = True
            clusters = side_by_side([batch.labels for batch in self.batches])
            start = constraints.starts(clusters)
            joined = join_apart(start, links, constraints, self._links_among)
        tree = self._tree(joined, constraints, whole)
        return Merged(joined.labels, links, self._cohesions(joined.labels), compared, tree)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return starts_of([len(batch.labels) for batch in self.batches])

    def _placed(self) -> Sequence[tuple[Partition, int]]:
        """Each batch with the number of its first image."""
        return list(zip(self.batches, self._starts.tolist(), strict=False))

    @cached_property
    def _numbers(self) -> NDArray[np.int64]:
        """Numbers of the images that are compared, ascending."""
        if self.exact:
            return np.arange(int(self._starts[-1]))
        return np.concatenate([batch.representatives + start for batch, start in self._placed()])

    @cached_property
    def _together(self) -> FeatureSet:
        return concatenate(list(self.features))

    @cached_property
    def _found(self) -> tuple[Links, int]:
        """Links across batches, numbered as `_together`; and how many pairs were compared."""
        groups = [batch.labels for batch in self.batches] if self.exact else None
        return self.clusterer.links_across(self.features, self.workers, groups)

    @property
    def _across(self) -> tuple[Links, int]:
        links, compared = self._found
        return links if self.exact else links.renumbered(self._numbers), compared

    @cached_property
    def _known(self) -> Links:
        """All links that were found, also inside batches."""
        own = [batch.links.shifted(start) for batch, start in self._placed()]
        return join_links([*own, self._found[0]])

    def _links_among(self, images: NDArray[np.int64]) -> Links:
        if self.clusterer.threshold is not None:
            return self._across[0]
        found = self._found[0]
        groups = components(len(self._numbers), found.a, found.b)  # models give spanning trees
        rows = np.flatnonzero(np.isin(self._numbers, images))
        links = all_inside(self.clusterer.method, self._together, groups, rows, self.workers)
        return links.renumbered(self._numbers)

    def _tree(self, joined: Joined, constraints: ConstraintArrays, whole: bool) -> Links:
        """Spanning trees of the clusters: of those of the batches, of links, and of constraints."""
        placed = self._placed() if whole else []
        labels = joined.labels
        trees = [batch.tree.shifted(start) for batch, start in placed]
        tree = Joined(labels, join_links([*trees, inside(joined.known, labels)])).tree()
        represented = np.arange(len(labels))
        for batch, start in placed:
            medoids = np.array([cluster.medoid for cluster in batch.cohesions], np.int64)
            clustered = np.flatnonzero(batch.labels >= 0)
            represented[clustered + start] = medoids[batch.labels[clustered]] + start
        a, b = (represented[side] for side in constraints.pairs())
        held = held_by_decision(
            self.clusterer.method,
            self._together,
            labels,
            tree,
            a[a != b],
            b[a != b],
            rows=self._numbers,
        )
        return join_links([tree, held])

    def _cohesions(self, labels: Labels) -> tuple[Cohesion, ...]:
        """Of merged clusters: of all pairs, or of their parts and their representatives."""
        method, numbers = self.clusterer.method, self._numbers
        if self.exact:
            return cohesions_of(method, self._together, labels, self._known, self.workers)
        merged = labels[numbers]
        among = cohesions_of(method, self._together, merged, self._found[0], self.workers)
        least = [cluster.least_similar_pair for cluster in among]
        medoids = [int(numbers[cluster.medoid]) for cluster in among]
        parts = np.bincount(merged[merged >= 0], minlength=len(among))
        for batch, start in self._placed():
            for part in batch.cohesions:
                cluster = int(labels[part.medoid + start])
                least[cluster] = min(least[cluster], part.least_similar_pair)
                if parts[cluster] == 1:
                    medoids[cluster] = part.medoid + start
        return tuple(map(Cohesion, medoids, least))

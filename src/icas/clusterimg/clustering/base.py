"""Partition of a batch, the base of clusterers, and single linkage: connected components."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console, counted
from icas.clusterimg.clustering.cohesion import Cohesion
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import NONE, Links, LinkStore, by_bands, join_links
from icas.clusterimg.graph.forest import (
    GrowingForest,
    Labels,
    components,
    members_of,
    number_clusters,
    spanning_forest,
)
from icas.clusterimg.linking.candidates import CandidateStage
from icas.clusterimg.linking.tiles import links_across, links_within, side_for
from icas.clusterimg.methods.base import Method
from icas.clusterimg.model_selection.search import ModelGroups
from icas.clusterimg.thresholds.sample import Sample
from icas.parallel.executors import ALONE, Workers


@dataclass(frozen=True)
class Partition:
    """Clusters of the images of one batch, which are numbered from 0."""

    labels: Labels  # (n,) cluster of each image, 0 the largest; -1 = outlier
    links: Links  # links among the images; none where clusters come from a model
    tree: Links  # maximum spanning trees of the clusters
    compared: int  # pairs that were compared in search of links
    cohesions: tuple[Cohesion, ...] = ()  # one for each cluster, once they are measured

    @property
    def representatives(self) -> NDArray[np.int64]:
        """Medoid of every cluster and every outlier, ascending: they represent the batch."""
        medoids = np.array([cluster.medoid for cluster in self.cohesions], np.int64)
        return np.sort(np.concatenate([medoids, np.flatnonzero(self.labels < 0)]))


class Clusterer(ABC):
    """Partitions the images of a batch, and joins images of different batches.

    Attributes
    ----------
    method : Method
        Its similarity gives medoids and spanning trees.
    threshold : float or None
        Least similarity of linked images; None where models cluster the images.
    candidates : CandidateStage or None
        Search for the pairs to compare; None where all pairs are compared.
    models : sequence of ModelGroups
        Models tried so far, one entry a batch, the merge of batches last; empty with links.
    merges_exactly : bool
        Whether batches and the links across them give the clusters of one big batch.
    description : str
        What is done to connected components, in a line; empty if nothing.
    reason : str
        Which models were chosen; empty with links.
    """

    method: Method
    threshold: float | None
    candidates: CandidateStage | None = None
    models: Sequence[ModelGroups] = ()
    merges_exactly: ClassVar[bool] = False
    description: ClassVar[str] = ""

    @property
    def reason(self) -> str:
        return ""

    @property
    def floor(self) -> float:
        """The similarity below which links are not known."""
        return -np.inf if self.threshold is None else self.threshold

    @abstractmethod
    def partition(
        self, features: FeatureSet, workers: Workers = ALONE, console: Console | None = None
    ) -> Partition:
        """Clusters of one batch."""

    @abstractmethod
    def links_across(
        self,
        parts: Sequence[FeatureSet],
        workers: Workers = ALONE,
        groups: Sequence[Labels] | None = None,
    ) -> tuple[Links, int]:
        """Links that join images of different batches, and how many pairs were compared.

        Parameters
        ----------
        parts : sequence of FeatureSet
            Their images are numbered through all parts.
        groups : sequence of (n,) int64 ndarray, optional
            Clusters of each part, which stay whole; default each image by itself.
        """


@dataclass(frozen=True)
class SingleLinkage(Clusterer):
    """Connected components of the links at or above a threshold."""

    method: Method
    threshold: float
    # which pairs are compared where there are many images; default all
    candidates: CandidateStage | None = None
    # images whose pairs are compared already: a batch of exactly these is not compared again
    known: Sample | None = None
    new_store: Callable[[], LinkStore] = LinkStore  # makes the store of the links of a batch

    merges_exactly: ClassVar[bool] = True

    def partition(
        self, features: FeatureSet, workers: Workers = ALONE, console: Console | None = None
    ) -> Partition:
        """Connected components of all links of a batch, or of those between candidates."""
        count = len(features)
        store, forest = self.new_store(), GrowingForest(count)
        parts, compared = self._links(features, workers, console or Console())
        for links in parts:
            store.add(links)
            forest.add(links)
        tree = forest.forest().links()
        labels = components(count, tree.a, tree.b)
        return Partition(labels, store.links(), tree, compared)

    def _links(
        self, features: FeatureSet, workers: Workers, console: Console
    ) -> tuple[Iterable[Links], int]:
        """The links of a batch, sorted, some at a time; and how many pairs are compared."""
        count = len(features)
        possible = count * (count - 1) // 2
        if self.known is not None and self.known.is_all_of(features):
            return [join_links([self.known.links.at_least(self.threshold)])], possible
        if self.candidates is not None and self.candidates.pays(count):
            links, compared = self.candidates.within(
                self.method, features, self.threshold, workers, console
            )
            return links.parts(), compared
        return self._of_all_pairs(features, workers, console), possible

    def _of_all_pairs(
        self, features: FeatureSet, workers: Workers, console: Console
    ) -> Iterator[Links]:
        count = len(features)
        across = -(-count // side_for(self.method, features, self.threshold, workers.jobs))
        with console.bar(across * (across + 1) // 2, "links", "tiles") as bar:
            tiles = links_within(self.method, features, self.threshold, workers)
            yield from by_bands(counted(tiles, bar), across)

    def links_across(
        self,
        parts: Sequence[FeatureSet],
        workers: Workers = ALONE,
        groups: Sequence[Labels] | None = None,
    ) -> tuple[Links, int]:
        """All links between images of different parts, or those between candidates.

        `groups` are ignored.
        """
        if self.candidates is not None and self.candidates.pays(sum(map(len, parts))):
            return self.candidates.across(self.method, parts, self.threshold, workers)
        return links_across(self.method, parts, self.threshold, workers)


def partition_of(
    method: Method, features: FeatureSet, groups: Labels, workers: Workers = ALONE
) -> Partition:
    """Partition by given groups (of a model, or of folders edited by a person), without links.

    Each spanning tree is that of all similarities of the cluster, also below any threshold.

    Parameters
    ----------
    groups : (n,) int64 ndarray
        Numbered anyhow; a negative number is an outlier.
    """
    labels = number_clusters(groups)
    trees = []
    for members in members_of(labels):
        large = len(members) > method.tile  # sending smaller ones takes longer than comparing
        inside = links_within(method, features[members], -np.inf, workers if large else ALONE)
        trees.append(spanning_forest(len(members), inside).links().renumbered(members))
    return Partition(labels, NONE, join_links(trees), 0)

"""How images become clusters: what is asked of it, and the classic way, by links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from icas.cli.console import Console, counted
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links, join_links
from icas.clusterimg.data.spill import LinkStore, by_bands
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
from icas.clusterimg.thresholds.sample import Sample
from icas.parallel.executors import ALONE, Workers

LINKAGES = ("chain", "complete", "average")
"""What becomes of a connected component: a cluster as it is, or cut by that linkage."""


@dataclass(frozen=True)
class Grouped:
    """Clusters of the images of one batch.

    Attributes
    ----------
    labels : (n,) int64 ndarray
        Cluster of each image, 0 the largest; -1 = outlier.
    links : Links
        Links found; none where clusters come from a model.
    tree : Links
        Maximum spanning trees of the clusters: what holds them together.
    compared : int
        Pairs that were compared in search of links.
    """

    labels: Labels
    links: Links
    tree: Links
    compared: int


class Grouping(Protocol):
    """Features of images -> clusters, within a batch and across batches."""

    @property
    def method(self) -> Method:
        """Its similarity tells medoids and how clusters hang together."""
        ...

    def within(self, features: FeatureSet, workers: Workers, console: Console) -> Grouped:
        """Clusters of one batch."""
        ...

    def across(
        self,
        parts: Sequence[FeatureSet],
        workers: Workers,
        groups: Sequence[Labels] | None = None,
    ) -> tuple[Links, int]:
        """Which images of different batches belong together.

        Parameters
        ----------
        parts : sequence of FeatureSet
        groups : sequence of (n,) int64 ndarray, optional
            Clusters of each part, where their images come as a whole; default each image by itself.

        Returns
        -------
        links : Links
            The images numbered through all parts.
        compared : int
            Pairs that were compared.
        """
        ...


@dataclass(frozen=True)
class LinkGrouping:
    """Links at or above a threshold; connected components are the clusters.

    Attributes
    ----------
    method : Method
    threshold : float
    known : Sample, optional
        Images all of whose pairs are compared already: a batch of just these is not again.
    candidates : CandidateStage, optional
        Which pairs are compared where there are many images; default all.
    new_store : callable
        Makes the store that takes the links of a batch.
    """

    method: Method
    threshold: float
    known: Sample | None = None
    candidates: CandidateStage | None = None
    new_store: Callable[[], LinkStore] = LinkStore

    def within(
        self,
        features: FeatureSet,
        workers: Workers = ALONE,
        console: Console | None = None,
    ) -> Grouped:
        """Connected components of all links of a batch, or of those between candidates."""
        count = len(features)
        store, forest = self.new_store(), GrowingForest(count)
        found, compared = self._found(features, workers, console or Console())
        for links in found:
            store.add(links)
            forest.add(links)
        tree = forest.forest().links()
        labels = components(count, tree.a, tree.b)
        return Grouped(labels, store.links(), tree, compared)

    def _found(
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

    def across(
        self,
        parts: Sequence[FeatureSet],
        workers: Workers = ALONE,
        groups: Sequence[Labels] | None = None,
    ) -> tuple[Links, int]:
        """All links between images of different parts, whatever the clusters are.

        Or those between candidates.
        """
        if self.candidates is not None and self.candidates.pays(sum(map(len, parts))):
            return self.candidates.across(self.method, parts, self.threshold, workers)
        return links_across(self.method, parts, self.threshold, workers)


def with_trees(
    method: Method, features: FeatureSet, groups: Labels, workers: Workers = ALONE
) -> Grouped:
    """Clusters that come from elsewhere (a model, or folders put together by hand).

    What holds a cluster together is the maximum spanning tree of all its similarities, also below
    any threshold.

    Parameters
    ----------
    groups : (n,) int64 ndarray
        Numbered anyhow; a negative number is an outlier.
    """
    labels = number_clusters(groups)
    trees = []
    for members in members_of(labels):
        worth = len(members) > method.tile  # sending smaller ones takes longer than comparing
        helpers = workers if worth else ALONE
        inside = links_within(method, features[members], -np.inf, helpers)
        trees.append(spanning_forest(len(members), inside).links().renumbered(members))
    return Grouped(labels, join_links([]), join_links(trees), 0)

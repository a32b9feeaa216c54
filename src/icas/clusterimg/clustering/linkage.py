"""Against chains: the components of the links, each cut by complete or average linkage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from icas.cli.console import Console
from icas.clusterimg.clustering.base import Grouped, LinkGrouping
from icas.clusterimg.clustering.dense_linkage import Cut, links_inside
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.links import Links
from icas.clusterimg.graph.forest import Labels, components, spanning_forest
from icas.parallel.executors import ALONE, Workers


@dataclass(frozen=True)
class LinkageGrouping(LinkGrouping):
    """Links at or above a threshold; their components, cut by `linkage`, are the clusters.

    The links that it gives are those inside its clusters.

    Attributes
    ----------
    linkage : {"complete", "average"}
    """

    linkage: str = "complete"

    def within(
        self,
        features: FeatureSet,
        workers: Workers = ALONE,
        console: Console | None = None,
    ) -> Grouped:
        """The clusters of a batch.

        Raises
        ------
        UsageError
            More images hang together than can be cut.
        """
        found = super().within(features, workers, console)
        cut = Cut(self.linkage, self.threshold)
        links = links_inside(self.method, features, found.links, cut, workers)
        labels = components(len(features), links.a, links.b)
        tree = spanning_forest(len(features), [links]).links()
        return Grouped(labels, links, tree, found.compared)

    def across(
        self,
        parts: Sequence[FeatureSet],
        workers: Workers = ALONE,
        groups: Sequence[Labels] | None = None,
    ) -> tuple[Links, int]:
        """Links between images of different parts that this linkage puts together.

        Images, or clusters, of one part count as apart, as their part has found them, whatever
        their similarity: with complete linkage two of them never come together.

        Raises
        ------
        UsageError
            More images hang together than can be cut.
        """
        links, compared = super().across(parts, workers)
        together = None if groups is None else side_by_side(groups)
        cut = Cut(self.linkage, self.threshold)
        inside = links_inside(
            self.method, concatenate(list(parts)), links, cut, workers, groups=together
        )
        return inside, compared


def side_by_side(parts: Sequence[Labels]) -> Labels:
    """Clusters of each part, numbered through all parts."""
    numbered, start = [np.empty(0, np.int64)], 0
    for labels in parts:
        numbered.append(np.where(labels < 0, -1, labels + start))
        start += int(labels.max(initial=-1)) + 1
    return np.concatenate(numbered)

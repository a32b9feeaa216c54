"""Bridges: clusters that may be two, joined by one link much weaker than the others."""

from __future__ import annotations

import numpy as np

from icas.clusterimg.data.links import Links
from icas.clusterimg.graph.forest import Labels, members_of, number_clusters, spanning_forest
from icas.common.union_find import unions

Bridge = tuple[int, int]
"""Images of the two larger parts that a cluster would break into, the larger first."""

FACTOR = 2.5
"""How many times the odds of a usual link those of the weakest link must be lower.

Over five labelled sets, three methods and six thresholds, four of five clusters marked so do join
images of different things, and more than half of the clusters that do are marked.
"""

LEAST, MOST = 0.01, 0.98
"""Similarities are clipped to this range: beyond it, odds are unstable."""

FEWEST = 4
"""Images of a cluster that may be two: two parts of two each."""


def bridges(labels: Labels, links: Links) -> list[Bridge | None]:
    """For each cluster the sizes of its two larger parts if it may be two clusters, else None.

    A cluster is cut at the weakest link of its maximum spanning tree. It may be two if two of the
    parts have two images or more, and the odds s / (1 - s) of the weakest link's similarity s are
    at least `FACTOR` times lower than those of the median link inside either part. Odds serve
    methods with similarities near 0 and near 1 equally.

    Parameters
    ----------
    labels : (n,) int64 ndarray
        Cluster of each image, -1 = outlier.
    links : Links
        Spanning trees of the clusters, or more.
    """
    forest = spanning_forest(len(labels), [links])
    cluster = labels[forest.a]
    inside = np.flatnonzero((cluster == labels[forest.b]) & (cluster >= 0))
    order = inside[np.argsort(cluster[inside], kind="stable")]  # by cluster, the weakest last
    ends = np.searchsorted(cluster[order], np.arange(labels.max(initial=-1) + 2))
    place = np.empty(len(labels), np.int64)
    found: list[Bridge | None] = []
    for number, members in enumerate(members_of(labels)):
        edges = order[ends[number] : ends[number + 1]]
        whole = len(edges) == len(members) - 1  # not so in a folder edited by a person
        place[members] = np.arange(len(members))
        a, b = place[forest.a[edges]], place[forest.b[edges]]
        found.append(_bridge(Links(a, b, forest.similarity[edges])) if whole else None)
    return found


def _bridge(tree: Links) -> Bridge | None:
    """The same of one cluster by its spanning tree, whose weakest link is the last."""
    if len(tree) < FEWEST - 1:
        return None
    weakest = tree.similarity[-1]
    kept = tree.similarity > weakest
    parts = number_clusters(unions(len(tree) + 1, tree.a[kept], tree.b[kept]))
    if parts.max(initial=-1) < 1:
        return None
    part, inner = parts[tree.a[kept]], tree.similarity[kept]
    usual = min(float(np.median(inner[part == number])) for number in (0, 1))
    if _odds(usual) < FACTOR * _odds(float(weakest)):
        return None
    return int((parts == 0).sum()), int((parts == 1).sum())


def _odds(similarity: float) -> float:
    bounded = min(max(similarity, LEAST), MOST)
    return bounded / (1 - bounded)

"""Links -> clusters: connected components and the maximum spanning forest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.links import NONE, PART, Links, join_links
from icas.common.errors import UsageError
from icas.common.union_find import graph_of, unions

Labels = NDArray[np.int64]
"""(n,) int64: number of each image's cluster, -1 for an outlier."""


def components(count: int, a: NDArray[np.int64], b: NDArray[np.int64]) -> Labels:
    """Connected components of `count` images under the links (a, b), as numbered clusters.

    A component of two images or more is a cluster; the others are outliers, -1. Cluster 0 is the
    largest; clusters of one size are ordered by their first image.
    """
    if count == 0:
        return np.empty(0, np.int64)
    return number_clusters(unions(count, a, b))


def number_clusters(groups: NDArray[np.integer], least: int = 2) -> Labels:
    """Groups numbered anyhow -> clusters numbered by size (largest 0), then by first image.

    A group of fewer than `least` images, or a negative number, becomes -1.
    """
    labels = np.full(len(groups), -1, np.int64)
    inside = np.flatnonzero(groups >= 0)
    if len(inside) == 0:
        return labels
    _, first, group, sizes = np.unique(
        groups[inside], return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -sizes))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    number[sizes < least] = -1
    labels[inside] = number[group]
    return labels


def members_of(labels: Labels) -> list[NDArray[np.int64]]:
    """For each cluster in turn the images in it, ascending."""
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], np.arange(labels.max(initial=-1) + 2))
    return [order[start:end] for start, end in pairwise(ends)]


@dataclass(frozen=True)
class Forest:
    """A maximum spanning forest: the clusters at every threshold from `floor` on.

    It keeps of all links only those that decide which images hang together: of n images fewer
    than n. ``ImageClusterer.forest_`` is one; `icas.labels_at` reads it.

    Parameters
    ----------
    count : int
        Number of images.
    a, b : (m,) int64 ndarray
        Ends of each edge, m < count.
    similarity : (m,) float32 ndarray
        Similarity of each edge, descending.
    floor : float, default -inf
        Links below it were not looked at: a threshold below it cannot be answered.

    Attributes
    ----------
    count, a, b, similarity, floor
        As given.

    See Also
    --------
    icas.labels_at : the clusters at a threshold.

    Notes
    -----
    The clusters by links at or above a threshold are the connected components of the maximum
    spanning forest's edges at or above it (J. C. Gower and G. J. S. Ross, Minimum spanning trees
    and single linkage cluster analysis, 1969). scipy's ``minimum_spanning_tree`` finds it.

    Examples
    --------
    >>> import icas
    >>> import numpy as np
    >>> a, b = np.array([0, 1]), np.array([1, 2])
    >>> forest = icas.Forest(4, a, b, np.array([0.9, 0.6], np.float32), floor=0.5)
    >>> icas.labels_at(forest, 0.5), icas.labels_at(forest, 0.8)
    (array([ 0,  0,  0, -1]), array([ 0,  0, -1, -1]))
    >>> forest.links().structured()["a"]
    array([0, 1])
    """

    count: int
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    similarity: NDArray[np.float32]
    floor: float = -np.inf

    def links(self) -> Links:
        """The edges as links.

        Returns
        -------
        Links
            With ``.a``, ``.b``, ``.similarity``; ``.structured()`` is one structured array.
        """
        return Links(self.a, self.b, self.similarity)


class GrowingForest:
    """The maximum spanning forest of links that come part by part.

    Memory stays at some multiple of `count` links: what cannot belong to the forest is dropped
    from time to time.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept = NONE
        self._fresh: list[Links] = []

    def add(self, links: Links) -> None:
        """Take these links into account, too."""
        for part in links.parts():
            self._fresh.append(part)
            if sum(map(len, self._fresh)) >= max(PART, self._count):
                self._settle()

    def _settle(self) -> None:
        self._kept = _thin(self._count, join_links([self._kept, *self._fresh]))
        self._fresh = []

    def forest(self, floor: float = -np.inf) -> Forest:
        """The forest of all links so far; below `floor` none were looked for."""
        self._settle()
        kept = self._kept
        order = np.lexsort((kept.b, kept.a, -kept.similarity.astype(np.float64)))
        edges = kept.select(order)
        return Forest(self._count, edges.a, edges.b, edges.similarity, floor)


def spanning_forest(count: int, parts: Iterable[Links], floor: float = -np.inf) -> Forest:
    """The maximum spanning forest of all links in `parts`, which are taken one after the other."""
    growing = GrowingForest(count)
    for part in parts:
        growing.add(part)
    return growing.forest(floor)


def _thin(count: int, links: Links) -> Links:
    """Those of `links`, sorted by a, then b, that the maximum spanning forest keeps.

    Of equally similar links the first count more: there is one such forest, in whatever parts
    the links come.
    """
    from scipy.sparse.csgraph import minimum_spanning_tree

    if len(links) == 0:
        return links
    order = np.argsort(-links.similarity, kind="stable")
    rank = np.empty(len(links))
    rank[order] = np.arange(1, len(links) + 1)  # above 0, which scipy takes for no edge
    tree = minimum_spanning_tree(graph_of(count, links.a, links.b, rank)).data
    keep = np.sort(order[tree.astype(np.int64) - 1])
    return links.select(keep)


def labels_at(forest: Forest, threshold: float) -> Labels:
    """Clusters at `threshold`, without comparing anything again.

    Returns
    -------
    (n,) int64 ndarray
        Cluster of each image, -1 = outlier.

    Raises
    ------
    UsageError
        `threshold` lies below the forest's floor.
    """
    if threshold < forest.floor:
        raise UsageError(
            f"threshold {threshold:g} is below {forest.floor:g}, the least that was kept;"
            " compare the images again at a lower threshold"
        )
    keep = forest.similarity >= np.float32(threshold)
    return components(forest.count, forest.a[keep], forest.b[keep])


def weakest_links(labels: Labels, links: Links) -> list[float]:
    """For each cluster the least similarity on its maximum spanning tree: where it breaks first.

    NaN where the links do not join the whole cluster (as in a folder edited by a person).
    """
    forest = spanning_forest(len(labels), [links])
    clusters = int(labels.max(initial=-1)) + 1
    inside = (labels[forest.a] == labels[forest.b]) & (labels[forest.a] >= 0)
    cluster, similarity = labels[forest.a][inside], forest.similarity[inside]
    weakest = np.full(clusters, np.inf)
    np.minimum.at(weakest, cluster, similarity)
    edges = np.bincount(cluster, minlength=clusters)
    sizes = np.bincount(labels[labels >= 0], minlength=clusters)
    weakest[edges != sizes - 1] = np.nan
    return weakest.tolist()

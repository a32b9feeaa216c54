"""The similarity graph: components, spanning forest, dendrogram, bridges."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.links import NONE, PART, Links, appended
from icas.clusterimg.kernels.numba_support import compiled_kernels
from icas.common.errors import UsageError
from icas.common.union_find import components_and_tree, unions

Labels = NDArray[np.int64]
"""(n,) int64: number of each image's cluster, -1 for an outlier."""
_KEY_BITS = 63
_LINK_SECONDS = 3e-7
"""Approximate seconds that scipy takes for a link."""


def components(count: int, a: NDArray[np.int64], b: NDArray[np.int64]) -> Labels:
    """Connected components of `count` images under the links (a, b), as numbered clusters.

    A component of two images or more is a cluster; the others are outliers, -1. Cluster 0 is the
    largest; clusters of one size are ordered by their first image.
    """
    if count == 0:
        return np.empty(0, np.int64)
    return number_clusters(unions(count, a, b))


def number_clusters(groups: NDArray[np.integer], least: int = 2) -> Labels:
    """Renumber groups: clusters by size (largest 0), then by first image.

    A group of fewer than `least` images, or a negative number, becomes -1.
    """
    grouped = groups >= 0
    inside = slice(None) if grouped.all() else np.flatnonzero(grouped)
    group = groups[inside]
    if len(group) and group.max() > 2 * len(groups):
        group = np.unique(group, return_inverse=True)[1]
    sizes = np.bincount(group)
    clusters = np.flatnonzero(sizes >= max(1, least))
    first = np.empty(len(sizes), np.int64)
    first[group[::-1]] = np.arange(len(group) - 1, -1, -1)  # of a repeated number, the last counts
    rank = (len(groups) - sizes[clusters]) * len(groups) + first[clusters]
    number = np.full(len(sizes), -1, np.int64)
    number[clusters[np.argsort(rank)]] = np.arange(len(clusters))
    labels = np.full(len(groups), -1, np.int64)
    labels[inside] = number[group]
    return labels


def members_of(labels: Labels) -> list[NDArray[np.int64]]:
    """For each cluster in turn the images in it, ascending."""
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], np.arange(labels.max(initial=-1) + 2))
    return [order[start:end] for start, end in pairwise(ends)]


@dataclass(frozen=True)
class Forest:
    """A maximum spanning forest of links: the clusters at every threshold from `floor` on.

    It has fewer than n edges for n images. ``ImageClusterer.forest_`` is a Forest; `icas.labels_at`
    computes its clusters at a threshold.

    Parameters
    ----------
    count : int
        Number of images.
    a, b : (m,) int64 ndarray
        Images of each edge, m < count.
    similarity : (m,) float32 ndarray
        Similarity of each edge, descending.
    floor : float, default -inf
        Minimum similarity of the links; thresholds below it are an error.

    Attributes
    ----------
    count, a, b, similarity, floor
        The parameters.

    See Also
    --------
    icas.labels_at : The clusters at a threshold.

    Notes
    -----
    The single-linkage clusters at a threshold are the connected components of the edges at or above
    it (J. C. Gower and G. J. S. Ross, Minimum spanning trees and single linkage cluster analysis,
    Applied Statistics, 1969).

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
        """Return the edges as links.

        Returns
        -------
        Links
            With ``.a``, ``.b``, ``.similarity``; ``.structured()`` is one structured array.
        """
        return Links(self.a, self.b, self.similarity)

    @classmethod
    def from_parquet(cls, path: str | os.PathLike[str], count: int | None = None) -> Forest:
        """Compute the forest of links in a Parquet file.

        Parameters
        ----------
        path : str or Path
            File with the columns ``a`` and ``b``, image numbers from 0 on, and ``similarity``, as
            `icas.to_parquet` and other programs write it, in any order. Of repeated pairs the
            greatest similarity counts.
        count : int, optional
            Number of images. Default: the greatest image number + 1.

        Returns
        -------
        Forest
            `floor` is the threshold of the run that the links are from, or the smallest similarity.

        Raises
        ------
        UsageError
            No such file or column, negative image numbers, or a number beyond `count`.
        MissingExtraError
            pyarrow is not installed.

        Examples
        --------
        >>> import icas, pandas
        >>> links = pandas.DataFrame({"a": [0, 1], "b": [1, 2], "similarity": [0.9, 0.6]})
        >>> links.to_parquet("links.parquet")
        >>> icas.labels_at(icas.Forest.from_parquet("links.parquet", count=4), 0.8)
        array([ 0,  0, -1, -1])
        """
        from icas.clusterimg.data.parquet import read_links

        links, images, floor = read_links(path, count)
        return spanning_forest(images, [links], floor)


class GrowingForest:
    """The maximum spanning forest of links that come part by part.

    Memory stays at some multiple of `count` links: what cannot belong to the forest is dropped
    from time to time. Of a pair that comes more than once, the greatest similarity counts.
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
        together = in_order(self._count, appended([self._kept, *self._fresh]))
        self._kept = together.select(Trees(self._count, len(together)).joining(together))
        self._fresh = []

    def forest(self, floor: float = -np.inf) -> Forest:
        """The forest of all links so far; below `floor` none were looked for."""
        self._settle()
        edges = self._kept
        return Forest(self._count, edges.a, edges.b, edges.similarity, floor)


def spanning_forest(count: int, parts: Iterable[Links], floor: float = -np.inf) -> Forest:
    """The maximum spanning forest of all links in `parts`, which are taken one after the other."""
    growing = GrowingForest(count)
    for part in parts:
        growing.add(part)
    return growing.forest(floor)


def in_order(count: int, links: Links) -> Links:
    """Links between `count` images, the most similar first; of equals, sorted by a, then b.

    A forest takes links in this order, so there is one forest, in whatever parts the links come.
    """
    values = np.sort(links.similarity)
    values = values[np.append(True, values[1:] > values[:-1])] if len(values) else values
    bits = max(1, (count - 1).bit_length())
    if 2 * bits + len(values).bit_length() > _KEY_BITS:
        return links.select(np.lexsort((links.b, links.a, -links.similarity)))
    keys = len(values) - 1 - np.searchsorted(values, links.similarity)
    keys <<= bits
    keys |= links.a
    keys <<= bits
    keys |= links.b
    keys.sort()  # many times faster than an order of three arrays
    image = (1 << bits) - 1
    b = keys & image
    keys >>= bits
    a = keys & image
    keys >>= bits
    return Links(a, b, values[::-1][keys])


class Trees:
    """Trees of `count` images, joined by links one after the other (J. B. Kruskal, 1956).

    links: about the number of links to come.
    """

    def __init__(self, count: int, links: int) -> None:
        self._parent = np.arange(count, dtype=np.int32)
        self._kernels = compiled_kernels("kruskal", links * _LINK_SECONDS)

    def joining(self, links: Links) -> NDArray[np.bool_]:
        """(m,) whether each of the links, in their order, joins two trees."""
        joins = np.zeros(len(links), np.bool_)
        if self._kernels is not None:
            self._kernels.join(self._parent, links.a, links.b, joins)
        elif len(links):
            count = len(self._parent)
            trees, joining = components_and_tree(
                count, self._parent[links.a], self._parent[links.b]
            )
            joins[joining] = True
            trees = trees[self._parent]
            first_of = np.empty(count, np.int32)
            first_of[trees[::-1]] = np.arange(count - 1, -1, -1)  # the last of a tree counts
            self._parent = first_of[trees]
        return joins

    def roots(self) -> Labels:
        """(count,) the first image of the tree of each image."""
        if self._kernels is not None:
            self._kernels.flatten(self._parent)
        return self._parent.astype(np.int64)


def labels_at(forest: Forest, threshold: float) -> Labels:
    """Clusters at `threshold`, without new comparisons.

    Returns
    -------
    (n,) int64 ndarray
        Cluster of each image, -1 = outlier.

    Raises
    ------
    UsageError
        `threshold` is below the floor of the forest.
    """
    if threshold < forest.floor:
        raise UsageError(
            f"threshold {threshold:g} is below {forest.floor:g}, the lowest similarity that was"
            " stored: compare the images again at a lower threshold"
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


@dataclass(frozen=True)
class Merges:
    """The merges of single-link clusters, the most similar first; merge i makes cluster i."""

    similarity: NDArray[np.float32]  # (m,) at which each happens, descending
    sizes: NDArray[np.int64]  # (m, 2) images of the two that merge
    parent: NDArray[np.int64]  # (m,) the merge that takes the cluster in; -1 for the last
    # (n, n) the merge that puts two images together; m on the diagonal and where none does
    meeting: NDArray[np.int64]

    @classmethod
    def of(cls, forest: Forest) -> Merges:
        """The merges of `forest`, whose edges come in descending order."""
        count, steps = forest.count, len(forest.similarity)
        members = [np.array([image]) for image in range(count)]
        made = np.full(count, -1)  # the merge that made the cluster of each owner
        owner = np.arange(count)
        parent = np.full(steps, -1)
        sizes = np.empty((steps, 2), np.int64)
        meeting = np.full((count, count), steps)
        for step, (a, b) in enumerate(zip(forest.a, forest.b, strict=True)):
            large, small = owner[a], owner[b]
            if len(members[large]) < len(members[small]):
                large, small = small, large
            inner, outer = members[large], members[small]
            sizes[step] = len(inner), len(outer)
            meeting[np.ix_(inner, outer)] = meeting[np.ix_(outer, inner)] = step
            for cluster in (large, small):
                if made[cluster] >= 0:
                    parent[made[cluster]] = step
            made[large] = step
            owner[outer] = large
            members[large] = np.concatenate([inner, outer])
            members[small] = outer[:0]
        return cls(forest.similarity, sizes, parent, meeting)

    def __len__(self) -> int:
        return len(self.similarity)

    @property
    def distinct(self) -> NDArray[np.bool_]:
        """(m,) whether a threshold can stop after each merge: the next is at a lower similarity."""
        return np.append(self.similarity[1:] < self.similarity[:-1], True)[: len(self)]

    @property
    def clustered(self) -> NDArray[np.int64]:
        """(m,) images in clusters after each merge."""
        return np.asarray(np.cumsum((self.sizes == 1).sum(axis=1)), np.int64)

    @property
    def largest(self) -> NDArray[np.int64]:
        """(m,) size of the largest cluster after each merge."""
        return np.asarray(np.maximum.accumulate(self.sizes.sum(axis=1)), np.int64)

    def alive(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(m,) sum of the `values` of all clusters that are there after each merge."""
        change = np.zeros(len(self) + 1)
        np.add.at(change, np.arange(len(self)), values)
        inside = self.parent >= 0
        np.add.at(change, self.parent[inside], -values[inside])
        return np.cumsum(change)[: len(self)]


Bridge = tuple[int, int]
"""Sizes of the two largest parts of a cluster after a split, the larger first."""

FACTOR = 2.5
"""Factor by which the odds of the weakest link must be below those of a median link.

Measured on five labelled sets with three methods and six thresholds: four of five marked clusters
contain images of different classes, and more than half of such clusters are marked.
"""

LEAST, MOST = 0.01, 0.98
"""Similarities are clipped to this range: beyond it, odds are unstable."""

FEWEST = 4
"""Images of a cluster that may be two: two parts of two each."""


def bridges(labels: Labels, links: Links) -> list[Bridge | None]:
    """For each cluster the sizes of its two larger parts if it may be two clusters, else None.

    A cluster is split at the weakest link of its maximum spanning tree. It may be two clusters
    under two conditions. Two of the parts have two images or more. The odds s / (1 - s) of the
    weakest link are at least `FACTOR` times lower than those of the median link inside either part.
    Odds suit similarities near 0 and near 1 equally.

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
    if odds(usual) < FACTOR * odds(float(weakest)):
        return None
    return int((parts == 0).sum()), int((parts == 1).sum())


def odds(similarity: float) -> float:
    """Odds s / (1 - s) of a similarity, bounded by `LEAST` and `MOST`."""
    bounded = min(max(similarity, LEAST), MOST)
    return bounded / (1 - bounded)

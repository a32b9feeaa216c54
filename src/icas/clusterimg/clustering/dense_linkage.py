"""Complete and average linkage: connected components of the links, each clustered hierarchically.

Complete linkage joins two groups if all of their pairs reach the threshold, average linkage if the
mean of their pairs does. Both are hierarchical clustering of the distances 1 - similarity, cut at
1 - threshold, as by `scipy.cluster.hierarchy.linkage` and `fcluster`.

Neither joins groups without a link between them, so the similarities within a component are all
that is needed. Conversely, groups that they join have a link between them: the links that stay
inside a group connect all of it, and its maximum spanning tree consists of them.

Ties: groups of equal distance are joined in the order in which scipy takes them from the images of
the component in their order. The same images in the same order always give the same clusters; in
another order a tie may be settled differently, where there is more than one answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.clusterimg.clustering.base import Partition, SingleLinkage
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.links import Links
from icas.clusterimg.graph.forest import Labels, components, members_of, spanning_forest
from icas.clusterimg.linking.tiles import links_within
from icas.clusterimg.methods.base import Method
from icas.common.errors import UsageError
from icas.parallel.executors import ALONE, Workers

LARGEST = 20_000
"""Images of the largest component: its distances take 1.6 GB, and scipy copies them."""


@dataclass(frozen=True)
class DenseLinkage(SingleLinkage):
    """Hierarchical clustering of the connected components, cut at the threshold.

    A linkage is a subclass that names its `kind`. Its links are those inside its clusters.
    """

    kind: ClassVar[str]  # linkage of `scipy.cluster.hierarchy.linkage`
    merges_exactly: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.description = (
            f"linkage {cls.kind}: connected components are split by hierarchical clustering"
        )

    def partition(
        self, features: FeatureSet, workers: Workers = ALONE, console: Console | None = None
    ) -> Partition:
        """The clusters of a batch."""
        single = super().partition(features, workers, console)
        cut = Cut(self.kind, self.threshold)
        links = links_inside(self.method, features, single.links, cut, workers)
        labels = components(len(features), links.a, links.b)
        tree = spanning_forest(len(features), [links]).links()
        return Partition(labels, links, tree, single.compared)

    def links_across(
        self,
        parts: Sequence[FeatureSet],
        workers: Workers = ALONE,
        groups: Sequence[Labels] | None = None,
    ) -> tuple[Links, int]:
        """Links between images of different parts that this linkage puts together.

        Images, or clusters, of one part are never similar to one another, whatever their
        similarity: with complete linkage two of them never come together.
        """
        links, compared = super().links_across(parts, workers)
        whole = None if groups is None else side_by_side(groups)
        together, cut = concatenate(list(parts)), Cut(self.kind, self.threshold)
        return links_inside(self.method, together, links, cut, workers, groups=whole), compared


class CompleteLinkage(DenseLinkage):
    """Two groups are joined if all of their pairs reach the threshold."""

    kind = "complete"


class AverageLinkage(DenseLinkage):
    """Two groups are joined if the mean similarity of their pairs reaches the threshold."""

    kind = "average"


def side_by_side(parts: Sequence[Labels]) -> Labels:
    """Clusters of each part, numbered through all parts."""
    numbered, start = [np.empty(0, np.int64)], 0
    for labels in parts:
        numbered.append(np.where(labels < 0, -1, labels + start))
        start += int(labels.max(initial=-1)) + 1
    return np.concatenate(numbered)


class Cut(NamedTuple):
    """Linkage, as scipy names it, and the threshold at which its dendrograms are cut."""

    kind: str
    threshold: float

    @property
    def height(self) -> float:
        """The distance up to which groups are joined."""
        return 1.0 - float(np.float32(self.threshold))

    @property
    def apart(self) -> float:
        """The least distance of two images that are not linked."""
        below = np.nextafter(np.float32(self.threshold), np.float32(-np.inf))
        return max(1.0 - float(below), float(np.nextafter(self.height, np.inf)))


def links_inside(
    method: Method,
    features: FeatureSet,
    links: Links,
    cut: Cut,
    workers: Workers = ALONE,
    *,
    groups: Labels | None = None,
) -> Links:
    """Those of `links` that are inside the clusters of `cut`.

    Parameters
    ----------
    links : Links
        Pairs at or above the threshold of `cut`. Pairs that are missing count as below it.
    groups : (n,) int64 ndarray, optional
        Images of one number stay together, and are compared with others as a whole; -1 = alone.
    """
    parts = list(_undecided(len(features), links, groups))
    for part in parts:
        _check_size(len(part.members), cut)
    small = [part for part in parts if len(part.members) <= method.tile]
    large = [part for part in parts if len(part.members) > method.tile]
    keep = np.ones(len(links), bool)
    tasks = ((method, features[part.members], part, cut) for part in small)
    for part, inside in zip(small, workers.ordered(_inside, tasks), strict=True):
        keep[part.rows] = inside
    for part in large:
        keep[part.rows] = _inside(method, features[part.members], part, cut, workers)
    return links.select(keep)


def _check_size(images: int, cut: Cut) -> None:
    if images > LARGEST:
        gigabytes = images * (images - 1) / 2 * 8 / 1e9
        raise UsageError(
            f"--linkage {cut.kind}: {images} images are connected at threshold"
            f" {cut.threshold:g}, and their similarities need {gigabytes:.1f} GB (limit:"
            f" {LARGEST} images): use a higher --threshold, a smaller --batch-size without"
            " --merge exact, or --linkage single"
        )


class _Component(NamedTuple):
    """One connected component."""

    members: NDArray[np.int64]  # (m,) its images, ascending
    links: Links  # its links; the members numbered from 0
    rows: NDArray[np.int64]  # (k,) indices of these among all links
    groups: Labels | None  # (m,) members of one number stay together; -1 = alone


def _undecided(count: int, links: Links, groups: Labels | None) -> Iterator[_Component]:
    """The components that a linkage could divide: not those in which every pair is linked."""
    a, b = [links.a], [links.b]
    for members in members_of(groups) if groups is not None else ():
        a.append(np.full(len(members) - 1, members[0]))
        b.append(members[1:])
    labels = components(count, np.concatenate(a), np.concatenate(b))
    component = labels[links.a]
    order = np.argsort(component, kind="stable")
    ends = np.searchsorted(component[order], np.arange(labels.max(initial=-1) + 2))
    number = np.empty(count, np.int64)
    for members, (start, end) in zip(members_of(labels), pairwise(ends), strict=True):
        rows = order[start:end]
        if len(rows) in (0, len(members) * (len(members) - 1) // 2):
            continue
        number[members] = np.arange(len(members))
        own = Links(number[links.a[rows]], number[links.b[rows]], links.similarity[rows])
        yield _Component(members, own, rows, None if groups is None else groups[members])


def _inside(
    method: Method, features: FeatureSet, part: _Component, cut: Cut, workers: Workers = ALONE
) -> NDArray[np.bool_]:
    """(k,) whether each link of the component is inside a cluster."""
    distances = _distances(method, features, part.links, cut, workers)
    height = cut.height
    if part.groups is not None:
        # With the lowest distance they are joined first, and stay whole from then on.
        distances += 1.0
        height += 1.0
        _set_within(distances, part.groups, 0.0)
    from scipy.cluster import hierarchy

    groups = hierarchy.fcluster(hierarchy.linkage(distances, cut.kind), height, "distance")
    inside: NDArray[np.bool_] = groups[part.links.a] == groups[part.links.b]
    return inside


def _distances(
    method: Method, features: FeatureSet, links: Links, cut: Cut, workers: Workers
) -> NDArray[np.float64]:
    """Distance of each two images, in scipy's order.

    Linked pairs keep the similarity of their link and others stay above the cut, even if a
    similarity computed again, in another tile, differs in its last digit.
    """
    count = len(features)
    distances = np.full(count * (count - 1) // 2, cut.apart)
    for pairs in links_within(method, features, -np.inf, workers):
        places = _places(count, pairs)
        distances[places] = np.maximum(1.0 - pairs.similarity.astype(np.float64), cut.apart)
    near = 1.0 - links.similarity.astype(np.float64)
    distances[_places(count, links)] = np.maximum(near, 0.0)
    return distances


def _places(count: int, pairs: Links) -> NDArray[np.int64]:
    """Indices of the pairs (a < b) in the condensed distances of `count` images."""
    places: NDArray[np.int64] = count * pairs.a - pairs.a * (pairs.a + 3) // 2 + pairs.b - 1
    return places


def _set_within(distances: NDArray[np.float64], groups: Labels, value: float) -> None:
    """Set the distance of each two images of one group, a row at a time."""
    start = 0
    for image, group in enumerate(groups):
        others = groups[image + 1 :]
        if group >= 0:
            distances[start : start + len(others)][others == group] = value
        start += len(others)

"""Components of links -> the groups that complete or average linkage makes of them.

Complete linkage keeps two groups together where all of their pairs are alike enough, average
linkage where their pairs are so in the mean. Both are hierarchical clustering of the distances
1 - similarity, cut at 1 - threshold, as `scipy.cluster.hierarchy.linkage` and `fcluster` do it.

Groups without a link between them are never joined by either, so the similarities of a component
are all that is needed. Conversely, whatever they join has a link in between: the links that stay
inside a group join all of it, and its maximum spanning tree consists of them.

Ties: groups of equal distance are joined in the order in which scipy takes them from the images of
the component in their order. The same images in the same order always give the same clusters; in
another order a tie may be settled in another way, where there is more than one answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links
from icas.clusterimg.graph.forest import Labels, components, members_of
from icas.clusterimg.linking.tiles import links_within
from icas.clusterimg.methods.base import Method
from icas.common.errors import UsageError
from icas.parallel.executors import ALONE, Workers

LARGEST = 20_000
"""Images of the largest component that is cut: its distances take 1.6 GB, and scipy copies them."""


@dataclass(frozen=True)
class Cut:
    """How components are cut.

    Attributes
    ----------
    linkage : {"complete", "average"}
    threshold : float
        Groups with a similarity at or above it are joined; compared as float32, as links are.
    """

    linkage: str
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
    """Those of `links` that lie inside the groups which `cut` makes of the images.

    Parameters
    ----------
    links : Links
        Pairs at or above the threshold of `cut`. Pairs that are missing count as below it.
    groups : (n,) int64 ndarray, optional
        Images of one number stay together, and are compared with others as a whole; -1 = alone.

    Raises
    ------
    UsageError
        A component has more than `LARGEST` images.
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
    return Links(links.a[keep], links.b[keep], links.similarity[keep])


def _check_size(images: int, cut: Cut) -> None:
    if images > LARGEST:
        gigabytes = images * (images - 1) / 2 * 8 / 1e9
        raise UsageError(
            f"--linkage {cut.linkage}: {images} images hang together at {cut.threshold:g}, their"
            f" similarities would take {gigabytes:.1f} GB (at most {LARGEST} images can be cut):"
            " take a higher --threshold, a smaller --batch-size without --merge exact, or"
            " --linkage chain"
        )


@dataclass(frozen=True)
class _Component:
    """One component of the links.

    Attributes
    ----------
    members : (m,) int64 ndarray
        Its images, ascending.
    links : Links
        Its links; the members numbered from 0.
    rows : (k,) int64 ndarray
        Where these stand among all links.
    groups : (m,) int64 ndarray or None
        Members of one number stay together; -1 = alone.
    """

    members: NDArray[np.int64]
    links: Links
    rows: NDArray[np.int64]
    groups: Labels | None


def _undecided(count: int, links: Links, groups: Labels | None) -> Iterator[_Component]:
    """The components that some linkage could cut: not those in which every pair is linked."""
    labels = components(count, *_edges(links, groups))
    component = labels[links.a]
    order = np.argsort(component, kind="stable")
    ends = np.searchsorted(component[order], np.arange(labels.max(initial=-1) + 2))
    place = np.empty(count, np.int64)
    for members, (start, end) in zip(members_of(labels), pairwise(ends), strict=True):
        rows = order[start:end]
        if len(rows) in (0, len(members) * (len(members) - 1) // 2):
            continue
        place[members] = np.arange(len(members))
        own = Links(place[links.a[rows]], place[links.b[rows]], links.similarity[rows])
        yield _Component(members, own, rows, None if groups is None else groups[members])


def _edges(links: Links, groups: Labels | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What joins components: links, and being in one group."""
    a, b = [links.a], [links.b]
    for members in members_of(groups) if groups is not None else ():
        a.append(np.full(len(members) - 1, members[0]))
        b.append(members[1:])
    return np.concatenate(a), np.concatenate(b)


def _inside(
    method: Method, features: FeatureSet, part: _Component, cut: Cut, workers: Workers = ALONE
) -> NDArray[np.bool_]:
    """(k,) whether each link of the component lies inside one of the groups it is cut into."""
    distances = _distances(method, features, part.links, cut, workers)
    height = cut.height
    if part.groups is not None:
        # Below everything else they are joined first, and count as a whole from then on.
        distances += 1.0
        height += 1.0
        _set_within(distances, part.groups, 0.0)
    found = cut_at(distances, cut.linkage, height)
    inside: NDArray[np.bool_] = found[part.links.a] == found[part.links.b]
    return inside


def cut_at(distances: NDArray[np.float64], linkage: str, height: float) -> NDArray[np.int32]:
    """The groups of images that `linkage` joins at or below `height`.

    Parameters
    ----------
    distances : (m (m - 1) / 2,) float64 ndarray
        At least 0; pairs in the order of `scipy.spatial.distance.squareform`.
    linkage : {"complete", "average"}

    Returns
    -------
    (m,) int32 ndarray
        Numbered from 1, as `scipy.cluster.hierarchy.fcluster` numbers them.
    """
    from scipy.cluster import hierarchy

    tree = hierarchy.linkage(distances, linkage)
    groups: NDArray[np.int32] = hierarchy.fcluster(tree, height, criterion="distance")
    return groups


def _distances(
    method: Method, features: FeatureSet, links: Links, cut: Cut, workers: Workers
) -> NDArray[np.float64]:
    """Distance of each two images, in scipy's order.

    What is linked has the similarity of its link and what is not lies above the cut, also where a
    similarity that is computed again, in another tile, differs in its last digit.
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
    """Where the pairs (a < b) stand in the distances of `count` images."""
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

"""Links -> clusters that follow what is decided: constrained single linkage.

What is decided to be together is joined first. Then links join, the most similar first (of equals
by a, then b), two groups unless they hold images that are to be apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.constraints import Marks
from icas.clusterimg.features import FeatureSet
from icas.clusterimg.graph import Labels, number_clusters, spanning_forest
from icas.clusterimg.grouping import Grouped
from icas.clusterimg.links import NONE, Links, join_links
from icas.clusterimg.methods.base import Method
from icas.clusterimg.similarity import ALONE, links_within
from icas.common.executors import Workers
from icas.common.unions import unions

CHUNK = 1 << 16
"""Links that are looked at together; those that cannot join anything are most of them."""

Numbers = NDArray[np.int64]
Among = Callable[[Numbers], Links]
"""All links among some images, which are given ascending; numbered as the images of the run."""


@dataclass(frozen=True)
class Joined:
    """What links and decisions make of n images.

    Attributes
    ----------
    labels : (n,) int64 ndarray
        Cluster of each image, -1 = outlier.
    known : Links
        What was known to join them, refused links among it.
    """

    labels: Labels
    known: Links

    def tree(self) -> Links:
        """Maximum spanning trees of the clusters as far as links join them."""
        return spanning_forest(len(self.labels), inside(self.known, self.labels).parts()).links()


def constrained(
    method: Method,
    features: FeatureSet,
    grouped: Grouped,
    marks: Marks,
    workers: Workers = ALONE,
    *,
    by_links: bool,
) -> Grouped:
    """The clusters of a batch as `marks` allow them.

    Parameters
    ----------
    grouped : Grouped
        As they are without.
    by_links : bool
        The links of `grouped` are all that join its images; else (models) all similarities inside
        its clusters do.
    """
    if not marks:
        return grouped

    def among(images: Numbers) -> Links:
        if by_links:
            return chosen(grouped.links, len(marks.classes), images)
        return all_inside(method, features, grouped.labels, images, workers)

    joined = join_apart(marks.starts(), grouped.tree, marks, among)
    if np.array_equal(joined.labels, grouped.labels):
        return grouped
    tree = joined.tree()
    held = held_by_decision(method, features, joined.labels, tree, *marks.pairs())
    return replace(grouped, labels=joined.labels, tree=join_links([tree, held]))


def join_apart(start: Numbers, tree: Links, marks: Marks, among: Among) -> Joined:
    """Join images by links, but none that are to be apart.

    Parameters
    ----------
    start : (n,) int64 ndarray
        Groups that stay whole, whatever is in them.
    tree : Links
        Joins what the links join (a spanning forest of them does).
    marks : Marks
    among : callable
        The links, where some of them have to be refused.
    """
    a, b = Marks(start).pairs()
    whole = unions(len(start), np.concatenate([a, tree.a]), np.concatenate([b, tree.b]))
    broken = marks.broken(whole)
    if not broken:
        return Joined(number_clusters(whole), tree)
    affected = np.isin(whole, broken)
    images = np.flatnonzero(affected)
    links = among(images)
    own = Links(
        np.searchsorted(images, links.a), np.searchsorted(images, links.b), links.similarity
    )
    groups = whole.copy()
    groups[images] = len(start) + _parted(start[images], own, marks[images])
    outside = ~affected[tree.a]
    rest = Links(tree.a[outside], tree.b[outside], tree.similarity[outside])
    return Joined(number_clusters(groups), join_links([rest, links]))


def _parted(start: Numbers, links: Links, marks: Marks) -> Numbers:
    """(n,) groups that `links` make of groups `start` where some are to be apart.

    Up to the first refusal they are what the spanning forest tells. Links that are inside a group
    by then, which are most, need not be sorted.
    """
    groups = _Groups(start, marks)
    forest = spanning_forest(len(start), links.parts())
    for a, b in zip(forest.a.tolist(), forest.b.tolist(), strict=True):
        if not groups.join(a, b):
            break
    left = groups.of[links.a] != groups.of[links.b]
    links = Links(links.a[left], links.b[left], links.similarity[left])
    order = np.lexsort((links.b, links.a, -links.similarity.astype(np.float64)))
    for begin in range(0, len(order), CHUNK):
        rows = order[begin : begin + CHUNK]
        for a, b in groups.open(links.a[rows], links.b[rows]):
            groups.join(a, b)
    return groups.of


class _Groups:
    """Groups that grow, with the sides that are in each."""

    def __init__(self, start: Numbers, marks: Marks) -> None:
        _, self.of = np.unique(start, return_inverse=True)
        count = int(self.of.max(initial=-1)) + 1
        self._ones, self._zeros = (_together(codes, self.of, count) for codes in marks.codes())
        self._members = np.split(
            np.argsort(self.of, kind="stable"), np.cumsum(np.bincount(self.of))[:-1]
        )

    def join(self, a: int, b: int) -> bool:
        """Join the groups of two images, unless that is refused; whether they are one now."""
        one, other = int(self.of[a]), int(self.of[b])
        if one == other:
            return True
        if self._clash(np.array([one]), np.array([other]))[0]:
            return False
        if len(self._members[one]) < len(self._members[other]):
            one, other = other, one
        self.of[self._members[other]] = one
        self._members[one] = np.concatenate([self._members[one], self._members[other]])
        self._ones[one] |= self._ones[other]
        self._zeros[one] |= self._zeros[other]
        return True

    def open(self, a: Numbers, b: Numbers) -> list[tuple[int, int]]:
        """Those of the pairs that may join groups: of each two groups the first."""
        one, other = self.of[a], self.of[b]
        low, high = np.minimum(one, other), np.maximum(one, other)
        _, first = np.unique(low * len(self._members) + high, return_index=True)
        rows = np.sort(first)
        rows = rows[low[rows] != high[rows]]
        rows = rows[~self._clash(low[rows], high[rows])]
        return list(zip(a[rows].tolist(), b[rows].tolist(), strict=True))

    def _clash(self, one: Numbers, other: Numbers) -> NDArray[np.bool_]:
        ones, zeros = self._ones, self._zeros
        differ = (ones[one] & zeros[other]) | (zeros[one] & ones[other])
        clash: NDArray[np.bool_] = np.asarray(np.any(differ, axis=1))
        return clash


def _together(codes: NDArray[np.uint8], groups: Numbers, count: int) -> NDArray[np.uint8]:
    """(count, bytes) bits of all images of each group."""
    found = np.zeros((count, codes.shape[1]), np.uint8)
    np.bitwise_or.at(found, groups, codes)
    return found


def inside(links: Links, labels: Labels) -> Links:
    """The links inside clusters."""
    keep = (labels[links.a] == labels[links.b]) & (labels[links.a] >= 0)
    return Links(links.a[keep], links.b[keep], links.similarity[keep])


def chosen(links: Links, count: int, images: Numbers) -> Links:
    """The links among `images` of `count`."""
    wanted = np.zeros(count, bool)
    wanted[images] = True
    found = [NONE]
    for part in links.parts():
        keep = wanted[part.a] & wanted[part.b]
        found.append(Links(part.a[keep], part.b[keep], part.similarity[keep]))
    return join_links(found)


def all_inside(
    method: Method, features: FeatureSet, labels: Labels, images: Numbers, workers: Workers = ALONE
) -> Links:
    """All similarities inside those clusters that `images` lie in."""
    found = [NONE]
    for cluster in np.unique(labels[images][labels[images] >= 0]):
        members = np.flatnonzero(labels == cluster)
        pairs = join_links(links_within(method, features[members], -np.inf, workers))
        found.append(pairs.renumbered(members))
    return join_links(found)


def held_by_decision(
    method: Method,
    features: FeatureSet,
    labels: Labels,
    tree: Links,
    a: Numbers,
    b: Numbers,
    rows: Numbers | None = None,
) -> Links:
    """What joins clusters where `tree` does not: pairs that are together by decision.

    They have the similarity that the method says, be it below the threshold; the most similar are
    taken.

    Parameters
    ----------
    a, b : (p,) int64 ndarray
        Pairs inside clusters, enough to join them.
    rows : (r,) int64 ndarray, optional
        The images, ascending, that `features` are of; default all.
    """
    parts = unions(len(labels), tree.a, tree.b)
    needed = parts[a] != parts[b]
    a, b = a[needed], b[needed]
    if len(a) == 0:
        return NONE
    places = (a, b) if rows is None else (np.searchsorted(rows, a), np.searchsorted(rows, b))
    similarity = _similarities(method, features, *places)
    low, high = np.minimum(a, b), np.maximum(a, b)
    order = np.lexsort((high, low, -similarity.astype(np.float64)))
    found = []
    for row in order.tolist():
        if parts[low[row]] != parts[high[row]]:
            parts[parts == parts[high[row]]] = parts[low[row]]
            found.append(row)
    return join_links([Links(low[found], high[found], similarity[found])])


def _similarities(
    method: Method, features: FeatureSet, a: Numbers, b: Numbers
) -> NDArray[np.float32]:
    """(p,) similarity of each pair."""
    found = np.empty(len(a), np.float32)
    for image in np.unique(a):
        rows = np.flatnonzero(a == image)
        found[rows] = method.similarity(features[[int(image)]], features[b[rows]])[0]
    return found

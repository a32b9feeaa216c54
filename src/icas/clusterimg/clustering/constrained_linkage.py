"""Constrained single linkage: links join images, but never across a cannot-link constraint.

Must-link groups are joined first. Then links join two groups, the most similar first (ties by a,
then b), unless these hold images that must not be linked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.clustering.base import Partition
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import NONE, Links, each_once, join_links
from icas.clusterimg.decisions.constraints import ConstraintArrays
from icas.clusterimg.graph.forest import Labels, number_clusters, spanning_forest
from icas.clusterimg.linking.tiles import links_within
from icas.clusterimg.methods.base import Method
from icas.common.union_find import unions
from icas.parallel.executors import ALONE, Workers

CHUNK, CHUNK_BYTES = 1 << 16, 1 << 24
"""Links, and bytes of their constraints, that are compared at a time."""
BAND = 1 << 22
"""Links that are sorted at a time."""
_SAMPLED = 64
"""One of so many similarities is sampled to divide links into bands."""

Numbers = NDArray[np.int64]
Among = Callable[[Numbers], Links]
"""Gives at least all links among some images, which are ascending."""


@dataclass(frozen=True)
class Joined:
    """Clusters of n images under constraints."""

    labels: Labels  # (n,) cluster of each image, -1 = outlier
    # links that include maximum spanning trees of the clusters, as far as links join them
    known: Links

    def tree(self) -> Links:
        """Maximum spanning trees of the clusters as far as links join them."""
        parts = inside(each_once(self.known), self.labels).parts()
        return spanning_forest(len(self.labels), parts).links()


def join_apart(start: Numbers, tree: Links, marks: ConstraintArrays, among: Among) -> Joined:
    """Join images by links as far as constraints allow it.

    Parameters
    ----------
    start : (n,) int64 ndarray
        Groups that stay whole.
    tree : Links
        A maximum spanning forest of the links, or all of them.
    among : callable
        Gives the links of images for which some have to be refused.
    """
    a, b = ConstraintArrays(start).pairs()
    whole = unions(len(start), np.concatenate([a, tree.a]), np.concatenate([b, tree.b]))
    broken = marks.broken(whole)
    if not broken:
        return Joined(number_clusters(whole), tree)
    affected = np.isin(whole, broken)
    images, number = np.flatnonzero(affected), np.cumsum(affected) - 1
    links = among(images)

    def among_affected(links: Links) -> Links:
        chosen = links.select(affected[links.a] & affected[links.b])
        return Links(number[chosen.a], number[chosen.b], chosen.similarity)

    def parts() -> Iterator[Links]:
        return map(among_affected, links.parts())

    apart, joining = _parted(start[images], among_affected(tree), parts, marks[images])
    groups = whole.copy()
    groups[images] = len(start) + apart
    if len(np.unique(start[images])) < len(images):
        # Links inside the groups of the start were not needed, but may be in the spanning tree.
        inner = (part.select(apart[part.a] == apart[part.b]) for part in parts())
        joining = spanning_forest(len(images), inner).links()
    rest = tree.select(~affected[tree.a])
    return Joined(number_clusters(groups), join_links([rest, joining.renumbered(images)]))


def _parted(
    start: Numbers, tree: Links, parts: Callable[[], Iterator[Links]], marks: ConstraintArrays
) -> tuple[Numbers, Links]:
    """Groups that links make of the n groups `start` under constraints, and the links used.

    Up to the first refusal the spanning forest decides. Links inside the groups joined by then,
    often most of them, need not be considered; the others are, band by band.
    """
    groups = _Groups(start, marks)
    forest = spanning_forest(len(start), tree.parts()).links()
    taken = 0
    while taken < len(forest) and groups.join(int(forest.a[taken]), int(forest.b[taken])):
        taken += 1
    joined = [forest.part(0, taken)]
    solid, ceiling = unions(len(start), joined[0].a, joined[0].b), np.inf

    def between(floor: float, ceiling: float) -> Iterator[Links]:
        for part in parts():
            inside = (part.similarity >= floor) & (part.similarity < ceiling)
            yield groups.open(part.select(inside & (solid[part.a] != solid[part.b])))

    while ceiling > -np.inf:
        floor = _floor(between(-np.inf, ceiling))
        band = join_links([NONE, *between(floor, ceiling)])
        order = np.lexsort((band.b, band.a, -band.similarity.astype(np.float64)))
        for begin in range(0, len(order), groups.chunk):
            joined.append(groups.join_by(band.select(order[begin : begin + groups.chunk])))
        ceiling = floor
    return groups.of, join_links(joined)


def _floor(parts: Iterable[Links]) -> float:
    """The similarity from which on there are about `BAND` links."""
    count, sample = 0, [np.empty(0, np.float32)]
    for links in parts:
        count += len(links)
        sample.append(links.similarity[::_SAMPLED])
    if count <= BAND:
        return -np.inf
    values = np.sort(np.concatenate(sample))
    return float(values[max(0, len(values) - BAND // _SAMPLED)])


class _Groups:
    """Growing groups, with the constraints of each."""

    def __init__(self, start: Numbers, marks: ConstraintArrays) -> None:
        _, self.of = np.unique(start, return_inverse=True)
        count = int(self.of.max(initial=-1)) + 1
        self._ones, self._zeros = (_together(codes, self.of, count) for codes in marks.codes())
        self._members = np.split(
            np.argsort(self.of, kind="stable"), np.cumsum(np.bincount(self.of))[:-1]
        )

    def join(self, a: int, b: int) -> bool:
        """Join the groups of two images unless that is refused; whether they are one now."""
        large, small = int(self.of[a]), int(self.of[b])
        if large == small:
            return True
        if self._clash(np.array([large]), np.array([small]))[0]:
            return False
        if len(self._members[large]) < len(self._members[small]):
            large, small = small, large
        self.of[self._members[small]] = large
        self._members[large] = np.concatenate([self._members[large], self._members[small]])
        self._ones[large] |= self._ones[small]
        self._zeros[large] |= self._zeros[small]
        return True

    def join_by(self, links: Links) -> Links:
        """Join groups by `links`, one after the other; those that did it."""
        a, b = self.of[links.a], self.of[links.b]
        low, high = np.minimum(a, b), np.maximum(a, b)
        _, first = np.unique(low * len(self._members) + high, return_index=True)
        rows = np.sort(first)  # the first link between two groups decides
        rows = rows[~self._clash(low[rows], high[rows])]
        done = []
        for row in rows.tolist():
            image_a, image_b = int(links.a[row]), int(links.b[row])
            if self.of[image_a] != self.of[image_b] and self.join(image_a, image_b):
                done.append(row)
        return links.select(np.array(done, np.int64))

    def open(self, links: Links) -> Links:
        """Those of `links` that may join groups."""
        keep = self.of[links.a] != self.of[links.b]
        for begin in range(0, len(links), self.chunk):
            part = slice(begin, begin + self.chunk)
            rows = np.flatnonzero(keep[part]) + begin
            keep[rows] = ~self._clash(self.of[links.a[rows]], self.of[links.b[rows]])
        return links.select(keep)

    @property
    def chunk(self) -> int:
        """Links whose groups are compared at a time."""
        wide = max(1, int(self._ones.shape[1]))
        return min(CHUNK, max(1 << 10, CHUNK_BYTES // wide))

    def _clash(self, a: Numbers, b: Numbers) -> NDArray[np.bool_]:
        """Whether groups a and b must not be joined."""
        ones, zeros = self._ones, self._zeros
        differ = (ones[a] & zeros[b]) | (zeros[a] & ones[b])
        clash: NDArray[np.bool_] = np.asarray(np.any(differ, axis=1))
        return clash


def _together(codes: NDArray[np.uint8], groups: Numbers, count: int) -> NDArray[np.uint8]:
    """(count, bytes) bits of all images of each group."""
    bits = np.zeros((count, codes.shape[1]), np.uint8)
    np.bitwise_or.at(bits, groups, codes)
    return bits


def inside(links: Links, labels: Labels) -> Links:
    """The links inside clusters."""
    return links.select((labels[links.a] == labels[links.b]) & (labels[links.a] >= 0))


def constrained(
    method: Method,
    features: FeatureSet,
    partition: Partition,
    marks: ConstraintArrays,
    workers: Workers = ALONE,
    *,
    by_links: bool,
) -> Partition:
    """The partition of a batch under constraints.

    Parameters
    ----------
    by_links : bool
        Images are joined by the links of `partition`; else (models) by all similarities inside its
        clusters.
    """
    if not marks:
        return partition

    def among(images: Numbers) -> Links:
        if by_links:
            return partition.links
        return all_inside(method, features, partition.labels, images, workers)

    joined = join_apart(marks.starts(), partition.tree, marks, among)
    if np.array_equal(joined.labels, partition.labels):
        return partition
    tree = joined.tree()
    held = held_by_decision(method, features, joined.labels, tree, *marks.pairs())
    return replace(partition, labels=joined.labels, tree=join_links([tree, held]))


def all_inside(
    method: Method, features: FeatureSet, labels: Labels, images: Numbers, workers: Workers = ALONE
) -> Links:
    """All similarities inside the clusters of `images`."""
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
    """Must-link pairs that join clusters where `tree` does not, the most similar ones.

    They have the similarity of the method, even below the threshold.

    Parameters
    ----------
    a, b : (p,) int64 ndarray
        Pairs inside clusters, enough to join them.
    rows : (r,) int64 ndarray, optional
        The images of `features`, ascending; default all.
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

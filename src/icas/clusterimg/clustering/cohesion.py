"""Medoid and least similar pair of clusters; the certificate of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links
from icas.clusterimg.data.memory import side_within
from icas.clusterimg.graph.bridges import Bridge
from icas.clusterimg.graph.forest import Labels, members_of
from icas.clusterimg.linking.tiles import tiles, upper_tiles
from icas.clusterimg.methods.base import Method
from icas.parallel.executors import ALONE, BlockCache, Workers

WHOLE = float(1 << 30)
"""Similarities are added up in whole parts of 1: so no order of adding changes a sum."""
TASK_SIDE = 256
"""Images a side of the blocks of large clusters, or more where the method takes more."""
TASK_PAIRS = TASK_SIDE**2
"""Pairs of small clusters that make a task."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Cohesion:
    """Medoid and least similar pair of one cluster.

    Attributes
    ----------
    medoid : int
        The member most similar to the others (greatest sum), the first of equals.
    least_similar_pair : float
        Similarity of the two least similar members.
    """

    medoid: int
    least_similar_pair: float


@dataclass(frozen=True)
class Certificate:
    """How firmly one cluster is connected.

    Attributes
    ----------
    cluster : int
        Its number.
    images : int
        How many.
    weakest_link : float
        The threshold above which the cluster would break in two.
    least_similar_pair : float
        Similarity of the two least similar images, of the pairs that were compared: all pairs of
        the cluster, or with merged representatives those within its batches and among its
        representatives.
    medoid : str
        The image most similar to the others.
    bridge : (int, int) or None
        Images of the two parts that the weakest link joins, where it is so weak that the cluster
        may be two.
    """

    cluster: int
    images: int
    weakest_link: float
    least_similar_pair: float
    medoid: str
    bridge: Bridge | None = None


def cohesion(method: Method, features: FeatureSet, members: Rows) -> Cohesion:
    """Medoid and least similar pair of the images `members` (two or more) of `features`."""
    labels = np.full(len(features), -1, np.int64)
    labels[members] = 0
    return cohesions_of(method, features, labels)[0]


def cohesions_of(
    method: Method,
    features: FeatureSet,
    labels: Labels,
    links: Links | None = None,
    workers: Workers = ALONE,
) -> tuple[Cohesion, ...]:
    """Medoid and least similar pair of every cluster.

    Parameters
    ----------
    method : Method
    features : FeatureSet
        Of n images.
    labels : (n,) int64 ndarray
        Clusters, -1 = outlier.
    links : Links, optional
        Similarities of pairs that are known: a cluster all of whose pairs are among them is not
        compared again. Pairs of different clusters are passed over.
    workers : Workers
    """
    members = members_of(labels)
    sums = np.zeros(len(labels), np.int64)
    least = np.full(len(members), np.inf, np.float32)
    known = np.zeros(len(members), bool)
    if links is not None:
        known = _told_by(links, labels, members, sums, least)
    bare = replace(features, files=(), unreadable=())
    unknown = [inside for inside, told in zip(members, known, strict=True) if not told]
    side = side_within(features, _side(method), workers.jobs)
    small = [inside for inside in unknown if len(inside) <= side]
    large = [inside for inside in unknown if len(inside) > side]
    for found in chain(
        _of_small(method, bare, small, workers), _of_large(method, bare, large, workers)
    ):
        sums[found.images] += found.sums
        clusters = labels[found.of]
        least[clusters] = np.minimum(least[clusters], found.least)
    return tuple(
        Cohesion(int(inside[np.argmax(sums[inside])]), float(lowest))
        for inside, lowest in zip(members, least, strict=True)
    )


@dataclass(frozen=True)
class _Found:
    """What a task adds.

    Attributes
    ----------
    images : (k,) int64 ndarray
        Each once.
    sums : (k,) int64 ndarray
        For each of them similarities to images of its cluster, in parts of `WHOLE`.
    of : (c,) int64 ndarray
        One image of each cluster that `least` is about.
    least : (c,) float32 ndarray
    """

    images: Rows
    sums: NDArray[np.int64]
    of: Rows
    least: NDArray[np.float32]


def _side(method: Method) -> int:
    return max(TASK_SIDE, method.tile)


def _told_by(
    links: Links,
    labels: Labels,
    members: Sequence[Rows],
    sums: NDArray[np.int64],
    least: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Which clusters have all of their pairs in `links`; their `sums` and `least` are filled in."""
    sizes = np.array([len(inside) for inside in members], np.int64)
    pairs = np.zeros(len(members), np.int64)
    for part in links.parts():
        cluster, _ = _inside(part, labels)
        pairs += np.bincount(cluster, minlength=len(members))
    complete: NDArray[np.bool_] = pairs == sizes * (sizes - 1) // 2
    for part in links.parts():
        cluster, inside = _inside(part, labels)
        cluster, inside = cluster[complete[cluster]], inside[complete[cluster]]
        similarity = part.similarity[inside]
        whole = _in_parts(similarity)
        np.add.at(sums, part.a[inside], whole)
        np.add.at(sums, part.b[inside], whole)
        np.minimum.at(least, cluster, similarity)
    return complete


def _inside(links: Links, labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Clusters of the links that join two images of one, and which links these are."""
    cluster = labels[links.a]
    inside = np.flatnonzero((cluster == labels[links.b]) & (cluster >= 0))
    return cluster[inside], inside


def _of_small(
    method: Method, features: FeatureSet, clusters: Sequence[Rows], workers: Workers
) -> Iterator[_Found]:
    """Several clusters a task: a folder may hold a hundred thousand clusters of three."""
    groups = list(_together(clusters))

    def tasks() -> Iterator[tuple[Any, ...]]:
        for group in groups:
            images, sizes = np.concatenate(group), [len(inside) for inside in group]
            if _at_hand(features, workers):
                yield method, features, images, sizes
            else:
                yield method, features[images], None, sizes

    for group, (sums, least) in zip(groups, workers.ordered(_each, tasks()), strict=True):
        first = np.array([inside[0] for inside in group], np.int64)
        yield _Found(np.concatenate(group), sums, first, least)


def _together(clusters: Sequence[Rows]) -> Iterator[list[Rows]]:
    """Clusters in groups of some pairs."""
    group: list[Rows] = []
    pairs = 0
    for inside in clusters:
        group.append(inside)
        pairs += len(inside) ** 2
        if pairs >= TASK_PAIRS:
            yield group
            group, pairs = [], 0
    if group:
        yield group


def _at_hand(features: FeatureSet, workers: Workers) -> bool:
    """Whether tasks can have all of `features`: in this process, or mapped by every worker."""
    return not workers.remote or features.mapped


def _each(
    method: Method, features: FeatureSet, images: Rows | None, sizes: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Sums and least similarities of clusters that lie behind one another in `images`.

    Without `images` the features are those of the clusters and no others.
    """
    sums: list[NDArray[np.int64]] = []
    least = np.empty(len(sizes), np.float32)
    start = 0
    for cluster, size in enumerate(sizes):
        rows = slice(start, start + size)
        ours = features[rows if images is None else images[rows]]
        found, _, least[cluster] = _sums(method, ours, None)
        sums.append(found)
        start += size
    return np.concatenate(sums), least


def _of_large(
    method: Method, features: FeatureSet, clusters: Sequence[Rows], workers: Workers
) -> Iterator[_Found]:
    """Pairs of blocks of each cluster; workers elsewhere are sent a block once."""
    for inside in clusters:
        yield from _of_one(method, features, inside, workers)


def _of_one(
    method: Method, features: FeatureSet, inside: Rows, workers: Workers
) -> Iterator[_Found]:
    side = side_within(features, _side(method), workers.jobs)
    blocks = [inside[start : start + side] for start in range(0, len(inside), side)]
    pairs = [(a, b) for a in range(len(blocks)) for b in range(a, len(blocks))]
    if _at_hand(features, workers):
        tasks = ((method, features, blocks[a], blocks[b], a == b) for a, b in pairs)
        results = workers.ordered(_picked_sums, tasks)
    else:
        block_cache: BlockCache[int] = BlockCache(
            workers, lambda block: features[blocks[block]], lambda _: len(blocks)
        )
        keyed = (((a,) if a == b else (a, b), (method,)) for a, b in pairs)
        results = block_cache.ordered(_sums, keyed)
    for (a, b), (ours, theirs, least) in zip(pairs, results, strict=True):
        lowest = np.array([least], np.float32)
        yield _Found(blocks[a], ours, inside[:1], lowest)
        if a != b:
            yield _Found(blocks[b], theirs, inside[:1], lowest)


def _picked_sums(
    method: Method, features: FeatureSet, ours: Rows, theirs: Rows, same: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], float]:
    return _sums(method, features[ours], None if same else features[theirs])


def _sums(
    method: Method, a: FeatureSet, b: FeatureSet | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], float]:
    """Similarities of `a` with `b`, or with itself, added up by image, and the least of them.

    Returns
    -------
    ours, theirs : (len(a),) and (len(b),) int64 ndarray
        In parts of `WHOLE`; without `b` each image counts itself too, and `theirs` is empty.
    least : float
        Without that of an image with itself.
    """
    if b is None:
        ours, least = _own_sums(method, a)
        return ours, np.empty(0, np.int64), least
    ours, theirs, least = np.zeros(len(a), np.int64), np.zeros(len(b), np.int64), np.inf
    for rows, columns in tiles(len(a), len(b), method.tile):
        values = method.similarity(a[rows], b[columns])
        whole = _in_parts(values)
        ours[rows] += whole.sum(axis=1)
        theirs[columns] += whole.sum(axis=0)
        least = min(least, float(values.min()))
    return ours, theirs, least


def _own_sums(method: Method, features: FeatureSet) -> tuple[NDArray[np.int64], float]:
    sums, least = np.zeros(len(features), np.int64), np.inf
    for rows, columns in upper_tiles(len(features), method.tile):
        ours = features[rows]
        same = rows == columns
        values = method.similarity(ours, ours if same else features[columns])
        whole = _in_parts(values)
        sums[rows] += whole.sum(axis=1)
        if same:
            values = values[~np.eye(len(values), dtype=bool)]
        else:
            sums[columns] += whole.sum(axis=0)
        least = min(least, float(values.min(initial=np.inf)))
    return sums, least


def _in_parts(similarity: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.rint(similarity.astype(np.float64) * WHOLE).astype(np.int64)

"""Medoid and least similar pair of clusters; the certificate of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links
from icas.clusterimg.data.memory import bytes_per_image, side_within
from icas.clusterimg.graph.forest import Bridge, Labels, members_of
from icas.clusterimg.linking.tiles import tiles, upper_tiles
from icas.clusterimg.methods.base import Method
from icas.parallel.executors import ALONE, BlockCache, Workers

WHOLE = float(1 << 30)
"""Similarities are summed as whole multiples of 1 / WHOLE, so no order of adding changes a sum."""
TASK_SIDE = 256
"""Images a side of the blocks of large clusters, or the method's tile if that is larger."""
TASK_PAIRS = TASK_SIDE**2
"""Pairs of small clusters per task."""

TOGETHER, CHEAP_BYTES = 64, 1024
"""Images of small clusters that are compared at once, where their features have few bytes."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Cohesion:
    """Medoid and least similar pair of one cluster."""

    medoid: int  # the member most similar to the others (greatest sum), the first of equals
    least_similar_pair: float  # similarity of the two least similar members


@dataclass(frozen=True)
class Certificate:
    """Measures of the cohesion of a cluster.

    Attributes
    ----------
    cluster : int
        Number of the cluster.
    images : int
        Number of images.
    weakest_link : float
        A threshold above it splits the cluster.
    least_similar_pair : float
        Lowest similarity of the compared pairs: all pairs of the cluster, or with merged
        representatives those within its batches and among its representatives.
    medoid : str
        Image most similar to the others.
    bridge : (int, int) or None
        Sizes of the two parts joined by the weakest link, if it is so weak that the cluster may be
        two.
    """

    cluster: int
    images: int
    weakest_link: float
    least_similar_pair: float
    medoid: str
    bridge: Bridge | None = None


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
    features : FeatureSet
        Of n images.
    labels : (n,) int64 ndarray
        Clusters, -1 = outlier.
    links : Links, optional
        Similarities of pairs that are known: a cluster all of whose pairs are among them is not
        compared again. Pairs of different clusters are ignored.
    """
    members = members_of(labels)
    sums = np.zeros(len(labels), np.int64)
    least = np.full(len(members), np.inf, np.float32)
    known = np.zeros(len(members), bool)
    if links is not None:
        known = _sum_known(links, labels, members, sums, least)
    unknown = [inside for inside, done in zip(members, known, strict=True) if not done]
    bare = replace(features, files=(), unreadable=())
    side = side_within(features, max(TASK_SIDE, method.tile), workers.jobs)
    large = (inside for inside in unknown if len(inside) > side)
    for part in chain(
        _of_small(method, bare, [inside for inside in unknown if len(inside) <= side], workers),
        *(_of_large(method, bare, inside, side, workers) for inside in large),
    ):
        sums[part.images] += part.sums
        clusters = labels[part.of]
        least[clusters] = np.minimum(least[clusters], part.least)
    if not members:
        return ()
    images, sizes = np.concatenate(members), np.array([len(inside) for inside in members])
    medoids = images[_first_greatest(sums[images], sizes)]
    return tuple(map(Cohesion, medoids.tolist(), least.tolist()))


def measures_of(
    method: Method, features: FeatureSet, sizes: Rows
) -> tuple[Rows, NDArray[np.float32]]:
    """Medoid and least similar pair of clusters whose images follow one another in `features`.

    sizes: (c,) images of each cluster. Gives (c,) arrays.
    """
    sums, least = _each(method, features, None, sizes.tolist())
    return _first_greatest(sums, sizes), least


def _first_greatest(values: NDArray[np.int64], sizes: Rows) -> Rows:
    """(c,) place of the greatest value, the first of equals, in groups that follow one another."""
    starts = np.cumsum(sizes) - sizes
    greatest = np.flatnonzero(values == np.repeat(np.maximum.reduceat(values, starts), sizes))
    return greatest[np.searchsorted(greatest, starts)]


class _Part(NamedTuple):
    """Result of a task."""

    images: Rows  # (k,) each once
    # (k,) for each of them similarities to images of its cluster, in parts of `WHOLE`
    sums: NDArray[np.int64]
    of: Rows  # (c,) one image of each cluster that `least` is about
    least: NDArray[np.float32]


def _sum_known(
    links: Links,
    labels: Labels,
    members: Sequence[Rows],
    sums: NDArray[np.int64],
    least: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Which clusters have all of their pairs in `links`; fills in their `sums` and `least`."""
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
) -> Iterator[_Part]:
    """Several clusters a task: a folder may hold a hundred thousand clusters of three."""
    ends = np.cumsum([len(inside) ** 2 for inside in clusters]) // TASK_PAIRS
    starts = np.flatnonzero(np.diff(ends, prepend=-1)).tolist()
    groups = [clusters[a:b] for a, b in pairwise([*starts, len(clusters)])]

    def tasks() -> Iterator[tuple[Any, ...]]:
        for group in groups:
            images, sizes = np.concatenate(group), [len(inside) for inside in group]
            if _reachable(features, workers):
                yield method, features, images, sizes
            else:
                yield method, features[images], None, sizes

    for group, (sums, least) in zip(groups, workers.ordered(_each, tasks()), strict=True):
        first = np.array([inside[0] for inside in group], np.int64)
        yield _Part(np.concatenate(group), sums, first, least)


def _reachable(features: FeatureSet, workers: Workers) -> bool:
    """Whether workers can read all of `features`: in this process, or memory-mapped."""
    return not workers.remote or features.mapped


def _each(
    method: Method, features: FeatureSet, images: Rows | None, sizes: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Sums and least similarities of clusters that follow one another in `images`.

    Without `images` the features are those of the clusters and no others.
    """
    if _is_cheap(method, features):
        inside = features if images is None else features[images]
        found = _by_pairs(method, inside, np.array(sizes))
        if found is not None:
            return found
    sums: list[NDArray[np.int64]] = []
    least: list[NDArray[np.float32]] = []
    start = 0
    for group in _compared_together(sizes, TOGETHER if _is_cheap(method, features) else 0):
        rows = slice(start, start + sum(group))
        inside = features[rows if images is None else images[rows]]
        if len(group) == 1:
            added, _, lowest = _sums(method, inside)
            sums.append(added)
            least.append(np.array([lowest], np.float32))
        else:
            added, lows = _sums_of_some(method, inside, np.array(group))
            sums.append(added)
            least.append(lows)
        start = rows.stop
    return np.concatenate(sums), np.concatenate(least)


def _by_pairs(
    method: Method, features: FeatureSet, sizes: Rows
) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
    """As `_each`, all clusters of one size at once; None where the method compares no lists."""
    if method.similarity_of_pairs(features[:1], features[:1]) is None:
        return None
    starts = np.cumsum(sizes) - sizes
    sums = np.zeros(len(features), np.int64)
    least = np.full(len(sizes), np.inf, np.float32)
    for size in np.unique(sizes[sizes > 1]).tolist():
        same = np.flatnonzero(sizes == size)
        if size > TOGETHER:
            for cluster in same.tolist():
                rows = slice(starts[cluster], starts[cluster] + size)
                sums[rows], _, least[cluster] = _sums(method, features[rows])
            continue
        i, j = np.triu_indices(size, 1)
        step = max(1, TASK_PAIRS // len(i))
        for clusters in (same[start : start + step] for start in range(0, len(same), step)):
            images = starts[clusters, None] + np.arange(size)
            first, second = features[images[:, i].ravel()], features[images[:, j].ravel()]
            values = method.similarity_of_pairs(first, second)
            assert values is not None
            values = values.reshape(-1, len(i))
            whole = np.zeros((len(clusters), size, size), np.int64)
            whole[:, i, j] = whole[:, j, i] = _in_parts(values)
            sums[images] = whole.sum(axis=1)
            least[clusters] = values.min(axis=1)
    return sums, least


def _is_cheap(method: Method, features: FeatureSet) -> bool:
    """Whether a call takes longer than the comparison of some thousand pairs."""
    cheap = bytes_per_image(features) <= CHEAP_BYTES
    return cheap and method.extractor.seconds_per_pair == 0


def _compared_together(sizes: Sequence[int], most: int) -> Iterator[list[int]]:
    """Sizes of clusters that follow one another, of at most `most` images together, or of one."""
    group: list[int] = []
    images = 0
    for size in sizes:
        if group and images + size > most:
            yield group
            group, images = [], 0
        group.append(size)
        images += size
    if group:
        yield group


def _sums_of_some(
    method: Method, features: FeatureSet, sizes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """As `_sums` of each of some small clusters, by the similarities of all of their images."""
    values = method.similarity(features, features)
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    same = cluster[:, None] == cluster
    sums = np.where(same, _in_parts(values), 0).sum(axis=1)
    np.fill_diagonal(same, False)
    lowest = np.where(same, values, np.float32(np.inf)).min(axis=1)
    return sums, np.minimum.reduceat(lowest, np.cumsum(sizes) - sizes)


def _of_large(
    method: Method, features: FeatureSet, inside: Rows, side: int, workers: Workers
) -> Iterator[_Part]:
    """Pairs of blocks of a cluster, a pair a task; remote workers are sent each block once."""
    blocks = [inside[start : start + side] for start in range(0, len(inside), side)]
    pairs = [(a, b) for a in range(len(blocks)) for b in range(a, len(blocks))]
    if _reachable(features, workers):
        tasks = ((method, features, blocks[a], None if a == b else blocks[b]) for a, b in pairs)
        results = workers.ordered(_picked_sums, tasks)
    else:
        block_cache: BlockCache[int] = BlockCache(
            workers, lambda block: features[blocks[block]], lambda _: len(blocks)
        )
        keyed = (((a,) if a == b else (a, b), (method,)) for a, b in pairs)
        results = block_cache.ordered(_sums, keyed)
    for (a, b), (a_sums, b_sums, least) in zip(pairs, results, strict=True):
        lowest = np.array([least], np.float32)
        yield _Part(blocks[a], a_sums, inside[:1], lowest)
        if a != b:
            yield _Part(blocks[b], b_sums, inside[:1], lowest)


def _picked_sums(
    method: Method, features: FeatureSet, a: Rows, b: Rows | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], float]:
    return _sums(method, features[a], None if b is None else features[b])


def _sums(
    method: Method, a: FeatureSet, b: FeatureSet | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], float]:
    """Similarities of `a` with `b`, or with itself, added up by image, and the least of them.

    Returns
    -------
    a_sums, b_sums : (len(a),) and (len(b),) int64 ndarray
        In parts of `WHOLE`; without `b` they are the same, and each image counts itself too.
    least : float
        Without that of an image with itself.
    """
    own = b is None
    b = a if b is None else b
    a_sums, least = np.zeros(len(a), np.int64), np.inf
    b_sums = a_sums if own else np.zeros(len(b), np.int64)
    parts = upper_tiles(len(a), method.tile) if own else tiles(len(a), len(b), method.tile)
    for rows, columns in parts:
        first = a[rows]
        same = own and rows == columns
        values = method.similarity(first, first if same else b[columns])
        whole = _in_parts(values)
        a_sums[rows] += whole.sum(axis=1)
        if same:
            values = values[~np.eye(len(values), dtype=bool)]
        else:
            b_sums[columns] += whole.sum(axis=0)
        least = min(least, float(values.min(initial=np.inf)))
    return a_sums, b_sums, least


def _in_parts(similarity: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.rint(similarity.astype(np.float64) * WHOLE).astype(np.int64)

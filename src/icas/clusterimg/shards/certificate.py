"""Certificates of the clusters, and the counts at every threshold, from the merged forest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console, counted
from icas.clusterimg.clustering.cohesion import measures_of
from icas.clusterimg.graph.forest import Forest, Labels
from icas.clusterimg.methods.base import Method
from icas.clusterimg.shards.store import Rows, Shards
from icas.parallel.executors import Workers

MOST = 1000
"""Images of a cluster whose pairs are compared; of larger clusters so many, evenly spread."""
TASK_IMAGES, TASK_BYTES = 1 << 17, 1 << 26
"""Images of the clusters of a task, and bytes of their features, at most."""
STEPS = 1000
"""Thresholds that are listed at most."""


@dataclass(frozen=True)
class Certificates:
    """Measures of all clusters; arrays of one value per cluster.

    images: number of images; weakest_link: a threshold above it splits the cluster; medoid: the
    image most similar to the others; least_similar_pair: of the images that were compared;
    compared: number of these.
    """

    images: Rows
    weakest_link: NDArray[np.float32]
    medoid: Rows
    least_similar_pair: NDArray[np.float32]
    compared: Rows


def certificates_of(
    method: Method,
    shards: Shards,
    forest: Forest,
    labels: Labels,
    workers: Workers,
    console: Console,
) -> Certificates:
    """Certificates of the clusters at the floor of `forest`.

    A cluster of two needs no comparison: its link is known.
    """
    clustered = np.flatnonzero(labels >= 0)
    sizes = np.bincount(labels[clustered]).astype(np.int64)
    order = labels[clustered] * len(labels) + clustered
    order.sort()  # faster than a stable order of the labels
    order %= max(1, len(labels))
    starts = np.cumsum(sizes) - sizes
    weakest = np.full(len(sizes), np.inf, np.float32)
    weakest[labels[forest.a]] = forest.similarity  # descending: the last of a cluster counts
    medoid, least = order[starts] if len(sizes) else order, weakest.copy()
    compared = np.minimum(sizes, MOST)
    most = max(MOST, min(TASK_IMAGES, TASK_BYTES // shards.first.image_bytes))
    tasks = list(_tasks(order, starts, sizes, most))
    with console.bar(len(tasks), "certificate", "tasks") as bar:
        measured = workers.ordered(
            cohesions, ((method, shards, images, counts) for _, images, counts in tasks)
        )
        for (first, _, counts), (medoids, lows) in zip(tasks, counted(measured, bar), strict=True):
            inside = slice(first, first + len(counts))
            medoid[inside], least[inside] = medoids, lows
    return Certificates(sizes, weakest, medoid, least, compared)


def _tasks(order: Rows, starts: Rows, sizes: Rows, most: int) -> Iterator[tuple[int, Rows, Rows]]:
    """Clusters of three images or more: number of the first, about `most` images, sizes."""
    count = int((sizes > 2).sum())  # they come first, the largest is number 0
    chosen = np.minimum(sizes[:count], MOST)
    ends = np.cumsum(chosen)
    first = 0
    while first < count:
        before = ends[first] - chosen[first]
        last = max(first + 1, int(np.searchsorted(ends, before + most, side="right")))
        inside = slice(first, min(last, count))
        if sizes[first] <= MOST:
            images = order[starts[first] : starts[first] + chosen[inside].sum()]
        else:
            images = np.concatenate(
                [
                    order[starts[number] + np.arange(some) * sizes[number] // some]
                    for number, some in enumerate(chosen[inside].tolist(), first)
                ]
            )
        yield first, images, chosen[inside]
        first = last


def cohesions(
    method: Method, shards: Shards, images: Rows, sizes: Rows
) -> tuple[Rows, NDArray[np.float32]]:
    """Medoid and least similar pair of clusters whose images follow one another."""
    medoids, least = measures_of(method, shards.gathered(images), sizes)
    return images[medoids], least


class Curve(NamedTuple):
    """Counts at some thresholds, descending; arrays of one length."""

    threshold: NDArray[np.float32]
    clusters: Rows
    clustered_images: Rows


def curve_of(forest: Forest) -> Curve:
    """The clusters at every threshold where they change, or at `STEPS` of these."""
    values, first = np.unique(-forest.similarity, return_index=True)
    if len(values) > STEPS:
        some = np.unique(np.linspace(0, len(values) - 1, STEPS).round().astype(np.int64))
        values, first = values[some], first[some]
    edges = np.searchsorted(-forest.similarity, values, side="right")
    best = np.full(forest.count, -np.inf, np.float32)  # of the links of each image
    for ends in (forest.a, forest.b):
        own = np.full(forest.count, -np.inf, np.float32)
        own[ends[::-1]] = forest.similarity[::-1]  # the last of an image counts, its greatest
        np.maximum(best, own, out=best)
    clustered = np.searchsorted(np.sort(-best), values, side="right")
    return Curve(-values, clustered - edges, clustered)

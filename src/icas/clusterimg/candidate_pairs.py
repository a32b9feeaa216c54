"""Pairs of images that are worth comparing, found by their sketches; and the links among them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.links import NONE, Links, join_links, links_in
from icas.clusterimg.methods.base import Method
from icas.clusterimg.nearest import NONE as NOBODY
from icas.clusterimg.nearest import nearest
from icas.clusterimg.sketches import FITTED_TO, Sketcher, Sketches, fingerprints
from icas.common.executors import Workers
from icas.common.progress import Console, counted

SKETCH_TASK = 256
"""Images that are sketched in a task."""
PAIRS_TASK = 4096
"""Pairs that are compared in a task, roughly."""

Numbers = NDArray[np.int64]


def candidate_pairs(
    features: FeatureSet,
    parts: Numbers,
    most: int,
    seed: int,
    workers: Workers,
    console: Console,
) -> Numbers:
    """Pairs a < b of different parts as a * n + b, ascending, (p,) int64.

    The `most` nearest sketches of each image; and of images with the same features each with the
    next, so that copies hang together however many there are.
    """
    count = len(features)
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(count)[:FITTED_TO])
    sketcher = Sketcher.fitted(features[sample], seed)
    tasks = (
        (sketcher, features[start : start + SKETCH_TASK]) for start in range(0, count, SKETCH_TASK)
    )
    with console.bar(-(-count // SKETCH_TASK), "sketches", "tasks") as bar:
        made = list(counted(workers.ordered(_sketched, tasks), bar))
    sketches = np.concatenate([one for one, _ in made])
    found = nearest(sketches, parts, most, workers, console)
    first = np.repeat(np.arange(count), most)
    there = found.ravel() != NOBODY
    alike, next_alike = _copies(np.concatenate([one for _, one in made]), parts)
    a = np.concatenate([first[there], alike])
    b = np.concatenate([found.ravel()[there], next_alike])
    pairs: Numbers = np.unique(np.minimum(a, b) * count + np.maximum(a, b))
    return pairs


def _sketched(sketcher: Sketcher, features: FeatureSet) -> tuple[Sketches, NDArray[np.uint64]]:
    return sketcher.sketches(features), fingerprints(features)


def _copies(prints: NDArray[np.uint64], parts: Numbers) -> tuple[Numbers, Numbers]:
    """Images of equal fingerprints, each with the next one, where that is of another part."""
    order = np.argsort(prints, kind="stable")
    one, other = order[:-1], order[1:]
    alike = (prints[one] == prints[other]) & (parts[one] != parts[other])
    return one[alike], other[alike]


def links_among(
    method: Method,
    features: FeatureSet,
    pairs: Numbers,
    threshold: float,
    workers: Workers,
    console: Console,
) -> Iterator[Links]:
    """The links among `pairs`, in their order; an image is compared with all its others at once."""
    shared = workers.share(features)
    try:
        tasks = (
            (method, shared, pairs[start : start + PAIRS_TASK], threshold)
            for start in range(0, len(pairs), PAIRS_TASK)
        )
        with console.bar(-(-len(pairs) // PAIRS_TASK), "links", "tasks") as bar:
            yield from counted(workers.ordered(_links_of_some, tasks), bar)
    finally:
        shared.release()


def _links_of_some(method: Method, features: FeatureSet, pairs: Numbers, threshold: float) -> Links:
    """Links among some of the pairs."""
    a, b = np.divmod(pairs, len(features))
    images, starts = np.unique(a, return_index=True)
    found = [NONE]
    for image, start, end in zip(images, starts, [*starts[1:], len(a)], strict=True):
        others = b[start:end]
        # Of so few pairs a method's `links` is slower than its similarities.
        links = links_in(method.similarity(features[[image]], features[others]), threshold)
        found.append(Links(links.a + image, others[links.b], links.similarity))
    features.release()
    return join_links(found)

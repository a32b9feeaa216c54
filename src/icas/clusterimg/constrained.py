"""Clusters of a batch, changed so that they follow what is decided about the images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.constraints import Marks
from icas.clusterimg.features import FeatureSet
from icas.clusterimg.graph import Labels
from icas.clusterimg.grouping import Grouped
from icas.clusterimg.joining import Numbers, join_apart
from icas.clusterimg.links import NONE, Links, join_links
from icas.clusterimg.methods.base import Method
from icas.clusterimg.similarity import ALONE, links_within
from icas.common.executors import Workers
from icas.common.unions import unions


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
            return grouped.links
        return all_inside(method, features, grouped.labels, images, workers)

    joined = join_apart(marks.starts(), grouped.tree, marks, among)
    if np.array_equal(joined.labels, grouped.labels):
        return grouped
    tree = joined.tree()
    held = held_by_decision(method, features, joined.labels, tree, *marks.pairs())
    return replace(grouped, labels=joined.labels, tree=join_links([tree, held]))


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

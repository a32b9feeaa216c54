"""The order in which images are named, and names of the others by the nearest named image."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError

T = TypeVar("T")


class Spread(NamedTuple):
    """Names of all images.

    Attributes
    ----------
    names : list
        Name of each image.
    confidence : (n,) float32
        Margin of the nearest named image of that name over the nearest of another, 0 to 1.
    """

    names: list[object]
    confidence: NDArray[np.float32]


def naming_order(
    similarity: NDArray[np.float32], count: int | None = None, named: Collection[int] = ()
) -> list[int]:
    """Images to name, those that settle most others first.

    The average-linkage tree is divided from the top: of the current groups, the one with the
    greatest height times the square root of its size is split in its two branches, and the medoid
    of a branch without a named image is next.

    Parameters
    ----------
    similarity : (n, n) float array
        Symmetric similarities, at most 1.
    count : int, optional
        Images to return; default: all.
    named : collection of int
        Images that have a name already: they are not returned, and the order continues after them.

    Returns
    -------
    list of int
        Different images; without named ones the first is the medoid of all.
    """
    from scipy.cluster.hierarchy import linkage, to_tree
    from scipy.spatial.distance import squareform

    total, given = len(similarity), set(named)
    wanted = total - len(given) if count is None else min(count, total - len(given))
    if wanted <= 0:
        return []
    if total == 1:
        return [0]
    distance = np.maximum(1 - np.asarray(similarity, np.float64), 0)
    distance = (distance + distance.T) / 2
    np.fill_diagonal(distance, 0)
    root = to_tree(linkage(squareform(distance, checks=False), "average"))

    def medoid(members: list[int]) -> int:
        within = similarity[np.ix_(members, members)].sum(axis=1, dtype=np.float64)
        return members[int(within.argmax())]

    def entry(node: object) -> tuple[float, int, object]:
        return -node.dist * node.count**0.5, node.id, node  # type: ignore[attr-defined]

    order = [] if given else [medoid(sorted(root.pre_order()))]
    given.update(order)
    heap = [entry(root)]
    while len(order) < wanted:
        _, _, node = heapq.heappop(heap)
        for branch in (node.left, node.right):  # type: ignore[attr-defined]
            members = sorted(branch.pre_order())
            if given.isdisjoint(members):
                order.append(medoid(members))
                given.add(order[-1])
            if not branch.is_leaf():
                heapq.heappush(heap, entry(branch))
    return order[:wanted]


def spread_names(similarity: NDArray[np.float32], named: Sequence[T]) -> Spread:
    """Give every image the name of the most similar named image.

    Parameters
    ----------
    similarity : (n, k) float array
        Similarities of n images to k named ones, at most 1.
    named : sequence of k names
        Their names.

    Returns
    -------
    Spread

    Raises
    ------
    UsageError
        No image is named.
    """
    if not len(named):
        raise UsageError("no image has a name: name at least one")
    kinds = sorted(set(named), key=str)
    best = np.full((len(similarity), len(kinds)), -1, np.float32)
    for column, kind in enumerate(kinds):
        members = [place for place, name in enumerate(named) if name == kind]
        best[:, column] = similarity[:, members].max(axis=1)
    chosen = best.argmax(axis=1)
    top = best[np.arange(len(best)), chosen]
    others = best.copy()
    others[np.arange(len(best)), chosen] = -1
    second = others.max(axis=1)
    apart = (1 - second) + (1 - top)
    confidence = np.where(apart > 0, (top - second) / np.maximum(apart, 1e-12), 0)
    return Spread(
        [kinds[int(column)] for column in chosen],
        np.clip(confidence, 0, 1).astype(np.float32),
    )

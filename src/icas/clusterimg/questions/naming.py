"""The order in which images are named, and names of the others by the nearest named image."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError

T = TypeVar("T")
NEIGHBOURS = 5
"""Most similar images of each image along which names spread."""
_SURVIVAL = 0.97
_MOST_STEPS, _CONVERGED = 300, 1e-4
_LEAST_SCALE, _LEAST_WEIGHT = 1e-6, 1e-12
_LEAST = 1e-4
_CELLS = 1_000_000
"""Shares of walks that are in memory at a time."""
_INTERCEPT, _COEFFICIENTS = -1.872, np.array([1.047, 0.514])
"""Logistic regression of right names on the variables of `Spread`, from benchmarks/naming.py."""


class Spread(NamedTuple):
    """Names of all images.

    Attributes
    ----------
    names : list
        Name of each image.
    confidence : (n,) float32
        Estimated share of such names that are right, 0 to 1; 1 for the named images.
    variables : (n, 2) float64
        What the estimate depends on: log ratio of the shares of walks that end at the name and at
        the next one, log odds that a walk ends at a name at all.
    """

    names: list[object]
    confidence: NDArray[np.float32]
    variables: NDArray[np.float64]


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
    return NamingTree(similarity).order(count, named)


class NamingTree:
    """The average-linkage tree of images, for `naming_order` with changing names.

    Parameters
    ----------
    similarity : (n, n) float array
        Symmetric similarities, at most 1.
    """

    def __init__(self, similarity: NDArray[np.float32]) -> None:
        self._similarity = similarity
        self._root: Any = None
        if len(similarity) > 1:
            from scipy.cluster.hierarchy import linkage, to_tree

            self._root = to_tree(linkage(_condensed(similarity), "average"))

    def _medoid(self, members: list[int]) -> int:
        within = self._similarity[np.ix_(members, members)].sum(axis=1, dtype=np.float64)
        return members[int(within.argmax())]

    def order(self, count: int | None = None, named: Collection[int] = ()) -> list[int]:
        """As `naming_order`."""
        total, given = len(self._similarity), set(named)
        wanted = total - len(given) if count is None else min(count, total - len(given))
        if wanted <= 0:
            return []
        if total == 1:
            return [0]
        order = [] if given else [self._medoid(sorted(self._root.pre_order()))]
        given.update(order)
        heap = [_entry(self._root)]
        while len(order) < wanted:
            _, _, node = heapq.heappop(heap)
            for branch in (node.left, node.right):
                members = sorted(branch.pre_order())
                if given.isdisjoint(members):
                    order.append(self._medoid(members))
                    given.add(order[-1])
                if not branch.is_leaf():
                    heapq.heappush(heap, _entry(branch))
        return order[:wanted]


def _condensed(similarity: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distances of all pairs, row by row of the upper triangle."""
    count = len(similarity)
    distances = np.empty(count * (count - 1) // 2)
    start = 0
    for row in range(count - 1):
        sides = (similarity[row, row + 1 :], similarity[row + 1 :, row])
        both = [np.maximum(1 - np.asarray(side, np.float64), 0) for side in sides]
        end = start + count - 1 - row
        distances[start:end] = (both[0] + both[1]) / 2
        start = end
    return distances


def _entry(node: Any) -> tuple[float, int, Any]:
    """The node of a tree in the heap: the one that is split next is least."""
    return -node.dist * node.count**0.5, node.id, node


class Neighbours(NamedTuple):
    """The k most similar images of each of n images.

    Attributes
    ----------
    images : (n, k) int64
        Their numbers; an image is not its own neighbour.
    similarity : (n, k) float32
        Similarities, at most 1.
    """

    images: NDArray[np.int64]
    similarity: NDArray[np.float32]


def nearest(
    similarity: NDArray[np.float32], columns: NDArray[np.int64], start: int, count: int
) -> Neighbours:
    """The `count` most similar images among some, for rows of a similarity matrix.

    Parameters
    ----------
    similarity : (m, k) float array
        Similarities of the images from number `start` on to those with the numbers `columns`.
    columns : (k,) int64
    """
    values = np.array(similarity, np.float32)
    values[np.arange(start, start + len(values))[:, None] == columns[None]] = -np.inf
    count = min(count, len(columns))
    chosen = np.sort(np.argpartition(-values, count - 1, axis=1)[:, :count], axis=1)
    order = np.argsort(-np.take_along_axis(values, chosen, axis=1), axis=1, kind="stable")
    chosen = np.take_along_axis(chosen, order, axis=1)
    return Neighbours(columns[chosen], np.take_along_axis(values, chosen, axis=1))


def spread_names(neighbours: Neighbours, named: Mapping[int, T]) -> Spread:
    """Spread names along the graph of nearest neighbours.

    A random walk starts at each image. It ends at the first named image, or with a small
    probability in each step. The image gets the name at which most walks end.

    Parameters
    ----------
    neighbours : Neighbours
        Of n images; -inf where an image has fewer neighbours.
    named : mapping of int to name
        Images that have a name.

    Returns
    -------
    Spread

    Raises
    ------
    UsageError
        No image is named.
    """
    if not named:
        raise UsageError("no image has a name: name at least one")
    rows = np.array(sorted(named), np.int64)
    kinds = sorted(set(named.values()), key=str)
    column = {kind: place for place, kind in enumerate(kinds)}
    columns = np.array([column[named[row]] for row in rows.tolist()])
    chosen, two, total = _most_walks(_steps(neighbours), rows, columns, len(kinds))
    variables = _evidence(two, total)
    odds = _INTERCEPT + variables @ _COEFFICIENTS
    confidence = np.asarray(1 / (1 + np.exp(-odds)), np.float32)
    confidence[rows] = 1
    return Spread([kinds[place] for place in chosen.tolist()], confidence, variables)


def _evidence(two: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2) log ratio of the two largest shares of walks, and log odds that a walk ends at all."""
    ratio = np.log((two[:, 1] + _LEAST) / (two[:, 0] + _LEAST))
    return np.stack([ratio, np.log((total + _LEAST) / (1 - total + _LEAST))], axis=1)


def _steps(neighbours: Neighbours) -> Any:
    """Probabilities of a step of the walk between any two images, a sparse matrix.

    By a Gaussian of the distance 1 - s, as wide as the median distances of both images.
    """
    from scipy.sparse import coo_matrix, diags

    count, width = neighbours.images.shape
    distance = np.maximum(1 - neighbours.similarity.astype(np.float64), 0)
    valid = np.isfinite(distance)
    scale = np.maximum(np.nanmedian(np.where(valid, distance, np.nan), axis=1), _LEAST_SCALE)
    a = np.repeat(np.arange(count), width)[valid.ravel()]
    b, apart = neighbours.images.ravel()[valid.ravel()], distance[valid]
    weight = np.maximum(np.exp(-(apart**2) / (scale[a] * scale[b])), _LEAST_WEIGHT)
    matrix = coo_matrix((weight, (a, b)), (count, count)).tocsr()
    matrix.data = np.minimum(matrix.data, 1)
    both = matrix.maximum(matrix.T)
    degree = np.asarray(both.sum(axis=1)).ravel()
    return diags(1 / np.maximum(degree, _LEAST_WEIGHT)) @ both


def _most_walks(
    steps: Any, rows: NDArray[np.int64], columns: NDArray[np.int64], kinds: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """For each image the name at which most walks end, the two largest shares, and their sum.

    Some names at a time, so that memory does not grow with their number.
    """
    count = steps.shape[0]
    chosen, total = np.zeros(count, np.int64), np.zeros(count)
    two = np.zeros((count, 2))
    step = max(1, _CELLS // max(1, count))
    for start in range(0, kinds, step):
        ends = _ends_of_walks(steps, rows, columns - start, min(step, kinds - start))
        first = ends.argmax(axis=1)
        better = ends[np.arange(count), first] > two[:, 1]
        chosen[better] = first[better] + start
        total += ends.sum(axis=1)
        two = np.sort(np.hstack([two, np.sort(ends, axis=1)[:, -2:]]), axis=1)[:, -2:]
    return chosen, two, total


def _ends_of_walks(
    steps: Any, rows: NDArray[np.int64], columns: NDArray[np.int64], kinds: int
) -> NDArray[np.float64]:
    """(n, kinds) share of the walks of each image that end at an image of each name.

    Walks also end at images whose column is none of these; they count nowhere.
    """
    fixed = np.zeros((len(rows), kinds))
    inside = (columns >= 0) & (columns < kinds)
    fixed[np.flatnonzero(inside), columns[inside]] = 1
    ends = np.zeros((steps.shape[0], kinds))
    ends[rows] = fixed
    for _ in range(_MOST_STEPS):
        before = ends
        ends = _SURVIVAL * np.asarray(steps @ ends)
        ends[rows] = fixed
        if np.abs(ends - before).max() < _CONVERGED:
            break
    return ends

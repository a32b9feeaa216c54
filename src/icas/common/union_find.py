"""Connected components and spanning forests of graphs given as pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Nodes = NDArray[np.integer[Any]]


def unions(count: int, a: Nodes, b: Nodes) -> NDArray[np.int64]:
    """Connected component of each of `count` nodes, (count,) int64, for edges from `a` to `b`.

    Components are numbered in no particular order.
    """
    return components_and_tree(count, a, b)[0].astype(np.int64)


def components_and_tree(count: int, a: Nodes, b: Nodes) -> tuple[Nodes, NDArray[np.int64]]:
    """Connected components, and the edges of the spanning forest that prefers the first edges.

    This is Borůvka's algorithm: in each round every component is joined to another one by the first
    of its edges, so the number of components at least halves. As fast as the routines of scipy,
    whose import takes longer than all work on a few thousand images.

    Parameters
    ----------
    count : int
        Number of nodes.
    a, b : (m,) ndarray of int
        Nodes that each edge joins.

    Returns
    -------
    components : (count,) ndarray of int
        The component of each node: one of its nodes.
    tree : (t,) int64 ndarray
        Edges of the forest, in no particular order.
    """
    kind = np.int32 if max(count, len(a)) < 2**31 else np.int64
    components: Nodes = np.arange(count, dtype=kind)
    a, b = a.astype(kind), b.astype(kind)
    edges = np.arange(len(a))
    tree = [edges[:0]]
    while len(alive := np.flatnonzero(a != b)):
        a, b, edges = a[alive], b[alive], edges[alive]
        first = np.minimum(_first_places(count, a), _first_places(count, b))
        nodes = np.flatnonzero(first < len(a)).astype(kind)
        chosen = first[nodes]
        target: Nodes = np.arange(count, dtype=kind)
        target[nodes] = a[chosen] ^ b[chosen] ^ nodes
        mutual = (target[target[nodes]] == nodes) & (nodes < target[nodes])
        target[nodes[mutual]] = nodes[mutual]
        tree.append(edges[chosen[~mutual]])
        while not np.array_equal(further := target[target], target):
            target = further
        components, a, b = target[components], target[a], target[b]
    return components, np.concatenate(tree)


def _first_places(count: int, nodes: Nodes) -> Nodes:
    """Where each of `count` nodes occurs first in `nodes`; ``len(nodes)`` where it does not."""
    places = np.full(count, len(nodes), nodes.dtype)
    # Of values for the same place NumPy keeps the last.
    places[nodes[::-1]] = np.arange(len(nodes) - 1, -1, -1, dtype=nodes.dtype)
    return places

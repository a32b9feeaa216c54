"""Kruskal's algorithm: the edges of a maximum spanning forest, in the order of the edges.

Only modules that are loaded through `compiled_kernels` import this one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.kernels import Ints, Longs
from icas.clusterimg.kernels.numba_support import compiled


@compiled
def join(parent: Ints, a: Longs, b: Longs, joins: NDArray[np.bool_]) -> None:
    """Note for each edge, in order, whether it joins two trees, and join them.

    parent: (n,) int32, the trees so far: a node's parent, or the root itself. The root of a tree is
    the first of its nodes.
    """
    for edge in range(len(a)):
        left, right = a[edge], b[edge]
        while parent[left] != left:
            parent[left] = parent[parent[left]]
            left = np.int64(parent[left])
        while parent[right] != right:
            parent[right] = parent[parent[right]]
            right = np.int64(parent[right])
        joins[edge] = left != right
        if left < right:
            parent[right] = left
        elif right < left:
            parent[left] = right


@compiled
def flatten(parent: Ints) -> None:
    """Make the root of its tree the parent of each node."""
    for node in range(len(parent)):
        parent[node] = parent[parent[node]]  # a parent comes before its children


def warm_up() -> None:
    """Compile each kernel."""
    ends = np.zeros(1, np.int64)
    flatten(np.zeros(1, np.int32))
    join(np.zeros(1, np.int32), ends, ends, np.zeros(1, np.bool_))

"""Connected components of graphs given as pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def unions(
    count: int, a: NDArray[np.integer[Any]], b: NDArray[np.integer[Any]]
) -> NDArray[np.int64]:
    """Connected component of each of `count` nodes, (count,) int64, for edges from `a` to `b`.

    Components are numbered from 0 in no particular order.
    """
    from scipy.sparse.csgraph import connected_components

    _, components = connected_components(
        graph_of(count, a, b, np.ones(len(a), np.int8)), directed=False
    )
    return np.asarray(components, np.int64)


def graph_of(
    count: int,
    a: NDArray[np.integer[Any]],
    b: NDArray[np.integer[Any]],
    values: NDArray[Any],
) -> Any:
    """A sparse (count, count) matrix with `values` at (a, b), for scipy's graph routines.

    Its indices have 32 bits, because older releases of scipy support no others there.
    """
    from scipy.sparse import coo_array

    indices = (a.astype(np.int32), b.astype(np.int32))
    return coo_array((values, indices), shape=(count, count)).tocsr()

"""Things that are joined pair by pair -> the groups that they form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def unions(
    count: int, a: NDArray[np.integer[Any]], b: NDArray[np.integer[Any]]
) -> NDArray[np.int64]:
    """Group of each of `count` things where each of `a` is joined with that of `b`.

    Returns
    -------
    (count,) int64 ndarray
        Connected components, numbered from 0 in no promised order.
    """
    from scipy.sparse.csgraph import connected_components

    _, found = connected_components(graph_of(count, a, b, np.ones(len(a), np.int8)), directed=False)
    return np.asarray(found, np.int64)


def graph_of(
    count: int,
    a: NDArray[np.integer[Any]],
    b: NDArray[np.integer[Any]],
    values: NDArray[Any],
) -> Any:
    """A sparse (count, count) matrix with `values` at (a, b), as scipy's graph routines take it.

    Its indices are 32 bit: older releases of scipy know no others there.
    """
    from scipy.sparse import coo_array

    places = (a.astype(np.int32), b.astype(np.int32))
    return coo_array((values, places), shape=(count, count)).tocsr()

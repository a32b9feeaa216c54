"""Embeddings that another program computed: the rows of a table of numbers -> FeatureSet."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.directions import directions_of_any
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.features.inputs import fitted_together
from icas.clusterimg.methods.base import Method, settings_of
from icas.common.errors import UsageError

Vectors = NDArray[np.float64]


class NotNumbersError(UsageError, TypeError):
    """Something in a table is no number. Also a TypeError, as scikit-learn requires."""


def embeddings_in(source: Any) -> Vectors | None:
    """(n, d) embeddings if `source` is a table of numbers; None if it holds images or paths.

    Tables are arrays and data frames with two dimensions, and lists of rows of numbers. Arrays of
    uint8, uint16 and bool are gray images instead.

    Raises UsageError: sparse or complex numbers, no rows or columns, NaN or infinite values, or
    something else than numbers.
    """
    if hasattr(source, "toarray"):
        raise UsageError("embeddings: sparse data is not supported: use its toarray()")
    if isinstance(source, (list, tuple)):
        return _checked(_stacked(source)) if source and all(map(_is_row, source)) else None
    if not hasattr(source, "__array__"):
        return None
    try:
        table = np.asarray(source)
    except Exception as error:  # a tensor with gradients or on a GPU: anything may be raised
        raise UsageError(f"images: {type(source).__name__} is no array: {error}") from None
    is_image = table.dtype.kind in "bu" and table.dtype.itemsize <= 2
    return _checked(table) if table.ndim == 2 and not is_image else None


def _is_row(item: Any) -> bool:
    if isinstance(item, (list, tuple)):
        return bool(item) and all(isinstance(value, Real) for value in item)
    return getattr(item, "ndim", None) == 1 and hasattr(item, "__array__")


def _stacked(rows: Sequence[Any]) -> NDArray[Any]:
    try:
        return np.array([np.asarray(row) for row in rows])
    except ValueError:
        raise UsageError("embeddings: their rows have different lengths") from None


def _checked(table: NDArray[Any]) -> Vectors:
    if table.dtype.kind == "c":
        raise UsageError("embeddings: Complex data not supported")
    try:
        vectors = table.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise NotNumbersError(
            f"embeddings: a table holds numbers, one row per image ({error}); of paths, give a"
            " single column"
        ) from None
    for count, kind in zip(vectors.shape, ("sample", "feature"), strict=True):
        if count == 0:
            raise UsageError(
                f"embeddings: 0 {kind}(s) (shape={vectors.shape}) while a minimum of 1 is required."
            )
    if not np.isfinite(vectors).all():
        raise UsageError("embeddings: they contain NaN or infinity")
    return vectors


def features_of_embeddings(method: Method, vectors: Vectors) -> FeatureSet:
    """Embeddings as features of `method`, of length 1."""
    raw = FeatureSet(method.name, {"vectors": directions_of_any(vectors)}, settings_of(method))
    return fitted_together(method, [raw])[0]

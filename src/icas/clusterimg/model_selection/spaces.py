"""The spaces in which vectors are grouped and in which groupings are judged."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.parallel.child_processes import one_thread_each

GROUPED_DIMS = 64
"""Principal components in which models look for clusters."""
JUDGED_DIMS = 16
"""Principal components in which the three indexes are computed."""


def grouping_space(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half-whitened principal components with length 1: where models look for clusters.

    Each component is divided by the square root of its standard deviation: what many images share
    (light, background) loses weight, and noise of the small components does not rise to the level
    of the rest as it does with full whitening. No more than half as many components as images are
    kept: a few images span too few directions to estimate their spread.

    Parameters
    ----------
    vectors : (n, d) float32 ndarray
    """
    components = principal_components(vectors, min(GROUPED_DIMS, max(2, len(vectors) // 2)))
    spread = np.sqrt((components**2).mean(axis=0))
    halved = components / np.sqrt(spread)
    lengths = np.linalg.norm(halved, axis=1, keepdims=True)
    directions: NDArray[np.float64] = halved / np.where(lengths > 0, lengths, 1)
    return directions.astype(np.float32)


def judging_space(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """The first 16 principal components as they are: where the indexes are computed.

    In many dimensions all distances are about equal, and the indexes then favour the fewest or the
    most clusters whatever the images are; in few they have their best values near the true number.
    """
    return principal_components(vectors, JUDGED_DIMS)


def principal_components(vectors: NDArray[Any], dims: int) -> NDArray[np.float64]:
    """Coordinates of `vectors` along the directions of their greatest variance.

    Parameters
    ----------
    vectors : (n, d) ndarray
        Vectors that are not all equal.
    dims : int
        Most components; those without variance are left out.

    Returns
    -------
    (n, r) float64 ndarray, 1 <= r <= dims
        Column means 0, columns orthogonal, the one with the greatest variance first.
    """
    mean, _, axes = principal_axes(vectors, dims)
    return np.asarray((vectors.astype(np.float64) - mean) @ axes)


def principal_axes(
    vectors: NDArray[Any], dims: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, variances and directions of the greatest variance.

    Parameters
    ----------
    vectors : (n, d) ndarray
    dims : int
        Most directions; those without variance are left out.

    Returns
    -------
    mean : (d,) float64 ndarray
    variances : (r,) float64 ndarray, r <= dims
        Descending; none where all vectors are equal.
    axes : (d, r) float64 ndarray
        Orthogonal columns of length 1.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    centred = vectors - mean
    lengths = float(np.square(vectors, dtype=np.float64).sum())
    # The eigenvectors of the smaller of the two products: d x d, or n x n for fewer images.
    wide = centred.shape[1] > len(centred)
    with one_thread_each():
        product = centred @ centred.T if wide else centred.T @ centred
        values, directions = np.linalg.eigh(product)
        rounding = max(1e-10 * values[-1], 1e-14 * lengths)
        keep = np.flatnonzero(values > rounding)[::-1][:dims]
        axes = directions[:, keep]
        if wide:
            axes = centred.T @ axes / np.sqrt(values[keep])
    return mean, values[keep] / len(vectors), axes

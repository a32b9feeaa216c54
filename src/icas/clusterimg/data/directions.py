"""Vectors as directions: rows of length 1, compared by cosine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Rows of length 1 as float32; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)


def directions(vectors: NDArray[np.floating]) -> Vectors:
    """Rows of length 1 as float32; a row of zeros points along the last axis.

    So an image is like itself, and like another of which the network sees nothing either.
    """
    found = unit(vectors)
    found[~found.any(axis=1), -1:] = 1
    return found


def directions_of_any(vectors: NDArray[np.float64]) -> Vectors:
    """`directions` of finite numbers of any size, whose squares may overflow."""
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    return directions(vectors / np.where(largest > 0, largest, 1))

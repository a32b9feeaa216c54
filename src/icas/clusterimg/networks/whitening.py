"""Whitening: common directions of a folder lose weight, distinguishing ones gain it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from icas.clusterimg.data.directions import Vectors, directions
from icas.clusterimg.model_selection.estimators import principal_axes
from icas.parallel.child_processes import one_thread_each

FLOOR = 0.005
"""Variance added to that of every component, for vectors of length 1: what varies less is noise."""
FEW = 20
"""Number of images that doubles the floor: variances of few images are unreliable."""


@dataclass(frozen=True)
class Whitening:
    """PCA whitening: vectors of length 1 to fewer dimensions of similar variance, of length 1.

    The mean of the folder is subtracted. Each principal component is divided by the root of its
    variance plus a floor. The length of the mean is appended as a constant, which keeps images
    similar if the folder varies little.

    Reference: Jégou & Chum, Negative evidences and co-occurrences in image retrieval, 2012. The
    floor and the constant are additions of icas.

    Attributes
    ----------
    mean : (d,) float32 ndarray
    axes : (d, k) float32 ndarray
        Principal axes over the root of variance plus floor.
    constant : float
        Length of the mean.
    """

    mean: Vectors
    axes: Vectors
    constant: float

    @classmethod
    def fit(cls, vectors: Vectors, dims: int) -> Whitening:
        """The whitening of (n, d) `vectors` of length 1, n >= 1, to at most `dims` components."""
        mean, variances, axes = principal_axes(vectors, dims)
        floor = FLOOR * (1 + FEW / len(vectors))
        scaled = axes / np.sqrt(variances + floor)
        return cls(mean.astype(np.float32), scaled.astype(np.float32), float(np.linalg.norm(mean)))

    def __call__(self, vectors: Vectors) -> Vectors:
        """(n, d) vectors of length 1 -> (n, k + 1) float32 of length 1."""
        with one_thread_each():
            whitened = (vectors - self.mean) @ self.axes
        constant = np.full((len(vectors), 1), self.constant, np.float32)
        return directions(np.concatenate([whitened, constant], axis=1))

    @property
    def fingerprint(self) -> str:
        """Text that differs for different whitenings."""
        state = hashlib.blake2b(self.mean.tobytes(), digest_size=8)
        state.update(self.axes.tobytes())
        return state.hexdigest()

"""Fitted numbers, made by ``benchmarks/propagation.py --fit``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.propagation.features import ImageFeatures

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Model:
    """Weights of one kind of features.

    Attributes
    ----------
    first : (17,) float64 ndarray
        Of `combine.SIGNALS`.
    second : (25,) float64 ndarray
        Of `combine.SECOND_SIGNALS`.
    quality : (24,) float64 ndarray
        Of `confidence.Clues.row`.
    curve : (k, 2) float64 ndarray
        Estimated IoU, and how often the IoU was at least 0.75.
    """

    first: Floats
    second: Floats
    quality: Floats
    curve: Floats


def model_for(features: ImageFeatures) -> Model:
    """The model for features of a network, or of dense SIFT and Lab colors."""
    return WITH_NETWORK if features.network else WITHOUT_NETWORK


# fmt: off
WITH_NETWORK = Model(
    first=np.array([
        -0.9930, 0.0753, -0.2585, 0.4992, 0.0126, 0.0888, 0.6644, -0.1070, 0.0818,
        0.3586, 0.6244, 0.1924, 1.7131, 0.3030, 1.3171, 0.8559, 0.6109,
    ]),
    second=np.array([
        -3.7410, -0.1866, 0.6119, 0.4940, 0.1565, -0.1722, 0.1884, 0.3878, -0.6401,
        0.1160, 0.3085, 0.1803, 0.0020, 0.3298, 0.1960, -0.6458, 0.3315, 0.0923,
        0.4759, 0.0592, 0.3333, -0.0047, 0.1192, 0.6381, 0.1226,
    ]),
    quality=np.array([
        0.2000, 0.5000, 0.1500, 0.1000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000,
        0.0000, 0.0000, 0.0000, 0.5000, 0.3000, 0.0000, 0.0000, 0.0000, 0.0000,
        0.1500, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000,
    ]),
    curve=np.array([[0.3, 0.0], [0.7, 0.5], [0.9, 0.97]]),
)
WITHOUT_NETWORK = WITH_NETWORK
# fmt: on

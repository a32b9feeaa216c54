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
    second : (27,) float64 ndarray
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
        0.2351, 0.1717, 0.1896, 0.1976, 0.2273, 0.0000, -0.0065, 0.0106, 0.0335,
        -0.0465, -0.0410, -0.1016, 0.1053, 0.0965, 0.1260, 0.1225, 0.1262, 0.1053,
        0.0544, 0.1088, 0.1350, 0.0433, 0.0405, 0.0329,
    ]),
    curve=np.array([
        [0.2321, 0.0144],
        [0.7181, 0.5090],
        [0.7857, 0.8382],
        [0.8434, 0.8919],
        [0.8803, 0.8926],
        [0.9115, 0.9153],
        [0.9382, 0.9890],
        [0.9634, 0.9895],
        [0.9926, 0.9901],
    ]),
)
WITHOUT_NETWORK = Model(
    first=np.array([
        -1.0112, 0.2293, -0.2870, 1.2860, 0.0525, 0.7344, 0.2136, -0.1298, -0.0627,
        0.3304, -0.8597, 1.4219, 0.6320, -1.0682, 1.5471, -0.7788, 1.6571,
    ]),
    second=np.array([
        -7.8655, -0.1295, 0.5560, 0.1968, 0.3542, -0.2914, 0.9504, 1.4158, -0.1914,
        0.9551, 0.2722, -0.3833, -0.0016, 0.7062, -0.4177, -1.0016, 0.3636, -0.1999,
        1.4521, 0.3744, 0.9226, -0.0403, 0.1452, 0.0101, 0.2354,
    ]),
    quality=WITH_NETWORK.quality,  # not fitted without a network
    curve=WITH_NETWORK.curve,
)
# fmt: on

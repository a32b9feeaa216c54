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
    quality : (5,) float64 ndarray
        Of `confidence.Clues.row`: log odds that the IoU is at least 0.75.
    """

    first: Floats
    second: Floats
    quality: Floats


def model_for(features: ImageFeatures) -> Model:
    """The model for features of a network, or of dense SIFT and Lab colors."""
    return WITH_NETWORK if features.network else WITHOUT_NETWORK


# fmt: off
WITH_NETWORK = Model(
    first=np.array([
        -1.2809, 0.0557, -0.0457, 0.5473, 0.0586, 0.3370, 0.9728, -0.1535, 0.1195,
        0.4243, 0.5247, 0.7331, 2.3924, -0.1634, 2.4013, 2.2183, 1.6340,
    ]),
    second=np.array([
        -1.3904, 0.1498, 0.2298, -0.0462, 0.5267, 0.5573, 0.3064, -0.0897, -0.1149,
        -0.2056, -0.0738, 0.1740, 0.2679, 0.1393, 0.1271, 0.1542, -0.2059, -0.1514,
        0.7652, 0.0033, 0.4107, 0.0725, 0.6073, -0.0206, -0.0327, 0.4484, -0.0358,
    ]),
    quality=np.array([
        -0.6609, 5.4044, -8.6595, -3.1904, 0.0000,
    ]),
)
WITHOUT_NETWORK = Model(
    first=np.array([
        -1.0112, 0.2293, -0.2870, 1.2860, 0.0525, 0.7344, 0.2136, -0.1298, -0.0627,
        0.3304, -0.8597, 1.4219, 0.6320, -1.0682, 1.5471, -0.7788, 1.6571,
    ]),
    second=np.array([
        -7.8655, -0.1295, 0.5560, 0.0000, 0.0000, 0.1968, 0.3542, -0.2914, 0.9504,
        1.4158, -0.1914, 0.9551, 0.2722, -0.3833, -0.0016, 0.7062, -0.4177, -1.0016,
        0.3636, -0.1999, 1.4521, 0.3744, 0.9226, -0.0403, 0.1452, 0.0101, 0.2354,
    ]),
    quality=np.array([
        1.1810, 1.5067, -5.1691, -3.4179, 3.0809,
    ]),
)
# fmt: on

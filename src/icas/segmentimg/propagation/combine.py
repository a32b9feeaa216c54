"""A logistic model that combines geometry and appearance into shares of superpixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.propagation.appearance import CellSimilarity
from icas.segmentimg.propagation.features import ImageFeatures
from icas.segmentimg.propagation.geometry import Carried

Floats = NDArray[np.float32]

SIGNALS = (
    "constant",
    "flow",
    "flow * consistency",
    "flow * support",
    "warped flow",
    "warped flow * consistency",
    "warped flow * support",
    "homography * inliers",
    "near",
    "near in place",
    "contrast",
    "contrast * similarity",
)
"""Names of the columns of `signals`."""

# fmt: off
WITH_NETWORK = np.array([
    -0.41494, 0.00167, 0.48677, 0.10119, -0.00718, 0.24947,
    -0.03840, -0.58248, -0.02051, 0.30704, 0.17963, 2.75028,
])
# fmt: on
"""Weights of the signals; fitted by ``benchmarks/propagation.py --fit``."""

_LEAST = 0.03


def signals(
    target: ImageFeatures, carried: Carried, similar: CellSimilarity, column: int
) -> Floats:
    """(n, 12) evidence for one class at each superpixel; shares as log odds."""
    share = target.graph.share
    flow, by_warp = _odds(share(carried.flow)), _odds(share(carried.warped_flow))
    inliers = min(1.0, max(0, carried.warp.inliers - 8) / 30)
    contrast = 10 * similar.contrast[:, column]
    columns: list[NDArray[Any]] = [
        np.ones(target.graph.count),
        flow,
        flow * share(carried.flow_consistency),
        flow * carried.support,
        by_warp,
        by_warp * share(carried.warped_consistency),
        by_warp * carried.warped_support,
        _odds(share(carried.homography)) * inliers,
        _odds(similar.near[:, column]),
        _odds(similar.near_in_place[:, column]),
        contrast,
        contrast * similar.similarity[:, column],
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def combined(columns: Floats, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) log odds of the class."""
    return np.asarray(np.clip(columns @ weights, -20, 20), np.float64)


def shares_of(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, classes) shares of log odds against the rest; they and the background add up to 1."""
    powers = np.exp(odds)
    return np.asarray(powers / (1 + powers.sum(axis=1, keepdims=True)), np.float64)


def _odds(share: NDArray[Any]) -> NDArray[np.float64]:
    inside = np.clip(np.asarray(share, np.float64), _LEAST, 1 - _LEAST)
    return np.asarray(np.log(inside / (1 - inside)), np.float64)

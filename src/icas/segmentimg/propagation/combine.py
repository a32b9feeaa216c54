"""Logistic models that combine geometry and appearance into shares of superpixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.grabcut.features import FEATURES, SuperpixelGraph, superpixel_features
from icas.segmentimg.propagation.appearance import CellSimilarity
from icas.segmentimg.propagation.features import ImageFeatures
from icas.segmentimg.propagation.geometry import Carried, Change, place
from icas.segmentimg.propagation.refine import smooth

Floats = NDArray[np.float32]
Floats64 = NDArray[np.float64]

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
    "discriminant",
    "difference",
    "unmatched",
    "matched elsewhere",
    "difference elsewhere",
)
"""Names of the columns of `signals`."""

SECOND_SIGNALS = (
    "constant",
    "first odds",
    "smoothed odds",
    "placed mask",
    "placed mask * overlap",
    *FEATURES,
    "flow * consistency",
    "warped flow * consistency",
    "near",
    "near in place",
    "contrast",
    "discriminant",
)
"""Names of the columns of `second_signals`."""
_AGAIN = tuple(SIGNALS.index(name) for name in SECOND_SIGNALS[-6:])

_LEAST = 0.03
_SURE_FRONT, _SURE_BACK = 0.7, 0.2
"""Smoothed shares of superpixels that show the colors of the object and of the rest."""
_FEWEST = 3


def signals(
    target: ImageFeatures, carried: Carried, change: Change, similar: CellSimilarity, column: int
) -> Floats:
    """(n, 17) evidence for one class at each superpixel; shares as log odds."""
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
        similar.discriminant[:, column],
        share(change.difference),
        share(change.unmatched),
        share(change.matched),
        share(change.elsewhere),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def second_signals(
    graph: SuperpixelGraph, odds: Floats64, columns: Floats, painted: Sequence[Floats]
) -> Floats:
    """(n, 27) evidence after a first estimate.

    Its sure superpixels show the colors of the image, and where it is the painted mask is placed.

    Parameters
    ----------
    odds : (n,) float64 ndarray
        Log odds of the first estimate.
    columns : (n, 17) float32 ndarray
        The evidence that it was made from.
    painted : sequence of (h, w) float32 ndarray
        The masks of the sources, as shares of pixels; the one that fits best is placed.
    """
    share = 1 / (1 + np.exp(-odds))
    estimate = share[graph.labels].astype(np.float32)
    placed = max((place(mask, estimate) for mask in painted), key=lambda one: one.overlap)
    shape = _odds(graph.share(placed.plane))
    smoothed = smooth(graph, share)
    front = (smoothed > _SURE_FRONT) & (share > 0.6)
    if front.sum() < _FEWEST:
        front = smoothed >= np.sort(smoothed)[-min(_FEWEST, len(smoothed))]
    back = (smoothed < _SURE_BACK) & ~front
    if back.sum() < _FEWEST:
        back = (smoothed <= np.sort(smoothed)[min(_FEWEST, len(smoothed)) - 1]) & ~front
    if not back.any():  # one superpixel, or all equal
        features = np.zeros((graph.count, len(FEATURES)))
    else:
        features = superpixel_features(graph, front, back)
    parts: list[NDArray[Any]] = [
        np.ones((graph.count, 1)),
        odds[:, None],
        _odds(smoothed, 0.01)[:, None],
        shape[:, None],
        placed.overlap * shape[:, None],
        features,
        columns[:, _AGAIN],
    ]
    return np.hstack(parts).astype(np.float32)


def odds(columns: Floats, weights: Floats64) -> Floats64:
    """(n,) log odds of a class."""
    return np.asarray(np.clip(columns @ weights, -20, 20), np.float64)


def shares_of(odds: Floats64) -> Floats64:
    """(n, classes) shares of log odds against the rest; they and the background add up to 1."""
    powers = np.exp(odds)
    return np.asarray(powers / (1 + powers.sum(axis=1, keepdims=True)), np.float64)


def _odds(share: NDArray[Any], least: float = _LEAST) -> Floats64:
    inside = np.clip(np.asarray(share, np.float64), least, 1 - least)
    return np.asarray(np.log(inside / (1 - inside)), np.float64)

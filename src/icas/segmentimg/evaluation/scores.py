"""Scores of segments: boundary recall, undersegmentation error, achievable accuracy.

Source: D. Stutz, A. Hermans, B. Leibe, Superpixels: an evaluation of the state-of-the-art, Computer
Vision and Image Understanding 166 (2018), sections 5.1-5.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.segmentimg.labels.labels import Labels, filled


@dataclass(frozen=True)
class Scores:
    """Agreement of segments with true label maps, in [0, 1], mean over annotators.

    Attributes
    ----------
    segments : float
        Number of segments.
    recall : float
        Share of the true borders with a border of the segments within a pixel (r = 1, the eight
        neighbors).
    undersegmentation : float
        Share of the image by which segments leak over true borders, the smaller part of each leak
        counted (definition of Neubert and Protzel).
    accuracy : float
        Share of pixels that would be correct if every segment got the true label that covers most
        of it (ASA).
    """

    segments: float
    recall: float
    undersegmentation: float
    accuracy: float


def evaluate(labels: Labels, truths: Sequence[NDArray[Any]], tolerance: int = 1) -> Scores:
    """Compare segments with one or more true label maps; edges (0) count to the nearest segment."""
    if not truths:
        raise UsageError("no true label map to compare with: at least one is needed")
    for truth in truths:
        if truth.shape != labels.shape:
            raise UsageError(f"segments are {labels.shape}, the true labels {truth.shape}")
    whole = filled(labels)
    scores = [_scores(whole, truth, tolerance) for truth in truths]
    return Scores(int(labels.max(initial=0)), *np.mean(scores, axis=0).tolist())


def _scores(labels: Labels, truth: NDArray[Any], tolerance: int) -> tuple[float, float, float]:
    _, true_labels = np.unique(truth, return_inverse=True)
    base = int(true_labels.max()) + 1
    pairs = labels.ravel().astype(np.int64) * base + true_labels.ravel()
    cells, counts = np.unique(pairs, return_counts=True)
    segments, total = cells // base, float(labels.size)
    sizes = np.bincount(labels.ravel())
    leaks = np.minimum(counts, sizes[segments] - counts)
    best = np.zeros(len(sizes))
    np.maximum.at(best, segments, counts)
    recall = boundary_recall(labels, truth, tolerance)
    return recall, float(leaks.sum()) / total, float(best.sum()) / total


def boundary_recall(labels: Labels, truth: NDArray[Any], tolerance: int) -> float:
    """Share of true border pixels with a border pixel of `labels` within `tolerance` pixels."""
    import cv2

    borders = border_pixels(truth)
    if not borders.any():
        return 1.0
    side = 2 * tolerance + 1
    near = cv2.dilate(border_pixels(labels).astype(np.uint8), np.ones((side, side), np.uint8))
    return float(near[borders].mean())


def border_pixels(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """(h, w) bool: pixels with a neighbor (by a side) of another label."""
    border = np.zeros(labels.shape, bool)
    for before, after, changed in (
        (border[:-1], border[1:], labels[:-1] != labels[1:]),
        (border[:, :-1], border[:, 1:], labels[:, :-1] != labels[:, 1:]),
    ):
        before |= changed
        after |= changed
    return border

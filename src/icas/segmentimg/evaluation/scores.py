"""Segments against what people drew: boundary recall, undersegmentation error, achievable accuracy.

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
class Evaluation:
    """How well segments fit what people drew, each value in [0, 1] and the mean over annotators.

    Attributes
    ----------
    segments : float
        Number of segments (a mean where several pictures are put together).
    recall : float
        Share of the true borders that have a border of the segments within a pixel (r = 1, the
        eight neighbours).
    undersegmentation : float
        Share of the picture by which segments leak over true borders, the smaller part of each
        leak counted (Neubert and Protzel's definition).
    accuracy : float
        Share of pixels that would be right if every segment got the true label that covers most
        of it: the best that painting whole segments can reach (ASA).
    """

    segments: float
    recall: float
    undersegmentation: float
    accuracy: float


def evaluate(labels: Labels, truths: Sequence[NDArray[Any]], tolerance: int = 1) -> Evaluation:
    """Compare segments with one or several true label maps of the same picture.

    Edge pixels (0) count to the nearest segment.

    Raises
    ------
    UsageError
        No truth, or a truth of another size.
    """
    if not truths:
        raise UsageError("no true label map to compare with: at least one is needed")
    for truth in truths:
        if truth.shape != labels.shape:
            raise UsageError(f"segments are {labels.shape}, the true labels {truth.shape}")
    whole = filled(labels)
    found = [_against_one(whole, truth, tolerance) for truth in truths]
    return Evaluation(int(labels.max(initial=0)), *np.mean(found, axis=0).tolist())


def mean_of(found: Sequence[Evaluation]) -> Evaluation:
    """Mean over several pictures."""
    rows = [(one.segments, one.recall, one.undersegmentation, one.accuracy) for one in found]
    return Evaluation(*np.mean(rows, axis=0).tolist())


def _against_one(labels: Labels, truth: NDArray[Any], tolerance: int) -> tuple[float, float, float]:
    overlap, sizes = _overlaps(labels, truth)
    total = float(labels.size)
    leaks = np.minimum(overlap.count, sizes[overlap.segment] - overlap.count)
    best = np.zeros(len(sizes))
    np.maximum.at(best, overlap.segment, overlap.count)
    recall = boundary_recall(labels, truth, tolerance)
    return recall, float(leaks.sum()) / total, float(best.sum()) / total


@dataclass(frozen=True)
class _Overlaps:
    """Pixels that a segment and a true label share, where they share any."""

    segment: NDArray[np.int64]
    count: NDArray[np.float64]


def _overlaps(labels: Labels, truth: NDArray[Any]) -> tuple[_Overlaps, NDArray[np.float64]]:
    _, true_label = np.unique(truth, return_inverse=True)
    base = int(true_label.max()) + 1
    pairs = labels.ravel().astype(np.int64) * base + true_label.ravel()
    cells, counts = np.unique(pairs, return_counts=True)
    sizes = np.bincount(labels.ravel()).astype(float)
    return _Overlaps(cells // base, counts.astype(float)), sizes


def boundary_recall(labels: Labels, truth: NDArray[Any], tolerance: int) -> float:
    """Share of true border pixels with a border pixel of `labels` within `tolerance` pixels."""
    import cv2

    wanted = border_pixels(truth)
    if not wanted.any():
        return 1.0
    side = 2 * tolerance + 1
    near = cv2.dilate(border_pixels(labels).astype(np.uint8), np.ones((side, side), np.uint8))
    return float(near[wanted].mean())


def border_pixels(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """(h, w) bool: pixels that have a neighbour by a side with another label."""
    border = np.zeros(labels.shape, bool)
    for before, after, changed in (
        (border[:-1], border[1:], labels[:-1] != labels[1:]),
        (border[:, :-1], border[:, 1:], labels[:, :-1] != labels[:, 1:]),
    ):
        before |= changed
        after |= changed
    return border

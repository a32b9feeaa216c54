"""How good a carried mask is, estimated by carrying it back and by agreement of its parts."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CURVE = np.array([[0.0, 0.2], [0.5, 0.45], [0.7, 0.65], [0.8, 0.75], [0.9, 0.85], [1.0, 0.97]])
"""Agreement and the IoU that it had; fitted by ``benchmarks/propagation.py --fit``."""
ABSENT = 0.3
"""Confidence below which a class is judged not to be in the image."""


@dataclass(frozen=True)
class Agreement:
    """IoU of a carried mask with other results, 0 to 1 each.

    Attributes
    ----------
    back : with the painted mask, after carrying it back
    near : with the mask by the most similar cells
    contrast : with the superpixels that are more similar to the class than to the rest
    border : of the mask before and after its border was refined
    """

    back: float
    near: float
    contrast: float
    border: float

    @property
    def mean(self) -> float:
        return float(np.mean(astuple(self)))


def calibrated(agreement: float) -> float:
    """Estimated IoU with the true mask."""
    return float(np.interp(agreement, CURVE[:, 0], CURVE[:, 1]))


def overlap(sizes: Floats, a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """IoU of two sets of superpixels; 1 if both are empty."""
    union = float(sizes[a | b].sum())
    return float(sizes[a & b].sum()) / union if union else 1.0


def mask_overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """IoU of two masks; 1 if both are empty."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0

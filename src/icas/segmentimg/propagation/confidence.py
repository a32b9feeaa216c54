"""How good a carried mask is, estimated by carrying it back and by agreement of its parts."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Clues:
    """What the quality of a mask is estimated from, 0 to 1 each.

    Attributes
    ----------
    back : IoU with the painted mask, after carrying the mask back
    near : IoU with the mask by the most similar cells
    contrast : IoU with the superpixels that are more similar to the class than to the rest
    border : IoU of the mask before and after its border was refined
    warped : whether the mask is the warped one
    evidence : consistency of the optical flow under the mask
    inliers : keypoints on the object that agree on a homography
    geometry : IoU with the warped mask
    similarity : of the image and the painted image
    area : difference of the area from that of the painted mask, as a logarithm
    doubt : shares near one half
    """

    back: float
    near: float
    contrast: float
    border: float
    warped: float
    evidence: float
    inliers: float
    geometry: float
    similarity: float
    area: float
    doubt: float

    def row(self) -> Floats:
        """(24,) float64: 1 and the clues, for a warped mask after as many zeros."""
        row = np.array([1.0, *astuple(self)], np.float64)
        return np.concatenate([row * (1 - self.warped), row * self.warped])


def score(clues: Clues, weights: Floats) -> float:
    """Estimated IoU with the true mask."""
    return float(np.clip(clues.row() @ weights, 0, 1))


def calibrated(score: float, curve: Floats) -> float:
    """Probability that the IoU is at least 0.75; `curve`: (k, 2) scores and probabilities."""
    return float(np.interp(score, curve[:, 0], curve[:, 1]))


def overlap(sizes: Floats, a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """IoU of two sets of superpixels; 1 if both are empty."""
    union = float(sizes[a | b].sum())
    return float(sizes[a & b].sum()) / union if union else 1.0


def mask_overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """IoU of two masks; 1 if both are empty."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0

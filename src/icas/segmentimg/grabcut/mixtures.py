"""Mixtures of five colours each, as OpenCV's GrabCut learns them, for a cut at a smaller size.

At full size each pixel's colour counts once and each pixel of the border once. In a picture of
1/s of the width and height, a pixel stands for s² pixels and a side of it for s sides, so that the
likelihoods have to count s times as much beside the border as they do in `cv2.grabCut`. That has
no such weight, but takes mixtures as they are given: here with densities to the power of s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Colors = NDArray[np.float32]

_COUNT = 5
_LEAST_VARIANCE = 0.01
_ROOM = 690.0
"""Logarithm of about the largest float64."""


@dataclass(frozen=True)
class Mixture:
    """Gaussians in the space of BGR colours."""

    shares: Floats
    means: Floats
    spreads: Floats

    @classmethod
    def unpacked(cls, row: Floats) -> Mixture:
        """From the 65 numbers that `cv2.grabCut` keeps."""
        numbers = row.ravel()
        means, spreads = numbers[5:20].reshape(5, 3), numbers[20:].reshape(5, 3, 3)
        return cls(numbers[:5].copy(), means.copy(), spreads.copy())

    def packed(self) -> Floats:
        return np.concatenate([self.shares, self.means.ravel(), self.spreads.ravel()])[None]

    def surprise(self, colors: Colors, *, with_shares: bool = True) -> NDArray[np.float32]:
        """(n, 5) minus the logarithm of each component's density, constants left out."""
        found = np.full((len(colors), _COUNT), np.inf, np.float32)
        for k in np.flatnonzero(self.shares):
            root = np.linalg.cholesky(np.linalg.inv(self.spreads[k])).astype(np.float32)
            moved = (colors - self.means[k].astype(np.float32)) @ root
            constant = 0.5 * np.log(np.linalg.det(self.spreads[k]))
            if with_shares:
                constant -= np.log(self.shares[k])
            found[:, k] = 0.5 * np.einsum("ij,ij->i", moved, moved) + np.float32(constant)
        return found

    def learned(self, colors: Colors) -> Mixture:
        """The mixture of these colours, each given to the component where it is densest."""
        nearest = self.surprise(colors, with_shares=False).argmin(axis=1)
        shares, means = np.zeros(_COUNT), np.zeros((_COUNT, 3))
        spreads = np.tile(np.eye(3), (_COUNT, 1, 1))
        for k in range(_COUNT):
            own = colors[nearest == k].astype(np.float64)
            if len(own):
                shares[k], means[k] = len(own) / len(colors), own.mean(axis=0)
                spread = np.cov(own.T, bias=True)
                spreads[k] = spread + _LEAST_VARIANCE * np.eye(3)
        return Mixture(shares, means, spreads)

    def raised(self, power: float) -> Mixture:
        """Each component's density to this power, times a constant that keeps numbers in range."""
        shares, there = np.zeros(_COUNT), self.shares > 0
        volume = np.log(np.linalg.det(self.spreads[there]))
        logs = power * (np.log(self.shares[there]) - 0.5 * volume)
        shares[there] = np.exp(logs + 0.5 * (volume - 3 * np.log(power)) + _headroom(power))
        return Mixture(shares, self.means, self.spreads / power)


def _headroom(power: float) -> float:
    return _ROOM - 7.5 * power


def too_far(
    back: NDArray[np.float32], front: NDArray[np.float32], power: float
) -> NDArray[np.bool_]:
    """(n,) bool: colours so far from a mixture that its raised density is 0."""
    return np.asarray(np.maximum(back, front) * power > _headroom(power) + 650, bool)

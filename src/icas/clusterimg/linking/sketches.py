"""Sketches: an image's features as a few bytes, near to one another where images are similar.

A method's features become vectors of some hundred numbers or more, whose distances go along with
the method's similarity; the directions in which a folder's vectors vary most (principal
components) are kept, and each is rounded to a byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.linking.visual_words import VisualWords

FITTED_TO = 1000
"""Images from which the directions are learned."""
DIRECTIONS = 192
"""Directions that are kept: 192 products of bytes, halved squares beside them, fit float32."""
VECTOR_UNIT = 1 << 12
"""Parts of 1 to which vectors are rounded, ..."""
DIRECTION_UNIT = 1 << 14
"""... and the directions: products of whole numbers that float64 adds up exactly."""
LIMIT = 127
SPREAD = 4
"""Standard deviations that `LIMIT` stands for."""
CELLS = 8
"""Cells a side in which the brightness and the slope of an ssim image are taken."""
COLOUR_SIDE = 16
"""Pixels a side up to which tm images are taken as they are."""
STEADY = (0.03 * 255) ** 2 / 2
"""Half of the constant C2 of ssim: a variance below it counts as none."""
DARK = 10.0
"""Gray levels added before the logarithm of a brightness, so that black ones count little."""

Vectors = NDArray[np.float32]
Sketches = NDArray[np.int8]
Describe = Callable[[FeatureSet], Vectors]


def ssim_vectors(features: FeatureSet) -> Vectors:
    """Slopes and flatness of each image's cells, by the local contrast, (n, 6 `CELLS`^2).

    The covariance of two windows over the root of both variances is a product of such vectors;
    how far two brightnesses differ turns them against each other.
    """
    found = [_cells(gray) for gray in features.array]
    return np.array(found, np.float32).reshape(len(found), 6 * CELLS**2)


def _cells(gray: NDArray[np.uint8]) -> Vectors:
    import cv2

    pixels = gray.astype(np.float32)
    means = cv2.blur(pixels, (7, 7))
    variances = np.maximum(cv2.blur(pixels * pixels, (7, 7)) - means * means, 0)
    area = cv2.INTER_AREA
    quarters = cv2.resize(pixels, (2 * CELLS, 2 * CELLS), interpolation=area)
    upper_left, upper_right, lower_left, lower_right = (
        quarters[down::2, right::2] for down in (0, 1) for right in (0, 1)
    )
    across = (upper_left - upper_right + lower_left - lower_right) / 2
    down = (upper_left + upper_right - lower_left - lower_right) / 2
    contrast = np.sqrt(cv2.resize(variances, (CELLS, CELLS), interpolation=area) + STEADY)
    shape = np.stack([across, down, np.full_like(across, np.sqrt(STEADY))]) / contrast
    turn = np.log(cv2.resize(pixels, (CELLS, CELLS), interpolation=area) + DARK)
    return np.concatenate([shape * np.cos(turn), shape * np.sin(turn)])


def tm_vectors(features: FeatureSet) -> Vectors:
    """Direction and logarithm of the length of each image's values, (n, values + 1).

    The squared distance of two of them is close to the squared difference of the images over the
    product of their lengths, which is what tm takes off 1.
    """
    import cv2

    count, height, width, channels = features.array.shape
    side = min(width, COLOUR_SIDE), min(height, COLOUR_SIDE)
    small = np.empty((count, side[1], side[0], channels), np.float32)
    for row, pixels in zip(small, features.array, strict=True):
        row[:] = cv2.resize(pixels.astype(np.float32), side, interpolation=cv2.INTER_AREA)
    values = small.reshape(count, -1)
    length = np.sqrt(np.square(values.astype(np.float64)).sum(axis=1, keepdims=True))
    direction = values * np.sqrt(2) / np.maximum(length, 1)
    return np.concatenate([direction, np.log(np.maximum(length, 1))], axis=1).astype(np.float32)


class _Described(NamedTuple):
    """How a method's features become vectors."""

    fitted: Callable[[FeatureSet, int], Describe]
    by_angle: bool = False


_DESCRIBED = {
    "orb": _Described(VisualWords.learned, by_angle=True),
    "ssim": _Described(lambda sample, seed: ssim_vectors),
    "tm": _Described(lambda sample, seed: tm_vectors),
}
SKETCHED = tuple(_DESCRIBED)
"""Methods whose features can be sketched."""


@dataclass(frozen=True)
class Sketcher:
    """Makes sketches of images; the same for the same features, whatever is beside them.

    Attributes
    ----------
    describe : callable
        Features -> (n, v) float32 vectors.
    mean : (v,) float64 ndarray
    directions : (v, d) float64 ndarray
        Both of whole numbers, in parts of `VECTOR_UNIT` and `DIRECTION_UNIT`; d may be 0.
    gain : float
        Steps of a sketch for each of these parts, or for a length of 1.
    by_angle : bool
        Only the direction of a vector counts, within what is kept of it.
    """

    describe: Describe
    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    gain: float
    by_angle: bool

    @classmethod
    def fitted(cls, features: FeatureSet, seed: int) -> Sketcher:
        """For a folder of which `features` are a sample."""
        described = _DESCRIBED[features.method]
        describe = described.fitted(features, seed)
        vectors = _whole(describe(features))
        mean = np.rint(vectors.mean(axis=0)) if len(vectors) else np.zeros(vectors.shape[1])
        vectors -= mean
        bare = cls(describe, mean, _principal(vectors), 1.0, described.by_angle)
        places = bare._places(features)
        spread = float(np.sqrt(np.mean(np.square(places)))) if places.size else 0.0
        return replace(bare, gain=LIMIT / SPREAD / spread if spread else 0.0)

    def sketches(self, features: FeatureSet) -> Sketches:
        """(n, d) int8, in [-`LIMIT`, `LIMIT`]."""
        steps = np.rint(self._places(features) * self.gain)
        return np.clip(steps, -LIMIT, LIMIT).astype(np.int8)

    def _places(self, features: FeatureSet) -> NDArray[np.float64]:
        """Where the images lie along the directions, (n, d)."""
        vectors = _whole(self.describe(features)) - self.mean
        places: NDArray[np.float64] = vectors @ self.directions
        if self.by_angle:
            length = np.sqrt(np.square(places).sum(axis=1, keepdims=True))
            places /= np.maximum(length, 1)
        return places


def _whole(vectors: Vectors) -> NDArray[np.float64]:
    return np.rint(vectors.astype(np.float64) * VECTOR_UNIT)


def _principal(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Directions in which the `vectors` of mean 0 vary most, (v, d), of length `DIRECTION_UNIT`."""
    values, weights = np.linalg.eigh(vectors @ vectors.T)
    kept = values > max(1e-9 * values.max(initial=0), 1)
    kept[: max(0, len(kept) - DIRECTIONS)] = False
    directions = vectors.T @ (weights[:, kept] / np.sqrt(values[kept]))
    return np.asarray(np.rint(directions * DIRECTION_UNIT), np.float64)


def fingerprints(features: FeatureSet) -> NDArray[np.uint64]:
    """(n,) a number for each image's features, the same for the same features."""
    arrays = [np.ascontiguousarray(array) for array in features.arrays.values()]
    found = np.empty(len(features), np.uint64)
    for row in range(len(features)):
        state = hashlib.blake2b(digest_size=8)
        for array in arrays:
            state.update(array[row : row + 1].tobytes())
        found[row] = int.from_bytes(state.digest(), "little")
    return found

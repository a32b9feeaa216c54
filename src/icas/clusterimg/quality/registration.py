"""Near copies: the correlation of two images after one is registered to the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.kernels.letterbox import inside_bars
from icas.clusterimg.methods.base import Image, Method, digest, settings_of
from icas.clusterimg.methods.imagehash import ImageHash

Floats = NDArray[np.float32]

SIDE = 64
"""Pixels a side of the images that are registered."""
HALF = SIDE // 2
"""Pixels a side of the images of a first, quicker registration."""
COARSE = 16
"""Pixels a side of the images that are compared without registration."""
SAME_BITS, SAME_COARSE, SAME_HALF = 0.65, 0.75, 0.8
"""Least share of equal hash bits, and least correlation at `COARSE` and `HALF`, of near copies."""
CHANGE = 0.3
"""Most by which the registration scales, shears or shifts, as a part of the side."""
STEPS = 40
"""Most steps of a registration."""
OVERLAP = 0.6
"""Least part of an image that the registered one covers."""
FLAT = 1.0
"""Standard deviation of gray values below which an image has no content to compare."""


@dataclass(frozen=True)
class Registration(Method):
    """Correlation of two images at 64x64 after an affine registration; 0 where unlikely.

    The registration is that of the gray images, the similarity the mean of the correlations of gray
    and of RGB values. Pairs whose perceptual hashes or coarse gray images differ much are not
    registered: their similarity is 0. So is that of images without content. Images with equal
    pixels have 1.

    References: G. Evangelidis and E. Psarakis, Parametric image alignment using enhanced
    correlation coefficient maximization, 2008 (`cv2.findTransformECC`).
    """

    name: ClassVar[str] = "registration"
    default_threshold: ClassVar[float] = 0.94
    tile: ClassVar[int] = 512

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Small images, (n, 64, 64, 3) uint8, their hashes, and a digest of all pixels."""
        small: list[Any] = []
        bits: list[Any] = []
        digests: list[int] = []
        for image in images:
            inside = inside_bars(image)
            small.append(cv2.resize(inside, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
            bits.append(ImageHash().extract([image]).array[0])
            digests.append(digest(image))
        arrays: dict[str, NDArray[Any]] = {
            "small": np.array(small, np.uint8).reshape(-1, SIDE, SIDE, 3),
            "bits": np.array(bits, np.uint8).reshape(-1, 8),
            "digest": np.array(digests, np.uint64),
        }
        return FeatureSet(self.name, arrays, settings_of(self))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        values = np.zeros((len(a), len(b)), np.float32)
        rows, columns = self._likely(a, b)
        values[rows, columns] = _correlations(a, b, rows, columns)
        values[a.arrays["digest"][:, None] == b.arrays["digest"]] = 1
        return values

    def _likely(self, a: FeatureSet, b: FeatureSet) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs that are registered."""
        first, second = (_coarse(side.array) for side in (a, b))
        likely = first @ second.T >= SAME_COARSE
        hashes = [FeatureSet("imagehash", {"bits": side.arrays["bits"]}) for side in (a, b)]
        likely &= ImageHash().similarity(*hashes) >= np.float32(SAME_BITS)
        likely &= a.arrays["digest"][:, None] != b.arrays["digest"]
        rows, columns = np.nonzero(likely)
        return rows, columns


def _coarse(small: NDArray[np.uint8]) -> Floats:
    """(n, 256) coarse gray images of unit length and mean 0; zeros for those without content."""
    gray = small.mean(axis=3, dtype=np.float32)
    blocks = gray.reshape(len(gray), COARSE, SIDE // COARSE, COARSE, SIDE // COARSE)
    vectors = blocks.mean(axis=(2, 4)).reshape(len(gray), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    flat = gray.reshape(len(gray), -1).std(axis=1) < FLAT
    return np.where(flat[:, None], 0, vectors / np.maximum(lengths, 1e-6)).astype(np.float32)


@dataclass(frozen=True)
class Prepared:
    """An image, slightly blurred: (64, 64, 3) RGB, and gray at full and half size."""

    color: Floats
    gray: Floats
    half: Floats

    @classmethod
    def of(cls, small: NDArray[np.uint8]) -> Prepared:
        color = cv2.GaussianBlur(small.astype(np.float32), (0, 0), 1.0)
        gray = cv2.cvtColor(color, cv2.COLOR_RGB2GRAY)
        half = cv2.resize(gray, (HALF, HALF), interpolation=cv2.INTER_AREA)
        return cls(*(np.asarray(values, np.float32) for values in (color, gray, half)))


def _correlations(
    a: FeatureSet, b: FeatureSet, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> Floats:
    """Similarity of each pair; the same whichever image is first."""
    first = {row: Prepared.of(a.array[row]) for row in np.unique(rows).tolist()}
    second = {column: Prepared.of(b.array[column]) for column in np.unique(columns).tolist()}
    swapped = a.arrays["digest"][rows] > b.arrays["digest"][columns]
    values = np.zeros(len(rows), np.float32)
    for pair, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        fixed, moving = first[row], second[column]
        if swapped[pair]:
            fixed, moving = moving, fixed
        values[pair] = registered_similarity(fixed, moving)
    return values


def registered_similarity(fixed: Prepared, moving: Prepared) -> float:
    """Mean of the correlations of gray and RGB values after registration, at least 0."""
    rough = _register(fixed.half, moving.half)
    if _correlation(*_overlap(fixed.half, moving.half, rough)) < SAME_HALF:
        return 0.0
    found = 0.0
    for warp in (_register(fixed.gray, moving.gray), UNCHANGED):
        gray = _correlation(*_overlap(fixed.gray, moving.gray, warp))
        color = _correlation(*_overlap(fixed.color, moving.color, warp))
        found = max(found, (gray + color) / 2)
    return min(found, 1.0)


UNCHANGED = np.eye(2, 3, dtype=np.float32)


def _register(fixed: Floats, moving: Floats) -> Floats:
    """The affine transform from `fixed` to `moving`; `UNCHANGED` where none is found."""
    everywhere = np.ones(fixed.shape, np.uint8)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, STEPS, 1e-4)
    try:
        _, warp = cv2.findTransformECC(
            fixed, moving, UNCHANGED.copy(), cv2.MOTION_AFFINE, stop, everywhere, 3
        )
    except cv2.error:  # it does not converge: the images have nothing in common
        return UNCHANGED
    change = np.abs(warp - UNCHANGED) / np.array([1, 1, len(fixed)])
    if not np.isfinite(warp).all() or change.max() > CHANGE:
        return UNCHANGED
    return np.asarray(warp, np.float32)


def _overlap(fixed: Floats, moving: Floats, warp: Floats) -> tuple[Floats, Floats]:
    """The pixels of `fixed` that the transformed `moving` covers, and its own; all if too few."""
    size, flags = (fixed.shape[1], len(fixed)), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    covered = cv2.warpAffine(np.ones(fixed.shape[:2], np.float32), warp, size, flags=flags) > 0.99
    if covered.mean() < OVERLAP:
        return fixed, moving
    moved: Floats = cv2.warpAffine(moving, warp, size, flags=flags).astype(np.float32, copy=False)
    return fixed[covered], moved[covered]


def _correlation(a: Floats, b: Floats) -> float:
    """Correlation of the values of `a` and `b`, each less its mean; 0 without content."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > a.size * FLAT**2 else 0.0

"""Template matching: how far the colours of two images lie apart at a common size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.methods.base import Image, settings_of
from icas.common.images import resize
from icas.common.options import Size, check_options, option, parse_size

EXACT_COLUMNS = 1024
"""Columns of a float32 product whose sums are exact: 1024 * 128 * 128 = 2**24."""
MIDDLE = 128


@dataclass(frozen=True)
class TemplateMatching:
    """1 - squared difference of two images, normed by their energies, at a common size.

    The least value of OpenCV's ``TM_SQDIFF_NORMED`` of one image over the other; at a common size
    that is one value, ``sum((a - b)**2) / sqrt(sum(a**2) * sum(b**2))`` over all pixels and colours,
    and 1 at most. Two equal images have similarity 1, black ones too.

    Raises
    ------
    UsageError
        An option is outside its limits.
    """

    size: Size = option(
        (16, 16),
        "common size that images are brought to",
        unit="pixels",
        parse=parse_size,
        minimum=1,
        maximum=4096,
        metavar="WxH",
    )

    name: ClassVar[str] = "tm"
    default_threshold: ClassVar[float] = 0.93
    tile: ClassVar[int] = 512

    def __post_init__(self) -> None:
        check_options(self)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Pixels of `images` at the common size, in their order.

        Returns
        -------
        FeatureSet
            With the array ``pixels``, (n, height * width * 3) uint8.
        """
        rows = [resize(image, self.size).ravel() for image in images]
        width = 3 * self.size[0] * self.size[1]
        pixels = np.array(rows, np.uint8).reshape(len(rows), width)
        return FeatureSet(self.name, {"pixels": pixels}, settings_of(self))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        """Similarity of each image of `a` with each of `b`.

        Returns
        -------
        (len(a), len(b)) float32 ndarray
            In [0, 1].
        """
        apart = squared_differences(a.array, b.array)
        energy = np.sqrt(energies(a.array)[:, None] * energies(b.array)[None, :])
        # As OpenCV does: what is not below its norm counts as 1, also where the norm is 0.
        share = np.where(apart < energy, apart / np.maximum(energy, 1), 1.0)
        share[apart == 0] = 0
        return (1 - share).astype(np.float32)


def squared_differences(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Sum of squared differences of each row of `a` and each of `b`, exact.

    A matrix product of values around 0, few enough columns at a time that every partial sum is a
    whole number below 2**24, which float32 holds exactly in whatever order they are added.
    """
    dot = np.zeros((len(a), len(b)))
    for start in range(0, a.shape[1], EXACT_COLUMNS):
        columns = slice(start, start + EXACT_COLUMNS)
        dot += _centred(a[:, columns]) @ _centred(b[:, columns]).T
    around_a, around_b = _energies_around_middle(a), _energies_around_middle(b)
    return around_a[:, None] + around_b[None, :] - 2 * dot


def _centred(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pixels.astype(np.float32) - np.float32(MIDDLE)


def _energies_around_middle(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    centred = pixels.astype(np.int32) - MIDDLE
    return np.asarray((centred * centred).sum(axis=1, dtype=np.int64), np.float64)


def energies(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Sum of squares of each row."""
    wide = pixels.astype(np.int32)
    return np.asarray((wide * wide).sum(axis=1, dtype=np.int64), np.float64)

"""Template matching: normalised colour difference of two images at a common size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.methods.base import Image, settings_of
from icas.clusterimg.methods.checks import require_alike
from icas.common.images import resize
from icas.common.options import Size, check_options, option, parse_size

MIDDLE = 128
"""Taken off every value: what is left is at most 128 in size."""
CHUNK = 1024
"""Values multiplied at a time: 1024 * 128^2 = 2^24, up to which float32 holds every integer."""


@dataclass(frozen=True)
class TemplateMatching:
    """1 - the least ``cv2.TM_SQDIFF_NORMED`` of one colour image over the other.

    At the common size there is one place to lay them over each other, so one value: the sum of
    squared differences over the root of the product of the two sums of squares, at most 1. The
    same pixels have similarity 1, also where all are black (OpenCV divides by zero there and
    answers 1, the greatest difference); black with anything else has 0.

    Source: OpenCV's matchTemplate, method TM_SQDIFF_NORMED.

    Raises
    ------
    UsageError
        The common size is smaller than a pixel.
    """

    size: Size = option(
        (10, 10),
        "common size of the images",
        parse=parse_size,
        minimum=1,
        unit="pixels",
        metavar="WxH",
    )

    name: ClassVar[str] = "tm"
    default_threshold: ClassVar[float] = 0.97
    tile: ClassVar[int] = 1024

    def __post_init__(self) -> None:
        check_options(self)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """The images at the common size, in their order.

        Returns
        -------
        FeatureSet
            With the array pixels, (n, height, width, 3) uint8 RGB.
        """
        width, height = self.size
        brought = [resize(image, self.size) for image in images]
        pixels = np.array(brought, np.uint8).reshape(len(brought), height, width, 3)
        return FeatureSet(self.name, {"pixels": pixels}, settings_of(self))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        """Similarity of each image of `a` with each of `b`.

        Returns
        -------
        (len(a), len(b)) float32 ndarray
            In [0, 1]; 1 for images that are the same at the common size.

        Raises
        ------
        UsageError
            `a` and `b` were made at different sizes.
        """
        require_alike(a, b)
        ours, theirs = _rows(a), _rows(b)
        difference = squared_differences(ours, theirs)
        scale = np.sqrt(_squares(ours, 0)[:, None] * _squares(theirs, 0))
        share = np.ones(difference.shape)
        np.divide(difference, scale, out=share, where=difference < scale)
        share[difference == 0] = 0
        return (1 - share).astype(np.float32)


def squared_differences(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Sum of squared differences of each of n rows with each of m, (n, m) float64, exact.

    The products go through float32, twice as fast as float64, in chunks whose sums are integers
    that float32 holds; the chunks add up in float64.
    """
    products = np.zeros((len(ours), len(theirs)))
    for columns in _chunks(ours):
        products += _centred(ours[:, columns]) @ _centred(theirs[:, columns]).T
    products *= -2
    products += _squares(ours, MIDDLE)[:, None]
    products += _squares(theirs, MIDDLE)
    return products


def _rows(features: FeatureSet) -> NDArray[np.uint8]:
    """(n, values) uint8: each image as one row."""
    return features.array.reshape(len(features), int(np.prod(features.array.shape[1:])))


def _chunks(rows: NDArray[np.uint8]) -> Iterator[slice]:
    for start in range(0, rows.shape[1], CHUNK):
        yield slice(start, start + CHUNK)


def _centred(values: NDArray[np.uint8], middle: int = MIDDLE) -> NDArray[np.float32]:
    return values.astype(np.float32) - np.float32(middle)


def _squares(rows: NDArray[np.uint8], middle: int) -> NDArray[np.float64]:
    """Sum of the squared distances of each row's values from `middle`, (n,), exact."""
    total = np.zeros(len(rows))
    for columns in _chunks(rows):
        # One value squared fits float32, a chunk of uncentred squares does not: add in float64.
        total += np.square(_centred(rows[:, columns], middle)).sum(axis=1, dtype=np.float64)
    return total

"""SSIM: structural similarity of the gray images at a common size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.methods.base import Image, settings_of
from icas.clusterimg.methods.checks import require_alike
from icas.common.images import resize
from icas.common.options import Size, check_options, option, parse_size

WINDOW = 7
"""Side of the uniform window in pixels (scikit-image's default)."""
PIXELS = WINDOW * WINDOW
BRIGHT = (0.01 * 255) ** 2 * PIXELS**2
"""C1 of the definition, for sums over a window in place of means."""
VARIED = (0.03 * 255) ** 2 * PIXELS * (PIXELS - 1)
"""C2 of the definition, for `PIXELS` (`PIXELS` - 1) times the sample (co)variance."""
SMOOTHING = 1.5
"""Pixels of the common size by which much larger images are smoothed (Gaussian)."""
MAPPED = 1 << 22
"""Pixels whose maps are held at a time, for each side of a tile."""
BLOCK = 1 << 16
"""Pixels of a block of work: small enough for a core's cache."""


class Maps(NamedTuple):
    """What the windows of n images say on their own; h' and w' are h - 6 and w - 6."""

    pixels: NDArray[np.uint16]
    """(n, h, w)"""
    sums: NDArray[np.int32]
    """(n, h', w'): sum over each window."""
    squares: NDArray[np.float32]
    """(n, h', w'): that sum squared."""
    variances: NDArray[np.float32]
    """(n, h', w'): sample variance of each window, times `PIXELS` (`PIXELS` - 1)."""


@dataclass(frozen=True)
class Ssim:
    """`skimage.metrics.structural_similarity` of the gray images at the common size.

    Uniform 7x7 windows, data range 255, sample covariance, mean over all windows that lie within
    the image. Gray is OpenCV's (0.299 R + 0.587 G + 0.114 B). An image of another size is turned
    to gray, resized and, where that made it smaller, smoothed; one that has the common size is
    compared as it is.

    Source: Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, Image quality assessment: from
    error visibility to structural similarity, IEEE Transactions on Image Processing 13, 2004.

    Raises
    ------
    UsageError
        The common size is smaller than the window.
    """

    size: Size = option(
        (96, 96),
        "common size of the images",
        parse=parse_size,
        minimum=WINDOW,
        unit="pixels",
        metavar="WxH",
    )

    name: ClassVar[str] = "ssim"
    default_threshold: ClassVar[float] = 0.62
    tile: ClassVar[int] = 128

    def __post_init__(self) -> None:
        check_options(self)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """The gray images at the common size, in their order.

        Returns
        -------
        FeatureSet
            With the array gray, (n, height, width) uint8.
        """
        width, height = self.size
        brought = [gray_at(image, self.size) for image in images]
        gray = np.array(brought, np.uint8).reshape(len(brought), height, width)
        return FeatureSet(self.name, {"gray": gray}, settings_of(self))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        """Mean structural similarity of each image of `a` with each of `b`.

        Returns
        -------
        (len(a), len(b)) float32 ndarray
            In [-1, 1]; 1 for images that are the same at the common size.

        Raises
        ------
        UsageError
            `a` and `b` were made at different sizes.
        """
        require_alike(a, b)
        found = np.empty((len(a), len(b)), np.float32)
        for rows in _parts(a.array, MAPPED):
            ours = maps_of(a.array[rows])
            for columns in _parts(b.array, MAPPED):
                _compare(ours, maps_of(b.array[columns]), found[rows, columns])
        return np.minimum(found, np.float32(1), out=found)


def gray_at(image: Image, size: Size) -> NDArray[np.uint8]:
    """`image` in gray at `size` (width, height), (height, width) uint8.

    Beside resizing, an image is smoothed as far as it was made smaller: not at all at the common
    size or below, by almost `SMOOTHING` pixels when it was much larger. Fine detail never stands
    at the same pixel in two pictures of one thing, and would drown what they share.
    """
    gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    brought = resize(gray, size)
    shrunk = gray.size / brought.size
    if shrunk <= 1:
        return brought
    sigma = SMOOTHING * math.sqrt(1 - 1 / shrunk)
    return np.asarray(cv2.GaussianBlur(brought, (0, 0), sigma), np.uint8)


def maps_of(gray: NDArray[np.uint8]) -> Maps:
    """Sums and variances of all windows of the images `gray`, (n, h, w) uint8; exact."""
    pixels = gray.astype(np.uint16)
    sums = np.ascontiguousarray(window_sums(pixels))
    squares = sums * sums
    # 49 * 49 * 255^2 is 156 million: all of this fits int32.
    variances = PIXELS * window_sums(pixels * pixels) - squares
    return Maps(pixels, sums, squares.astype(np.float32), variances.astype(np.float32))


def window_sums(stack: NDArray[np.uint16]) -> NDArray[np.int32]:
    """Sum over every 7x7 window within each image, (n, h, w) -> (n, h - 6, w - 6) int32, exact."""
    count, height, width = stack.shape
    # The images on top of each other are one image for OpenCV; windows across a seam are cut off.
    tall = stack.reshape(count * height, width)
    sums = cv2.boxFilter(tall, cv2.CV_32S, (WINDOW, WINDOW), normalize=False)
    edge = WINDOW // 2
    inner = sums.reshape(stack.shape)[:, edge : height - edge, edge : width - edge]
    return np.asarray(inner, np.int32)


def _parts(stack: NDArray[Any], pixels: int) -> Iterator[slice]:
    """Runs of images that hold `pixels` pixels or fewer, one image at the least."""
    step = max(1, pixels // math.prod(stack.shape[1:]))
    for start in range(0, len(stack), step):
        yield slice(start, start + step)


def _compare(ours: Maps, theirs: Maps, found: NDArray[np.float32]) -> None:
    """Fill `found` with the similarity of each image of `ours` with each of `theirs`."""
    for columns in _parts(theirs.pixels, BLOCK):
        many = _picked(theirs, columns)
        for row in range(len(ours.pixels)):
            one = _picked(ours, row)
            found[row, columns] = _mean_similarity(one, many)


def _picked(maps: Maps, images: int | slice) -> Maps:
    return Maps(
        maps.pixels[images], maps.sums[images], maps.squares[images], maps.variances[images]
    )


def _mean_similarity(one: Maps, many: Maps) -> NDArray[np.float64]:
    """Similarity of one image with each of n, (n,).

    All sums are integers and exact; every step after them is symmetric in the two images, bit
    for bit.
    """
    means = one.sums * many.sums
    covariances = window_sums(one.pixels * many.pixels) * np.int32(PIXELS)
    covariances -= means
    value = _twice(means, BRIGHT)
    value *= _twice(covariances, VARIED)
    below = one.squares + many.squares
    below += np.float32(BRIGHT)
    spread = one.variances + many.variances
    spread += np.float32(VARIED)
    below *= spread
    value /= below
    return np.asarray(value.reshape(len(value), -1).mean(axis=1, dtype=np.float64))


def _twice(values: NDArray[np.int32], constant: float) -> NDArray[np.float32]:
    """2 `values` + `constant`."""
    doubled = values.astype(np.float32)
    doubled += doubled
    doubled += np.float32(constant)
    return doubled

"""Structural similarity: gray values that vary together in every small window."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.methods.base import Image, settings_of
from icas.common.images import resize
from icas.common.options import Size, check_options, option, parse_size

WINDOW = 7
"""Side of the window in pixels, scikit-image's default."""
PIXELS = WINDOW * WINDOW
BORDER = WINDOW // 2
# The constants of the formula for gray values up to 255, times what the sums below are too large by.
LIGHT = (0.01 * 255) ** 2 * PIXELS * PIXELS
STRUCTURE = (0.03 * 255) ** 2 * PIXELS * (PIXELS - 1)
SMOOTHING = 1.5
"""How much an image is smoothed before it is shrunk, in pixels of the small one."""
BLOCK_BYTES = 1 << 19
"""Bytes of a block of windows that is worked on at once: it should stay in a core's cache."""


class Windows(NamedTuple):
    """Sums over the windows of several images, (n, windows).

    `mean` is 49 times the mean; `spread` is 49 * 48 times the variance.
    """

    mean: NDArray[np.int32]
    spread: NDArray[np.float32]


@dataclass(frozen=True)
class Ssim:
    """Mean structural similarity of two gray images at a common size.

    Equal to `skimage.metrics.structural_similarity` of the two (7x7 uniform window, sample
    covariance, data range 255) to 1e-5. Images are brought to gray, smoothed as much as they are
    going to be shrunk, and brought to the common size; an image that has that size already is
    taken as it is. In [-1, 1].

    Source: Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, Image quality assessment: from error
    visibility to structural similarity, IEEE Transactions on Image Processing 13 (2004).

    Raises
    ------
    UsageError
        An option is outside its limits.
    """

    size: Size = option(
        (96, 96),
        "common size that images are brought to",
        unit="pixels",
        parse=parse_size,
        minimum=WINDOW,
        maximum=4096,
        metavar="WxH",
    )

    name: ClassVar[str] = "ssim"
    default_threshold: ClassVar[float] = 0.6
    tile: ClassVar[int] = 128

    def __post_init__(self) -> None:
        check_options(self)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Gray pixels of `images` at the common size, in their order.

        Returns
        -------
        FeatureSet
            With the array ``gray``, (n, height, width) uint8.
        """
        width, height = self.size
        gray = [brought(image, self.size) for image in images]
        stack = np.array(gray, np.uint8).reshape(len(gray), height, width)
        return FeatureSet(self.name, {"gray": stack}, settings_of(self))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        """Structural similarity of each image of `a` with each of `b`.

        Returns
        -------
        (len(a), len(b)) float32 ndarray
            In [-1, 1].
        """
        values = np.empty((len(a), len(b)), np.float32)
        mirrored = a is b
        ours = windows_of(a.array)
        theirs = ours if mirrored else windows_of(b.array)
        images = max(1, BLOCK_BYTES // (4 * math.prod(self.size)))
        for start in range(0, len(b), images):
            block = slice(start, start + images)
            many = Windows(theirs.mean[block], theirs.spread[block])
            rows = min(start + images, len(a)) if mirrored else len(a)
            for row in range(rows):
                one = Windows(ours.mean[row], ours.spread[row])
                products = sums(a.array[row].astype(np.float32) * b.array[block])
                values[row, block] = _mean_similarity(one, many, products)
        if mirrored:
            values = np.triu(values) + np.triu(values, 1).T
        return values


def brought(image: Image, size: Size) -> NDArray[np.uint8]:
    """`image` in gray at `size` (width, height), smoothed where it is shrunk."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = gray.shape
    across, down = (_smoothing(old, new) for old, new in zip((width, height), size, strict=True))
    if across or down:
        # OpenCV takes 0 for "as the other": what is not to be smoothed gets next to nothing.
        gray = cv2.GaussianBlur(gray, (0, 0), sigmaX=max(across, 0.01), sigmaY=max(down, 0.01))
    return np.asarray(resize(gray, size), np.uint8)


def _smoothing(old: int, new: int) -> float:
    """Deviation of the Gaussian, in pixels of the image, for a side of `old` that becomes `new`.

    Written so that an image that already has a blur of `SMOOTHING` pixels has it at any size.
    """
    return SMOOTHING * math.sqrt(max(0.0, (old / new) ** 2 - 1))


def sums(stack: NDArray[np.float32]) -> NDArray[np.int32]:
    """Sum over every whole window of each image of a stack.

    Parameters
    ----------
    stack : (n, h, w) float32 ndarray
        Whole numbers up to 255 * 255: the sums are exact.

    Returns
    -------
    (n, (h - 6) * (w - 6)) int32 ndarray
    """
    count, height, width = stack.shape
    tall = stack.reshape(count * height, width)
    filtered = cv2.boxFilter(tall, cv2.CV_32F, (WINDOW, WINDOW), normalize=False)
    inside = filtered.reshape(stack.shape)[:, BORDER : height - BORDER, BORDER : width - BORDER]
    return inside.astype(np.int32).reshape(count, -1)


def windows_of(gray: NDArray[np.uint8]) -> Windows:
    """What the formula needs of each image alone."""
    values = gray.astype(np.float32)
    mean = sums(values)
    spread = PIXELS * sums(values * values) - mean * mean
    return Windows(mean, spread.astype(np.float32))


def _mean_similarity(
    one: Windows, many: Windows, products: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Structural similarity of one image with several, averaged over their windows."""
    both = one.mean * many.mean
    together = (PIXELS * products - both).astype(np.float32)
    light = both.astype(np.float32)
    own, other = one.mean.astype(np.float32), many.mean.astype(np.float32)
    upper = (2 * light + np.float32(LIGHT)) * (2 * together + np.float32(STRUCTURE))
    lower = own * own + other * other + np.float32(LIGHT)
    lower *= one.spread + many.spread + np.float32(STRUCTURE)
    upper /= lower
    return np.minimum(1.0, upper.mean(axis=1, dtype=np.float64))

"""SSIM over all windows of two images, as a sum of integers, independent of the summation order.

The similarity of a window is computed in float32, every step exactly rounded and in the order that
`totals_with` gives; 2^20 of it, rounded to a whole number, is what is added up. The mean of such
parts is within 2^-21 of that of the float32 values, and NumPy, numba kernels or a GPU give the
same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from icas.clusterimg.kernels import Bytes, Doubles, Floats, Ints, Longs, Shorts

if TYPE_CHECKING:
    import cv2

WINDOW = 7
"""Side of the uniform window in pixels (scikit-image's default)."""
PIXELS = WINDOW * WINDOW
BRIGHT = np.float32((0.01 * 255) ** 2 * PIXELS**2 / 2)
"""Half of C1 of the definition, for sums over a window in place of means."""
VARIED = np.float32((0.03 * 255) ** 2 * PIXELS * (PIXELS - 1) / 2)
"""Half of C2 of the definition, for `PIXELS` (`PIXELS` - 1) times the sample (co)variance."""
WHOLE = 1 << 20
"""Parts of a similarity of 1."""
NONE = -(1 << 62)
"""Marks a total below the required one."""
QUARTERED = np.float32(4 * WHOLE)
"""What a quarter of a similarity is multiplied by: with the halves of C1, C2 no step doubles."""
BLOCK = 1 << 16
"""Pixels of a block of work: small enough for a core's cache."""


class Maps(NamedTuple):
    """Sums over the windows of n images; h' and w' are h - 6 and w - 6."""

    pixels: Shorts
    """(n, h, w)"""
    sums: Ints
    """(n, h', w'): sum over each window."""
    squares: Floats
    """(n, h', w'): that sum squared, plus `BRIGHT`."""
    spreads: Floats
    """(n, h', w'): variance of each window times `PIXELS` (`PIXELS` - 1), plus `VARIED`."""

    def picked(self, images: int | slice | Longs) -> Maps:
        """The maps of the chosen images."""
        return Maps._make(array[images] for array in self)


def maps_of(gray: Bytes) -> Maps:
    """Sums and variances of all windows of the images `gray`, (n, h, w) uint8."""
    pixels = gray.astype(np.uint16)
    sums = np.ascontiguousarray(window_sums(pixels))
    squares = sums * sums
    # 49 * 49 * 255^2 is 156 million: all of this fits int32.
    variances = PIXELS * window_sums(pixels * pixels) - squares
    return Maps(
        pixels, sums, squares.astype(np.float32) + BRIGHT, variances.astype(np.float32) + VARIED
    )


def window_sums(stack: Shorts) -> Ints:
    """Sum over every 7x7 window within each image, (n, h, w) -> (n, h - 6, w - 6) int32, exact."""
    import cv2

    count, height, width = stack.shape
    # The images on top of each other are one image for OpenCV; windows across a seam are cut off.
    tall = stack.reshape(count * height, width)
    sums = cv2.boxFilter(tall, cv2.CV_32S, (WINDOW, WINDOW), normalize=False)
    return np.asarray(within(sums, stack.shape), np.int32)


def within(tall: cv2.typing.MatLike, shape: tuple[int, ...]) -> Ints | Floats:
    """Of a filtered pile of images of `shape` (n, h, w) the windows that lie within an image."""
    edge = WINDOW // 2
    inner = tall.reshape(shape)[:, edge : shape[1] - edge, edge : shape[2] - edge]
    return inner  # type: ignore[return-value]


def totals_with(one: Maps, many: Maps) -> Doubles:
    """Sum of the parts of all windows of one image with each of n.

    With S, S' the sums over a window of the two images, P that of their products, V, V' the spreads
    and b, v the constants `BRIGHT`, `VARIED`, everything in float32 from the first rounding on::

        above = (round(S S') + b) * (round(49 P - S S') + v)
        below = ((round(S S) + b) + (round(S' S') + b)) * (V + V')
        part  = rint(above / below * 2^22)

    Gives (n,) float64, whole numbers, at most `WHOLE` a window for images that are the same.
    """
    means = one.sums * many.sums
    covariances = window_sums(one.pixels * many.pixels) * np.int32(PIXELS)
    covariances -= means
    value = means.astype(np.float32)
    value += BRIGHT
    spread = covariances.astype(np.float32)
    spread += VARIED
    value *= spread
    below = one.squares + many.squares
    below *= np.add(one.spreads, many.spreads, out=spread)
    value /= below
    value *= QUARTERED
    parts = np.rint(value, out=value).reshape(len(value), -1)
    # float64 adds whole numbers exactly up to 2^53, that is for 2^33 windows.
    return np.asarray(parts.sum(axis=1, dtype=np.float64))


def totals(a: Maps, b: Maps, shape: tuple[int, ...]) -> Longs:
    """Totals (see `totals_with`) of n images of `shape` with m, (n, m) int64."""
    result = np.empty((len(a.pixels), len(b.pixels)), np.int64)
    step = max(1, BLOCK // (shape[0] * shape[1]))
    for start in range(0, len(b.pixels), step):
        many = b.picked(slice(start, start + step))
        for row in range(len(result)):
            result[row, start : start + step] = totals_with(a.picked(row), many)
    return result


def window_count(shape: tuple[int, ...]) -> int:
    """Windows within an image of `shape` (height, width)."""
    return (shape[0] - WINDOW + 1) * (shape[1] - WINDOW + 1)


def similarity_of(totals: Longs, shape: tuple[int, ...]) -> Floats:
    """Similarities of images of `shape` by their totals, at most 1."""
    mean = totals / float(window_count(shape) * WHOLE)
    return np.minimum(mean.astype(np.float32), np.float32(1))


def least_total(threshold: float, shape: tuple[int, ...]) -> int:
    """The least total whose similarity is at or above float32(`threshold`).

    More than any total can be where no similarity is (1 is the greatest).
    """
    # A window's part is beyond WHOLE by rounding at most.
    high = 2 * window_count(shape) * WHOLE
    low = -high
    wanted = np.float32(threshold)
    while low < high:
        middle = (low + high) // 2
        if similarity_of(np.array([middle]), shape)[0] >= wanted:
            high = middle
        else:
            low = middle + 1
    return low

"""SSIM: structural similarity of the gray images at a common size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.cli.options import Size, check_options, option, parse_size
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links, join_links
from icas.clusterimg.kernels import Bytes, Floats, Longs
from icas.clusterimg.kernels.letterbox import inside_bars
from icas.clusterimg.kernels.numba_support import compiled_kernels
from icas.clusterimg.kernels.ssim import block_bounds as ssim_blocks, windows as ssim_windows
from icas.clusterimg.kernels.ssim.windows import NONE, WINDOW, least_total, similarity_of
from icas.clusterimg.methods.base import (
    Describe,
    Image,
    Method,
    enlarged,
    require_same_shape,
    settings_of,
)
from icas.io.reading import resize

SMOOTHING = 1.5
"""Pixels of the common size by which much larger images are smoothed (Gaussian)."""
MAPPED = 1 << 22
"""Pixels whose maps are held at a time, for each side of a tile."""
FEATURED = 1 << 24
"""Pixels of images whose bounds by blocks are held at a time, for each side of a tile."""
COST = 4e-9
"""Approximate seconds that NumPy takes for a pixel of a pair."""
CELLS = 8
"""Cells a side in which a sketch takes the brightness and the slope of an image."""
STEADY = (0.03 * 255) ** 2 / 2
"""Half of the constant C2 of SSIM: a variance below it counts as none."""
PLAIN = 0.97
"""Mean similarity of the windows of an image and of flat ones from which on it is plain."""
DARK = 10.0
"""Gray levels added before the logarithm of a brightness, so that black ones count little."""


@dataclass(frozen=True)
class Ssim(Method):
    """`skimage.metrics.structural_similarity` of the gray images at the common size.

    Uniform 7x7 windows, data range 255, sample covariance, mean over all windows within the image.
    Gray is 0.299 R + 0.587 G + 0.114 B, as in OpenCV. Images of another size are converted to gray,
    resized and, if they became smaller, smoothed.

    Letterbox bars are left out.

    Reference: Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, Image quality assessment: from
    error visibility to structural similarity, IEEE Transactions on Image Processing 13, 2004.

    Raises UsageError: the common size is smaller than the window.
    """

    size: Size = option(
        (96, 96),
        "resize images to this common size",
        parse=parse_size,
        minimum=WINDOW,
        unit="pixels",
        metavar="WxH",
    )

    name: ClassVar[str] = "ssim"
    features_version: ClassVar[int] = 2
    default_threshold: ClassVar[float] = 0.62
    tile: ClassVar[int] = 128
    links_tile: ClassVar[int] = 512
    sample_size: ClassVar[int] = 1000
    sketched: ClassVar[bool] = True
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda", "mps")

    def __post_init__(self) -> None:
        check_options(self)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Gray images at the common size: gray, (n, height, width) uint8."""
        width, height = self.size
        brought = [gray_at(inside_bars(image), self.size) for image in images]
        gray = np.array(brought, np.uint8).reshape(len(brought), height, width)
        return FeatureSet(self.name, {"gray": gray}, settings_of(self))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> Floats:
        """Mean structural similarity, in [-1, 1]; 1 for equal images at the common size."""
        require_same_shape(a, b)
        kernels = compiled_kernels("ssim.pairs_numba", _seconds(a, b)) or ssim_windows
        shape = a.array.shape[1:]
        result = np.empty((len(a), len(b)), np.float32)
        for rows in _parts(a.array, MAPPED):
            maps_a = kernels.maps_of(a.array[rows])
            for columns in _parts(b.array, MAPPED):
                maps_b = maps_a if a is b and rows == columns else kernels.maps_of(b.array[columns])
                totals = kernels.totals(maps_a, maps_b, shape)
                result[rows, columns] = similarity_of(totals, shape)
        return result

    def links(self, a: FeatureSet, b: FeatureSet, threshold: float) -> Links:
        """As `Method.links`; a strict upper bound (`block_bounds`) excludes most pairs.

        Of the others as many rows of windows are computed as it takes to see that the bound of the
        rest is too low.
        """
        require_same_shape(a, b)
        shape = a.array.shape[1:]
        kernels = compiled_kernels("ssim.links_numba", _seconds(a, b)) or ssim_blocks
        least = least_total(threshold, shape)
        return join_links(
            _found_links(totals, rows.start, columns.start, shape)
            for rows, columns, totals in _totals_from(kernels, a.array, b.array, least, a is b)
        )

    def similarity_on(self, a: FeatureSet, b: FeatureSet, device: str) -> Floats:
        from icas.clusterimg.kernels import torch_tiles

        return torch_tiles.ssim(a.array, b.array, device)

    def plain(self, features: FeatureSet) -> NDArray[np.bool_]:
        """Images that are as similar as `PLAIN` to themselves without any structure."""
        shares = [2 * STEADY / (_variances(gray) + 2 * STEADY) for gray in features.array]
        means = np.array([share.mean() for share in shares], np.float64)
        return np.asarray(means >= PLAIN, np.bool_)

    def decode_size(self, size: Size | None = None) -> Size:
        return enlarged(size or self.size, 4)

    def sketch(self, sample: FeatureSet, seed: int) -> Describe:
        return ssim_vectors


def gray_at(image: Image, size: Size) -> Bytes:
    """`image` in gray at `size` (width, height), (height, width) uint8.

    Beside resizing, an image is smoothed as far as it was made smaller: not at all at the common
    size or below, by almost `SMOOTHING` pixels when it was much larger. Fine detail is never at
    the same pixel in two images of one object, and would hide what they share.
    """
    gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    brought = resize(gray, size)
    shrunk = gray.size / brought.size
    if shrunk <= 1:
        return brought
    sigma = SMOOTHING * math.sqrt(1 - 1 / shrunk)
    return np.asarray(cv2.GaussianBlur(brought, (0, 0), sigma), np.uint8)


def ssim_vectors(features: FeatureSet) -> Floats:
    """Slopes and flatness of each image's cells, by the local contrast, (n, 6 `CELLS`^2).

    The covariance of two windows over the root of both variances is a product of such vectors;
    how far two brightnesses differ turns them against each other.
    """
    result = [_cells(gray) for gray in features.array]
    return np.array(result, np.float32).reshape(len(result), 6 * CELLS**2)


def _variances(gray: Bytes) -> Floats:
    """Variance in the window around each pixel."""
    pixels = gray.astype(np.float32)
    means = cv2.blur(pixels, (WINDOW, WINDOW))
    squares = cv2.blur(pixels * pixels, (WINDOW, WINDOW))
    return np.asarray(np.maximum(squares - means * means, 0), np.float32)


def _cells(gray: Bytes) -> Floats:
    pixels = gray.astype(np.float32)
    variances = _variances(gray)
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


def _seconds(a: FeatureSet, b: FeatureSet) -> float:
    """Approximate seconds to compare `a` with `b` in NumPy."""
    return COST * len(a) * b.array.size


def _parts(stack: NDArray[Any], pixels: int) -> Iterator[slice]:
    """Runs of images that hold `pixels` pixels or fewer, one image at the least."""
    step = max(1, pixels // math.prod(stack.shape[1:]))
    for start in range(0, len(stack), step):
        yield slice(start, min(start + step, len(stack)))


def _totals_from(
    kernels: ModuleType, a: Bytes, b: Bytes, least: int, triangle: bool
) -> Iterator[tuple[slice, slice, Longs]]:
    """Runs of images of `a`, of `b`, and the totals of `least` or more of each of their pairs."""
    shape = a.shape[1:]
    for rows in _parts(a, FEATURED):
        maps_a = _featured(kernels, a, rows)
        for columns in _parts(b, FEATURED):
            same = triangle and rows == columns
            maps_b = maps_a if same else _featured(kernels, b, columns)
            for one, features in maps_a:
                maps = kernels.maps_of(a[one])
                for other, other_features in maps_b:
                    if triangle and other.start < one.start:
                        continue
                    same_part = triangle and one == other
                    other_maps = maps if same_part else kernels.maps_of(b[other])
                    both = features, other_features
                    totals = kernels.totals_from(maps, other_maps, both, shape, least, same_part)
                    yield one, other, totals


def _featured(kernels: ModuleType, gray: Bytes, images: slice) -> list[tuple[slice, Floats]]:
    """Features of the chosen images for the bounds, part by part."""
    shape = gray.shape[1:]
    result = []
    for inner in _parts(gray[images], MAPPED):
        part = slice(images.start + inner.start, images.start + inner.stop)
        result.append((part, kernels.features_of(kernels.maps_of(gray[part]), shape)))
    return result


def _found_links(totals: Longs, first: int, second: int, shape: tuple[int, ...]) -> Links:
    """Links of the totals that are there, of images numbered from `first` and `second`."""
    rows, columns = np.nonzero(totals != NONE)
    return Links(rows + first, columns + second, similarity_of(totals[rows, columns], shape))

"""SSIM: structural similarity of the gray images at a common size."""

from __future__ import annotations

import math
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

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
PREPARED_BYTES = 10
"""Bytes of the maps, features and copy of a pixel."""
KEPT = 200 << 20
"""Bytes of prepared blocks that are kept for the next tiles."""
COST = 4e-9
"""Approximate seconds that NumPy takes for a pixel of a pair."""
SIDE_BY_SIDE = 64
"""Images whose bounds the kernels compute together."""
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
    import cv2

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
    import cv2

    pixels = gray.astype(np.float32)
    means = cv2.blur(pixels, (WINDOW, WINDOW))
    squares = cv2.blur(pixels * pixels, (WINDOW, WINDOW))
    return np.asarray(np.maximum(squares - means * means, 0), np.float32)


def _cells(gray: Bytes) -> Floats:
    import cv2

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
    """Runs of images that hold `pixels` pixels or fewer, one image at the least.

    Runs of `SIDE_BY_SIDE` or more are multiples of it, so that the kernels' groups are full.
    """
    step = max(1, pixels // math.prod(stack.shape[1:]))
    step -= step % SIDE_BY_SIDE if step > SIDE_BY_SIDE else 0
    for start in range(0, len(stack), step):
        yield slice(start, min(start + step, len(stack)))


class _Prepared:
    """Maps and features for the bounds of a block of images, computed when they are needed."""

    def __init__(self, kernels: ModuleType, gray: Bytes) -> None:
        self.kernels = kernels
        self.gray = gray
        self.parts = list(_parts(gray, MAPPED))
        self.bytes = gray.size * PREPARED_BYTES
        self.keeps_maps = self.bytes <= KEPT // 4
        self._maps: dict[int, Any] = {}
        self._features: dict[int, Floats] = {}
        self._lock = threading.Lock()

    def maps(self, part: slice) -> Any:
        """Maps of the windows of a part."""
        if not self.keeps_maps:
            return self.kernels.maps_of(self.gray[part])
        with self._lock:
            if part.start not in self._maps:
                self._maps[part.start] = self.kernels.maps_of(self.gray[part])
            return self._maps[part.start]

    def features(self, part: slice) -> Floats:
        """Features of a part for the bounds."""
        maps = self.maps(part)
        with self._lock:
            if part.start not in self._features:
                self._features[part.start] = self.kernels.features_of(maps, self.gray.shape[1:])
            return self._features[part.start]


_Key = tuple[str, int, tuple[int, ...]]
_PREPARED: OrderedDict[_Key, _Prepared] = OrderedDict()
"""Blocks of images that were compared last: a block takes part in many tiles."""
_PREPARING = threading.Lock()


def _prepared(kernels: ModuleType, gray: Bytes) -> _Prepared:
    """The prepared block, from an earlier tile if it is the same images.

    It is kept as long as the array it is a part of, among the last ones that take `KEPT` bytes.
    """
    key = kernels.__name__, gray.ctypes.data, gray.shape
    with _PREPARING:
        held = _PREPARED.get(key)
    if held is not None and np.array_equal(held.gray, gray):
        with _PREPARING:
            if key in _PREPARED:
                _PREPARED.move_to_end(key)
        return held
    # A copy: the array may be changed by its owner.
    made = _Prepared(kernels, gray.copy())
    if not made.keeps_maps:
        return made
    try:
        weakref.finalize(gray if gray.base is None else gray.base, _PREPARED.pop, key, None)
    except TypeError:  # memory of a file or of another process
        return made
    with _PREPARING:
        _PREPARED[key] = made
        while sum(block.bytes for block in _PREPARED.values()) > KEPT:
            _PREPARED.popitem(last=False)
    return made


def _totals_from(
    kernels: ModuleType, a: Bytes, b: Bytes, least: int, triangle: bool
) -> Iterator[tuple[slice, slice, Longs]]:
    """Runs of images of `a`, of `b`, and the totals of `least` or more of each of their pairs."""
    shape = a.shape[1:]
    for rows in _parts(a, FEATURED):
        left = _prepared(kernels, a[rows])
        for columns in _parts(b, FEATURED):
            same = triangle and rows == columns
            right = left if same else _prepared(kernels, b[columns])
            for one in left.parts:
                maps = left.maps(one)
                for other in right.parts:
                    if triangle and columns.start + other.start < rows.start + one.start:
                        continue
                    same_part = same and one == other
                    other_maps = maps if same_part else right.maps(other)
                    both = left.features(one), right.features(other)
                    totals = kernels.totals_from(maps, other_maps, both, shape, least, same_part)
                    yield _moved(one, rows.start), _moved(other, columns.start), totals


def _moved(part: slice, start: int) -> slice:
    return slice(part.start + start, part.stop + start)


def _found_links(totals: Longs, first: int, second: int, shape: tuple[int, ...]) -> Links:
    """Links of the totals that are there, of images numbered from `first` and `second`."""
    rows, columns = np.nonzero(totals != NONE)
    return Links(rows + first, columns + second, similarity_of(totals[rows, columns], shape))

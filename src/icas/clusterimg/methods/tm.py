"""Template matching: normalised colour difference of two images at a common size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import Size, check_options, option, parse_size
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links, join_links, links_in
from icas.clusterimg.kernels import Bytes, Floats
from icas.clusterimg.kernels.letterbox import inside_bars
from icas.clusterimg.kernels.numba_support import compiled_kernels
from icas.clusterimg.kernels.tm import norms_of, pair_similarities, sides_of, similarities
from icas.clusterimg.methods.base import (
    Describe,
    Image,
    Method,
    enlarged,
    require_same_shape,
    settings_of,
)
from icas.io.reading import resize

ROWS = 256
"""Images compared with a tile at a time: their matrix stays in a core's cache."""
COST = 2e-11
"""Approximate seconds that NumPy takes for a value of a pair."""
DENSE = 0.2
"""Share of pairs that may be linked from which on all are computed by a product of matrices."""
DENSE_NUMPY = 0.015
"""The same without numba kernels, where single pairs take longer."""
SKETCH_SIDE = 16
"""Pixels a side up to which a sketch takes images as they are."""


@dataclass(frozen=True)
class TemplateMatching(Method):
    """1 - the minimum ``cv2.TM_SQDIFF_NORMED`` of two color images.

    At the common size there is one position, so one value: the sum of squared differences divided
    by the root of the product of both sums of squares, at most 1. Identical images have similarity
    1, also black ones, where OpenCV divides by zero. Black and any other image have similarity 0.
    Letterbox bars are left out.

    Reference: OpenCV's matchTemplate, method TM_SQDIFF_NORMED.

    Raises UsageError: the common size is smaller than a pixel.
    """

    size: Size = option(
        (10, 10),
        "resize images to this common size",
        parse=parse_size,
        minimum=1,
        unit="pixels",
        metavar="WxH",
    )

    name: ClassVar[str] = "tm"
    features_version: ClassVar[int] = 2
    default_threshold: ClassVar[float] = 0.97
    tile: ClassVar[int] = 1024
    links_tile: ClassVar[int] = 1024
    sketched: ClassVar[bool] = True
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")  # Apple's GPUs lack 64-bit floats

    def __post_init__(self) -> None:
        check_options(self)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Images at the common size: pixels, (n, height, width, 3) uint8 RGB."""
        width, height = self.size
        brought = [resize(inside_bars(image), self.size) for image in images]
        pixels = np.array(brought, np.uint8).reshape(len(brought), height, width, 3)
        return FeatureSet(self.name, {"pixels": pixels}, settings_of(self))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> Floats:
        """As `Method.similarity`, in [0, 1]; 1 for equal images at the common size."""
        require_same_shape(a, b)
        kernels = _kernels(a, b)
        rows_a = _rows(a)
        rows_b = rows_a if a is b else _rows(b)
        norms = norms_of(rows_a, kernels)
        both = norms, norms if a is b else norms_of(rows_b, kernels)
        return similarities(rows_a, rows_b, both, kernels)

    def links(self, a: FeatureSet, b: FeatureSet, threshold: float) -> Links:
        """As `Method.links`; one product of matrices excludes most pairs (`sides_of`)."""
        require_same_shape(a, b)
        wanted = float(np.float32(threshold))
        if not 0 < wanted <= 1:
            # Every pair is linked, or none.
            return links_in(self.similarity(a, b), threshold, triangle=a is b)
        return join_links(_links_by_rows(a, b, wanted, _kernels(a, b)))

    def similarity_on(self, a: FeatureSet, b: FeatureSet, device: str) -> Floats:
        from icas.clusterimg.kernels import torch_tiles

        return torch_tiles.color_shares(_rows(a), _rows(b), device)

    def plain(self, features: FeatureSet) -> NDArray[np.bool_]:
        """Images that the default threshold links to each plain surface of their mean color."""
        sides = features.array.shape
        pixels = features.array.reshape(sides[0], sides[1] * sides[2], sides[3])
        values = pixels.astype(np.float64)
        power = np.maximum(np.square(values).mean(axis=1).sum(axis=1), 1e-9)
        varied = values.var(axis=1).sum(axis=1) / power
        return np.asarray(2 * varied < 1 - self.default_threshold, np.bool_)

    def decode_size(self, size: Size | None = None) -> Size:
        return enlarged(size or self.size, 8)

    def sketch(self, sample: FeatureSet, seed: int) -> Describe:
        return tm_vectors


def tm_vectors(features: FeatureSet) -> Floats:
    """Direction and logarithm of the length of each image's values, (n, values + 1).

    The squared distance of two of them is close to the squared difference of the images over the
    product of their lengths, which tm subtracts from 1.
    """
    import cv2

    count, height, width, channels = features.array.shape
    side = min(width, SKETCH_SIDE), min(height, SKETCH_SIDE)
    small = np.empty((count, side[1], side[0], channels), np.float32)
    for row, pixels in zip(small, features.array, strict=True):
        row[:] = cv2.resize(pixels.astype(np.float32), side, interpolation=cv2.INTER_AREA)
    values = small.reshape(count, -1)
    length = np.sqrt(np.square(values.astype(np.float64)).sum(axis=1, keepdims=True))
    direction = values * np.sqrt(2) / np.maximum(length, 1)
    return np.concatenate([direction, np.log(np.maximum(length, 1))], axis=1).astype(np.float32)


def _rows(features: FeatureSet) -> Bytes:
    """(n, values) uint8: each image as one row."""
    return features.array.reshape(len(features), math.prod(features.array.shape[1:]))


def _kernels(a: FeatureSet, b: FeatureSet) -> ModuleType | None:
    return compiled_kernels("tm_numba", COST * len(a) * b.array.size)


def _links_by_rows(
    a: FeatureSet, b: FeatureSet, threshold: float, kernels: ModuleType | None
) -> Iterator[Links]:
    """Links of `ROWS` images of `a` at a time."""
    same = a is b
    rows_a, rows_b = _rows(a), _rows(b)
    norms = norms_of(rows_a, kernels)
    both = norms, norms if same else norms_of(rows_b, kernels)
    left, right = sides_of((a.array, a.array if same else b.array), both, threshold, kernels)
    for start in range(0, len(a), ROWS):
        rows = slice(start, start + ROWS)
        # Pairs left of the diagonal are not compared.
        first = start if same else 0
        columns = slice(first, None)
        sides = rows_a[rows], rows_b[columns]
        parts = both[0].picked(rows), both[1].picked(columns)
        near = np.flatnonzero((left[rows] @ right[columns].T).reshape(-1) >= 0)
        if len(near) > (DENSE_NUMPY if kernels is None else DENSE) * len(sides[0]) * len(sides[1]):
            result = links_in(similarities(*sides, parts, kernels), threshold, triangle=same)
        else:
            pairs = np.divmod(near, len(sides[1]))
            if same:
                above = pairs[1] > pairs[0]
                pairs = pairs[0][above], pairs[1][above]
            values = pair_similarities(*sides, parts, pairs, kernels)
            result = Links(*pairs, values).at_least(threshold)
        yield Links(result.a + start, result.b + first, result.similarity)

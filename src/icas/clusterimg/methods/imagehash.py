"""The hashes of `imagehash.phash`, bit for bit, for many images at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, islice
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import Size, check_options, option, parse_size
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links
from icas.clusterimg.kernels import Bytes, Doubles, Floats
from icas.clusterimg.kernels.letterbox import inside_bars
from icas.clusterimg.methods.base import (
    Image,
    Method,
    enlarged,
    require_same_shape,
    settings_of,
)
from icas.clusterimg.methods.hamming import (
    hamming_of_pairs,
    links_of,
    shares_by_distance,
    shares_of,
    spanning_links_of,
)
from icas.io.reading import resize

LUMA = np.array([[19595, 38470, 7471, 1 << 15]], np.float32) / np.float32(1 << 16)
"""Red, green, blue (ITU-R 601-2 luma in parts of 2^16, as Pillow has them), and a half."""
BAND_PIXELS = 1 << 16
"""Pixels that become gray at a time."""
STEP_PIXELS = 1 << 18
"""Pixels that are resized at a time."""
LANCZOS = 3
"""Half of the width of the filter, in pixels of the smaller image."""
PARTS = 1 << 22
"""Pillow rounds the weights of a filter to these parts."""
SIZES = 128
"""Lengths of which the weights are kept."""
STACK_BYTES = 1 << 20
"""Memory of the frequencies of images that are transformed together: it stays in the cache."""
DOUBT = 1e-12
"""Frequencies differ by less than this times the cubed side, whatever computes them."""
NOISE = 0.05
"""Amplitude in gray levels below which noise of JPEG and rounding decide: they reach 0.03, dark
photographs have 0.07 and more."""


def phashes(images: Iterable[Image], hash_size: int, highfreq_factor: int) -> Bytes:
    """Packed hashes of `images`.

    Gives (n, ceil(hash_size squared / 8)) uint8, the hash row by row, the first bit highest, filled
    with zeros to whole bytes.
    """
    return hashes_and_plain(images, hash_size, highfreq_factor)[0]


def hashes_and_plain(
    images: Iterable[Image], hash_size: int, highfreq_factor: int
) -> tuple[Bytes, NDArray[np.bool_]]:
    """`phashes`, and (n,) whether noise decides them: the median amplitude is below `NOISE`."""
    side = hash_size * highfreq_factor
    resized = _Resizer(side)
    small = (one for stack in _of_one_shape(images) for one in resized(_grays(stack)))
    low = [_frequencies(stack, hash_size) for stack in _stacks(small, side)]
    width = -(-(hash_size**2) // 8)
    bits = np.concatenate([np.empty((0, width), np.uint8), *map(_hashes, low)])
    contrast = np.concatenate([np.empty(0), *(_contrast(values, side) for values in low)])
    return bits, contrast.astype(np.float32) < NOISE


def _of_one_shape(images: Iterable[Image]) -> Iterator[Bytes]:
    """Stacks, (n, h, w, 3), of images that follow each other and have the same shape.

    Other threads run during each step on a stack; steps on one small image are too short for that.
    """
    for (height, width, *_), same in groupby(images, key=np.shape):
        while some := list(islice(same, max(1, STEP_PIXELS // (height * width)))):
            yield np.stack(some) if len(some) > 1 else some[0][None]


def _grays(stack: Bytes) -> Bytes:
    """(n, h, w) uint8: `pillow_gray` of each image."""
    count, height, width, _ = stack.shape
    return pillow_gray(stack.reshape(count * height, width, 3)).reshape(count, height, width)


class _Resizer:
    """Gray images at (side, side) as Pillow resizes them, with the filter that ImageHash uses.

    Pillow adds products of whole numbers and rounds after each direction. So do matrix products, in
    less than half the time. Which direction comes first depends on the shape and on the release of
    Pillow. So Pillow resizes images of a shape until only one order gives the same pixels.
    """

    def __init__(self, side: int) -> None:
        self._side = side
        self._orders: dict[tuple[int, ...], list[bool]] = {}

    def __call__(self, grays: Bytes) -> list[Bytes]:
        """The (n, h, w) images, each resized."""
        shape, done = grays.shape[1:], list[Bytes]()
        while len(self._orders.get(shape, ())) != 1 and len(done) < len(grays):
            done.append(self._resized_by_pillow(grays[len(done)]))
        if len(done) < len(grays):
            [order] = self._orders[shape]
            done.extend(_by_matrices(grays[len(done) :], self._side, columns_first=order))
        return done

    def _resized_by_pillow(self, gray: Bytes) -> Bytes:
        from PIL import Image as PillowImage

        side, orders = self._side, self._orders.get(gray.shape)
        size, how = (side, side), PillowImage.Resampling.LANCZOS
        small = np.asarray(PillowImage.fromarray(gray).resize(size, how))
        if orders is None:  # many shapes occur once; with one direction there is no order
            self._orders[gray.shape] = [] if side in gray.shape else [False, True]
        else:
            self._orders[gray.shape] = [
                order
                for order in orders
                if np.array_equal(_by_matrices(gray[None], side, columns_first=order)[0], small)
            ]
        return small


def _by_matrices(grays: Bytes, side: int, *, columns_first: bool) -> Bytes:
    """(n, side, side) uint8: the (n, h, w) images, resized."""
    lines = grays.transpose(0, 2, 1) if columns_first else grays
    some = max(1, STEP_PIXELS // (len(lines) * lines.shape[2]))
    parts = (lines[:, at : at + some] for at in range(0, lines.shape[1], some))
    narrow = np.concatenate([_resized(part.astype(np.float64), side) for part in parts], axis=1)
    small = _resized(narrow.transpose(0, 2, 1), side)
    return (small if columns_first else small.transpose(0, 2, 1)).astype(np.uint8)


def _resized(lines: Doubles, side: int) -> Doubles:
    """The (n, m, length) lines at the length `side`; gray levels, which are whole numbers."""
    result = np.empty((*lines.shape[:2], side))
    for places, start, weights in _weights(lines.shape[2], side):
        np.matmul(lines[..., start : start + len(weights)], weights, out=result[..., places])
    result += PARTS / 2
    result /= PARTS
    np.floor(result, out=result)
    return np.asarray(result.clip(0, 255, out=result))


@lru_cache(SIZES)
def _weights(length: int, side: int) -> list[tuple[slice, int, Doubles]]:
    """Weights of Pillow's Lanczos filter, in whole `PARTS`.

    For some places of the result at a time: the places, the first pixel that they depend on, and
    the weights of pixels and places. Most weights outside these parts of the matrix are zero.
    """
    scale = length / side
    reach = LANCZOS * max(scale, 1.0)
    centers = (np.arange(side) + 0.5) * scale
    first = np.maximum(centers - reach + 0.5, 0).astype(np.int64)
    last = np.minimum(centers + reach + 0.5, length).astype(np.int64)
    step = max(8, side // 8)
    found = []
    for at in range(0, side, step):
        places = slice(at, min(at + step, side))
        low, high = first[at], last[places.stop - 1]
        pixels = np.arange(low, high)[:, None]
        apart = (pixels - centers[places] + 0.5) / max(scale, 1.0)
        values = np.where(
            (pixels >= first[places]) & (pixels < last[places]) & (apart >= -LANCZOS),
            np.sinc(apart) * np.sinc(apart / LANCZOS) * (apart < LANCZOS),
            0.0,
        )
        values /= values.sum(axis=0)
        found.append((places, int(low), np.trunc(values * PARTS + np.copysign(0.5, values))))
    return found


def pillow_gray(image: Image) -> Bytes:
    """(h, w) uint8: what Pillow's ``convert("L")`` makes, faster, and while other threads run.

    Pillow adds whole numbers, and so does this: they are below 2^24, which float32 holds exactly.
    """
    import cv2

    gray = np.empty(image.shape[:2], np.uint8)
    rows = max(1, BAND_PIXELS // image.shape[1])
    for top in range(0, len(image), rows):
        band = image[top : top + rows].astype(np.float32, order="C")
        gray[top : top + rows] = cv2.transform(band, LUMA).reshape(band.shape[:2])
    return gray


def _stacks(small: Iterable[Bytes], side: int) -> Iterator[Bytes]:
    """The small images, (n, side, side), a few at a time."""
    rest = iter(small)
    while some := list(islice(rest, max(1, STACK_BYTES // (8 * side * side)))):
        yield np.stack(some)


def _frequencies(stack: Bytes, hash_size: int) -> Doubles:
    """(n, hash_size squared) the lowest frequencies, the mean first.

    Those of images whose hash depends on the last digits are computed as ImageHash does.
    """
    side = stack.shape[1]
    waves = _waves(side, hash_size)
    low = waves.T @ (stack.astype(np.float64) @ waves)
    low = low.reshape(len(stack), -1)
    unsure = _unsure(low, side)
    if unsure.any():
        low[unsure] = _scipy_frequencies(stack[unsure], hash_size)
    return np.asarray(low)


@lru_cache(SIZES)
def _waves(side: int, count: int) -> Doubles:
    """(side, count) the first cosines of the DCT."""
    turns = (np.arange(side) + 0.5)[:, None] * np.arange(count) / (2 * side)
    return np.asarray(2 * np.cos(2 * np.pi * turns))


def _unsure(low: Doubles, side: int) -> NDArray[np.bool_]:
    """(n,) images whose bits, or whether they are plain, rounding may decide."""
    doubt = DOUBT * side**3
    above = (low.shape[1] + 1) // 2  # the first value above the median
    ordered = np.partition(low, (above - 1, above), axis=1)
    close = ordered[:, above] - ordered[:, above - 1] <= doubt
    close |= np.abs(_contrast(low, side) - NOISE) <= 1e-6
    return np.asarray(close & low.any(axis=1))  # of a black image all are exactly zero


def _scipy_frequencies(stack: Bytes, hash_size: int) -> Doubles:
    """`_frequencies` as ImageHash computes them."""
    from scipy.fft import dct

    # Columns as rows: transforms along the last axis are far faster. Of the first transform only
    # the low frequencies go through the second.
    columns = np.ascontiguousarray(stack.transpose(0, 2, 1))
    low = dct(dct(columns, axis=2)[:, :, :hash_size], axis=1)[:, :hash_size]
    return np.asarray(low.transpose(0, 2, 1).reshape(len(stack), -1), np.float64)


def _contrast(low: Doubles, side: int) -> Doubles:
    """(n,) the median amplitude of the frequencies of each image, in gray levels."""
    return np.asarray(np.median(np.abs(low[:, 1:]), axis=1) / side**2)


def _hashes(low: Doubles) -> Bytes:
    above = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(above, axis=1)


@dataclass(frozen=True)
class ImageHash(Method):
    """1 - Hamming distance / number of bits of the perceptual hashes (`imagehash.phash`).

    The hash has one bit for each of the `hash_size` squared lowest frequencies of the gray image:
    whether it is above their median. Bits are those of the package ImageHash with the same options.
    Letterbox bars are left out.

    References: C. Zauner, Implementation and benchmarking of perceptual image hash functions, 2010;
    J. Buchner, ImageHash.

    Raises UsageError: an option is outside its limits.
    """

    hash_size: int = option(8, "side of the hash; it has N x N bits", minimum=2)
    highfreq_factor: int = option(4, "resize images to this multiple of the hash size", minimum=1)
    size: Size | None = option(
        None,
        "resize images to this size before hashing",
        parse=parse_size,
        minimum=1,
        default_text="no resizing",
        metavar="WxH",
    )

    name: ClassVar[str] = "imagehash"
    features_version: ClassVar[int] = 3
    default_threshold: ClassVar[float] = 0.85
    tile: ClassVar[int] = 2048
    links_tile: ClassVar[int] = 32768
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda", "mps")

    def __post_init__(self) -> None:
        check_options(self)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Hashes: bits, (n, ceil(`hash_size` squared / 8)) uint8; plain, (n,) bool.

        The hash row by row, the first bit highest, filled up with zeros (`numpy.packbits`). The
        bits of plain images are decided by noise and rounding.
        """
        images = map(inside_bars, images)
        if self.size is not None:
            images = (resize(image, self.size) for image in images)
        bits, plain = hashes_and_plain(images, self.hash_size, self.highfreq_factor)
        arrays = {"bits": bits, "plain": plain}
        return FeatureSet(self.name, arrays, settings_of(self))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> Floats:
        """Share of equal bits.

        Codes of other programs (`FeatureSet.from_bits`) have eight bits a byte; of hashes the zeros
        that fill up the last byte do not count.
        """
        return shares_of(a.array, b.array, self.shares(a, b))

    def similarity_of_pairs(self, a: FeatureSet, b: FeatureSet) -> Floats:
        return np.asarray(self.shares(a, b)[hamming_of_pairs(a.array, b.array)])

    def links(self, a: FeatureSet, b: FeatureSet, threshold: float) -> Links:
        return links_of(a.array, b.array, self.shares(a, b), threshold, same=a is b)

    def spanning_links(self, a: FeatureSet, b: FeatureSet, threshold: float) -> Iterator[Links]:
        found = spanning_links_of(a.array, b.array, self.shares(a, b), threshold, same=a is b)
        return super().spanning_links(a, b, threshold) if found is None else found

    def similarity_on(self, a: FeatureSet, b: FeatureSet, device: str) -> Floats:
        from icas.clusterimg.kernels import torch_tiles

        return np.asarray(self.shares(a, b)[torch_tiles.hamming(a.array, b.array, device)])

    def plain(self, features: FeatureSet) -> NDArray[np.bool_]:
        """Images whose bits are decided by noise and rounding."""
        found = features.arrays.get("plain")  # codes of other programs have none
        return super().plain(features) if found is None else np.asarray(found, np.bool_)

    def decode_size(self, size: Size | None = None) -> Size:
        side = self.hash_size * self.highfreq_factor
        return enlarged(size or self.size or (side, side), 8)

    def shares(self, a: FeatureSet, b: FeatureSet) -> Floats:
        """Similarity of codes of `a` and `b` by the number of bits that differ."""
        require_same_shape(a, b)
        width = int(a.array.shape[1])
        return shares_by_distance(self._bits(a, b, width), width)

    def _bits(self, a: FeatureSet, b: FeatureSet, width: int) -> int:
        """Bits of one code: of the features, else of this method if they fit the width."""
        for features in (a, b):
            if "hash_size" in features.settings:
                return int(features.settings["hash_size"]) ** 2
        own = self.hash_size**2
        return own if -(-own // 8) == width else 8 * width

"""The hashes of `imagehash.phash`, bit for bit, for many images at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.methods.base import Image

LUMA = np.array([[19595, 38470, 7471, 1 << 15]], np.float32) / np.float32(1 << 16)
"""Red, green, blue (ITU-R 601-2 luma in parts of 2^16, as Pillow has them), and a half."""
BAND_PIXELS = 1 << 16
"""Pixels that become gray at a time."""
STACK_BYTES = 1 << 20
"""Memory of the frequencies of images that are transformed together: it stays in the cache."""


def phashes(images: Iterable[Image], hash_size: int, highfreq_factor: int) -> NDArray[np.uint8]:
    """Packed hashes of `images`.

    Returns
    -------
    (n, ceil(hash_size squared / 8)) uint8 ndarray
        The hash row by row, the first bit highest, filled with zeros to whole bytes.
    """
    side = hash_size * highfreq_factor
    small = (_small_gray(image, side) for image in images)
    found = [_hashes(stack, hash_size) for stack in _stacks(small, side)]
    width = -(-(hash_size**2) // 8)
    return np.concatenate([np.empty((0, width), np.uint8), *found])


def _small_gray(image: Image, side: int) -> NDArray[np.uint8]:
    """Gray and size as ImageHash has them; Pillow lets other threads run while it resizes."""
    from PIL import Image as PillowImage

    small = PillowImage.fromarray(pillow_gray(image)).resize(
        (side, side), PillowImage.Resampling.LANCZOS
    )
    return np.asarray(small)


def pillow_gray(image: Image) -> NDArray[np.uint8]:
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


def _stacks(small: Iterable[NDArray[np.uint8]], side: int) -> Iterator[NDArray[np.uint8]]:
    """The small images, (n, side, side), a few at a time."""
    rest = iter(small)
    while some := list(islice(rest, max(1, STACK_BYTES // (8 * side * side)))):
        yield np.stack(some)


def _hashes(stack: NDArray[np.uint8], hash_size: int) -> NDArray[np.uint8]:
    from scipy.fftpack import dct

    # Columns as rows: transforms along the last axis are far faster. Of the first transform only
    # the low frequencies go through the second.
    columns = np.ascontiguousarray(stack.transpose(0, 2, 1))
    low = dct(dct(columns, axis=2)[:, :, :hash_size], axis=1)[:, :hash_size]
    low = low.transpose(0, 2, 1).reshape(len(stack), -1)
    above = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(above, axis=1)

"""Perceptual hash: the signs of the lowest frequencies, compared bit by bit."""

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


@dataclass(frozen=True)
class ImageHash:
    """Share of equal bits of two perceptual hashes: 1 - Hamming distance / number of bits.

    The hash is that of the package ImageHash, bit for bit (`imagehash.phash`): the picture in gray,
    brought to a square of ``hash_size * highfreq_factor`` pixels, its discrete cosine transform, of
    the lowest ``hash_size * hash_size`` coefficients whether each is above their median.

    Raises
    ------
    UsageError
        An option is outside its limits.
    """

    hash_size: int = option(
        8,
        "side of the square of frequencies; a hash has its square of bits",
        minimum=2,
        maximum=256,
    )
    highfreq_factor: int = option(
        4, "how much larger than that the picture is when its frequencies are taken",
        minimum=1, maximum=32,
    )  # fmt: skip
    size: Size | None = option(
        None,
        "size images are brought to before the hash",
        parse=parse_size,
        minimum=1,
        default_text="as they are",
        metavar="WxH",
    )

    name: ClassVar[str] = "imagehash"
    default_threshold: ClassVar[float] = 0.8
    tile: ClassVar[int] = 1024

    def __post_init__(self) -> None:
        check_options(self)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Hashes of `images`, in their order.

        Returns
        -------
        FeatureSet
            With the array ``bits``, (n, bytes) uint8: the rows of each hash one after the other,
            packed as `numpy.packbits` does; bits past the last are 0.
        """
        hashes = [np.packbits(self.hash(image)) for image in images]
        width = -(-(self.hash_size**2) // 8)
        bits = np.array(hashes, np.uint8).reshape(len(hashes), width)
        return FeatureSet(self.name, {"bits": bits}, settings_of(self))

    def hash(self, image: Image) -> NDArray[np.bool_]:
        """The hash of one image, (hash_size, hash_size) bool."""
        import imagehash
        from PIL import Image as Pictures

        brought = image if self.size is None else resize(image, self.size)
        picture = Pictures.fromarray(brought)
        made = imagehash.phash(picture, self.hash_size, self.highfreq_factor)
        return np.asarray(made.hash, bool)

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        """Share of equal bits of each hash of `a` and each of `b`.

        Returns
        -------
        (len(a), len(b)) float32 ndarray
            In [0, 1].
        """
        bits = self._bit_count(a.array.shape[1])
        different = hamming(as_words(a.array), as_words(b.array))
        return (1 - different / bits).astype(np.float32)

    def _bit_count(self, width: int) -> int:
        """Bits in a row of `width` bytes: the hash's own, or all of a code made elsewhere."""
        own = self.hash_size**2
        return own if width == -(-own // 8) else 8 * width


def as_words(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(n, bytes) uint8 codes as (n, words) uint64, filled up with zeros."""
    missing = -codes.shape[1] % 8
    padded = np.pad(codes, ((0, 0), (0, missing))) if missing else np.ascontiguousarray(codes)
    return padded.view(np.uint64)


def hamming(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Number of different bits of each row of `a` and each of `b`, (len(a), len(b)) int32."""
    different = np.zeros((len(a), len(b)), np.int32)
    for word in range(a.shape[1]):
        different += np.bitwise_count(a[:, word, None] ^ b[None, :, word])
    return different

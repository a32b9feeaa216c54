"""ImageHash: Hamming distance of perceptual hashes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.methods.base import Image, settings_of
from icas.clusterimg.methods.checks import require_alike
from icas.common.images import resize
from icas.common.options import Size, check_options, option, parse_size

BLOCK = 1 << 15
"""Pairs compared at a time: small enough for a core's cache."""


@dataclass(frozen=True)
class ImageHash:
    """1 - Hamming distance / number of bits of the perceptual hashes (`imagehash.phash`).

    The hash says of each of the `hash_size` squared lowest frequencies of the gray image whether
    it lies above their median. Bits are those of the package ImageHash with the same options.

    Source: C. Zauner, Implementation and benchmarking of perceptual image hash functions, 2010;
    J. Buchner, ImageHash.

    Raises
    ------
    UsageError
        An option is outside its limits.
    """

    hash_size: int = option(8, "side of the hash; it has this number squared of bits", minimum=2)
    highfreq_factor: int = option(
        4, "how many times the side of the hash the image is resized to", minimum=1
    )
    size: Size | None = option(
        None,
        "size images are brought to before hashing",
        parse=parse_size,
        minimum=1,
        default_text="as they are",
        metavar="WxH",
    )

    name: ClassVar[str] = "imagehash"
    default_threshold: ClassVar[float] = 0.85
    tile: ClassVar[int] = 2048

    def __post_init__(self) -> None:
        check_options(self)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Hashes of `images`, in their order.

        Returns
        -------
        FeatureSet
            With the array bits, (n, ceil(`hash_size` squared / 8)) uint8: the hash row by row, the
            first bit highest, filled with zeros to whole bytes (`numpy.packbits`).
        """
        found = [self._packed_hash(image) for image in images]
        width = -(-(self.hash_size**2) // 8)
        bits = np.array(found, np.uint8).reshape(len(found), width)
        return FeatureSet(self.name, {"bits": bits}, settings_of(self))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        """Share of equal bits of each image of `a` with each of `b`.

        Codes made elsewhere (`FeatureSet.from_bits`) count eight bits a byte; hashes made here
        count their own, without the bits that fill up the last byte.

        Returns
        -------
        (len(a), len(b)) float32 ndarray
            In [0, 1]; 1 for equal hashes.

        Raises
        ------
        UsageError
            The codes of `a` and `b` are not of the same length.
        """
        require_alike(a, b)
        bits = _bits_of(a, b)
        shares = (1 - np.arange(bits + 1) / bits).astype(np.float32)
        return shares[hamming(a.array, b.array)]

    def _packed_hash(self, image: Image) -> NDArray[np.uint8]:
        # The package of that name; loaded late, as it takes a while.
        import imagehash
        from PIL import Image as PillowImage

        if self.size is not None:
            image = resize(image, self.size)
        picture = PillowImage.fromarray(image)
        found: Any = imagehash.phash(picture, self.hash_size, self.highfreq_factor)
        return np.packbits(found.hash)


def hamming(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Number of different bits of each row of `a` with each of `b`.

    Parameters
    ----------
    a, b : (n, bytes) and (m, bytes) uint8 ndarray

    Returns
    -------
    (n, m) int64 ndarray
    """
    ours, theirs = _words(a), _words(b).T.copy()
    distance = np.zeros((len(a), len(b)), np.int64)
    step = max(1, BLOCK // max(1, len(b)))
    for start in range(0, len(a), step):
        block = distance[start : start + step]
        for word in range(len(theirs)):
            block += np.bitwise_count(ours[start : start + step, word, None] ^ theirs[word])
    return distance


def _words(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(n, bytes) as (n, words) of eight bytes, filled with zeros."""
    missing = -codes.shape[1] % 8
    return np.ascontiguousarray(np.pad(codes, ((0, 0), (0, missing)))).view(np.uint64)


def _bits_of(a: FeatureSet, b: FeatureSet) -> int:
    """Bits of one code: what the makers say, else all that the bytes hold."""
    for features in (a, b):
        if "hash_size" in features.settings:
            return int(features.settings["hash_size"]) ** 2
    return 8 * int(a.array.shape[1])

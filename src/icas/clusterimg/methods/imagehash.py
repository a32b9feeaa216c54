"""ImageHash: Hamming distance of perceptual hashes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.links import Links
from icas.clusterimg.methods.base import Image, settings_of
from icas.clusterimg.methods.checks import require_alike
from icas.clusterimg.methods.hamming import Table, links_of, shares_by_distance, shares_of
from icas.clusterimg.methods.phash import phashes
from icas.common.images import resize
from icas.common.options import Size, check_options, option, parse_size


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
    features_version: ClassVar[int] = 1
    default_threshold: ClassVar[float] = 0.85
    tile: ClassVar[int] = 2048
    links_tile: ClassVar[int] = 32768

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
        if self.size is not None:
            images = (resize(image, self.size) for image in images)
        bits = phashes(images, self.hash_size, self.highfreq_factor)
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
        return shares_of(a.array, b.array, self.shares(a, b))

    def links(self, a: FeatureSet, b: FeatureSet, threshold: float) -> Links:
        """Pairs whose `similarity` is at or above float32(`threshold`), sorted by a, then b.

        Where `a` is `b`, only pairs with a < b are given.

        Raises
        ------
        UsageError
            The codes of `a` and `b` are not of the same length.
        """
        return links_of(a.array, b.array, self.shares(a, b), threshold, same=a is b)

    def shares(self, a: FeatureSet, b: FeatureSet) -> Table:
        """Similarity of codes of `a` and `b` by the number of bits that differ."""
        require_alike(a, b)
        width = int(a.array.shape[1])
        return shares_by_distance(self._bits(a, b, width), width)

    def _bits(self, a: FeatureSet, b: FeatureSet, width: int) -> int:
        """Bits of one code: what the makers say, else this method's where they are so long."""
        for features in (a, b):
            if "hash_size" in features.settings:
                return int(features.settings["hash_size"]) ** 2
        own = self.hash_size**2
        return own if -(-own // 8) == width else 8 * width

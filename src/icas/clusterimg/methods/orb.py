"""ORB: share of local features that match mutually and agree on one turn, scale and shift."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from icas.cli.options import Size, check_options, option, parse_size
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links, links_in
from icas.clusterimg.kernels import Bytes, Doubles, Floats, Ints
from icas.clusterimg.kernels.numba_support import compiled_kernels
from icas.clusterimg.methods.base import Describe, Image, Method, digest, enlarged, settings_of
from icas.clusterimg.methods.orb_features import EDGE, described, fastest_find
from icas.clusterimg.methods.orb_matching import FAR, Features, agreeing, mutual_matches, rules_of
from icas.clusterimg.methods.visual_words import VisualWords

SIDE = 256
"""Long side in pixels that images are brought to where no size is asked for."""
PLAIN_SECONDS = 4e-9
"""What NumPy takes for a pair of features, roughly."""
SURE_BITS = 32
"""Bits up to which a match counts whole; from there its weight falls, to 0 past `match_bits`."""


@dataclass(frozen=True)
class Orb(Method):
    """Share of ORB features with a good mutual match, 2 good / (features of a + features of b).

    A match is good when each of the two features is the other's nearest (Hamming distance of the
    256-bit descriptors, the lowest index among equals), they differ in `match_bits` bits or
    fewer, and the match belongs to the heaviest set that agrees with the turn, scale and shift of
    one of its members. A match counts whole up to 32 bits, then less the more bits differ.
    Images with the same pixels have similarity 1, even without features; an image without
    features has 0 with any other.

    Source: E. Rublee, V. Rabaud, K. Konolige, G. Bradski, ORB: an efficient alternative to SIFT or
    SURF, ICCV 2011; the features are OpenCV's. The count of agreeing matches is Hough-like voting
    as in D. Lowe, Distinctive image features from scale-invariant keypoints, IJCV 2004, section
    7.3, with every match as a hypothesis in place of bins.

    Raises UsageError: an option is outside its limits.
    """

    keypoints: int = option(200, "most ORB features kept of an image", minimum=1, maximum=65536)
    size: Size | None = option(
        None,
        "size images are brought to before features",
        parse=parse_size,
        minimum=1,
        default_text="long side of 256 pixels",
        metavar="WxH",
    )
    match_bits: int = option(
        95, "bits in which two matched features may differ", unit="of 256", minimum=0, maximum=128
    )
    tolerance: float = option(
        0.12,
        "how far from where its hypothesis puts it a match may lie",
        unit="of the long side",
        minimum=0,
        maximum=2,
    )

    name: ClassVar[str] = "orb"
    features_version: ClassVar[int] = 1
    only_compared: ClassVar[frozenset[str]] = frozenset({"match_bits"})
    default_threshold: ClassVar[float] = 0.15
    tile: ClassVar[int] = 64
    links_tile: ClassVar[int] = 256
    sample_size: ClassVar[int] = 600
    sketched: ClassVar[bool] = True
    sketch_by_angle: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_options(self)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """ORB features; rows past an image's count are 0. K is `keypoints`.

        descriptors (n, K, 32) uint8; counts (n,) int32, features of each image; places (n, K, 2)
        float32, x and y in units of the long side; angles (n, K) uint8, in 256ths of a turn; levels
        (n, K) int8, of the pyramid; digest (n,) uint64, fingerprint of the pixels.
        """
        result: list[Features] = []
        digests: list[int] = []
        for image in images:
            result.append(self._features(image))
            digests.append(digest(image))
        arrays = _packed(result, self.keypoints)._asdict()
        arrays["digest"] = np.array(digests, np.uint64)
        return FeatureSet(self.name, arrays, settings_of(self))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> Floats:
        """As `Method.similarity`, in [0, 1]; 1 for images with the same pixels."""
        return self._values(a, b, -np.inf)

    def links(self, a: FeatureSet, b: FeatureSet, threshold: float) -> Links:
        """As `Method.links`; pairs that cannot reach the threshold are skipped early."""
        return links_in(self._values(a, b, threshold), threshold, triangle=a is b)

    def decode_size(self, size: Size | None = None) -> Size | int:
        size = size or self.size
        return enlarged(size, 4) if size else 4 * SIDE

    def sketch(self, sample: FeatureSet, seed: int) -> Describe:
        return VisualWords.fitted(sample, seed)

    def _values(self, a: FeatureSet, b: FeatureSet, threshold: float) -> Floats:
        """Similarities where they are at or above `threshold`; elsewhere something below it."""
        described = a.array.shape[:2], b.array.shape[:2]
        kernels = compiled_kernels("orb.pairs", float(np.prod(described)) * PLAIN_SECONDS)
        if kernels is None:
            return self._plain_values(a, b, np.float32(threshold))
        values = np.full((len(a), len(b)), -np.inf, np.float32)
        rules = kernels.Rules(*rules_of(self._weights(), self.tolerance))
        left, right = kernels.described(a.arrays), kernels.described(b.arrays)
        least = np.float32(threshold)
        kernels.similarities(left, right, self.match_bits, rules, least, a is b, values)
        return np.maximum(values, values.T) if a is b else values

    def _plain_values(self, a: FeatureSet, b: FeatureSet, threshold: np.float32) -> Floats:
        """As `_values`, by NumPy."""
        good = np.zeros((len(a), len(b)), np.float64)
        mirrored = a is b
        left, right = features_of(a), features_of(b)
        counts = np.maximum(left.counts[:, None] + right.counts[None, :], 1)
        weights = self._weights()
        for row in range(len(a)):
            start = row if mirrored else 0
            one, many = left.rows(row), right.rows(slice(start, None))
            matches = mutual_matches(one, many, self.match_bits)
            # All matches together weigh no less than those that agree.
            most = np.bincount(matches.image, weights[matches.bits], len(many.counts)).astype(float)
            likely = _share(most, counts[row, start:]) >= threshold
            matches = matches.only(likely[matches.image])
            good[row, start:] = agreeing(one, many, matches, weights, self.tolerance)
        if mirrored:
            good = np.maximum(good, good.T)
        share = _share(good, counts)
        share[a.arrays["digest"][:, None] == b.arrays["digest"][None, :]] = 1
        return share

    def _weights(self) -> Floats:
        """Weight of a match by the number of bits that differ, in whole 256ths: exact in sums."""
        sure = min(SURE_BITS, self.match_bits)
        past = (self.match_bits + 1 - np.arange(FAR + 1)) / (self.match_bits + 1 - sure)
        whole: Doubles = np.rint(256 * np.clip(past, 0, 1))
        return (whole / 256).astype(np.float32)

    def _features(self, image: Image) -> Features:
        gray = self._brought(image)
        if min(gray.shape) <= 2 * EDGE:
            return _zeros(0)
        return described(gray, self.keypoints, fastest_find()) or _zeros(0)

    def _brought(self, image: Image) -> Bytes:
        """The image in gray at the working size, slightly smoothed: descriptors hold better so."""
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        height, width = gray.shape
        if self.size is None:
            factor = SIDE / max(height, width)
            wanted = (max(1, round(width * factor)), max(1, round(height * factor)))
        else:
            wanted = self.size
        shrinks = wanted[0] * wanted[1] < width * height
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        resized = cv2.resize(gray, wanted, interpolation=how)
        return np.asarray(cv2.GaussianBlur(resized, (0, 0), 1.0), np.uint8)


def _share(good: Doubles, counts: Ints) -> Floats:
    return (2 * good / counts).astype(np.float32)


def _zeros(*shape: int) -> Features:
    """Features that are all 0; the last number of `shape` is that of the features."""
    return Features(
        np.zeros((*shape, 32), np.uint8),
        np.zeros(shape[:-1], np.int32),
        np.zeros((*shape, 2), np.float32),
        np.zeros(shape, np.uint8),
        np.zeros(shape, np.int8),
    )


def _packed(result: list[Features], keypoints: int) -> Features:
    packed = _zeros(len(result), keypoints)
    for index, one in enumerate(result):
        count = int(one.counts)
        packed.counts[index] = count
        packed.descriptors[index, :count] = one.descriptors
        packed.places[index, :count] = one.places
        packed.angles[index, :count] = one.angles
        packed.levels[index, :count] = one.levels
    return packed


def features_of(features: FeatureSet) -> Features:
    """The arrays of a FeatureSet that `Orb.extract` made."""
    return Features(*(features.arrays[name] for name in Features._fields))

"""ORB: share of local features that match mutually and agree on one turn, scale and shift."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.methods.base import Image, digest, settings_of
from icas.clusterimg.methods.matching import FACTOR, FAR, LEVELS, Features, agreeing, mutual_matches
from icas.common.options import Size, check_options, option, parse_size

SIDE = 256
"""Long side in pixels that images are brought to where no size is asked for."""
EDGE = 12
"""Pixels beside the edge of a level without features; OpenCV mirrors what descriptors lack."""
PATCH = 31
FAST_THRESHOLD = 7
"""Gray levels that a FAST corner must stand out by; low, so that soft images have features too."""
CELLS = 8
"""Cells along the long side, over which the features are spread."""
CANDIDATES = 10
"""Corners found for each feature kept: the choice that spreading has."""
SURE_BITS = 32
"""Bits up to which a match counts whole; from there its weight falls, to 0 past `match_bits`."""


@dataclass(frozen=True)
class Orb:
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

    Raises
    ------
    UsageError
        An option is outside its limits.
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
    default_threshold: ClassVar[float] = 0.15
    tile: ClassVar[int] = 64

    def __post_init__(self) -> None:
        check_options(self)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """ORB features of `images`, in their order.

        Returns
        -------
        FeatureSet
            With the arrays (K = `keypoints`; rows past an image's count are 0)

            - descriptors, (n, K, 32) uint8
            - counts, (n,) int32: features of each image
            - places, (n, K, 2) float32: x, y in units of the long side
            - angles, (n, K) uint8: orientation in 256ths of a turn
            - levels, (n, K) int8: pyramid level
            - digest, (n,) uint64: fingerprint of the pixels
        """
        found: list[Features] = []
        digests: list[int] = []
        for image in images:
            found.append(self._features(image))
            digests.append(digest(image))
        arrays = _packed(found, self.keypoints)._asdict()
        arrays["digest"] = np.array(digests, np.uint64)
        return FeatureSet(self.name, arrays, settings_of(self))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        """Similarity of each image of `a` with each of `b`.

        Returns
        -------
        (len(a), len(b)) float32 ndarray
            In [0, 1]; 1 for images with the same pixels.
        """
        good = np.zeros((len(a), len(b)), np.float64)
        mirrored = a is b
        ours, theirs = features_of(a), features_of(b)
        for row in range(len(a)):
            start = row if mirrored else 0
            one, many = ours.rows(row), theirs.rows(slice(start, None))
            matches = mutual_matches(one, many, self.match_bits)
            good[row, start:] = agreeing(one, many, matches, self._weights(), self.tolerance)
        if mirrored:
            good = np.maximum(good, good.T)
        features = ours.counts[:, None] + theirs.counts[None, :]
        share: NDArray[np.float32] = (2 * good / np.maximum(features, 1)).astype(np.float32)
        share[a.arrays["digest"][:, None] == b.arrays["digest"][None, :]] = 1
        return share

    def _weights(self) -> NDArray[np.float32]:
        """Weight of a match by the number of bits that differ, in whole 256ths: exact in sums."""
        sure = min(SURE_BITS, self.match_bits)
        past = (self.match_bits + 1 - np.arange(FAR + 1)) / (self.match_bits + 1 - sure)
        whole: NDArray[np.float64] = np.rint(256 * np.clip(past, 0, 1))
        return (whole / 256).astype(np.float32)

    def _features(self, image: Image) -> Features:
        gray = self._brought(image)
        count, none = self.keypoints, _zeros(0)
        if min(gray.shape) <= 2 * EDGE:
            return none
        orb = cv2.ORB.create(
            nfeatures=count * CANDIDATES,
            scaleFactor=FACTOR,
            nlevels=LEVELS,
            edgeThreshold=EDGE,
            patchSize=PATCH,
            fastThreshold=FAST_THRESHOLD,
        )
        corners = spread(orb.detect(gray, None), max(gray.shape), count)
        points, descriptors = orb.compute(gray, corners)
        if not points:
            return none
        return _described(points, np.asarray(descriptors, np.uint8), max(gray.shape))

    def _brought(self, image: Image) -> NDArray[np.uint8]:
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


def spread(corners: Iterable[Any], side: int, count: int) -> list[Any]:
    """`count` of the corners, evenly over the image: the strongest of every cell, then the second.

    Parameters
    ----------
    corners : iterable of cv2.KeyPoint
    side : int
        Long side of the image in pixels.
    count : int
        Most corners to keep.
    """
    points = list(corners)
    if len(points) <= count:
        return points
    values = np.array([(p.response, *p.pt, p.octave) for p in points])
    order = np.lexsort((values[:, 3], values[:, 1], values[:, 2], -values[:, 0]))
    column, row = (values[order, 1:3] * (CELLS / side)).astype(np.int64).T
    rank = _rank_within(row * CELLS + column)
    picked = np.argsort(rank, kind="stable")[:count]
    return [points[index] for index in order[picked]]


def _rank_within(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many earlier entries have the same value, for each entry."""
    order = np.argsort(cells, kind="stable")
    ordered = cells[order]
    first = np.searchsorted(ordered, ordered)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(cells)) - first
    return rank


def _described(points: Iterable[Any], descriptors: NDArray[np.uint8], side: int) -> Features:
    values = np.array([(*p.pt, p.angle, p.octave) for p in points])
    turns = np.rint(values[:, 2] * (256 / 360)).astype(np.int64)
    return Features(
        descriptors,
        np.array(len(values), np.int32),
        (values[:, :2] / side).astype(np.float32),
        (turns & 255).astype(np.uint8),
        values[:, 3].astype(np.int8),
    )


def _zeros(*shape: int) -> Features:
    """Features that are all 0; the last number of `shape` is that of the features."""
    return Features(
        np.zeros((*shape, 32), np.uint8),
        np.zeros(shape[:-1], np.int32),
        np.zeros((*shape, 2), np.float32),
        np.zeros(shape, np.uint8),
        np.zeros(shape, np.int8),
    )


def _packed(found: list[Features], keypoints: int) -> Features:
    packed = _zeros(len(found), keypoints)
    for index, one in enumerate(found):
        count = int(one.counts)
        packed.counts[index] = count
        packed.descriptors[index, :count] = one.descriptors
        packed.places[index, :count] = one.places
        packed.angles[index, :count] = one.angles
        packed.levels[index, :count] = one.levels
    return packed


def features_of(features: FeatureSet) -> Features:
    """The arrays of a FeatureSet that `Orb.extract` made."""
    found = features.arrays
    return Features(
        found["descriptors"], found["counts"], found["places"], found["angles"], found["levels"]
    )

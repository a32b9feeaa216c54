"""ORB: share of local features that match mutually and agree on one turn, scale and shift."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.methods.base import Image, digest, settings_of
from icas.common.options import Size, check_options, option, parse_size

SIDE = 256
"""Long side in pixels that images are brought to where no size is asked for."""
FACTOR = 1.2
"""Ratio of the sizes of neighbouring pyramid levels (OpenCV's default)."""
LEVELS = 8
EDGE = 12
"""Pixels beside the edge of a level without features; OpenCV mirrors what descriptors lack."""
PATCH = 31
FAST_THRESHOLD = 7
"""Gray levels that a FAST corner must stand out by; low, so that soft images have features too."""
CELLS = 8
"""Cells along the long side, over which the features are spread."""
CANDIDATES = 10
"""Corners found for each feature kept: the choice that spreading has."""
ANGLE_TOLERANCE = 20
"""256ths of a turn (28 degrees) by which a match may turn otherwise than its hypothesis."""
LEVEL_TOLERANCE = 2
"""Pyramid levels (a factor of 1.44) by which a match may scale otherwise than its hypothesis."""
BLOCK = 1 << 16
"""Elements of a block of work: small enough for a core's cache."""
FAR = 255
"""Distance of rows that hold no feature; more than any `match_bits`."""
SURE_BITS = 32
"""Bits up to which a match counts whole; from there its weight falls, to 0 past `match_bits`."""


class Features(NamedTuple):
    """Features of one image or, with one axis more in front, of several."""

    descriptors: NDArray[np.uint8]
    counts: NDArray[np.int32]
    places: NDArray[np.float32]
    angles: NDArray[np.uint8]
    levels: NDArray[np.int8]

    def rows(self, rows: int | slice) -> Features:
        """One image, or several, of several."""
        return Features(
            self.descriptors[rows],
            self.counts[rows],
            self.places[rows],
            self.angles[rows],
            self.levels[rows],
        )


class Matches(NamedTuple):
    """Mutual matches of one image with several, ordered by image, a structure of arrays."""

    image: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    bits: NDArray[np.int64]


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


def mutual_matches(one: Features, many: Features, most_bits: int) -> Matches:
    """Pairs of features that are each other's nearest, of one image with several.

    The lowest index wins among equally near features, both ways; so the pairs are those of
    ``cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)`` up to `most_bits`, and stay the same
    when the images change places.

    Parameters
    ----------
    one, many : Features
        Of one image and of n images.
    most_bits : int
        Largest Hamming distance, at most 128.
    """
    ours, count = _words(one.descriptors), int(one.counts)
    keypoints = many.descriptors.shape[1]
    parts = [np.empty((4, 0), np.int64)]
    width = max(1, BLOCK // (4 * keypoints))
    for start in range(0, len(many.descriptors), width):
        some = many.rows(slice(start, start + width))
        nearest, distance, back = _nearest(ours[:count], some)
        rows, images = np.nonzero(distance <= most_bits)
        columns = nearest[rows, images]
        mutual = back[images, columns] == rows
        bits = distance[rows, images]
        parts.append(np.stack([images + start, rows, columns, bits])[:, mutual])
    found = np.concatenate(parts, axis=1)
    return Matches(*found[:, np.argsort(found[0], kind="stable")])


def _words(descriptors: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(..., 32) bytes as (..., 4) words."""
    return np.ascontiguousarray(descriptors).view(np.uint64)


def _nearest(
    ours: NDArray[np.uint64], many: Features
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Nearest features both ways, each by one minimum over keys that hold distance and index.

    Returns
    -------
    nearest, distance : (count, n) int64 ndarray
        For each of our features and each image.
    back : (n, K) int64 ndarray
        Our feature nearest to each of theirs.
    """
    images, keypoints = many.descriptors.shape[:2]
    most = max(len(ours), keypoints)
    key, base = (np.uint16, 256) if most <= 256 else (np.uint32, 65536)
    theirs = np.ascontiguousarray(_words(many.descriptors).reshape(-1, 4).T)
    absent = (np.arange(keypoints) >= many.counts[:, None]).ravel() * np.uint8(FAR)
    column = np.tile(np.arange(keypoints, dtype=key), images)
    forth = np.empty((len(ours), images), key)
    back = np.full(images * keypoints, np.iinfo(key).max, key)
    step = max(1, BLOCK // theirs.shape[1])
    for start in range(0, len(ours), step):
        block = _distances(ours[start : start + step], theirs)
        np.maximum(block, absent, out=block)
        keys = np.multiply(block, key(base), dtype=key)
        row = np.arange(start, start + len(block), dtype=key)[:, None]
        np.minimum(back, (keys + row).min(axis=0), out=back)
        keys += column
        forth[start : start + step] = keys.reshape(len(block), images, keypoints).min(axis=2)
    nearest, distance = forth % key(base), forth // key(base)
    returned = (back % key(base)).reshape(images, keypoints)
    return nearest.astype(np.int64), distance.astype(np.int64), returned.astype(np.int64)


def _distances(ours: NDArray[np.uint64], theirs: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Hamming distances of (r, 4) with (4, c) words, exact below 191 and at least 191 above.

    256 does not fit a byte: the sum over three words is held below 192, so that nothing wraps.
    """
    total: NDArray[np.uint8] = np.bitwise_count(ours[:, 0, None] ^ theirs[0])
    for word in (1, 2):
        total += np.bitwise_count(ours[:, word, None] ^ theirs[word])
    np.minimum(total, 191, out=total)
    total += np.bitwise_count(ours[:, 3, None] ^ theirs[3])
    return total


class Paired(NamedTuple):
    """Matches as (pairs of images, matches) arrays, for each of the two images in turn."""

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    angle: NDArray[np.uint8]
    level: NDArray[np.int8]


def agreeing(
    one: Features,
    many: Features,
    matches: Matches,
    weights: NDArray[np.float32],
    tolerance: float,
) -> NDArray[np.float32]:
    """For each image of `many` the weight of its heaviest set of matches that agree.

    Every match says how the image would be turned, scaled and shifted: a hypothesis, with which
    the other matches of the two images agree or not. Changing places changes no bit of the
    answer: all sums are of one image or symmetric in the two.

    Parameters
    ----------
    weights : (256,) float32 ndarray
        Weight of a match by the bits that differ.
    tolerance : float
        How far a match may lie from where its hypothesis puts it, in units of the long side.

    Returns
    -------
    (n,) float32 ndarray
        0 where there is no match.
    """
    pairs = len(many.descriptors)
    counts = np.bincount(matches.image, minlength=pairs)
    starts = np.cumsum(counts) - counts
    best = np.zeros(pairs, np.float32)
    for group in _alike(counts):
        most = int(counts[group].max())
        held = np.arange(most) < counts[group, None]
        at = np.where(held, starts[group, None] + np.arange(most), 0)
        ours = _at(one, matches.first[at])
        theirs = _at(many, matches.second[at], matches.image[at])
        weight = np.where(held, weights[matches.bits[at]], np.float32(0))
        agree = _agreement(ours, theirs, tolerance) & held[:, :, None]
        best[group] = np.einsum("phm,pm->ph", agree.astype(np.float32), weight).max(axis=1)
    return best


def _alike(counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Indices of counts above 0 in groups of similar ones, as many as a block of work takes."""
    order = np.argsort(counts, kind="stable")
    order = order[np.searchsorted(counts[order], 1) :]
    end = len(order)
    while end:
        largest = int(counts[order[end - 1]])
        start = max(end - max(1, BLOCK // largest**2), 0)
        start = max(start, int(np.searchsorted(counts[order[:end]], largest * 3 // 4)))
        yield order[start:end]
        end = start


def _at(features: Features, feature: NDArray[np.int64], *image: NDArray[np.int64]) -> Paired:
    where = (*image, feature)
    places = features.places[where]
    return Paired(places[..., 0], places[..., 1], features.angles[where], features.levels[where])


def _agreement(a: Paired, b: Paired, tolerance: float) -> NDArray[np.bool_]:
    """Which matches (last axis) agree with which hypothesis (axis before), (pairs, m, m) bool."""
    turn = (b.angle - a.angle).view(np.int8)
    grow = b.level - a.level
    # Differences of int8 wrap like angles do; -128, the half turn, stays outside after abs.
    turned = np.abs(turn[:, None, :] - turn[:, :, None]).view(np.uint8)
    agree: NDArray[np.bool_] = turned <= ANGLE_TOLERANCE
    agree &= np.abs(grow[:, None, :] - grow[:, :, None]) <= LEVEL_TOLERANCE
    ax, ay = _local(a)
    bx, by = _local(b)
    ax -= bx
    ay -= by
    allowed = np.float32(tolerance) * _shrink(a) * (np.float32(tolerance) * _shrink(b))
    agree &= ax * ax + ay * ay <= allowed[:, :, None]
    return agree


def _shrink(points: Paired) -> NDArray[np.float32]:
    """One over the size of each feature, relative to one of level 0."""
    sizes = FACTOR ** -np.arange(LEVELS, dtype=np.float64)
    return np.asarray(sizes.astype(np.float32)[points.level])


def _local(points: Paired) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Places of all features (last axis) seen from each (axis before): turned, scaled, shifted.

    Angles are whole 256ths of a turn, looked up: a sine computed in place could differ in its
    last bit with the place in the array.
    """
    turns = np.arange(256) * (2 * np.pi / 256)
    shrink = _shrink(points)
    cos = (np.cos(turns).astype(np.float32)[points.angle] * shrink)[:, :, None]
    sin = (np.sin(turns).astype(np.float32)[points.angle] * shrink)[:, :, None]
    x = points.x[:, None, :] - points.x[:, :, None]
    y = points.y[:, None, :] - points.y[:, :, None]
    return cos * x + sin * y, cos * y - sin * x

"""Matches of local features: mutual nearest neighbours that agree on rotation, scale and shift."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.kernels import Bytes, Floats, Ints, Longs, Words

FACTOR = 1.2
"""Ratio of the sizes of neighbouring pyramid levels (OpenCV's default)."""
LEVELS = 8
"""Levels of the pyramid."""
ANGLE_TOLERANCE = 20
"""Maximum deviation from the rotation of its hypothesis, in 256ths of a turn (28 degrees)."""
LEVEL_TOLERANCE = 2
"""Maximum deviation from the scale of its hypothesis, in pyramid levels (a factor of 1.44)."""
BLOCK = 1 << 16
"""Elements of a block of work: small enough for a core's cache."""
FAR = 255
"""Distance of rows that hold no feature; more than any `match_bits`."""


class Features(NamedTuple):
    """Features of one image or, with one axis more in front, of several."""

    descriptors: Bytes
    counts: Ints
    places: Floats
    angles: Bytes
    levels: NDArray[np.int8]

    def rows(self, rows: int | slice) -> Features:
        """One image, or several, of several."""
        return Features._make(array[rows] for array in self)


class Matches(NamedTuple):
    """Mutual matches of one image with several, ordered by image, a structure of arrays."""

    image: Longs
    first: Longs
    second: Longs
    bits: Longs

    def only(self, kept: NDArray[np.bool_]) -> Matches:
        """Those of the matches that are `kept`."""
        return Matches(*(values[kept] for values in self))


def mutual_matches(one: Features, many: Features, most_bits: int) -> Matches:
    """Pairs of features that are each other's nearest, of one image with several.

    The lowest index wins among equally near features, both ways; so the pairs are those of
    ``cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)`` up to `most_bits`, and stay the same
    when the images change places.

    one, many: of one image and of n images; most_bits: largest Hamming distance, at most 128.
    """
    left, count = _words(one.descriptors), int(one.counts)
    keypoints = many.descriptors.shape[1]
    parts = [np.empty((4, 0), np.int64)]
    width = max(1, BLOCK // (4 * keypoints))
    for start in range(0, len(many.descriptors), width):
        some = many.rows(slice(start, start + width))
        nearest, distance, back = _nearest(left[:count], some)
        rows, images = np.nonzero(distance <= most_bits)
        columns = nearest[rows, images]
        mutual = back[images, columns] == rows
        bits = distance[rows, images]
        parts.append(np.stack([images + start, rows, columns, bits])[:, mutual])
    result = np.concatenate(parts, axis=1)
    return Matches(*result[:, np.argsort(result[0], kind="stable")])


def _words(descriptors: Bytes) -> Words:
    """(..., 32) bytes as (..., 4) words."""
    return np.ascontiguousarray(descriptors).view(np.uint64)


def _nearest(left: Words, many: Features) -> tuple[Longs, Longs, Longs]:
    """Nearest features both ways, each by one minimum over keys that hold distance and index.

    Gives nearest, distance: (count, n) int64, for each of our features and each image; back: (n, K)
    int64, our feature nearest to each of theirs.
    """
    images, keypoints = many.descriptors.shape[:2]
    most = max(len(left), keypoints)
    key, base = (np.uint16, 256) if most <= 256 else (np.uint32, 65536)
    right = np.ascontiguousarray(_words(many.descriptors).reshape(-1, 4).T)
    absent = (np.arange(keypoints) >= many.counts[:, None]).ravel() * np.uint8(FAR)
    column = np.tile(np.arange(keypoints, dtype=key), images)
    forth = np.empty((len(left), images), key)
    back = np.full(images * keypoints, np.iinfo(key).max, key)
    step = max(1, BLOCK // right.shape[1])
    for start in range(0, len(left), step):
        block = _distances(left[start : start + step], right)
        np.maximum(block, absent, out=block)
        keys = np.multiply(block, key(base), dtype=key)
        row = np.arange(start, start + len(block), dtype=key)[:, None]
        np.minimum(back, (keys + row).min(axis=0), out=back)
        keys += column
        forth[start : start + step] = keys.reshape(len(block), images, keypoints).min(axis=2)
    nearest, distance = forth % key(base), forth // key(base)
    returned = (back % key(base)).reshape(images, keypoints)
    return nearest.astype(np.int64), distance.astype(np.int64), returned.astype(np.int64)


def _distances(left: Words, right: Words) -> Bytes:
    """Hamming distances of (r, 4) with (4, c) words, exact below 191 and at least 191 above.

    256 does not fit a byte: the sum over three words is held below 192, so that nothing wraps.
    """
    total: Bytes = np.bitwise_count(left[:, 0, None] ^ right[0])
    for word in (1, 2):
        total += np.bitwise_count(left[:, word, None] ^ right[word])
    np.minimum(total, 191, out=total)
    total += np.bitwise_count(left[:, 3, None] ^ right[3])
    return total


class Paired(NamedTuple):
    """Matches as (pairs of images, matches) arrays, for each of the two images in turn."""

    x: Floats
    y: Floats
    angle: Bytes
    level: NDArray[np.int8]


def agreeing(
    one: Features, many: Features, matches: Matches, weights: Floats, tolerance: float
) -> Floats:
    """For each image of `many` the weight of its heaviest set of matches that agree.

    Every match says how the image would be turned, scaled and shifted: a hypothesis, with which
    the other matches of the two images agree or not. Changing places changes no bit of the
    answer: all sums are of one image or symmetric in the two.

    weights: (256,) float32, weight of a match by the bits that differ; tolerance: how far a match
    may lie from where its hypothesis puts it, in units of the long side. Gives (n,) float32, 0
    where there is no match.
    """
    pairs = len(many.descriptors)
    counts = np.bincount(matches.image, minlength=pairs)
    starts = np.cumsum(counts) - counts
    best = np.zeros(pairs, np.float32)
    for group in _alike(counts):
        most = int(counts[group].max())
        held = np.arange(most) < counts[group, None]
        at = np.where(held, starts[group, None] + np.arange(most), 0)
        left = _at(one, matches.first[at])
        right = _at(many, matches.second[at], matches.image[at])
        weight = np.where(held, weights[matches.bits[at]], np.float32(0))
        agree = _agreement(left, right, tolerance) & held[:, :, None]
        best[group] = np.einsum("phm,pm->ph", agree.astype(np.float32), weight).max(axis=1)
    return best


def _alike(counts: Longs) -> Iterator[Longs]:
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


def _at(features: Features, feature: Longs, *image: Longs) -> Paired:
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


def _shrink(points: Paired) -> Floats:
    """One over the size of each feature, relative to one of level 0."""
    return np.asarray(_shrinks()[points.level])


def _shrinks() -> Floats:
    """(levels,) float32: one over the size of a feature of each level."""
    sizes = FACTOR ** -np.arange(LEVELS, dtype=np.float64)
    return sizes.astype(np.float32)


def _circle() -> tuple[Floats, Floats]:
    """Cosine and sine of each 256th of a turn."""
    turns = np.arange(256) * (2 * np.pi / 256)
    return np.cos(turns).astype(np.float32), np.sin(turns).astype(np.float32)


def rules_of(weights: Floats, tolerance: float) -> tuple[Any, ...]:
    """The parameters of `agreeing` as `kernels.orb.voting.Rules`.

    weights: (256,) float32, whole 256ths.
    """
    whole = np.rint(weights * 256).astype(np.int32)
    allowed = np.float32(tolerance) * _shrinks()
    grow = np.float32(LEVEL_TOLERANCE)
    return whole, *_circle(), _shrinks(), allowed, ANGLE_TOLERANCE, grow


def _local(points: Paired) -> tuple[Floats, Floats]:
    """Places of all features (last axis) seen from each (axis before): turned, scaled, shifted.

    Angles are whole 256ths of a turn, looked up: a sine computed in place could differ in its
    last bit with the place in the array.
    """
    cosines, sines = _circle()
    shrink = _shrink(points)
    cos = (cosines[points.angle] * shrink)[:, :, None]
    sin = (sines[points.angle] * shrink)[:, :, None]
    x = points.x[:, None, :] - points.x[:, :, None]
    y = points.y[:, None, :] - points.y[:, :, None]
    return cos * x + sin * y, cos * y - sin * x

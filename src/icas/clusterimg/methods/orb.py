"""ORB: share of local features that match mutually and agree on a rotation, scale and shift."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import Size, check_options, option, parse_size
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links, links_in
from icas.clusterimg.kernels import Bytes, Doubles, Floats, Ints, Longs
from icas.clusterimg.kernels.letterbox import inside_bars
from icas.clusterimg.kernels.numba_support import compiled_kernels
from icas.clusterimg.methods.base import Describe, Image, Method, digest, enlarged, settings_of
from icas.clusterimg.methods.orb_matching import (
    FACTOR,
    FAR,
    LEVELS,
    Features,
    agreeing,
    mutual_matches,
    rules_of,
)

WORDS = 32
"""Kinds of descriptors."""
LEARNED_FROM = 10_000
"""Descriptors from which the words are learned."""
ROUNDS = 6
"""Rounds of k-means: words need not be good ones, only the same for all images."""
UNIT = 127
"""A bit's size in whole numbers: words lie between -`UNIT` and `UNIT`."""
ROOM = 1 << 23
"""Bits that are unpacked at a time, unless one image has more."""


@dataclass(frozen=True)
class VisualWords:
    """A visual vocabulary; maps features to vectors.

    words: (w, bits) float32, whole numbers in [-`UNIT`, `UNIT`].
    """

    words: Floats

    @classmethod
    def fitted(cls, features: FeatureSet, seed: int) -> VisualWords:
        """Words by k-means over descriptors of the images `features`."""
        rng = np.random.default_rng(seed)
        held = _held(features)
        images, rows = np.nonzero(held)
        drawn = np.sort(rng.permutation(len(images))[:LEARNED_FROM])
        picked = features.arrays["descriptors"][images[drawn], rows[drawn]]
        points = _signed(np.unpackbits(picked, axis=1))
        words = points[rng.permutation(len(points))[:WORDS]] * UNIT
        for _ in range(ROUNDS if len(points) else 0):
            words = _means(points, _nearest(points, words), words)
        return cls(words)

    def __call__(self, features: FeatureSet) -> Floats:
        """Residuals of the descriptors of each image to the words (VLAD), (n, w * bits) float32.

        Of length 1, or 0 for an image without features. All sums are of whole numbers, so that
        no order of adding changes them.
        """
        result = [self._of(features[rows]) for rows in _parts(features)]
        width = self.words.size
        return np.concatenate([np.empty((0, width), np.float32), *result])

    def _of(self, features: FeatureSet) -> Floats:
        descriptors = features.arrays["descriptors"]
        count, bits = len(descriptors), 8 * descriptors.shape[2]
        if not len(self.words):
            return np.zeros((count, 0), np.float32)
        images, rows = np.nonzero(_held(features))
        ones = np.unpackbits(descriptors[images, rows], axis=1)
        cell = images * len(self.words) + _nearest(_signed(ones), self.words)
        order = np.argsort(cell, kind="stable")
        cells, starts, held = np.unique(cell[order], return_index=True, return_counts=True)
        apart = np.zeros((count * len(self.words), bits), np.int32)
        if len(cells):
            sums = np.add.reduceat(ones[order], starts, axis=0, dtype=np.int32)
            signed = (2 * sums - held[:, None]) * UNIT
            words = self.words.astype(np.int32)[cells % len(self.words)]
            apart[cells] = signed - held[:, None] * words
        return _rooted(apart.reshape(count, -1))


def _rooted(apart: Ints) -> Floats:
    """Roots of the rows' entries with their signs, each row brought to length 1."""
    size = np.abs(apart)
    share = size / np.maximum(size.sum(axis=1, dtype=np.int64), 1)[:, None]
    return np.asarray(np.copysign(np.sqrt(share), apart), np.float32)


def _held(features: FeatureSet) -> NDArray[np.bool_]:
    """(n, K) which rows hold a descriptor."""
    arrays = features.arrays
    held: NDArray[np.bool_] = np.arange(arrays["descriptors"].shape[1]) < arrays["counts"][:, None]
    return held


def _parts(features: FeatureSet) -> Iterator[slice]:
    """Runs of images whose bits may be unpacked at a time."""
    _, most, size = features.arrays["descriptors"].shape
    step = max(1, ROOM // max(1, most * size * 8))
    for start in range(0, len(features), step):
        yield slice(start, start + step)


def _signed(bits: Bytes) -> Floats:
    """Bits as -1 and 1."""
    points = bits.astype(np.float32)
    points *= 2
    points -= 1
    return points


def _nearest(points: Floats, words: Floats) -> Longs:
    """The word nearest to each point, the first of equals; whole numbers, so exact."""
    closeness = points @ words.T * np.float32(2 * UNIT)
    closeness -= np.square(words).sum(axis=1)
    return np.asarray(closeness.argmax(axis=1), np.int64)


def _means(points: Floats, word: Longs, words: Floats) -> Floats:
    """The mean of the points of each word, to whole numbers; words without points stay."""
    counts = np.bincount(word, minlength=len(words)).astype(np.float32)
    belongs = (np.arange(len(words))[:, None] == word).astype(np.float32)
    means = np.rint(belongs @ points * np.float32(UNIT) / np.maximum(counts, 1)[:, None])
    return np.where(counts[:, None] > 0, means, words).astype(np.float32)


EDGE = 12
"""Pixels beside the edge of a level without features; OpenCV mirrors what descriptors lack."""
PATCH = 31
FAST_THRESHOLD = 7
"""Gray levels that a FAST corner must stand out by; low, so that soft images have features too."""
CELLS = 8
"""Cells along the long side, over which the features are spread."""
CANDIDATES = 10
"""Corners found for each feature kept: the choice that spreading has."""
SAVED = 0.002
"""Approximate seconds per image that numba kernels save."""


class Corners(NamedTuple):
    """Corners of an image, a structure of arrays of equal length.

    x, y: (n,) float32, in pixels of the image; response: (n,) float32, Harris' measure; level:
    (n,) int64, of the pyramid.
    """

    x: Floats
    y: Floats
    response: Floats
    level: Longs


Find = Callable[[Bytes, int], Sequence[Any]]
"""Image, number of features -> keypoints to describe."""


def described(gray: Bytes, wanted: int, find: Find) -> Features | None:
    """Features of an image, at most `wanted`; None if there are none."""
    import cv2

    points, descriptors = detector(wanted).compute(gray, find(gray, wanted))
    if not points:
        return None
    places = np.asarray(cv2.KeyPoint.convert(points), np.float64) / max(gray.shape)
    angles = np.array([point.angle for point in points])
    levels = np.array([point.octave for point in points], np.int8)
    turns = np.rint(angles * (256 / 360)).astype(np.int64) & 255
    return Features(
        np.asarray(descriptors, np.uint8),
        np.array(len(points), np.int32),
        places.astype(np.float32),
        turns.astype(np.uint8),
        levels,
    )


def fastest_find() -> Find:
    """The fastest corner detector: numba kernels where they pay."""
    kernels = compiled_kernels("orb.corners", SAVED)
    if kernels is None or not as_opencv(kernels):
        return found_by_opencv
    return lambda gray, wanted: found_by_numba(gray, wanted, kernels)


def detector(wanted: int) -> Any:
    """OpenCV's, which finds the candidates for so many features."""
    import cv2

    return cv2.ORB.create(
        nfeatures=wanted * CANDIDATES,
        scaleFactor=FACTOR,
        nlevels=LEVELS,
        edgeThreshold=EDGE,
        patchSize=PATCH,
        fastThreshold=FAST_THRESHOLD,
    )


def found_by_opencv(gray: Bytes, wanted: int) -> list[Any]:
    """Keypoints of an image, by OpenCV alone."""
    import cv2

    points = detector(wanted).detect(gray, None)
    if len(points) <= wanted:
        return list(points)
    x, y = np.asarray(cv2.KeyPoint.convert(points), np.float32).T
    response = np.array([point.response for point in points], np.float32)
    level = np.array([point.octave for point in points])
    chosen = spread(Corners(x, y, response, level), max(gray.shape), wanted)
    return [points[index] for index in chosen]


def found_by_numba(gray: Bytes, wanted: int, kernels: ModuleType) -> list[Any]:
    """The same keypoints, by numba kernels."""
    import cv2

    parts, cut = [], False
    for level, (picture, scale, most) in enumerate(_pyramid(gray, wanted)):
        if most == 0 or min(picture.shape) <= 2 * EDGE:
            continue
        around = (kernels.BORDER, kernels.BORDER, kernels.BORDER, kernels.RIGHT)
        bordered = cv2.copyMakeBorder(picture, *around, cv2.BORDER_REFLECT_101)
        result = kernels.corners(bordered, EDGE, FAST_THRESHOLD, 2 * most)
        best = _best(result.response, most)
        cut |= result.cut or len(best) < len(result.response)
        x, y = (axis[best].astype(np.float32) * scale for axis in (result.x, result.y))
        parts.append((x, y, result.response[best], np.full(len(best), level), result.angle[best]))
    if not parts:
        return []
    x, y, response, levels, angles = (np.concatenate(part) for part in zip(*parts, strict=True))
    chosen = np.arange(len(x))
    if len(x) > wanted:
        chosen = spread(Corners(x, y, response, levels), max(gray.shape), wanted)
    elif cut:
        return found_by_opencv(gray, wanted)  # the order of what it leaves is its own
    # Level by level, as OpenCV describes them.
    chosen = chosen[np.argsort(levels[chosen], kind="stable")]
    return _keypoints(np.stack([x, y], 1)[chosen], response[chosen], levels[chosen], angles[chosen])


def _keypoints(places: Floats, response: Floats, levels: Longs, angles: Floats) -> list[Any]:
    """Objects of OpenCV; one call per level, because each call releases the GIL."""
    import cv2

    points: list[Any] = []
    made: Any = cv2.KeyPoint.convert
    ends = np.searchsorted(levels, np.arange(LEVELS + 1))
    for level, (start, end) in enumerate(pairwise(ends)):
        points += made(places[start:end], PATCH, 1, level)
    for point, strength, angle in zip(points, response.tolist(), angles.tolist(), strict=True):
        point.response, point.angle = strength, angle
    return points


def _pyramid(gray: Bytes, wanted: int) -> Iterator[tuple[Bytes, np.float32, int]]:
    """Each level, its scale, and how many corners of it are kept at most; as OpenCV has them."""
    import cv2

    factor = float(np.float32(FACTOR))
    smaller = np.float32(1 / factor)
    candidates = wanted * CANDIDATES
    share = np.float32(candidates) * (1 - smaller) / (1 - np.float32(float(smaller) ** LEVELS))
    left, picture = candidates, gray
    for level in range(LEVELS):
        scale = np.float32(factor**level)
        if level:
            size = [int(np.rint(np.float32(side) * (1 / scale))) for side in gray.shape[::-1]]
            below = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR_EXACT)
            picture = np.asarray(below, np.uint8)
        most = int(np.rint(share)) if level < LEVELS - 1 else max(left, 0)
        yield picture, scale, most
        left -= most
        share *= smaller


def _best(response: Floats, most: int) -> Longs:
    """Indices of the highest, and of those equal to the last of them."""
    if len(response) <= most:
        return np.arange(len(response))
    last = len(response) - most
    return np.flatnonzero(response >= np.partition(response, last)[last])


@cache
def as_opencv(kernels: ModuleType) -> bool:
    """Whether the kernels and OpenCV find the same: OpenCV versions may round differently."""
    import cv2

    noise = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    picture = np.asarray(cv2.resize(noise, (243, 129), interpolation=cv2.INTER_CUBIC), np.uint8)
    for wanted in (7, 200):
        left, right = (found_by_numba(picture, wanted, kernels), found_by_opencv(picture, wanted))
        if sorted(map(_values, left)) != sorted(map(_values, right)):
            return False
    return True


def _values(point: Any) -> tuple[float, ...]:
    return (*point.pt, point.angle, point.response, point.octave)


def spread(corners: Corners, side: int, wanted: int) -> Longs:
    """`wanted` of the corners, evenly over the image: the strongest of every cell, then the second.

    side: long side of the image in pixels; wanted: most corners to keep. Gives (m,) int64, their
    indices.
    """
    order = np.argsort(-corners.response)
    ordered = corners.response[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.lexsort((corners.level, corners.x, corners.y, -corners.response))
    column, row = (
        (axis[order].astype(np.float64) * (CELLS / side)).astype(np.int64)
        for axis in (corners.x, corners.y)
    )
    rank = _rank_within(row * CELLS + column)
    return order[np.argsort(rank, kind="stable")[:wanted]]


def _rank_within(cells: Longs) -> NDArray[np.integer[Any]]:
    """How many earlier entries have the same value, for each entry; `cells` are few and small."""
    # Short numbers are sorted by their bytes, which takes a fraction of the time.
    order = np.argsort(cells.astype(np.uint16), kind="stable")
    sizes = np.bincount(cells)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    rank = np.empty(len(cells), np.int64)
    rank[order] = np.arange(len(cells)) - first
    return rank.astype(np.uint16 if len(cells) < 1 << 16 else np.int64)


SIDE = 256
"""Default long side in pixels to which images are resized."""
PLAIN_SECONDS = 4e-9
"""Approximate seconds that NumPy takes for a pair of features."""
SURE_BITS = 32
"""Bits up to which a match counts whole; from there its weight falls, to 0 past `match_bits`."""


@dataclass(frozen=True)
class Orb(Method):
    """Share of ORB features with a good match: 2 good / (features of a + features of b).

    A good match satisfies three conditions. Each feature is the nearest neighbour of the other
    (Hamming distance of the 256-bit descriptors; ties: lowest index). At most `match_bits` bits
    differ. The match belongs to the heaviest set of matches that agree with the rotation, scale and
    shift of one of them. The weight of a match is 1 up to 32 differing bits, then decreases.
    Images with the same pixels have similarity 1, even without features. An image without features
    has similarity 0 with any other image. Letterbox bars are left out.

    References: E. Rublee, V. Rabaud, K. Konolige, G. Bradski, ORB: an efficient alternative to
    SIFT or SURF, ICCV 2011; the features are OpenCV's. The vote for a common transform follows
    D. Lowe, Distinctive image features from scale-invariant keypoints, IJCV 2004, section 7.3, with
    every match as a hypothesis in place of bins.

    Raises UsageError: an option is outside its limits.
    """

    keypoints: int = option(
        200, "maximum number of ORB features per image", minimum=1, maximum=65536
    )
    size: Size | None = option(
        None,
        "resize images to this size",
        parse=parse_size,
        minimum=1,
        default_text="long side of 256 pixels",
        metavar="WxH",
    )
    match_bits: int = option(
        95, "maximum Hamming distance of a match", unit="of 256", minimum=0, maximum=128
    )
    tolerance: float = option(
        0.12,
        "maximum distance of a match from its predicted position",
        unit="of the long side",
        minimum=0,
        maximum=2,
    )

    name: ClassVar[str] = "orb"
    features_version: ClassVar[int] = 2
    only_compared: ClassVar[frozenset[str]] = frozenset({"match_bits"})
    default_threshold: ClassVar[float] = 0.15
    tile: ClassVar[int] = 64
    links_tile: ClassVar[int] = 256
    sample_size: ClassVar[int] = 600
    sketched: ClassVar[bool] = True
    sketch_by_angle: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def seconds_per_pair(self) -> float:
        return (self.keypoints / 200) ** 2 / 150_000

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """ORB features; rows past an image's count are 0. K is `keypoints`.

        descriptors (n, K, 32) uint8; counts (n,) int32, features of each image; places (n, K, 2)
        float32, x and y in units of the long side; angles (n, K) uint8, in 256ths of a turn; levels
        (n, K) int8, of the pyramid; digest (n,) uint64, fingerprint of the pixels.
        """
        result: list[Features] = []
        digests: list[int] = []
        for image in map(inside_bars, images):
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

    def plain(self, features: FeatureSet) -> NDArray[np.bool_]:
        """Images without features."""
        return np.asarray(features.arrays["counts"] == 0, np.bool_)

    def sketch(self, sample: FeatureSet, seed: int) -> Describe:
        return VisualWords.fitted(sample, seed)

    def _values(self, a: FeatureSet, b: FeatureSet, threshold: float) -> Floats:
        """Similarities where they are at or above `threshold`; elsewhere something below it."""
        described = a.array.shape[:2], b.array.shape[:2]
        kernels = compiled_kernels("orb.pairs", float(np.prod(described)) * PLAIN_SECONDS)
        if kernels is None:
            return self._plain_values(a, b, np.float32(threshold))
        if len(a) < len(b):  # to lay out an image of the second side takes longer
            return self._values(b, a, threshold).T
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
        import cv2

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

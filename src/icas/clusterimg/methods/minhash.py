"""MinHash signatures of sets of numbers, and the share of their equal components.

By numba kernels or by NumPy: the answer is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import Size, check_options, option, parse_size
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import NONE, Links, links_in
from icas.clusterimg.kernels import Floats, Longs, Words
from icas.clusterimg.kernels.letterbox import inside_bars
from icas.clusterimg.kernels.numba_support import compiled_kernels
from icas.clusterimg.methods import jaccard
from icas.clusterimg.methods.base import (
    Image,
    Method,
    digest,
    enlarged,
    require_same_shape,
    settings_of,
)
from icas.clusterimg.methods.hamming import column_blocks, counts_for, links_by_bands, room_for
from icas.clusterimg.methods.jaccard import Bitmaps, bitmaps_of
from icas.common.errors import UsageError
from icas.io.reading import resize

COMPARED_A_SECOND = 1e9
"""Approximate number of components that NumPy compares per second."""
MIXED_A_SECOND = 4e8
"""Approximate number of elements that NumPy mixes per second."""
PLANES = 4
"""Words that the kernels take for 64 components."""
CACHED = 1 << 15
"""Bytes of the signatures that are compared with one another while a core's first cache has them.
"""

Signatures = NDArray[np.uint32]


def permutation_keys(count: int, seed: int) -> Words:
    """`count` numbers of 64 bits, one a permutation; the same for the same `seed`, everywhere."""
    # SplitMix64, because NumPy's generators may change between versions.
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return _mixed(_mixed(np.array([seed], np.uint64)) + steps)


def signatures_of(sets: Sequence[Words], keys: Words) -> Signatures:
    """Signatures of some sets, (n, k) uint32: each as `signature` makes it."""
    result = np.empty((len(sets), len(keys)), np.uint32)
    work = len(keys) * sum(map(len, sets))
    kernels = compiled_kernels("minhash", work / MIXED_A_SECOND)
    for elements, row in zip(sets, result, strict=True):
        if kernels is None:
            row[:] = signature(elements, keys)
        else:
            kernels.least_mixed(_mixed(elements), keys, row)
    return result


def signature(elements: Words, keys: Words) -> Signatures:
    """Least element of a set under each permutation: the low half of its mixed 64 bits.

    elements: (m,) uint64, the set; m > 0; keys: (k,) uint64, one a permutation. Gives (k,) uint32,
    the low half is as good as random, even where the whole is a least value; two different least
    elements agree in it once in 2^32.
    """
    least = _mixed(_mixed(elements) ^ keys[:, None]).min(axis=1)
    return np.asarray(least & np.uint64(0xFFFFFFFF), np.uint32)


def _mixed(values: Words) -> Words:
    """The finishing step of SplitMix64: a permutation of the 64-bit numbers."""
    mixed = values ^ (values >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def shares_of(a: Signatures, b: Signatures) -> Floats:
    """Share of equal components of each of `a` with each of `b`, (n, m) float32."""
    result = np.empty((len(a), len(b)), np.float32)
    if not result.size:
        return result
    kernels, shares = _kernels(a, b), _shares_by_difference(a.shape[1])
    if kernels is None:
        for row, left in enumerate(a):
            result[row] = shares[np.count_nonzero(b != left, axis=1)]
    else:
        side = max(4, CACHED // a[0].nbytes)
        kernels.shares_of_all(_own(a), _own(b), side, shares, result)
    return result


def links_of(a: Signatures, b: Signatures, threshold: float, *, same: bool) -> Links:
    """Pairs whose share is at or above float32(`threshold`), sorted by row, then column.

    a, b: (n, k) and (m, k) uint32; same: `b` is `a`: only pairs with row < column.
    """
    shares = _shares_by_difference(a.shape[1])
    most = int(np.count_nonzero(shares >= np.float32(threshold))) - 1
    if most < 0 or not len(a) or not len(b):
        return NONE

    def links_of_band(rows: slice, start: int) -> Links:
        return links_in(shares_of(a[rows], b[start:]), threshold, triangle=same)

    kernels = _kernels(a, b)
    if kernels is None or most == a.shape[1]:
        return links_by_bands(len(a), len(b), same, links_of_band)
    return _by_numba(kernels, _own(a), _own(b), shares, most, same)


def _shares_by_difference(components: int) -> Floats:
    """Share of equal components by the number of those that differ."""
    equal = np.arange(components, -1, -1)
    return (equal / components).astype(np.float32)


def _kernels(a: Signatures, b: Signatures) -> ModuleType | None:
    return compiled_kernels("minhash", len(a) * b.size / COMPARED_A_SECOND)


def _own(signatures: Signatures) -> Signatures:
    """As the kernels were compiled for: a contiguous array in memory, not read-only."""
    return np.require(signatures, np.uint32, ["C", "W", "E"])


def _by_numba(
    kernels: ModuleType, a: Signatures, b: Signatures, shares: Floats, most: int, same: bool
) -> Links:
    bits = _planes(kernels, a)
    blocks = column_blocks(bits if same else _planes(kernels, b))
    counts = counts_for(len(a), len(blocks))
    kernels.count_near(a, b, bits, blocks, np.uint64(most), same, counts)
    links = room_for(counts)
    kernels.emit_near(a, b, bits, blocks, np.uint64(most), same, counts, shares, links)
    return Links(*links)


def _planes(kernels: ModuleType, signatures: Signatures) -> Words:
    """Lowest bits of the components; as many words as the kernels take at once, or twice, ..."""
    words = PLANES * 2 * -(-signatures.shape[1] // 128)
    bits = np.zeros((len(signatures), words), np.uint64)
    kernels.planes(signatures, bits)
    return bits


SIDE = 96
"""Default width and height in pixels to which images are resized."""
SMOOTHING = 1.0
"""Gaussian smoothing in pixels before corners are looked for."""
WINDOW = 3
"""Side of the window over which a corner gathers gradients (blockSize of cornerHarris)."""
APERTURE = 3
HARRIS_K = 0.04
FAINTEST = 1e-10
"""Least response of a corner. Noise of one gray level makes some 1e-11, a dark photograph 1e-9."""
APART = 3
"""A corner is the strongest pixel of a square of this side."""
GRAY_SMOOTHING = 2.0
GRAY_STEPS = np.array([-0.2, -0.07, 0.07, 0.2], np.float32)
"""Gray beside that of the whole image, at which one gray class goes over into the next."""
SHIFTS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""The four grids, moved by so many half cells down and to the right."""
ALONE = 1 << 63
"""Set in the one element of an image without corners; no place has it."""
COMPONENTS = 512
"""Default number of components of a signature."""
FINEST = 64
"""Cells a side up to which sets are compared as such: the bitmap of an image takes 10 kB then."""


@dataclass(frozen=True)
class MinHash(Method):
    """Jaccard similarity of the sets of Harris corner positions, or its estimate by MinHash.

    The set of an image has four elements for each of its `corners` strongest corners: the cell of
    the corner in each of four grids, with a brightness class. The grids are shifted by half a
    cell down, to the right, or both, so that corners half a cell apart share some cells. The
    brightness is one of five classes relative to the mean of the image. The set of an image without
    corners is a digest of its pixels, so it is similar to identical images only. Letterbox bars are
    left out.

    The similarity is the Jaccard similarity J of the two sets, intersection over union, computed
    from bitmaps. With `permutations`, or without `exact`, it is the share of equal components of
    MinHash signatures, which estimates J with a standard error of sqrt(J (1 - J) / `permutations`).
    A bitmap takes 2.5 (`grid` + 1)^2 bytes per image, about 210 with the default grid. A signature
    takes 4 * `permutations` bytes for any grid; it is the default for grids above 64.

    References: A. Broder, On the resemblance and containment of documents, 1997; C. Harris,
    M. Stephens, A combined corner and edge detector, 1988 (OpenCV's cornerHarris). Permutations
    are made by the mixing function of SplitMix64 (G. Steele, D. Lea, C. Flood, 2014).

    Raises UsageError: an option is outside its limits, or the grid is too fine for bitmaps.
    """

    corners: int = option(200, "maximum number of Harris corners per image", minimum=1)
    permutations: int | None = option(
        None,
        "length of the MinHash signature",
        parse=int,
        minimum=1,
        maximum=65536,
        default_text=f"{COMPONENTS}, if signatures are compared",
    )
    grid: int = option(8, "grid cells per side", minimum=1, maximum=1 << 20)
    seed: int = option(0, "random seed of the permutations", minimum=0, maximum=(1 << 63) - 1)
    exact: bool | None = option(
        None,
        "compare sets of corners instead of signatures",
        parse=bool,
        default_text="on, unless --permutations is given",
    )
    size: Size | None = option(
        None,
        "resize images to this size",
        parse=parse_size,
        minimum=1,
        default_text=f"{SIDE}x{SIDE} pixels",
        metavar="WxH",
    )

    name: ClassVar[str] = "minhash"
    features_version: ClassVar[int] = 2
    default_threshold: ClassVar[float] = 0.5
    tile: ClassVar[int] = 512
    links_tile: ClassVar[int] = 16384

    def __post_init__(self) -> None:
        check_options(self)
        if self.exact and self.grid > FINEST:
            raise UsageError(
                f"--exact requires --grid {FINEST} or less, not {self.grid}: remove --exact, or"
                " use a smaller --grid"
            )
        if self.exact and self.permutations is not None:
            raise UsageError(
                "--exact compares sets, not signatures, so --permutations has no effect: give"
                " only one of them"
            )

    @property
    def by_sets(self) -> bool:
        """Whether sets themselves are compared, not signatures."""
        if self.exact is not None:
            return self.exact
        return self.permutations is None and self.grid <= FINEST

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Sets of places, or their MinHash signatures.

        bitmaps (n, words) uint64, sizes (n,) int64, and digests (n,) uint64, 0 where an image has
        corners; or signatures (n, `permutations`) uint32.
        """
        sets = [self.places(inside_bars(image)) for image in images]
        if self.by_sets:
            return FeatureSet(self.name, self._bitmaps(sets)._asdict(), settings_of(self))
        keys = permutation_keys(self.permutations or COMPONENTS, self.seed)
        result = {"signatures": signatures_of(sets, keys)}
        return FeatureSet(self.name, result, settings_of(self))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> Floats:
        """J, or the share of equal components; 1 for images with the same set."""
        if _are_bitmaps(a, b):
            return jaccard.similarities_of(Bitmaps.of(a), Bitmaps.of(b))
        return shares_of(a.array, b.array)

    def links(self, a: FeatureSet, b: FeatureSet, threshold: float) -> Links:
        if _are_bitmaps(a, b):
            return jaccard.links_of(Bitmaps.of(a), Bitmaps.of(b), threshold, same=a is b)
        return links_of(a.array, b.array, threshold, same=a is b)

    def decode_size(self, size: Size | None = None) -> Size:
        return enlarged(size or self.size or (SIDE, SIDE), 8)

    def _bitmaps(self, sets: Sequence[Words]) -> Bitmaps:
        places = len(SHIFTS) * (self.grid + 1) ** 2 * (len(GRAY_STEPS) + 1)
        return bitmaps_of(sets, places)

    def places(self, image: Image) -> Words:
        """The set of `image`: (m,) uint64, ascending, m > 0."""
        import cv2

        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        brought = resize(gray, self.size or (SIDE, SIDE)).astype(np.float32) / np.float32(255)
        rows, columns = strongest_corners(brought, self.corners)
        if not len(rows):
            return np.array([digest(image) | ALONE], np.uint64)
        classes = gray_classes(brought, rows, columns)
        cells = [self._cells(rows, columns, brought.shape, shift) for shift in range(len(SHIFTS))]
        elements = np.concatenate(cells) * (len(GRAY_STEPS) + 1) + np.tile(classes, len(SHIFTS))
        ascending = np.sort(elements).astype(np.uint64)
        return np.asarray(ascending[np.diff(ascending, prepend=ALONE) != 0], np.uint64)

    def _cells(self, rows: Longs, columns: Longs, shape: tuple[int, ...], shift: int) -> Longs:
        """Numbers of the cells of one grid in which the corners lie; no two grids share one."""
        down, right = SHIFTS[shift]
        row = (2 * rows * self.grid // shape[0] + down) // 2
        column = (2 * columns * self.grid // shape[1] + right) // 2
        across = self.grid + 1
        return (shift * across + row) * across + column


def strongest_corners(gray: Floats, most: int) -> tuple[Longs, Longs]:
    """Rows and columns of the Harris corners of `gray`, strongest first, `most` of them or fewer.

    gray: (h, w) float32, in [0, 1].
    """
    import cv2

    smooth = cv2.GaussianBlur(gray, (0, 0), SMOOTHING)
    response = cv2.cornerHarris(smooth, WINDOW, APERTURE, HARRIS_K)
    peak = response == cv2.dilate(response, np.ones((APART, APART), np.uint8))
    # As np.nonzero, which is slow on two axes.
    rows, columns = np.divmod(np.flatnonzero(peak & (response > FAINTEST)), gray.shape[1])
    # Stable: of equal corners the upper left ones, on every machine.
    order = np.argsort(-response[rows, columns], kind="stable")[:most]
    return rows[order], columns[order]


def gray_classes(gray: Floats, rows: Longs, columns: Longs) -> Longs:
    """For each place the class (0 darkest to 4) of its surroundings, beside the mean of all."""
    import cv2

    smooth = cv2.GaussianBlur(gray, (0, 0), GRAY_SMOOTHING)
    return np.asarray(np.digitize(smooth[rows, columns] - smooth.mean(), GRAY_STEPS), np.int64)


def _are_bitmaps(a: FeatureSet, b: FeatureSet) -> bool:
    """Whether both features are sets (True) or both are signatures (False)."""
    require_same_shape(a, b)
    exact = "bitmaps" in a.arrays
    if exact != ("bitmaps" in b.arrays):
        raise UsageError(
            "minhash signatures cannot be compared with exact sets: compute both with the same"
            " --exact"
        )
    return exact

"""MinHash: how much the sets of places of two images' Harris corners have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.methods.base import Image, digest, settings_of
from icas.clusterimg.methods.checks import require_alike
from icas.common.images import resize
from icas.common.options import Size, check_options, option, parse_size

SIDE = 96
"""Width and height in pixels that images are brought to where no size is asked for."""
SMOOTHING = 1.0
"""Gaussian smoothing in pixels before corners are looked for."""
WINDOW = 3
"""Side of the window over which a corner gathers gradients (blockSize of cornerHarris)."""
APERTURE = 3
HARRIS_K = 0.04
FAINTEST = 1e-14
"""Least response of a corner; rounding alone makes some 1e-28 of a flat image."""
APART = 3
"""A corner is the strongest pixel of a square of this side."""
GRAY_SMOOTHING = 2.0
GRAY_STEPS = np.array([-0.2, -0.07, 0.07, 0.2], np.float32)
"""Gray beside that of the whole image, at which one gray class goes over into the next."""
SHIFTS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""The four grids, moved by so many half cells down and to the right."""
ALONE = 1 << 63
"""Set in the one element of an image without corners; no place has it."""


@dataclass(frozen=True)
class MinHash:
    """Share of equal components of MinHash signatures of the sets of Harris corners' places.

    An image's set holds, for each of its `corners` strongest corners, the cell in which it lies
    in each of four grids (one moved by half a cell down, to the right, or both ways), together
    with how bright the picture is there: one of five classes relative to its mean. Two corners
    that lie half a cell apart so share some cells, whichever side of a line they are on. An
    image without corners stands for itself alone: its set is a digest of its pixels.

    The share estimates the Jaccard similarity J of the two sets, intersection over union, with a
    standard error of sqrt(J (1 - J) / `permutations`).

    Source: A. Broder, On the resemblance and containment of documents, 1997; C. Harris,
    M. Stephens, A combined corner and edge detector, 1988 (OpenCV's cornerHarris). Permutations
    are made by the mixing function of SplitMix64 (G. Steele, D. Lea, C. Flood, 2014).

    Raises
    ------
    UsageError
        An option is outside its limits.
    """

    corners: int = option(200, "most Harris corners kept of an image", minimum=1)
    permutations: int = option(512, "components of a signature", minimum=1, maximum=65536)
    grid: int = option(8, "cells of a grid along each side", minimum=1, maximum=1 << 20)
    seed: int = option(
        0, "number from which the permutations are drawn", minimum=0, maximum=(1 << 63) - 1
    )
    size: Size | None = option(
        None,
        "size images are brought to before corners",
        parse=parse_size,
        minimum=1,
        default_text=f"{SIDE}x{SIDE} pixels",
        metavar="WxH",
    )

    name: ClassVar[str] = "minhash"
    default_threshold: ClassVar[float] = 0.5
    tile: ClassVar[int] = 512

    def __post_init__(self) -> None:
        check_options(self)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Signatures of `images`, in their order.

        Returns
        -------
        FeatureSet
            With the array signatures, (n, `permutations`) uint32.
        """
        keys = permutation_keys(self.permutations, self.seed)
        found = [signature(self.places(image), keys) for image in images]
        signatures = np.array(found, np.uint32).reshape(len(found), self.permutations)
        return FeatureSet(self.name, {"signatures": signatures}, settings_of(self))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        """Share of equal components of each image of `a` with each of `b`.

        Returns
        -------
        (len(a), len(b)) float32 ndarray
            In [0, 1]; 1 for images with the same set.

        Raises
        ------
        UsageError
            `a` and `b` have signatures of different length.
        """
        require_alike(a, b)
        equal = np.empty((len(a), len(b)), np.int64)
        for row, ours in enumerate(a.array):
            equal[row] = np.count_nonzero(b.array == ours, axis=1)
        return np.asarray(equal / a.array.shape[1], np.float32)

    def places(self, image: Image) -> NDArray[np.uint64]:
        """The set of `image` that its signature stands for: (m,) uint64, ascending, m > 0."""
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        brought = resize(gray, self.size or (SIDE, SIDE)).astype(np.float32) / np.float32(255)
        rows, columns = strongest_corners(brought, self.corners)
        if not len(rows):
            return np.array([digest(image) | ALONE], np.uint64)
        classes = gray_classes(brought)[rows, columns]
        cells = [self._cells(rows, columns, brought.shape, shift) for shift in range(len(SHIFTS))]
        elements = np.concatenate(cells) * (len(GRAY_STEPS) + 1) + np.tile(classes, len(SHIFTS))
        return np.unique(elements).astype(np.uint64)

    def _cells(
        self,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        shape: tuple[int, ...],
        shift: int,
    ) -> NDArray[np.int64]:
        """Numbers of the cells of one grid in which the corners lie; no two grids share one."""
        down, right = SHIFTS[shift]
        row = (2 * rows * self.grid // shape[0] + down) // 2
        column = (2 * columns * self.grid // shape[1] + right) // 2
        across = self.grid + 1
        return (shift * across + row) * across + column


def strongest_corners(
    gray: NDArray[np.float32], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the Harris corners of `gray`, strongest first, `most` of them or fewer.

    Parameters
    ----------
    gray : (h, w) float32 ndarray
        In [0, 1].
    """
    smooth = cv2.GaussianBlur(gray, (0, 0), SMOOTHING)
    response = cv2.cornerHarris(smooth, WINDOW, APERTURE, HARRIS_K)
    peak = response == cv2.dilate(response, np.ones((APART, APART), np.uint8))
    rows, columns = np.nonzero(peak & (response > FAINTEST))
    # Stable: of equal corners the upper left ones, on every machine.
    order = np.argsort(-response[rows, columns], kind="stable")[:most]
    return rows[order], columns[order]


def gray_classes(gray: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each pixel the class (0 darkest to 4) of its surroundings, beside the mean of all."""
    smooth = cv2.GaussianBlur(gray, (0, 0), GRAY_SMOOTHING)
    return np.asarray(np.digitize(smooth - smooth.mean(), GRAY_STEPS), np.int64)


def permutation_keys(count: int, seed: int) -> NDArray[np.uint64]:
    """`count` numbers of 64 bits, one a permutation; the same for the same `seed`, everywhere."""
    # SplitMix64 itself: NumPy's generators may draw otherwise in another version.
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return _mixed(_mixed(np.array([seed], np.uint64)) + steps)


def signature(elements: NDArray[np.uint64], keys: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Least element of a set under each permutation: the low half of its mixed 64 bits.

    Parameters
    ----------
    elements : (m,) uint64 ndarray
        The set; m > 0.
    keys : (k,) uint64 ndarray
        One a permutation.

    Returns
    -------
    (k,) uint32 ndarray
        The low half is as good as random, even where the whole is a least value; two different
        least elements agree in it once in 2^32.
    """
    least = _mixed(_mixed(elements) ^ keys[:, None]).min(axis=1)
    return np.asarray(least & np.uint64(0xFFFFFFFF), np.uint32)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finishing step of SplitMix64: a permutation of the 64-bit numbers."""
    mixed = values ^ (values >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed

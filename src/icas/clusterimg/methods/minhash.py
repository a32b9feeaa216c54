"""MinHash: estimated Jaccard similarity of the sets of places where corners stand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.methods.base import Image, settings_of
from icas.common.images import resize
from icas.common.options import Size, check_options, option, parse_size

SIDE = 128
"""Width and height in pixels that images are brought to where no size is asked for."""
APART = 5
"""Side in pixels of the square in which a corner has to be the strongest."""
WINDOW = 3
"""Side in pixels of the window over which Harris sums the gradients (blockSize)."""
SOBEL = 3
"""Side in pixels of the Sobel filter (ksize)."""
HARRIS = 0.04
"""Harris' k: what a response loses for an edge."""
BLOCK = 1 << 17
"""Pairs of a block of work: small enough for a core's cache."""

Elements = NDArray[np.uint64]


@dataclass(frozen=True)
class MinHash:
    """Share of equal components of the MinHash signatures of the sets of corner places.

    Each component is the least of a set's elements under one of `permutations` hash functions, so
    the share of equal ones estimates the Jaccard similarity J of the two sets, with standard
    error sqrt(J (1 - J) / permutations). An image without corners stands for itself alone: it
    equals images with the same pixels and no other.

    Source: A. Broder, On the resemblance and containment of documents, 1997; the corners are those
    of C. Harris, M. Stephens, A combined corner and edge detector, 1988, as OpenCV finds them.

    Raises
    ------
    UsageError
        An option is outside its limits.
    """

    corners: int = option(150, "most corners kept of an image", minimum=1, maximum=65536)
    permutations: int = option(
        256, "components of a signature; more make it exacter", minimum=1, maximum=32767
    )
    grid: int = option(24, "cells along each side of the image", minimum=1, maximum=4096)
    seed: int = option(0, "seed of the hash functions", minimum=0, maximum=2**63)
    size: Size | None = option(
        None,
        "size images are brought to before corners",
        parse=parse_size,
        minimum=1,
        default_text=f"{SIDE}x{SIDE}",
        metavar="WxH",
    )

    name: ClassVar[str] = "minhash"
    default_threshold: ClassVar[float] = 0.25
    tile: ClassVar[int] = 1024

    def __post_init__(self) -> None:
        check_options(self)

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Signatures of `images`, in their order.

        Returns
        -------
        FeatureSet
            With the array signatures, (n, `permutations`) uint32.
        """
        keys = _mixed(np.arange(1, self.permutations + 1, dtype=np.uint64) + _start(self.seed))
        found = [signature(self.corner_set(image), keys) for image in images]
        signatures = np.array(found, np.uint32).reshape(len(found), self.permutations)
        return FeatureSet(self.name, {"signatures": signatures}, settings_of(self))

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        """Share of equal components of each signature of `a` with each of `b`.

        Returns
        -------
        (len(a), len(b)) float32 ndarray
            In [0, 1]; 1 for images with the same pixels.
        """
        ours = np.ascontiguousarray(a.array.T)
        theirs = np.ascontiguousarray(b.array.T)
        share = np.empty((len(a), len(b)), np.float32)
        rows = max(1, BLOCK // max(1, len(b)))
        for start in range(0, len(a), rows):
            equal = _equal(ours[:, start : start + rows], theirs)
            np.divide(equal, np.float32(len(ours)), out=share[start : start + rows])
        return share

    def corner_sets(self, images: Iterable[Image]) -> list[Elements]:
        """The exact set of each image, whose Jaccard similarity the signatures estimate."""
        return [self.corner_set(image) for image in images]

    def corner_set(self, image: Image) -> Elements:
        """The sorted elements of an image's set, at least one, each once; (m,) uint64 ndarray."""
        gray = self._brought(image)
        rows, columns = strongest_corners(gray, self.corners)
        if not len(rows):
            return _itself(image)
        height, width = gray.shape
        cells = rows * self.grid // height * self.grid + columns * self.grid // width
        return np.unique(cells).astype(np.uint64)

    def _brought(self, image: Image) -> NDArray[np.uint8]:
        wanted = self.size or (SIDE, SIDE)
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        return resize(gray, wanted)


def strongest_corners(
    gray: NDArray[np.uint8], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the strongest Harris corners, the strongest first.

    Parameters
    ----------
    gray : (h, w) uint8 ndarray
    count : int
        Most corners to keep.
    """
    response = cv2.cornerHarris(gray, WINDOW, SOBEL, HARRIS)
    highest = cv2.dilate(response, np.ones((APART, APART), np.uint8))
    rows, columns = np.nonzero((response == highest) & (response > 0))
    order = np.argsort(-response[rows, columns], kind="stable")[:count]
    return rows[order], columns[order]


def signature(elements: Elements, keys: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """The least hash of a set under each of several hash functions.

    Parameters
    ----------
    elements : (m,) uint64 ndarray
        The set, m at least 1.
    keys : (permutations,) uint64 ndarray
        One number a hash function.

    Returns
    -------
    (permutations,) uint32 ndarray
        The upper halves of the least 64-bit hashes.
    """
    hashed = _mixed(_mixed(elements)[None, :] ^ keys[:, None])
    least: NDArray[np.uint64] = hashed.min(axis=1)
    return (least >> np.uint64(32)).astype(np.uint32)


def jaccard(a: Elements, b: Elements) -> float:
    """Elements in both sets over elements in either."""
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / (len(a) + len(b) - both)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finisher of splitmix64 (G. Steele and others, OOPSLA 2014): every bit moves every bit."""
    values = values ^ (values >> np.uint64(30))
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def _start(seed: int) -> NDArray[np.uint64]:
    return _mixed(np.array([seed], np.uint64) + np.uint64(0x9E3779B97F4A7C15))


def _equal(ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[np.int16]:
    """Components that are equal, of (p, r) with (p, c) signatures; (r, c) int16 ndarray."""
    count = np.zeros((ours.shape[1], theirs.shape[1]), np.int16)
    same = np.empty(count.shape, np.bool_)
    for one, many in zip(ours, theirs, strict=True):
        np.equal(one[:, None], many, out=same)
        count += same
    return count


def _itself(image: Image) -> Elements:
    """The set of an image without corners: one element, made of its shape and pixels."""
    state = hashlib.blake2b(repr(image.shape).encode(), digest_size=8)
    state.update(image.tobytes())
    return np.frombuffer(state.digest(), "<u8").astype(np.uint64)

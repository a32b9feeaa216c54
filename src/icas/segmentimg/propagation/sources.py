"""Painted images: which of them masks come from, and which images to paint first."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.propagation.features import ImageFeatures

Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]

Key = tuple[Hashable, int]
"""Class, and number of the object within the class."""

MOST_SOURCES = 6
"""Painted images that one image takes its masks from at most."""


@dataclass(frozen=True, eq=False)
class Painted:
    """An image whose masks are known.

    Attributes
    ----------
    features : ImageFeatures
    shares : dict of key to (h, w) float32 ndarray
        Share of each pixel, at working size, that an object covers.
    """

    features: ImageFeatures
    shares: Mapping[Key, Floats]

    @classmethod
    def of(cls, features: ImageFeatures, masks: Mapping[Key, Mask]) -> Painted:
        """With bool masks of any size; empty ones are left out."""
        import cv2

        size = features.shape[::-1]
        shares = {}
        for key in sorted(masks, key=order_of):
            mask = np.asarray(masks[key], bool)
            if mask.any():
                share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
                shares[key] = np.asarray(share, np.float32)
        return cls(features, shares)

    def of_class(self, name: Hashable) -> Floats:
        """(h, w) share of the pixels that objects of a class cover."""
        parts = [share for key, share in self.shares.items() if key[0] == name]
        if not parts:
            return np.zeros(self.features.shape, np.float32)
        return np.asarray(np.minimum(np.sum(parts, axis=0), 1), np.float32)

    def classes(self) -> set[Hashable]:
        return {name for name, _ in self.shares}


def order_of(value: object) -> tuple[str, str]:
    """Sorts classes and keys of any type; numbers of objects by value."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int):
        return repr(value[0]), f"{value[1]:012d}"
    return repr(value), ""


def similarity(a: ImageFeatures, b: ImageFeatures) -> float:
    """Similarity of two images by their features and their colors; 1 = identical."""
    products = (a.thumbnail @ b.thumbnail, a.summary @ b.summary)
    return float(np.mean(np.array(products, np.float64)))


def similarities(features: Sequence[ImageFeatures]) -> Matrix:
    """(n, n) similarity of every pair; symmetric."""
    parts = [
        np.stack(vectors).astype(np.float64)
        for vectors in (
            [one.thumbnail for one in features],
            [one.summary for one in features],
        )
    ]
    matrix = np.mean([vectors @ vectors.T for vectors in parts], axis=0)
    return np.asarray((matrix + matrix.T) / 2, np.float64)


def choose_sources(
    target: ImageFeatures, painted: Sequence[ImageFeatures], most: int = MOST_SOURCES
) -> list[int]:
    """Indices of the painted images most similar to an image, most similar first."""
    scores = np.round([similarity(target, one) for one in painted], 9)
    return [int(k) for k in np.argsort(-scores, kind="stable")[:most]]


def medoid(similarity: Matrix) -> int:
    """The image most similar to all others; the first of equal ones."""
    return int(np.round(similarity.sum(axis=1), 9).argmax())


def suggest(similarity: Matrix, painted: Collection[int], count: int) -> list[int]:
    """Images whose painting helps most, best first.

    Each is the one that raises most the similarity of all images with the painted image most
    similar to them, given those suggested before. The first one, without painted images, is the
    medoid.
    """
    scores = np.round(similarity, 9)
    chosen = list(painted)
    suggested: list[int] = []
    lowest = min(0.0, float(scores.min(initial=0)))
    for _ in range(min(count, len(scores) - len(set(chosen)))):
        reached = scores[:, chosen].max(axis=1) if chosen else np.full(len(scores), lowest)
        gains = np.maximum(scores - reached[:, None], 0).sum(axis=0)
        gains[chosen] = -1
        suggested.append(int(np.round(gains, 9).argmax()))
        chosen.append(suggested[-1])
    return suggested


def groups(similarity: Matrix, painted: Collection[int]) -> list[int]:
    """For each image the painted image most similar to it; for painted ones themselves.

    Raises ValueError: nothing is painted.
    """
    order = sorted(painted)
    if not order:
        raise ValueError("no image is painted")
    nearest = [order[int(k)] for k in np.round(similarity[:, order], 9).argmax(axis=1)]
    for image in order:
        nearest[image] = image
    return nearest

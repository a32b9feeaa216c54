"""Which superpixels look like the object of the painted images, and which like the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.propagation.features import ImageFeatures

Floats = NDArray[np.float32]

NEIGHBOURS = 10
_SOFTNESS = 0.05
_POSITION = 0.3
_NEAREST = 3
_RIDGE = 0.03


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of painted images with the share of each class.

    Attributes
    ----------
    features : (m, channels) float32 ndarray
    places : (m, 2) float32 ndarray
        Row and column, 0 to 1.
    shares : (m, classes) float32 ndarray
    """

    features: Floats
    places: Floats
    shares: Floats


@dataclass(frozen=True, eq=False)
class CellSimilarity:
    """(n, classes) float32 each, of the superpixels of an image.

    Attributes
    ----------
    near : share of the class among the most similar cells
    near_in_place : the same, where cells at another place of the image count as less similar
    contrast : similarity with the class minus similarity with the rest
    similarity : similarity with the more similar of both
    discriminant : linear discriminant of the class and the rest
    """

    near: Floats
    near_in_place: Floats
    contrast: Floats
    similarity: Floats
    discriminant: Floats


def cells_of(features: ImageFeatures, shares: Floats) -> Cells:
    """`shares` (h, w, classes) of an image by its cells."""
    import cv2

    rows, columns = features.grid.shape[:2]
    planes = [
        cv2.resize(
            np.ascontiguousarray(shares[..., k]), (columns, rows), interpolation=cv2.INTER_AREA
        )
        for k in range(shares.shape[2])
    ]
    flat = np.stack(planes, axis=-1).reshape(rows * columns, -1)
    return Cells(features.cells, features.cell_places, np.asarray(flat, np.float32))


def join(cells: Sequence[Cells]) -> Cells:
    return Cells(
        np.concatenate([part.features for part in cells]),
        np.concatenate([part.places for part in cells]),
        np.concatenate([part.shares for part in cells]),
    )


def compare_cells(cells: Cells, target: ImageFeatures) -> CellSimilarity:
    """Compare the superpixels of an image with the cells of painted images."""
    products = target.pieces @ cells.features.T
    near = _neighbours(products, cells.shares)
    contrast, similarity = np.zeros_like(near), np.zeros_like(near)
    for k in range(near.shape[1]):
        share = cells.shares[:, k]
        inside, outside = share > 0.7, share < 0.3
        if not inside.any():
            inside = share >= share.max()
        if not outside.any():
            outside = share <= share.min()
        to_class = _nearest(products[:, inside])
        to_rest = _nearest(products[:, outside])
        contrast[:, k] = to_class - to_rest
        similarity[:, k] = np.maximum(to_class, to_rest)
    linear = np.stack([_discriminant(cells, k, target) for k in range(near.shape[1])], axis=1)
    products -= _POSITION * _distances(target.places, cells.places)
    in_place = _neighbours(products, cells.shares)
    return CellSimilarity(near, in_place, contrast, similarity, linear)


def _neighbours(products: Floats, shares: Floats) -> Floats:
    count = min(NEIGHBOURS, products.shape[1])
    found = np.argpartition(products, -count, axis=1)[:, -count:]
    values = np.take_along_axis(products, found, axis=1)
    weights = np.exp((values - values.max(axis=1, keepdims=True)) / _SOFTNESS)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("nk,nkc->nc", weights, shares[found]), np.float32)


def _nearest(products: Floats) -> Floats:
    count = min(_NEAREST, products.shape[1])
    return np.asarray(np.partition(products, -count, axis=1)[:, -count:].mean(axis=1), np.float32)


def _distances(a: Floats, b: Floats) -> Floats:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)), np.float32)


def _discriminant(cells: Cells, column: int, target: ImageFeatures) -> Floats:
    """(n,) ridge regression of the class on the features of the cells, classes balanced."""
    share = cells.shares[:, column]
    inside = share > 0.5
    weights = np.where(inside, 0.5 / max(1, inside.sum()), 0.5 / max(1, (~inside).sum()))
    weights = weights.astype(np.float32)
    mean = weights @ cells.features
    centred = cells.features - mean
    scaled = centred * weights[:, None]
    scatter = scaled.T @ centred
    scatter[np.diag_indices(len(scatter))] += _RIDGE * np.trace(scatter) / len(scatter) + 1e-6
    direction = np.linalg.solve(scatter, scaled.T @ (2 * share - 1))
    return np.asarray((target.pieces - mean) @ direction, np.float32)

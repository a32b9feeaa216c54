"""A picture as a graph of small even pieces: what strokes are spread over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from icas.io.reading import Image
from icas.segmentimg.labels.labels import (
    Labels,
    borders,
    connected,
    count_of,
    mean_colors,
    sizes_of,
)

PIECES = 2500
"""About so many pieces, whatever the size of the picture."""

_LIGHTNESS = 0.7
"""Weight of lightness beside a and b: shade parts less than hue does."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pieces:
    """Superpixels, numbered 0…n - 1, and which of them touch."""

    labels: Labels
    sizes: Floats
    colors: Floats
    places: Floats
    rim: Flags
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    length: Floats
    step: Floats
    way: Floats

    @property
    def count(self) -> int:
        return len(self.sizes)

    def matrix(self, weights: Floats) -> csr_matrix:
        """(n, n) symmetric matrix of weights, one a touching pair."""
        rows, columns = np.r_[self.a, self.b], np.r_[self.b, self.a]
        shape = (self.count, self.count)
        return coo_matrix((np.r_[weights, weights], (rows, columns)), shape).tocsr()

    def share(self, mask: Flags) -> Floats:
        """(n,) share of each piece's pixels that lie in `mask`."""
        flat = self.labels.ravel()
        inside = np.bincount(flat, mask.ravel(), self.count)
        return np.asarray(inside / np.bincount(flat, minlength=self.count), np.float64)


def pieces_of(image: Image) -> Pieces:
    """The pieces of a picture: SLIC superpixels after a smoothing that keeps edges."""
    import cv2

    height, width = image.shape[:2]
    smooth = np.asarray(cv2.bilateralFilter(image, 5, 30, 3), np.uint8)
    lab8 = np.asarray(cv2.cvtColor(smooth, cv2.COLOR_RGB2Lab), np.uint8)
    labels = _superpixels(lab8, max(3, round((height * width / PIECES) ** 0.5)))
    lab = cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    colors = mean_colors(np.asarray(lab), labels)[1:] * (_LIGHTNESS, 1, 1)
    places = _centres(labels) / (height * width) ** 0.5
    touching = borders(lab8, labels)
    a, b = touching.a - 1, touching.b - 1
    length = touching.length / max(1e-9, float(touching.length.mean() if len(a) else 1))
    sizes = sizes_of(labels)[1:].astype(float)
    rim = np.zeros(len(sizes), bool)
    rim[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]) - 1] = True
    step = np.linalg.norm(colors[a] - colors[b], axis=1)
    way = np.linalg.norm(places[a] - places[b], axis=1)
    return Pieces(labels - 1, sizes / sizes.mean(), colors, places, rim, a, b, length, step, way)


def _superpixels(lab: Image, side: int) -> Labels:
    import cv2

    if min(lab.shape[:2]) < 2 * side:  # SLIC has no room for its grid
        return connected(_grid(lab.shape[:2], side))
    made = cv2.ximgproc.createSuperpixelSLIC(lab, cv2.ximgproc.SLIC, side, 12.0)
    made.iterate(6)
    made.enforceLabelConnectivity(40)
    return connected(np.asarray(made.getLabels(), np.int32))


def _grid(shape: tuple[int, ...], side: int) -> NDArray[np.int64]:
    rows, columns = np.indices(shape[:2]) // side
    return np.asarray(rows * (shape[1] // side + 1) + columns, np.int64)


def _centres(labels: Labels) -> Floats:
    """(K, 2) mean row and column of each label."""
    flat, count = labels.ravel(), count_of(labels) + 1
    rows, columns = np.indices(labels.shape)
    sums = [np.bincount(flat, along.ravel(), count)[1:] for along in (rows, columns)]
    return np.asarray(np.stack(sums, axis=1) / sizes_of(labels)[1:, None], np.float64)

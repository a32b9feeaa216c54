"""Graph of the superpixels of an image, over which strokes are propagated."""

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

SUPERPIXELS = 2500
"""Approximate number of superpixels, for images of any size."""

_LIGHTNESS = 0.7
"""Weight of L relative to a and b: shading separates less than hue does."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SuperpixelGraph:
    """Superpixels, numbered 0…n - 1, and the m pairs of adjacent ones."""

    labels: Labels
    sizes: Floats
    """(n,) pixels of each, divided by their mean."""
    colors: Floats
    """(n, 3) mean CIE Lab color, lightness at a lower weight."""
    centers: Floats
    """(n, 2) row and column, divided by the root of the image's pixels."""
    rim: Flags
    """(n,) superpixels at the border of the image."""
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    length: Floats
    """(m,) length of the common border, divided by the mean."""
    step: Floats
    """(m,) distance of the colors."""
    way: Floats
    """(m,) distance of the centers."""

    @property
    def count(self) -> int:
        return len(self.sizes)

    def matrix(self, weights: Floats) -> csr_matrix:
        """(n, n) symmetric matrix of the weights of adjacent pairs."""
        rows, columns = np.r_[self.a, self.b], np.r_[self.b, self.a]
        shape = (self.count, self.count)
        return coo_matrix((np.r_[weights, weights], (rows, columns)), shape).tocsr()

    def share(self, mask: Flags) -> Floats:
        """(n,) share of the pixels of each superpixel in `mask`."""
        flat = self.labels.ravel()
        inside = np.bincount(flat, mask.ravel(), self.count)
        return np.asarray(inside / np.bincount(flat, minlength=self.count), np.float64)


def superpixel_graph(image: Image) -> SuperpixelGraph:
    """SLIC superpixels after edge-preserving smoothing."""
    import cv2

    height, width = image.shape[:2]
    smooth = np.asarray(cv2.bilateralFilter(image, 5, 30, 3), np.uint8)
    lab8 = np.asarray(cv2.cvtColor(smooth, cv2.COLOR_RGB2Lab), np.uint8)
    labels = _superpixels(lab8, max(3, round((height * width / SUPERPIXELS) ** 0.5)))
    lab = cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    colors = mean_colors(np.asarray(lab), labels)[1:] * (_LIGHTNESS, 1, 1)
    centers = _centers(labels) / (height * width) ** 0.5
    touching = borders(lab8, labels)
    a, b = touching.a - 1, touching.b - 1
    length = touching.length / max(1e-9, float(touching.length.mean() if len(a) else 1))
    sizes = sizes_of(labels)[1:].astype(float)
    rim = np.zeros(len(sizes), bool)
    rim[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]) - 1] = True
    step = np.linalg.norm(colors[a] - colors[b], axis=1)
    way = np.linalg.norm(centers[a] - centers[b], axis=1)
    sizes /= sizes.mean()
    return SuperpixelGraph(labels - 1, sizes, colors, centers, rim, a, b, length, step, way)


def _superpixels(lab: Image, side: int) -> Labels:
    import cv2

    if min(lab.shape[:2]) < 2 * side:  # too small for the grid of SLIC
        rows, columns = np.indices(lab.shape[:2]) // side
        return connected(rows * (lab.shape[1] // side + 1) + columns)
    slic = cv2.ximgproc.createSuperpixelSLIC(lab, cv2.ximgproc.SLIC, side, 12.0)
    slic.iterate(6)
    slic.enforceLabelConnectivity(40)
    return connected(np.asarray(slic.getLabels(), np.int32))


def _centers(labels: Labels) -> Floats:
    """(K, 2) mean row and column of each label."""
    flat, count = labels.ravel(), count_of(labels) + 1
    rows, columns = np.indices(labels.shape)
    sums = [np.bincount(flat, along.ravel(), count)[1:] for along in (rows, columns)]
    return np.asarray(np.stack(sums, axis=1) / sizes_of(labels)[1:, None], np.float64)

"""Features of superpixels that separate foreground and background, given strokes on some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags

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

    def share(self, mask: NDArray[Any]) -> Floats:
        """(n,) share of the pixels of each superpixel in `mask`; of shares, the mean."""
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


FEATURES = (
    "density 4",
    "density 8",
    "density 16",
    "nearest colour",
    "nearest foreground colour",
    "way by colour",
    "foreground way by colour",
    "way by edges",
    "foreground way by edges",
    "way by likelihood",
    "foreground way by likelihood",
    "way",
    "foreground way",
    "border of the image",
    "random walker",
    "way from the border by edges",
)
"""Names of the columns of `superpixel_features`."""

Singles = NDArray[np.float32]

_MIN_DENSITY = 0.01
"""Density of a color below which it counts as absent from the strokes."""
_WALKER_WIDTH = 10.0
"""Color difference, in units of Lab, that a random walker hardly crosses."""


def superpixel_features(graph: SuperpixelGraph, foreground: Flags, background: Flags) -> Floats:
    """(n, 16) features of superpixels; the columns are `FEATURES`.

    Ratios are logarithms, positive where foreground is more likely. Ways are geodesic distances
    on the graph (Bai & Sapiro 2007; Gulshan et al. 2010). `foreground` and `background`: (n,)
    bool, each with at least one superpixel.
    """
    squares = [
        _squared_distances(graph.colors, graph.colors[side]) for side in (foreground, background)
    ]
    sizes = [graph.sizes[side] for side in (foreground, background)]
    front, back = (_densities(*side) for side in zip(squares, sizes, strict=True))
    nearest = [_nearest(side) for side in squares]
    columns = [np.log(a / b) for a, b in zip(front, back, strict=True)]
    columns += [np.log(nearest[1] / nearest[0]), np.log(nearest[0])]
    likely = front[1] / (front[1] + back[1])
    for costs, floor in _costs(graph, likely):
        to_front = log_ways(graph, costs, foreground, floor)
        to_back = log_ways(graph, costs, background, floor)
        columns += [to_back - to_front, to_front]
    to_front, rim = columns[FEATURES.index("foreground way by edges")], graph.rim & ~foreground
    columns += [_from_border(graph), _random_walker(graph, foreground, background)]
    costs, floor = _costs(graph, likely)[1]
    to_rim = log_ways(graph, costs, rim, floor) if rim.any() else to_front
    columns.append(to_rim - to_front)
    return np.stack(columns, axis=1)


def _squared_distances(a: Floats, b: Floats) -> Singles:
    """(len(a), len(b)) squared distances of colors."""
    many, few = a.astype(np.float32), b.astype(np.float32)
    squares = (many**2).sum(1)[:, None] + (few**2).sum(1) - 2 * many @ few.T
    return np.asarray(np.maximum(squares, 0), np.float32)


def _densities(squares: Singles, sizes: Floats) -> list[Floats]:
    """Density of each color among some superpixels, for kernel widths of 4, 8 and 16."""
    weights = (sizes / sizes.sum()).astype(np.float32)
    wide = np.exp(squares / np.float32(-2 * 16**2))
    middle = _fourth_power(wide)
    return [
        np.asarray(kernel @ weights + _MIN_DENSITY, np.float64)
        for kernel in (_fourth_power(middle), middle, wide)
    ]


def log_ratio(
    graph: SuperpixelGraph, points: Floats, foreground: Flags, background: Flags, least: float
) -> Floats:
    """(n,) logarithm of the ratio of two densities: of `points` (n, d) on both sides.

    The kernel has width 1; `least` is added to both densities.
    """
    front, back = (
        np.exp(_squared_distances(points, points[side]) / np.float32(-2))
        @ (graph.sizes[side] / graph.sizes[side].sum()).astype(np.float32)
        for side in (foreground, background)
    )
    return np.asarray(np.log((front + least) / (back + least)), np.float64)


def _fourth_power(values: Singles) -> Singles:
    squares = values * values
    return squares * squares


def _nearest(squares: Singles) -> Floats:
    """Mean distance from the three nearest colors."""
    count = min(3, squares.shape[1])
    least = np.partition(squares, count - 1, axis=1)[:, :count]
    return np.asarray(np.sqrt(least).mean(axis=1) + 3, np.float64)


def _costs(graph: SuperpixelGraph, likely: Floats) -> list[tuple[Floats, float]]:
    """Four costs of a step between superpixels, each with the offset of the logarithm of a way."""
    step, way = graph.step, graph.way
    change = np.abs(likely[graph.a] - likely[graph.b])
    return [
        (step / 10 + 5 * way, 0.1),
        (np.minimum(step, 20) ** 2 / 40 + 2 * way, 0.1),
        (5 * change + 2 * way, 0.1),
        (way, 0.02),
    ]


def log_ways(graph: SuperpixelGraph, costs: Floats, start: Flags, floor: float) -> Floats:
    """(n,) logarithm of the geodesic distance from some superpixels plus `floor`."""
    from scipy.sparse.csgraph import dijkstra

    matrix = graph.matrix(np.maximum(costs, 1e-6))
    lengths = dijkstra(matrix, indices=np.flatnonzero(start), min_only=True)
    return np.asarray(np.log(lengths + floor), np.float64)


def _from_border(graph: SuperpixelGraph) -> Floats:
    centers = graph.centers
    inward = np.minimum(centers, centers.max(axis=0) - centers).min(axis=1)
    return np.asarray(np.minimum(inward, 0.2) * 5, np.float64)


def _random_walker(graph: SuperpixelGraph, foreground: Flags, background: Flags) -> Floats:
    """Log odds that a walk ends in the foreground (Grady 2006)."""
    none = np.zeros(graph.count)
    share = diffuse(graph, _WALKER_WIDTH, 1e-3, none, none, foreground, background)
    return log_odds(share, 1e-3)


def diffuse(
    graph: SuperpixelGraph,
    width: float,
    floor: float,
    pull: Floats,
    target: Floats,
    foreground: Flags,
    background: Flags,
) -> Floats:
    """(n,) values in [0, 1] that vary little between superpixels of similar color.

    They are fixed at 1 on `foreground` and at 0 on `background`; `target` attracts the others by
    `pull`. `width`: color difference that separates superpixels; `floor`: affinity that remains.
    """
    from scipy.sparse.linalg import spsolve

    affinity = graph.length * (np.exp(-((graph.step / width) ** 2)) + floor)
    matrix = graph.matrix(affinity)
    held = 1e4 * (foreground | background) + pull + 1e-9
    degrees = np.asarray(matrix.sum(axis=1)).ravel()
    system = diags(degrees + held) - matrix
    values = spsolve(system.tocsc(), 1e4 * foreground + pull * target, permc_spec="MMD_AT_PLUS_A")
    return np.clip(np.asarray(values, np.float64), 0, 1)


def log_odds(share: NDArray[np.float64], least: float) -> Floats:
    inside = np.clip(share, least, 1 - least)
    return np.asarray(np.log(inside / (1 - inside)), np.float64)

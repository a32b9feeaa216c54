"""Structure of an image around superpixels, and features of strokes that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.grabcut.features import (
    Flags,
    Floats,
    SuperpixelGraph,
    diffuse,
    log_odds,
    log_ratio,
    log_ways,
    superpixel_features,
    superpixel_graph,
)
from icas.segmentimg.labels.merge_tree import MergeTree, merge_tree

GROUPS = (8, 16, 32, 64, 128, 256)
"""Numbers of groups of the merge tree whose strokes and colors are counted."""
_TEXTURES = (2.0, 5.0)
"""Widths, in pixels, within which the spread of each channel is texture."""
_SURROUNDINGS = 8.0
"""Width, in pixels, within which the mean color is that of the surroundings."""
_EDGES = (1.0, 2.5)
"""Widths, in pixels, of the gradients along borders."""
_WALKERS = (5.0, 20.0)


@dataclass(frozen=True, eq=False)
class Structure:
    """What the features of all strokes on one image share."""

    graph: SuperpixelGraph
    textures: Floats
    """(n, 6) logarithm of the spread of each channel of Lab, in two sizes."""
    surroundings: Floats
    """(n, 3) mean color of the surroundings, lightness at a lower weight."""
    groups: tuple[NDArray[np.int64], ...]
    """(n,) group of each superpixel in the merge tree, for each number in `GROUPS`."""
    heights: Floats
    """(m,) logarithm of the cost at which two adjacent superpixels merge."""
    edges: tuple[Floats, ...]
    """(m,) mean gradient along the common border, divided by the mean; in two sizes."""


def structure_of(image: Image) -> Structure:
    """Superpixels of an image and what surrounds them."""
    import cv2

    graph = superpixel_graph(image)
    lab = np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab), np.float32)
    textures = [np.log(graph.share(one) + 1) for one in _spreads(lab)]
    around = cv2.GaussianBlur(lab, (0, 0), _SURROUNDINGS)
    surroundings = np.stack([graph.share(around[..., k]) for k in range(3)], axis=1) * (0.7, 1, 1)
    tree = merge_tree(image, (graph.labels + 1).astype(np.int32))
    groups = tuple(tree.table(count)[1:].astype(np.int64) - 1 for count in GROUPS)
    edges = tuple(_along_borders(graph, _gradient(lab, width)) for width in _EDGES)
    heights = _merge_heights(tree, graph)
    return Structure(graph, np.stack(textures, axis=1), surroundings, groups, heights, edges)


def _spreads(lab: NDArray[np.float32]) -> Iterator[NDArray[Any]]:
    """(h, w) standard deviation of each channel around each pixel, for each width."""
    import cv2

    for width in _TEXTURES:
        mean = cv2.GaussianBlur(lab, (0, 0), width)
        spread = np.sqrt(np.maximum(cv2.GaussianBlur(lab * lab, (0, 0), width) - mean * mean, 0))
        yield from np.moveaxis(spread, -1, 0)


def _gradient(lab: NDArray[np.float32], width: float) -> NDArray[Any]:
    """(h, w) gradient of the three channels together."""
    import cv2

    smooth = cv2.GaussianBlur(lab, (0, 0), width)
    squares = [
        (cv2.Sobel(smooth, cv2.CV_32F, right, down) ** 2).sum(axis=2)
        for right, down in ((1, 0), (0, 1))
    ]
    return np.asarray(np.sqrt(squares[0] + squares[1]))


def _along_borders(graph: SuperpixelGraph, values: NDArray[Any]) -> Floats:
    """(m,) mean of the pixels of each common border, divided by the mean of all pairs."""
    labels, keys, means = graph.labels, [], []
    for one, two in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        differ = labels[one] != labels[two]
        first, second = labels[one][differ].astype(np.int64), labels[two][differ]
        keys.append(np.minimum(first, second) * graph.count + np.maximum(first, second))
        means.append((values[one][differ] + values[two][differ]) / 2)
    pairs, index = np.unique(np.concatenate(keys), return_inverse=True)
    mean = np.bincount(index, np.concatenate(means)) / np.bincount(index)
    wanted = np.minimum(graph.a, graph.b) * graph.count + np.maximum(graph.a, graph.b)
    along = np.asarray(mean[np.searchsorted(pairs, wanted)], np.float64)
    return along / max(1e-6, float(along.mean())) if len(along) else along


def _merge_heights(tree: MergeTree, graph: SuperpixelGraph) -> Floats:
    """(m,) logarithm of the cost at which each adjacent pair becomes one group."""
    count = tree.count
    parent = np.arange(2 * count - 1)
    parent[tree.merges[:, :2].astype(np.int64)] = np.arange(count, 2 * count - 1)[:, None]
    heights = np.zeros(2 * count - 1)
    heights[count:] = np.log1p(tree.merges[:, 2])
    a, b = graph.a.copy(), graph.b.copy()
    while (apart := a != b).any():  # the lower of two nodes is no ancestor of the higher one
        lower = np.minimum(a, b)
        a, b = np.where(apart, parent[lower], a), np.where(apart, np.maximum(a, b), b)
    return np.asarray(heights[a], np.float64)


def all_features(structure: Structure, foreground: Flags, background: Flags) -> Floats:
    """(n, 56) features of superpixels: those of `superpixel_features`, then of the structure."""
    return np.hstack(
        [
            superpixel_features(structure.graph, foreground, background),
            structure_features(structure, foreground, background),
        ]
    )


def structure_features(structure: Structure, foreground: Flags, background: Flags) -> Floats:
    """(n, 40) features of superpixels: logarithms, mostly positive where foreground is likelier.

    `foreground` and `background`: (n,) bool, each with at least one superpixel.
    """
    graph, sides = structure.graph, (foreground, background)
    colors, places = graph.colors, graph.centers
    textures, around = structure.textures, structure.surroundings
    columns = [
        log_ratio(graph, np.hstack(scaled), *sides, least)
        for scaled, least in (
            ((colors / 8, places / 0.1), 1e-3),
            ((colors / 16, places / 0.2), 1e-3),
            ((colors / 12, places / 0.4), 1e-3),
            ((places / 0.1,), 1e-3),
            ((places / 0.3,), 1e-3),
            ((textures / 0.5,), 0.01),
            ((around / 8,), 0.01),
            ((colors / 10, around / 12), 0.003),
            ((colors / 10, textures / 0.6), 0.003),
        )
    ]
    odds = columns[-1]
    for group in structure.groups:
        columns += _of_groups(graph, group, odds, *sides)
    for to_front, to_back in _ways_of_structure(structure, 1 / (1 + np.exp(-odds)), *sides):
        columns += [to_back - to_front, to_front]
    none = np.zeros(graph.count)
    for width in _WALKERS:
        columns.append(log_odds(diffuse(graph, width, 1e-3, none, none, *sides), 1e-3))
    return np.stack([*columns, *_of_strokes(graph, odds, *sides)], axis=1)


def _of_groups(
    graph: SuperpixelGraph, group: NDArray[np.int64], odds: Floats, front: Flags, back: Flags
) -> list[Floats]:
    """Share of the strokes of both sides in the group of each superpixel, and its mean odds."""
    sizes = graph.sizes
    size = np.bincount(group, sizes)
    inside, outside = (
        np.bincount(group, sizes * side, len(size)) / sizes[side].sum() + 0.02
        for side in (front, back)
    )
    mean = np.bincount(group, sizes * odds) / size
    return [np.log(inside / outside)[group], mean[group]]


def _ways_of_structure(
    structure: Structure, likely: Floats, front: Flags, back: Flags
) -> Iterator[tuple[Floats, Floats]]:
    """Logarithms of the ways to foreground and to background, by five costs of a step."""
    graph = structure.graph
    a, b, way = graph.a, graph.b, graph.way
    fine, coarse = structure.edges
    heights = structure.heights
    above = np.maximum(heights - np.median(heights), 0) if len(heights) else heights
    change, mean = np.abs(likely[a] - likely[b]), (likely[a] + likely[b]) / 2
    for cost in (
        above / 2 + 2 * way,
        0.3 * fine + 2 * way,
        0.3 * coarse + 2 * way,
        0.2 * np.minimum(coarse, 5) ** 2 + way,
        4 * change + 0.15 * coarse + way,
    ):
        yield log_ways(graph, cost, front, 0.1), log_ways(graph, cost, back, 0.1)
    step = way + 0.1 * coarse
    yield (
        log_ways(graph, 10 * (1 - mean) * way + step, front, 0.1),
        log_ways(graph, 10 * mean * way + step, back, 0.1),
    )


def _of_strokes(
    graph: SuperpixelGraph, odds: Floats, front: Flags, back: Flags
) -> Iterator[Floats]:
    """Distance from the middle of the foreground, sizes of both sides, how well they separate."""
    sizes = graph.sizes
    middle = np.average(graph.centers[front], axis=0, weights=sizes[front])
    distance = np.linalg.norm(graph.centers - middle, axis=1)
    yield np.log((distance + 0.05) / (np.median(distance[back]) + 0.05))
    for value in (
        np.log(sizes[front].sum() / sizes.sum()),
        np.log(sizes[back].sum() / sizes.sum()),
        np.log(distance[back].min() + 0.02),
        odds[front].mean() - odds[back].mean(),
    ):
        yield np.full(graph.count, value)

"""Segmentation by strokes alone, propagated over superpixels by color and geodesic distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.grabcut import annotation as marks, mixtures
from icas.segmentimg.grabcut.features import (
    FIRST,
    LATER,
    Flags,
    Floats,
    SuperpixelGraph,
    diffuse,
    log_odds,
    superpixel_features,
    superpixel_graph,
)

Mask = NDArray[np.bool_]

BAND = 0.03
"""Reach of the band along the border that GrabCut refines, over the root of the pixels."""

_WIDTH, _FLOOR, _PULL = 6.0, 0.01, 0.1
"""Arguments of `diffuse` for smoothing the shares."""


@dataclass(frozen=True)
class Seeds:
    """(n,) bool each: superpixels with strokes."""

    foreground: Flags
    background: Flags


@dataclass(frozen=True)
class Estimate:
    """Estimated share of foreground of each superpixel, and the mask refined from it."""

    share: Floats
    mask: Mask


def find_seeds(graph: SuperpixelGraph, strokes: marks.Strokes) -> Seeds:
    """Superpixels with strokes, of the side with more of them; neither side is empty.

    Without strokes of background, superpixels at the border of the image are, whose colors differ
    most from the foreground's.
    """
    front = _covered(graph, strokes, marks.FOREGROUND, marks.PROBABLE_FOREGROUND)
    back = _covered(graph, strokes, marks.BACKGROUND, marks.PROBABLE_BACKGROUND)
    foreground, background = front > back, back >= np.maximum(front, 1e-12)
    if not foreground.any() and front.any():
        foreground = front == front.max()
    background &= ~foreground
    if not background.any():
        background = _differing(graph, foreground)
    return Seeds(foreground, background)


def _covered(graph: SuperpixelGraph, strokes: marks.Strokes, *values: int) -> Floats:
    """Share of each superpixel under strokes; 0 where a stroke only grazes it."""
    share = graph.share(np.isin(strokes, values))
    return np.where(share >= min(0.05, share.max()), share, 0.0)


def _differing(graph: SuperpixelGraph, foreground: Flags) -> Flags:
    rest = graph.rim & ~foreground
    if not rest.any():
        rest = ~foreground
    mean = graph.colors[foreground].mean(axis=0)
    distance = np.linalg.norm(graph.colors - mean, axis=1)
    return rest & (distance >= np.median(distance[rest])) if rest.any() else rest


def first_features(graph: SuperpixelGraph, seeds: Seeds) -> Floats:
    """(n, 16) features from strokes alone."""
    return superpixel_features(graph, seeds.foreground, seeds.background)


def later_features(graph: SuperpixelGraph, seeds: Seeds, first: Floats, last: Estimate) -> Floats:
    """(n, 33) features from strokes, from confident superpixels of the last round, its shares."""
    front = graph.share(last.mask) > 0.5
    sure_front = (seeds.foreground | (front & (last.share > 0.7))) & ~seeds.background
    sure_back = (seeds.background | (~front & (last.share < 0.2))) & ~seeds.foreground
    second = superpixel_features(graph, sure_front, sure_back)
    return np.hstack([first, second, log_odds(last.share, 1e-3)[:, None]])


def shares(graph: SuperpixelGraph, seeds: Seeds, features: Floats, weights: Floats) -> Floats:
    """(n,) share of foreground of each superpixel; the first of `weights` is the constant."""
    odds = np.clip(weights[0] + features @ weights[1:], -30, 30)
    target = 1 / (1 + np.exp(-odds))
    pull = _PULL * graph.sizes
    return diffuse(graph, _WIDTH, _FLOOR, pull, target, seeds.foreground, seeds.background)


def connected_foreground(graph: SuperpixelGraph, seeds: Seeds, share: Floats) -> Flags:
    """Superpixels of foreground that are connected with a stroke of it."""
    from scipy.sparse.csgraph import connected_components

    front = ((share > 0.5) | seeds.foreground) & ~seeds.background
    both = front[graph.a] & front[graph.b]
    group = connected_components(graph.matrix(both.astype(float)), directed=False)[1]
    return np.asarray(front & np.isin(group, np.unique(group[seeds.foreground])), bool)


class StrokeRounds:
    """Rounds with strokes.

    The first round with new strokes estimates twice, from the strokes and then from the confident
    part of that estimate. Further rounds with the same strokes let GrabCut move the border.
    """

    def __init__(self, image: Image, seed: int) -> None:
        self._image, self._seed = image, seed
        self._graph: SuperpixelGraph | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the rounds so far."""
        self._strokes: marks.Strokes | None = None
        self._mask: Mask | None = None
        self._models = mixtures.ColorModels()

    def round(self, strokes: marks.Strokes) -> Mask:
        """(h, w) bool: the object by these strokes and the rounds before."""
        same = self._strokes is not None and np.array_equal(self._strokes, strokes)
        if self._mask is None or not same:
            self._models = mixtures.ColorModels()
            mask = self._from_strokes(strokes)
        else:
            mask = refine_band(self._image, self._mask, strokes, self._models, self._seed)
        self._strokes, self._mask = strokes.copy(), mask
        return mask

    def _from_strokes(self, strokes: marks.Strokes) -> Mask:
        if self._graph is None:
            self._graph = superpixel_graph(self._image)
        graph, seeds = self._graph, find_seeds(self._graph, strokes)
        if not seeds.background.any():
            return np.asarray(strokes != marks.BACKGROUND, bool)
        features = first_features(graph, seeds)
        first = estimate(
            self._image, graph, seeds, features, FIRST, strokes, mixtures.ColorModels(), self._seed
        )
        later = later_features(graph, seeds, features, first)
        return estimate(
            self._image, graph, seeds, later, LATER, strokes, self._models, self._seed
        ).mask


def estimate(
    image: Image,
    graph: SuperpixelGraph,
    seeds: Seeds,
    features: Floats,
    weights: Floats,
    strokes: marks.Strokes,
    models: mixtures.ColorModels,
    seed: int,
) -> Estimate:
    """Shares of foreground by features and weights, and a mask refined by GrabCut."""
    share = shares(graph, seeds, features, weights)
    rough = connected_foreground(graph, seeds, share)[graph.labels]
    return Estimate(share, refine_band(image, rough, strokes, models, seed))


def refine_band(
    image: Image, mask: Mask, strokes: marks.Strokes, models: mixtures.ColorModels, seed: int
) -> Mask:
    """Refine a band along the border of a mask by GrabCut; the rest and strokes are fixed."""
    import cv2

    reach = max(2, round(BAND * (mask.shape[0] * mask.shape[1]) ** 0.5))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    flat = mask.astype(np.uint8)
    kinds = np.where(mask, mixtures.MAYBE_FRONT, mixtures.MAYBE_BACK).astype(np.uint8)
    kinds[(cv2.erode(flat, disc) > 0) & (strokes != marks.PROBABLE_BACKGROUND)] = (
        mixtures.SURE_FRONT
    )
    kinds[(cv2.dilate(flat, disc) == 0) & (strokes != marks.PROBABLE_FOREGROUND)] = (
        mixtures.SURE_BACK
    )
    kinds[strokes == marks.FOREGROUND] = mixtures.SURE_FRONT
    kinds[strokes == marks.BACKGROUND] = mixtures.SURE_BACK
    return mixtures.is_front(models.update(image, kinds, seed))

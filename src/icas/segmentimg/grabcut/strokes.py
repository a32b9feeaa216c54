"""Segmentation by strokes alone, propagated over superpixels by color and geodesic distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.grabcut import annotation as marks, mixtures
from icas.segmentimg.grabcut.features import Flags, Floats, SuperpixelGraph, diffuse, log_odds
from icas.segmentimg.grabcut.structure import Structure, all_features, structure_of
from icas.segmentimg.grabcut.weights import FIRST, LATER

Mask = NDArray[np.bool_]

BAND = 0.1
"""Reach of the band along the border that GrabCut refines, over the root of the pixels."""

MIN_STROKES = 0.004
"""Share of the pixels under strokes of foreground from which their colors alone are enough."""
ONE_SIDED = 1.25 * np.pi
"""Angle without strokes of background, as seen from the object, from which they are on one side."""
PLAIN_ROUNDS = 5

_DOUBT = 0.03
"""Share of the other side up to which a superpixel stays on its side in the band."""
_MARGIN = 3.0
"""Pixels at the border of the mask that GrabCut decides in any case."""

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


def first_features(structure: Structure, seeds: Seeds) -> Floats:
    """(n, 56) features from strokes alone."""
    return all_features(structure, seeds.foreground, seeds.background)


def later_features(structure: Structure, seeds: Seeds, first: Floats, last: Estimate) -> Floats:
    """(n, 114) features from strokes, from confident superpixels of the last round, its result."""
    inside = structure.graph.share(last.mask)
    front = inside > 0.5
    sure_front = (seeds.foreground | (front & (last.share > 0.7))) & ~seeds.background
    sure_back = (seeds.background | (~front & (last.share < 0.2))) & ~seeds.foreground
    second = all_features(structure, sure_front, sure_back)
    return np.hstack([first, second, log_odds(last.share, 1e-3)[:, None], inside[:, None]])


def is_one_sided(graph: SuperpixelGraph, seeds: Seeds, strokes: marks.Strokes) -> bool:
    """Whether most of the surroundings has no stroke, and those of the object are enough."""
    center = graph.centers[seeds.foreground].mean(axis=0)
    down, right = (graph.centers[seeds.background] - center).T
    angles = np.sort(np.arctan2(down, right))
    gaps = np.diff(angles, append=angles[0] + 2 * np.pi)
    many = (strokes == marks.FOREGROUND).mean() >= MIN_STROKES
    return bool(many and gaps.max() > ONE_SIDED)


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
    part of that estimate. Strokes of background on one side give no distances on the other: then
    GrabCut alone decides. Further rounds with the same strokes let GrabCut move the border.
    """

    def __init__(self, image: Image, seed: int) -> None:
        self._image, self._seed = image, seed
        self._structure: Structure | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the rounds so far."""
        self._strokes: marks.Strokes | None = None
        self._mask: Mask | None = None
        self._share: Floats | None = None
        self._models = mixtures.ColorModels()

    def round(self, strokes: marks.Strokes) -> Mask:
        """(h, w) bool: the object by these strokes and the rounds before."""
        same = self._strokes is not None and np.array_equal(self._strokes, strokes)
        if self._mask is None or not same:
            self._models = mixtures.ColorModels()
            mask = self._from_strokes(strokes)
        else:
            mask = refine_band(
                self._image, self._mask, strokes, self._models, self._seed, share=self._share
            )
            mask = _with_strokes(mask, strokes)
        self._strokes, self._mask = strokes.copy(), mask
        return mask

    def _from_strokes(self, strokes: marks.Strokes) -> Mask:
        if self._structure is None:
            self._structure = structure_of(self._image)
        graph, self._share = self._structure.graph, None
        seeds = find_seeds(graph, strokes)
        if not seeds.background.any():
            return np.asarray(strokes != marks.BACKGROUND, bool)
        if is_one_sided(graph, seeds, strokes):
            return plain_rounds(self._image, strokes, self._models, self._seed)
        features = first_features(self._structure, seeds)
        first = estimate(
            self._image, graph, seeds, features, FIRST, strokes, mixtures.ColorModels(), self._seed
        )
        later = later_features(self._structure, seeds, features, first)
        second = estimate(
            self._image, graph, seeds, later, LATER, strokes, self._models, self._seed
        )
        self._share = second.share[graph.labels]
        return second.mask


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
    refined = refine_band(image, rough, strokes, models, seed, share=share[graph.labels])
    return Estimate(share, _with_strokes(refined, strokes))


def plain_rounds(
    image: Image, strokes: marks.Strokes, models: mixtures.ColorModels, seed: int
) -> Mask:
    """GrabCut alone: what has no stroke is probably background; regions without a stroke go."""
    kinds = np.full(strokes.shape, mixtures.MAYBE_BACK, np.uint8)
    kinds[strokes == marks.PROBABLE_FOREGROUND] = mixtures.MAYBE_FRONT
    kinds[strokes == marks.FOREGROUND] = mixtures.SURE_FRONT
    kinds[strokes == marks.BACKGROUND] = mixtures.SURE_BACK
    for _ in range(PLAIN_ROUNDS):
        kinds = models.update(image, kinds, seed)
    return _with_strokes(mixtures.is_front(kinds), strokes)


def refine_band(
    image: Image,
    mask: Mask,
    strokes: marks.Strokes,
    models: mixtures.ColorModels,
    seed: int,
    width: float = BAND,
    share: Floats | None = None,
) -> Mask:
    """Refine a band along the border of a mask by GrabCut; the rest and strokes are fixed.

    width: of the band on each side, as a share of the square root of the number of pixels.
    share: (h, w) share of foreground; where it is close to 0 or 1, the band is narrow.
    """
    import cv2

    reach = max(2.0, width * (mask.shape[0] * mask.shape[1]) ** 0.5)
    flat = mask.astype(np.uint8)
    inside, outside = (cv2.distanceTransform(side, cv2.DIST_L2, 3) for side in (flat, 1 - flat))
    front, back = inside > reach, outside > reach
    if share is not None:
        front |= (inside > _MARGIN) & (share > 1 - _DOUBT)
        back |= (outside > _MARGIN) & (share < _DOUBT)
    kinds = np.where(mask, mixtures.MAYBE_FRONT, mixtures.MAYBE_BACK).astype(np.uint8)
    kinds[front & (strokes != marks.PROBABLE_BACKGROUND)] = mixtures.SURE_FRONT
    kinds[back & (strokes != marks.PROBABLE_FOREGROUND)] = mixtures.SURE_BACK
    kinds[strokes == marks.FOREGROUND] = mixtures.SURE_FRONT
    kinds[strokes == marks.BACKGROUND] = mixtures.SURE_BACK
    return mixtures.is_front(models.update(image, kinds, seed))


def _with_strokes(mask: Mask, strokes: marks.Strokes) -> Mask:
    """The connected regions of a mask that have a stroke of foreground."""
    import cv2

    count, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    kept = np.zeros(count, bool)
    kept[regions[np.isin(strokes, (marks.FOREGROUND, marks.PROBABLE_FOREGROUND))]] = True
    kept[0] = False
    return np.asarray(kept[regions], bool)

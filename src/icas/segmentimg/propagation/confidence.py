"""How good a carried mask is, estimated by carrying it back and by agreement of its parts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import astuple, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.propagation import combine
from icas.segmentimg.propagation.estimate import Estimate, find_signals
from icas.segmentimg.propagation.features import ImageFeatures
from icas.segmentimg.propagation.model import Model
from icas.segmentimg.propagation.refine import overlap
from icas.segmentimg.propagation.sources import Painted, similarity

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

_WAYS_BACK = 3
_STABLE = 0.2
"""Distance of two levels of the shares from one half, whose areas are compared."""
_BINS = 6
"""Of each Lab channel, in histograms of colors."""
_BORDER = 7
"""Width in pixels of the band along a border in which edges are compared."""


@dataclass(frozen=True)
class Clues:
    """What the quality of a mask is estimated from, 0 to 1 each where not noted otherwise.

    Attributes
    ----------
    back : IoU with the painted mask, after carrying the mask back
    near : IoU with the mask by the most similar cells
    contrast : IoU with the superpixels that are more similar to the class than to the rest
    border : IoU of the mask before and after its border was refined
    warped : whether the mask is the warped one
    evidence : consistency of the optical flow under the mask
    inliers : keypoints on the object that agree on a homography
    geometry : IoU with the warped mask
    similarity : of the image and the painted image
    smaller, larger : by how much the area is smaller or larger than painted, as a logarithm
    doubt : shares near one half
    expected : IoU that the shares predict
    stability : area above a high share, over that above a low share
    first : IoU with the mask by the first model
    found : painted parts of the object whose most similar superpixel is in the mask
    margin : how much more similar painted parts are to the mask than to the rest, -1 to 1
    colors : histogram intersection with the painted object
    edges : edges of the image along the border, relative to those near it
    whole : share of the largest part
    """

    back: float
    near: float
    contrast: float
    border: float
    warped: float
    evidence: float
    inliers: float
    geometry: float
    similarity: float
    smaller: float
    larger: float
    doubt: float
    expected: float
    stability: float
    first: float
    found: float
    margin: float
    colors: float
    edges: float
    whole: float

    def row(self) -> Floats:
        """(21,) float64: 1 and the clues."""
        return np.array([1.0, *astuple(self)], np.float64)


def score(clues: Clues, weights: Floats) -> float:
    """Estimated IoU with the true mask."""
    return float(np.clip(clues.row() @ weights, 0, 1))


def calibrated(score: float, curve: Floats) -> float:
    """Probability that the IoU is at least 0.75; `curve`: (k, 2) scores and probabilities."""
    return float(np.interp(score, curve[:, 0], curve[:, 1]))


def emptiness(
    target: ImageFeatures, sources: Sequence[Painted], name: Hashable, share: Floats
) -> float:
    """How little of a class is expected in an image, 0 to 1, relative to the painted area."""
    sizes = target.graph.sizes
    known = next(one for one in sources if name in one.classes())
    expected = float((sizes * share).sum() / sizes.sum())
    return max(0.0, 1 - expected / max(1e-6, float(known.of_class(name).mean())))


def find_clues(
    target: ImageFeatures,
    sources: Sequence[Painted],
    classes: Sequence[Hashable],
    result: Estimate,
    model: Model,
) -> list[Clues]:
    """What the confidence of each class is estimated from."""
    ways = [carry_back(target, one, classes, result.masks, model) for one in sources[:_WAYS_BACK]]
    return [
        _clues(target, sources, name, result, model, column, max(way[column] for way in ways))
        for column, name in enumerate(classes)
    ]


def _clues(
    target: ImageFeatures,
    sources: Sequence[Painted],
    name: Hashable,
    result: Estimate,
    model: Model,
    column: int,
    back: float,
) -> Clues:
    graph, compared, sizes = target.graph, result.compared, target.graph.sizes
    mask, geometry = result.masks[column], result.signals[column].geometry
    inside = graph.share(mask)
    mine = inside > 0.5
    known = next(one for one in sources if name in one.classes())
    painted = known.of_class(name)
    growth = float(np.log(max(float(mask.mean()) / max(1e-6, float(painted.mean())), 1e-3)))
    share = result.shares[:, column]
    first = combine.odds(result.signals[column].columns, model.first) > 0
    found, margin = _parts_found(known, painted, target, mine)
    sure, unsure = (float(sizes[share > 0.5 + step].sum()) for step in (_STABLE, -_STABLE))
    missed = float((sizes * share * (1 - inside)).sum())
    return Clues(
        back=back,
        near=overlap(mine, compared.near_in_place[:, column] > 0.5, sizes),
        contrast=overlap(mine, compared.contrast[:, column] > 0, sizes),
        border=overlap(mask, result.before[column]),
        warped=float(result.warped[column]),
        evidence=geometry.evidence,
        inliers=min(1.0, geometry.warp.inliers / 60) * geometry.warp.on_object,
        geometry=overlap(mask, geometry.best > 0.5),
        similarity=max(similarity(target, one.features) for one in sources),
        smaller=min(1.0, max(0.0, -growth) / 2),
        larger=min(1.0, max(0.0, growth) / 2),
        doubt=min(1.0, float((sizes * share * (1 - share)).sum()) / max(1.0, sizes[mine].sum())),
        expected=float((sizes * share * inside).sum()) / max(1.0, float(mask.sum()) + missed),
        stability=sure / max(1.0, unsure),
        first=overlap(mine, first, sizes),
        found=found,
        margin=margin,
        colors=_same_colors(known, painted > 0.5, target, mask),
        edges=_edges(target, mask),
        whole=_largest_part(mask),
    )


def _parts_found(
    known: Painted, painted: NDArray[np.float32], target: ImageFeatures, mine: Mask
) -> tuple[float, float]:
    """Of the cells of the painted object: which are found in the mask, and how clearly."""
    features = known.features
    rows, columns = features.grid.shape[:2]
    small = cv2.resize(painted, (columns, rows), interpolation=cv2.INTER_AREA).ravel()
    cells = features.cells[small > min(0.5, 0.9 * float(small.max()))]
    if not mine.any() or mine.all() or not len(cells):
        return float(mine.all()), 0.0
    products = cells @ target.pieces.T
    margins = products[:, mine].max(axis=1) - products[:, ~mine].max(axis=1)
    return float((margins > 0).mean()), float(margins.mean())


def _same_colors(known: Painted, painted: Mask, target: ImageFeatures, mask: Mask) -> float:
    """Histogram intersection of the colors of two masks."""
    histograms = []
    for image, inside in ((known.features.image, painted), (target.image, mask)):
        if not inside.any():
            return 0.0
        lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab)[inside]
        counts, _ = np.histogramdd(lab, bins=_BINS, range=[(0, 256), (64, 192), (64, 192)])
        histograms.append(counts / max(1.0, counts.sum()))
    return float(np.minimum(*histograms).sum())


def _edges(target: ImageFeatures, mask: Mask) -> float:
    """Edges along the border of a mask, over the sum of those and the edges near it."""
    inside = mask.astype(np.uint8)
    square = np.ones((3, 3), np.uint8)
    border = (cv2.dilate(inside, square) - cv2.erode(inside, square)) > 0
    wide = np.ones((2 * _BORDER + 1, 2 * _BORDER + 1), np.uint8)
    near = ((cv2.dilate(inside, wide) - cv2.erode(inside, wide)) > 0) & ~border
    if not border.any() or not near.any():
        return 0.5
    smooth = cv2.GaussianBlur(target.gray.astype(np.float32), (0, 0), 1.0)
    strength = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    at, beside = float(strength[border].mean()), float(strength[near].mean())
    return at / max(1e-6, at + beside)


def _largest_part(mask: Mask) -> float:
    """Area of the largest part over that of the mask; 0 for an empty one."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    return float(areas.max() / areas.sum()) if len(areas) else 0.0


def carry_back(
    target: ImageFeatures,
    source: Painted,
    classes: Sequence[Hashable],
    masks: Sequence[Mask],
    model: Model,
) -> list[float]:
    """IoU of the painted masks with the carried masks, carried back."""
    held = {(name, 1): mask.astype(np.float32) for name, mask in zip(classes, masks, strict=True)}
    painted = Painted(target, held)
    found, _ = find_signals(source.features, [painted], classes, keypoints=False)
    odds = [combine.odds(one.columns, model.first) for one in found]
    shares = combine.shares_of(np.stack(odds, axis=1))
    rest = 1 - shares.sum(axis=1)
    graph = source.features.graph
    overlaps = []
    for column, name in enumerate(classes):
        inside = (shares[:, column] > rest) & (shares.argmax(axis=1) == column)
        true = graph.share(source.of_class(name)) > 0.5
        overlaps.append(overlap(inside, true, graph.sizes))
    return overlaps

"""Masks of the classes of painted images, estimated in another image."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.propagation import combine, refine
from icas.segmentimg.propagation.appearance import (
    Cells,
    CellSimilarity,
    cells_of,
    compare_cells,
    join,
)
from icas.segmentimg.propagation.confidence import Clues, mask_overlap, overlap
from icas.segmentimg.propagation.features import ImageFeatures
from icas.segmentimg.propagation.geometry import Carried as Geometry, Correspondence
from icas.segmentimg.propagation.model import Model
from icas.segmentimg.propagation.sources import Painted, similarity

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

_SURE = 0.3
"""Evidence of the optical flow from which the border of the superpixels is kept."""
_WAYS_BACK = 3


@dataclass(frozen=True, eq=False)
class Signals:
    """What is known of one class in an image before it is segmented.

    Attributes
    ----------
    columns : (n, 17) float32 ndarray
        As `combine.SIGNALS`.
    painted : (h, w) float32 ndarray
        The mask of the class in the source that the geometry comes from.
    """

    columns: NDArray[np.float32]
    geometry: Geometry
    painted: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Estimate:
    """Masks of the classes, and what they were made from; lists have one entry for each class.

    Attributes
    ----------
    shares : (n, classes) float64 ndarray
        Of superpixels.
    masks : list of (h, w) bool ndarray
        Disjoint.
    before : list of (h, w) bool ndarray
        The masks before their borders were refined.
    warped : list of bool
        Whether the warped mask was kept.
    """

    shares: Floats
    compared: CellSimilarity
    signals: list[Signals]
    masks: list[Mask]
    before: list[Mask]
    warped: list[bool]


def find_signals(
    target: ImageFeatures,
    sources: Sequence[Painted],
    classes: Sequence[Hashable],
    keypoints: bool = True,
    chained: int = 0,
) -> tuple[list[Signals], CellSimilarity]:
    """Evidence for each class; geometry from the first source that has the class.

    Parameters
    ----------
    keypoints : bool
        Whether SIFT keypoints are matched, beside the optical flow.
    chained : int
        Sources at the end whose geometry is preferred where its flow is more consistent.
    """
    compared = compare_cells(_cells(sources, classes), target)
    correspondences: dict[int, Correspondence] = {}
    found = []
    for column, name in enumerate(classes):
        having = [k for k, one in enumerate(sources) if name in one.classes()]
        last = len(sources) - chained
        geometries = {}
        for k in [having[0], *(k for k in having[1:] if k >= last)]:
            if k not in correspondences:
                correspondences[k] = Correspondence(sources[k].features, target, keypoints)
            geometries[k] = correspondences[k].carry(sources[k].of_class(name))
        best = max(geometries, key=lambda k: (geometries[k].evidence, -k))
        geometry = geometries[best]
        painted = sources[best].of_class(name)
        change = correspondences[best].change(painted)
        columns = combine.signals(target, geometry, change, compared, column)
        found.append(Signals(columns, geometry, painted))
    return found, compared


def estimate(
    target: ImageFeatures,
    sources: Sequence[Painted],
    classes: Sequence[Hashable],
    model: Model,
    chained: int = 0,
) -> Estimate:
    """Masks of the classes in an image."""
    found, compared = find_signals(target, sources, classes, chained=chained)
    return segmented(target, found, compared, model)


def segmented(
    target: ImageFeatures, found: list[Signals], compared: CellSimilarity, model: Model
) -> Estimate:
    """Masks of the classes by the evidence from `find_signals`.

    Near copies keep the warped mask. Other borders are refined by GrabCut, except where the optical
    flow supports them.
    """
    first = [combine.odds(one.columns, model.first) for one in found]
    second = [
        combine.second_signals(target.graph, odds, one.columns, one.painted)
        for odds, one in zip(first, found, strict=True)
    ]
    odds = [combine.odds(columns, model.second) for columns in second]
    shares = combine.shares_of(np.stack(odds, axis=1))
    before = _largest(target, shares)
    masks, warped = [], []
    for mask, one in zip(before, found, strict=True):
        refined = refine.to_border(target.image, mask)
        geometry = one.geometry
        warped.append(geometry.is_sure)
        if geometry.is_sure:
            masks.append(np.where(geometry.seen > 0.5, geometry.best > 0.5, refined))
        else:
            masks.append(mask if geometry.evidence > _SURE else refined)
    return Estimate(shares, compared, found, disjoint(target, masks, shares), before, warped)


def _cells(sources: Sequence[Painted], classes: Sequence[Hashable]) -> Cells:
    return join(
        [
            cells_of(one.features, np.stack([one.of_class(name) for name in classes], axis=-1))
            for one in sources
        ]
    )


def _largest(target: ImageFeatures, shares: Floats) -> list[Mask]:
    """Masks of the classes with the largest share, if that is above the background's."""
    rest = 1 - shares.sum(axis=1)
    best = shares.argmax(axis=1)
    front = shares.max(axis=1) > rest
    return [
        refine.without_small_parts((front & (best == column))[target.graph.labels])
        for column in range(shares.shape[1])
    ]


def disjoint(target: ImageFeatures, masks: list[Mask], shares: Floats) -> list[Mask]:
    """Masks without overlap: a pixel of several goes to the class with the largest share."""
    if len(masks) == 1:
        return masks
    planes = np.stack(masks) * (shares.T[:, target.graph.labels] + 1e-6)
    best = planes.argmax(axis=0)
    return [mask & (best == column) for column, mask in enumerate(masks)]


def refine_by_sam(
    target: ImageFeatures,
    sources: Sequence[Painted],
    classes: Sequence[Hashable],
    result: Estimate,
    model: Model,
    sam: refine.SamRefinement,
) -> tuple[Estimate, bool]:
    """Masks of SAM where carrying them back agrees better; and whether there are any."""
    masks = [
        mask if other is None or result.warped[column] else other
        for column, (mask, other) in enumerate(
            zip(result.masks, sam(target.image, result.masks), strict=True)
        )
    ]
    changed = [
        column
        for column, mask in enumerate(masks)
        if not np.array_equal(mask, result.masks[column])
    ]
    if not changed:
        return result, False
    old = _back(target, sources[0], classes, result.masks, model)
    new = _back(target, sources[0], classes, masks, model)
    for column in changed:
        if new[column] <= old[column]:
            masks[column] = result.masks[column]
    used = any(new[column] > old[column] for column in changed)
    return replace(result, masks=disjoint(target, masks, result.shares)), used


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
    graph, compared = target.graph, result.compared
    ways = [_back(target, one, classes, result.masks, model) for one in sources[:_WAYS_BACK]]
    clues = []
    for column, name in enumerate(classes):
        mask, geometry = result.masks[column], result.signals[column].geometry
        mine = graph.share(mask) > 0.5
        known = next(one for one in sources if name in one.classes())
        area = float(mask.mean()) / max(1e-6, float(known.of_class(name).mean()))
        share = result.shares[:, column]
        doubt = float((graph.sizes * share * (1 - share)).sum() / max(1.0, graph.sizes[mine].sum()))
        clues.append(
            Clues(
                back=max(way[column] for way in ways),
                near=overlap(graph.sizes, mine, compared.near_in_place[:, column] > 0.5),
                contrast=overlap(graph.sizes, mine, compared.contrast[:, column] > 0),
                border=mask_overlap(mask, result.before[column]),
                warped=float(result.warped[column]),
                evidence=geometry.evidence,
                inliers=min(1.0, geometry.warp.inliers / 60) * geometry.warp.on_object,
                geometry=mask_overlap(mask, geometry.best > 0.5),
                similarity=max(similarity(target, one.features) for one in sources),
                area=min(1.0, abs(float(np.log(max(area, 1e-3)))) / 2),
                doubt=min(1.0, doubt),
            )
        )
    return clues


def _back(
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
        overlaps.append(overlap(graph.sizes, inside, true))
    return overlaps

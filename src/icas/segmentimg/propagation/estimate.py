"""Masks of the classes of painted images, estimated in another image."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

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
from icas.segmentimg.propagation.features import ImageFeatures
from icas.segmentimg.propagation.geometry import Carried as Geometry, Correspondence
from icas.segmentimg.propagation.model import Model
from icas.segmentimg.propagation.sources import Painted

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

_SURE = 0.3
"""Evidence of the optical flow from which the border of the superpixels is kept."""


@dataclass(frozen=True, eq=False)
class Signals:
    """What is known of one class in an image before it is segmented.

    Attributes
    ----------
    columns : (n, 17) float32 ndarray
        As `combine.SIGNALS`.
    painted : list of (h, w) float32 ndarray
        The masks of the class in the sources, that of the geometry first.
    """

    columns: NDArray[np.float32]
    geometry: Geometry
    painted: list[NDArray[np.float32]]


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
        painted = [sources[k].of_class(name) for k in [best, *(k for k in having if k != best)]]
        change = correspondences[best].change(painted[0])
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
    for column, (mask, one) in enumerate(zip(before, found, strict=True)):
        share = shares[:, column][target.graph.labels]
        refined = refine.to_border(target.image, mask, share)
        geometry = one.geometry
        warped.append(geometry.is_sure)
        if geometry.is_sure:
            copied = (geometry.seen > 0.5) & (geometry.best > 0.5)
            masks.append(refine.continued(copied, refined & (geometry.seen <= 0.5)))
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

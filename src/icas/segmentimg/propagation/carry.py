"""Masks of painted images carried to another image."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.grabcut.full_size import enlarge_mask
from icas.segmentimg.propagation import combine, refine
from icas.segmentimg.propagation.appearance import (
    Cells,
    CellSimilarity,
    cells_of,
    compare_cells,
    join,
)
from icas.segmentimg.propagation.confidence import (
    ABSENT,
    Agreement,
    calibrated,
    mask_overlap,
    overlap,
)
from icas.segmentimg.propagation.features import ImageFeatures
from icas.segmentimg.propagation.geometry import Carried as Geometry, Correspondence
from icas.segmentimg.propagation.sources import choose_sources

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Shares = NDArray[np.float64]

Key = tuple[Hashable, int]
"""Class, and number of the object within the class."""

_SURE = 0.3
"""Evidence from which a warped mask is kept as it is."""
_SAME = 0.6
"""IoU of the warped mask with the refined one from which it is kept."""
_WAYS_BACK = 3


@dataclass(frozen=True, eq=False)
class Painted:
    """An image whose masks are known.

    Attributes
    ----------
    features : ImageFeatures
    shares : dict of key to (h, w) float32 ndarray
        Share of each pixel, at working size, that an object covers.
    """

    features: ImageFeatures
    shares: Mapping[Key, Floats]

    @classmethod
    def of(cls, features: ImageFeatures, masks: Mapping[Key, Mask]) -> Painted:
        """With bool masks of any size; empty ones are left out."""
        import cv2

        size = features.shape[::-1]
        shares = {}
        for key in sorted(masks, key=_order):
            mask = np.asarray(masks[key], bool)
            if mask.any():
                share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
                shares[key] = np.asarray(share, np.float32)
        return cls(features, shares)

    def of_class(self, name: Hashable) -> Floats:
        """(h, w) share of the pixels that objects of a class cover."""
        parts = [share for key, share in self.shares.items() if key[0] == name]
        if not parts:
            return np.zeros(self.features.shape, np.float32)
        return np.asarray(np.minimum(np.sum(parts, axis=0), 1), np.float32)

    def classes(self) -> set[Hashable]:
        return {name for name, _ in self.shares}


@dataclass(frozen=True, eq=False)
class Carried:
    """Masks carried to an image.

    Attributes
    ----------
    masks : dict of key to (h, w) bool ndarray
        At working size, disjoint; without the keys that are absent.
    confidence : float
        Estimated IoU with the true masks, 0 to 1; mean over the classes.
    confidences : dict of key to float
        Of each key; for an absent one, that it is absent.
    absent : frozenset of key
        Objects that were not found in the image.
    route : str
        ``geometry`` (the warped mask), ``appearance``, ``sam`` or ``absent``.
    source : int
        Index of the most similar painted image.
    """

    masks: dict[Key, Mask]
    confidence: float
    confidences: dict[Key, float]
    absent: frozenset[Key]
    route: str
    source: int
    image: Image = field(repr=False)

    @property
    def is_absent(self) -> bool:
        """Whether no object was found."""
        return not self.masks

    def full_size(self, image: Image) -> dict[Key, Mask]:
        """Masks at the size of the whole image, with borders refined at that size."""
        whole: dict[Key, Mask] = {}
        taken = np.zeros(image.shape[:2], bool)
        for key, mask in self.masks.items():
            large = enlarge_mask(image, self.image, mask) & ~taken
            taken |= large
            whole[key] = large
        return whole


def carry(
    target: ImageFeatures, painted: Sequence[Painted], chained: Sequence[Painted] = ()
) -> Carried:
    """Carry the masks of the most similar painted images to an image.

    Parameters
    ----------
    target : ImageFeatures
    painted : sequence of Painted
        At least one, with features of the same network.
    chained : sequence of Painted, optional
        Further images, whose masks were carried themselves.

    Raises
    ------
    ValueError
        Nothing is painted, or features of different networks are mixed.
    """
    chosen = choose_sources(target, [one.features for one in painted])
    if not chosen:
        raise ValueError("no painted image")
    sources = [painted[k] for k in chosen] + list(chained)
    if any(one.features.network != target.network for one in sources):
        raise ValueError("features of different networks")
    classes = sorted(set().union(*(one.classes() for one in sources)), key=_order)
    if not classes:
        return Carried({}, 1.0, {}, frozenset(), "absent", chosen[0], target.image)
    estimate = _estimate(target, sources, classes)
    agreements = _agreements(target, sources[:_WAYS_BACK], classes, estimate)
    keys = sorted(set().union(*(one.shares for one in sources)), key=_order)
    masks: dict[Key, Mask] = {}
    confidences: dict[Key, float] = {}
    found: list[float] = []
    for column, name in enumerate(classes):
        mine = [key for key in keys if key[0] == name]
        confidence = calibrated(agreements[column].mean)
        mask = estimate.masks[column]
        if mask.any() and confidence >= ABSENT:
            parts = _objects(target, sources, mine, mask, estimate)
            masks.update(parts)
            confidences.update(dict.fromkeys(mine, confidence))
            found.append(confidence)
        else:
            confidences.update(dict.fromkeys(mine, 1 - confidence))
            found.append(1 - confidence)
    absent = frozenset(key for key in keys if key not in masks)
    route = "absent" if not masks else "geometry" if all(estimate.warped) else "appearance"
    total = float(np.mean(found))
    return Carried(masks, total, confidences, absent, route, chosen[0], target.image)


@dataclass(frozen=True, eq=False)
class _Estimate:
    """Masks of the classes, and what they were made from.

    Attributes
    ----------
    shares : (n, classes) float64 ndarray
        Of superpixels, smoothed.
    masks : list of (h, w) bool ndarray
    before : list of (h, w) bool ndarray
        The masks before their borders were refined.
    warped : list of bool
        Whether the warped mask was kept.
    """

    shares: Shares
    compared: CellSimilarity
    masks: list[Mask]
    before: list[Mask]
    warped: list[bool]
    correspondence: Correspondence


def _estimate(
    target: ImageFeatures, sources: Sequence[Painted], classes: Sequence[Hashable]
) -> _Estimate:
    compared = compare_cells(_cells(sources, classes), target)
    correspondences: dict[int, Correspondence] = {}
    geometry: list[Geometry] = []
    odds = []
    for column, name in enumerate(classes):
        holder = next(k for k, one in enumerate(sources) if name in one.classes())
        if holder not in correspondences:
            correspondences[holder] = Correspondence(sources[holder].features, target)
        geometry.append(correspondences[holder].carry(sources[holder].of_class(name)))
        columns = combine.signals(target, geometry[-1], compared, column)
        odds.append(combine.combined(columns, _weights(target)))
    shares = combine.shares_of(np.stack(odds, axis=1))
    smooth = np.stack([refine.smooth(target.graph, one) for one in shares.T], axis=1)
    before = _largest(target, smooth)
    refined = [refine.to_border(target.image, mask) for mask in before]
    masks, warped = [], []
    for mask, warp in zip(refined, geometry, strict=True):
        straight = warp.best > 0.5
        near = warp.evidence > _SURE and mask_overlap(straight, mask) >= _SAME
        warped.append(near or warp.is_sure)
        masks.append(straight if warped[-1] else mask)
    first = correspondences[min(correspondences)]
    return _Estimate(smooth, compared, _disjoint(target, masks, smooth), before, warped, first)


def _weights(target: ImageFeatures) -> Shares:
    return combine.WITH_NETWORK


def _cells(sources: Sequence[Painted], classes: Sequence[Hashable]) -> Cells:
    return join(
        [
            cells_of(one.features, np.stack([one.of_class(name) for name in classes], axis=-1))
            for one in sources
        ]
    )


def _largest(target: ImageFeatures, shares: Shares) -> list[Mask]:
    """Masks of the classes with the largest share, if that is above the background's."""
    rest = 1 - shares.sum(axis=1)
    best = shares.argmax(axis=1)
    front = shares.max(axis=1) > rest
    return [
        refine.without_small_parts((front & (best == column))[target.graph.labels])
        for column in range(shares.shape[1])
    ]


def _disjoint(target: ImageFeatures, masks: list[Mask], shares: Shares) -> list[Mask]:
    """Masks without overlap: a pixel of several goes to the class with the largest share."""
    if len(masks) == 1:
        return masks
    planes = np.stack(masks) * (shares.T[:, target.graph.labels] + 1e-6)
    best = planes.argmax(axis=0)
    return [mask & (best == column) for column, mask in enumerate(masks)]


def _agreements(
    target: ImageFeatures,
    sources: Sequence[Painted],
    classes: Sequence[Hashable],
    estimate: _Estimate,
) -> list[Agreement]:
    graph = target.graph
    ways = [_back(target, one, classes, estimate.masks) for one in sources]
    agreements = []
    for column in range(len(classes)):
        mask = estimate.masks[column]
        back = max((way[column] for way in ways), default=0.0)
        if estimate.warped[column]:
            agreements.append(Agreement(back, 1.0, 1.0, 1.0))
            continue
        mine = graph.share(mask) > 0.5
        compared = estimate.compared
        agreements.append(
            Agreement(
                back,
                overlap(graph.sizes, mine, compared.near_in_place[:, column] > 0.5),
                overlap(graph.sizes, mine, compared.contrast[:, column] > 0),
                mask_overlap(mask, estimate.before[column]),
            )
        )
    return agreements


def _back(
    target: ImageFeatures, source: Painted, classes: Sequence[Hashable], masks: Sequence[Mask]
) -> list[float]:
    """IoU of the painted masks with the carried masks, carried back."""
    held = {(name, 1): mask.astype(np.float32) for name, mask in zip(classes, masks, strict=True)}
    painted = Painted(target, held)
    compared = compare_cells(_cells([painted], classes), source.features)
    correspondence = Correspondence(target, source.features, keypoints=False)
    odds = []
    for column, name in enumerate(classes):
        geometry = correspondence.carry(painted.of_class(name))
        columns = combine.signals(source.features, geometry, compared, column)
        odds.append(combine.combined(columns, _weights(target)))
    shares = combine.shares_of(np.stack(odds, axis=1))
    rest = 1 - shares.sum(axis=1)
    graph = source.features.graph
    overlaps = []
    for column, name in enumerate(classes):
        found = (shares[:, column] > rest) & (shares.argmax(axis=1) == column)
        true = graph.share(source.of_class(name)) > 0.5
        overlaps.append(overlap(graph.sizes, found, true))
    return overlaps


def _objects(
    target: ImageFeatures,
    sources: Sequence[Painted],
    keys: Sequence[Key],
    mask: Mask,
    estimate: _Estimate,
) -> dict[Key, Mask]:
    """The mask of a class divided among its objects: by geometry and by place."""
    if len(keys) == 1:
        return {keys[0]: mask}
    holder = next((one for one in sources if set(keys) <= set(one.shares)), None)
    holder = holder or next(one for one in sources if set(keys) & set(one.shares))
    held = [key for key in keys if key in holder.shares]
    whole = Correspondence(holder.features, target)
    cells = cells_of(holder.features, np.stack([holder.shares[key] for key in held], axis=-1))
    inside = cells.shares.max(axis=1) > 0.3
    if not inside.any():
        inside[:] = True
    own = Cells(cells.features[inside], cells.places[inside], cells.shares[inside])
    by_place = compare_cells(own, target).near_in_place[target.graph.labels]
    planes = []
    for number, key in enumerate(held):
        warped = whole.carry(holder.shares[key])
        planes.append(by_place[..., number] + 2 * warped.evidence * warped.best)
    best = np.stack(planes).argmax(axis=0)
    parts = {}
    for number, key in enumerate(held):
        part = refine.without_small_parts(mask & (best == number)) & mask & (best == number)
        if part.any():
            parts[key] = part
    return parts


def _order(value: object) -> tuple[str, str]:
    """Sorts classes and keys of any type; numbers of objects by value."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int):
        return repr(value[0]), f"{value[1]:012d}"
    return repr(value), ""

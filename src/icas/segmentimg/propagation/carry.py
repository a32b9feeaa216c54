"""Masks of painted images carried to another image."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.grabcut.full_size import enlarge_mask
from icas.segmentimg.propagation import refine
from icas.segmentimg.propagation.appearance import Cells, cells_of, compare_cells
from icas.segmentimg.propagation.confidence import (
    confidence,
    emptiness,
    find_clues,
    way_back,
)
from icas.segmentimg.propagation.estimate import Estimate, disjoint, estimate
from icas.segmentimg.propagation.features import ImageFeatures
from icas.segmentimg.propagation.geometry import Correspondence
from icas.segmentimg.propagation.model import Model, model_for
from icas.segmentimg.propagation.sources import Key, Painted, choose_sources, order_of

__all__ = ["Carried", "Key", "Painted", "carry"]

Mask = NDArray[np.bool_]

ABSENT = 0.2
"""IoU of the way back below which a class is judged not to be in the image."""
_DOUBTFUL, _MOST_ABSENT = 0.5, 0.9
"""Highest confidence of an absent class, with and without a mask that was dismissed.

A mask of at least the first one is not carried back.
"""


@dataclass(frozen=True, eq=False)
class Carried:
    """Masks carried to an image.

    Attributes
    ----------
    masks : dict of key to (h, w) bool ndarray
        At working size, disjoint; without the keys that are absent.
    confidence : float
        Probability that the IoU with the true masks is at least 0.75: the least of all keys.
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
    target: ImageFeatures,
    painted: Sequence[Painted],
    chained: Sequence[Painted] = (),
    *,
    model: Model | None = None,
    sam: refine.SamRefinement | None = None,
) -> Carried:
    """Carry the masks of the most similar painted images to an image.

    Parameters
    ----------
    target : ImageFeatures
    painted : sequence of Painted
        At least one, with features of the same network.
    chained : sequence of Painted, optional
        Further images, whose masks were carried themselves.
    model : Model, optional
        Fitted numbers; default: those for the network of the features.
    sam : SamRefinement, optional
        Refines masks that are not warped.

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
    classes = sorted(set().union(*(one.classes() for one in sources)), key=order_of)
    if not classes:
        return Carried({}, 1.0, {}, frozenset(), "absent", chosen[0], target.image)
    used = model or model_for(target)
    result = estimate(target, sources, classes, used, len(chained))
    keys = sorted(set().union(*(one.shares for one in sources)), key=order_of)
    by_sam = False
    if sam is not None:
        result, by_sam = _refined_by_sam(target, sources, classes, result, sam)
    clues = find_clues(target, sources, classes, result, used)
    sure = [confidence(one, used) for one in clues]
    back = [1.0] * len(classes)
    if min(sure) < _DOUBTFUL:
        back = way_back(target, sources, classes, result, used)
    masks: dict[Key, Mask] = {}
    confidences: dict[Key, float] = {}
    for column, name in enumerate(classes):
        mine = [key for key in keys if key[0] == name]
        mask = result.masks[column]
        if mask.any() and (sure[column] >= _DOUBTFUL or back[column] >= ABSENT):
            masks.update(_objects(target, sources, mine, mask))
            certain = sure[column]
        elif mask.any():
            certain = _DOUBTFUL * (1 - back[column])
        else:
            certain = _MOST_ABSENT * emptiness(target, sources, name, result.shares[:, column])
        confidences.update(dict.fromkeys(mine, certain))
    absent = frozenset(key for key in keys if key not in masks)
    route = "sam" if by_sam else "geometry" if all(result.warped) else "appearance"
    route = route if masks else "absent"
    total = min(confidences.values())
    return Carried(masks, total, confidences, absent, route, chosen[0], target.image)


def _objects(
    target: ImageFeatures,
    sources: Sequence[Painted],
    keys: Sequence[Key],
    mask: Mask,
) -> dict[Key, Mask]:
    """The mask of a class divided among its objects: by geometry and by place."""
    if len(keys) == 1:
        return {keys[0]: mask}
    source = max(sources, key=lambda one: len(set(keys) & set(one.shares)))
    held = [key for key in keys if key in source.shares]
    whole = Correspondence(source.features, target)
    cells = cells_of(source.features, np.stack([source.shares[key] for key in held], axis=-1))
    inside = cells.shares.max(axis=1) > 0.3
    if not inside.any():
        inside[:] = True
    own = Cells(cells.features[inside], cells.places[inside], cells.shares[inside])
    by_place = compare_cells(own, target).near_in_place[target.graph.labels]
    planes = []
    for number, key in enumerate(held):
        warped = whole.carry(source.shares[key])
        planes.append(by_place[..., number] + 2 * warped.evidence * warped.best)
    best = np.stack(planes).argmax(axis=0)
    parts = {}
    for number, key in enumerate(held):
        part = refine.without_small_parts(mask & (best == number)) & mask & (best == number)
        if part.any():
            parts[key] = part
    return parts


def _refined_by_sam(
    target: ImageFeatures,
    sources: Sequence[Painted],
    classes: Sequence[Hashable],
    result: Estimate,
    sam: refine.SamRefinement,
) -> tuple[Estimate, bool]:
    """Masks of SAM instead of estimated ones, but not of warped ones; and whether there are any.

    Classes whose painted masks SAM does not reproduce are left as they are.
    """
    masks, used = list(result.masks), False
    for column, name in enumerate(classes):
        known = next(one for one in sources if name in one.classes())
        painted = known.of_class(name) > 0.5
        apart = sum(key[0] == name for key in known.shares) > 1
        if result.warped[column] or not masks[column].any():
            continue
        if sam.reproduces(known.features.image, painted, apart):
            share = result.shares[:, column].astype(np.float32)[target.graph.labels]
            masks[column], used = sam(target.image, masks[column], share, apart), True
    return replace(result, masks=disjoint(target, masks, result.shares)), used

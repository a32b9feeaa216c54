"""How good a carried mask is, estimated by the agreement of its parts; and by carrying it back."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.propagation import combine
from icas.segmentimg.propagation.estimate import Estimate, find_signals
from icas.segmentimg.propagation.features import ImageFeatures
from icas.segmentimg.propagation.model import Model
from icas.segmentimg.propagation.refine import overlap
from icas.segmentimg.propagation.sources import Painted

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

_WAYS_BACK = 3
_SUREST = (0.01, 0.99)
"""Limits of the confidence."""


@dataclass(frozen=True)
class Clues:
    """What the quality of a mask is estimated from, 0 to 1 each.

    Attributes
    ----------
    first : IoU with the mask by the first model
    doubt : shares near one half
    smaller : by how much the area is smaller than painted, as a logarithm
    inliers : keypoints on the object that agree on a homography
    """

    first: float
    doubt: float
    smaller: float
    inliers: float

    def row(self) -> Floats:
        """(5,) float64: 1 and the clues."""
        return np.array([1.0, *astuple(self)], np.float64)


def find_clues(
    target: ImageFeatures,
    sources: Sequence[Painted],
    classes: Sequence[Hashable],
    result: Estimate,
    model: Model,
) -> list[Clues]:
    """What the confidence of each class is estimated from."""
    sizes = target.graph.sizes
    clues = []
    for column, name in enumerate(classes):
        mask, signals = result.masks[column], result.signals[column]
        inside = target.graph.share(mask) > 0.5
        known = next(one for one in sources if name in one.classes())
        area = float(mask.mean()) / max(1e-6, float(known.of_class(name).mean()))
        share = result.shares[:, column]
        doubt = float((sizes * share * (1 - share)).sum()) / max(1.0, float(sizes[inside].sum()))
        warp = signals.geometry.warp
        clues.append(
            Clues(
                first=overlap(inside, combine.odds(signals.columns, model.first) > 0, sizes),
                doubt=min(1.0, doubt),
                smaller=min(1.0, max(0.0, -float(np.log(max(area, 1e-3)))) / 2),
                inliers=min(1.0, warp.inliers / 60) * warp.on_object,
            )
        )
    return clues


def confidence(clues: Clues, model: Model) -> float:
    """Probability that the IoU with the true mask is at least 0.75."""
    odds = float(clues.row() @ model.quality)
    return float(np.clip(1 / (1 + np.exp(-odds)), _SUREST[0], _SUREST[1]))


def emptiness(
    target: ImageFeatures, sources: Sequence[Painted], name: Hashable, share: Floats
) -> float:
    """How little of a class is expected in an image, 0 to 1, relative to the painted area."""
    sizes = target.graph.sizes
    known = next(one for one in sources if name in one.classes())
    expected = float((sizes * share).sum() / sizes.sum())
    return max(0.0, 1 - expected / max(1e-6, float(known.of_class(name).mean())))


def way_back(
    target: ImageFeatures,
    sources: Sequence[Painted],
    classes: Sequence[Hashable],
    result: Estimate,
    model: Model,
) -> list[float]:
    """IoU of the painted masks with the masks carried back to them: of the best source."""
    ways = [_back(target, one, classes, result.masks, model) for one in sources[:_WAYS_BACK]]
    return [max(way[column] for way in ways) for column in range(len(classes))]


def _back(
    target: ImageFeatures,
    source: Painted,
    classes: Sequence[Hashable],
    masks: Sequence[Mask],
    model: Model,
) -> list[float]:
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

"""A sample -> what every threshold would give, as a curve; and where the picker begins on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.evaluate import CurvePoint
from icas.clusterimg.picking.state import PickState, Span
from icas.clusterimg.sample import Expected, Sample

POINTS = 300
"""Thresholds of a curve at even distances, beside those at which clusters change."""
TAIL = 0.02
"""Share of the changes that lies below the first view: a few odd images may reach far down."""
CROWDED = 10
"""Pairs an image from which on a linear axis would press everything of interest to the left."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """What thresholds would give in the whole folder.

    Attributes
    ----------
    threshold : (n,) float64 ndarray
        Descending.
    pairs, clusters, clustered_images : (n,) float64 ndarray
        Expected at each threshold.
    view : (float, float)
        The thresholds between which there is something to see.
    images : int
        In the whole folder.
    compared : int
        Images that the numbers come from; where that is all of them, the numbers are exact.
    f1 : (n,) float64 ndarray or None
        Pairwise F1 against true labels, in [0, 1].
    """

    threshold: Numbers
    pairs: Numbers
    clusters: Numbers
    clustered_images: Numbers
    view: Span
    images: int
    compared: int
    f1: Numbers | None = None

    @classmethod
    def of(cls, sample: Sample) -> Curve:
        """The curve that `sample` tells."""
        thresholds = _thresholds(sample)
        told = [sample.expected(float(threshold)) for threshold in thresholds]
        return cls(
            thresholds, *_columns(told), first_view(changes_of(sample)), sample.images, len(sample)
        )

    @classmethod
    def of_points(cls, points: Sequence[CurvePoint], pairs: Sequence[int], images: int) -> Curve:
        """The curve of the thresholds at which clusters change, all pairs of `images` compared.

        Parameters
        ----------
        points : sequence of CurvePoint
            From the highest to the lowest threshold.
        pairs : sequence of int
            At or above each of them.
        images : int
        """
        changes = np.array([point.threshold for point in points][::-1])
        told = [(0.0, 0.0, 0.0, 0.0)]  # above the highest threshold nothing is linked
        told += [
            (float(count), float(point.clusters), float(point.clustered_images), point.f1 or 0.0)
            for point, count in zip(points, pairs, strict=True)
        ]
        numbers = np.array(told)
        thresholds = np.concatenate([[np.nextafter(whole_span(changes)[1], 2)], changes[::-1]])
        f1 = numbers[:, 3] if points and points[0].f1 is not None else None
        view = first_view(changes)
        pairs_at, clusters, clustered = numbers[:, :3].T
        return cls(thresholds, pairs_at, clusters, clustered, view, images, images, f1)

    def steps(self, values: Numbers) -> tuple[Numbers, Numbers]:
        """`values` and thresholds as a line: a value holds down to the next threshold.

        Returns
        -------
        values, thresholds : (2 n - 1,) float64 ndarray
        """
        return np.repeat(values, 2)[:-1], np.repeat(self.threshold, 2)[1:]

    @property
    def exact(self) -> bool:
        """Whether the numbers are counted, not expected."""
        return self.images == self.compared


def _columns(told: Sequence[Expected]) -> tuple[Numbers, Numbers, Numbers]:
    return (
        np.array([one.pairs for one in told]),
        np.array([one.clusters for one in told]),
        np.array([one.clustered_images for one in told]),
    )


def _thresholds(sample: Sample) -> Numbers:
    changes = changes_of(sample)
    low, high = whole_span(changes)
    even = np.linspace(low, high, POINTS)
    return np.unique(np.concatenate([even, sample.steps().astype(np.float64)]))[::-1]


def changes_of(sample: Sample) -> Numbers:
    """Similarities at which the sample's clusters change, ascending."""
    return np.unique(sample.forest.similarity).astype(np.float64)


def whole_span(changes: Numbers) -> Span:
    """Thresholds from "all in one cluster" to "every image alone", with some air."""
    if not len(changes):
        return 0.0, 1.0
    low, high = float(changes[0]), float(changes[-1])
    air = max(0.05 * (high - low), 0.01)
    return low - air, min(high + air, 1.0) if high < 1.0 else 1.0


def first_view(changes: Numbers) -> Span:
    """The thresholds between which nearly all of the changes lie."""
    low, high = whole_span(changes)
    if not len(changes):
        return low, high
    bottom = float(np.quantile(changes, TAIL))
    air = max(0.05 * (high - bottom), 0.01)
    return max(low, bottom - air), high


def first_state(sample: Sample, start: float) -> PickState:
    """The picker as it opens, with `start` chosen."""
    changes = changes_of(sample)
    low, high = whole_span(changes)
    whole = min(low, start), max(high, start)
    view_low, view_high = first_view(changes)
    view = min(view_low, start), max(view_high, start)
    crowded = sample.pairs_at(view[0]) / sample.share > CROWDED * sample.images
    return PickState(
        changes=tuple(changes.tolist()),
        whole=whole,
        home=view,
        start=start,
        view=view,
        chosen=start,
        log=crowded,
    )

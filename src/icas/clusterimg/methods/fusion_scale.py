"""The scale of a fusion: monotone functions of the similarities of several methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from icas.clusterimg.kernels import Doubles, Floats

SOFT, LEAST_SOFT = 0.02, 1e-4
"""Softening of log distances: a share of the median distance, and at least so much."""
RANKS = np.array(sorted(set(np.rint(np.geomspace(1, 256, 40)).astype(np.int64).tolist())))
"""Ranks at which the similarities of an image are kept."""
KNOTS = 64
"""Quantiles of the map to the first method's similarities."""
DIGITS = 6
"""Digits of a similarity."""
LEAST_DEVIATION = 1e-3
"""Standard deviations below it count as this."""


@dataclass(frozen=True)
class Scale:
    """Functions fitted to the pairs of a sample, for p methods.

    softening, mean, deviation: (p,) of the log distances of each method; moments: mean and
    deviation of their average and of the average of the ranks, (4,); levels, targets: fused values
    and the log distances of the first method at the same quantiles; anchors: number of images.
    """

    softening: Doubles
    mean: Doubles
    deviation: Doubles
    moments: Doubles
    levels: Doubles
    targets: Doubles
    anchors: int

    @classmethod
    def fit(cls, values: Sequence[Floats]) -> Scale:
        """To the similarities of all pairs of m images, (m, m), of each method."""
        if len(values[0]) < 2:  # any scale will do
            values = [np.zeros((2, 2), np.float32) for _ in values]
        count = len(values[0])
        above = np.triu_indices(count, 1)
        pairs = [one[above].astype(np.float64) for one in values]
        soft = np.array([SOFT * np.median(1 - one) + LEAST_SOFT for one in pairs])
        far = [_log_distance(one, by) for one, by in zip(pairs, soft, strict=True)]
        mean = np.array([one.mean() for one in far])
        deviation = np.array([max(one.std(), LEAST_DEVIATION) for one in far])
        bare = cls(soft, mean, deviation, np.array([0.0, 1, 0, 1]), np.zeros(0), np.zeros(0), count)
        kept = np.stack([curves(one) for one in values], axis=1)
        near, rank = (one[above] for one in bare._averages(values, kept, kept))
        moments = [near.mean(), max(near.std(), LEAST_DEVIATION)]
        moments += [rank.mean(), max(rank.std(), LEAST_DEVIATION)]
        bare = cls(soft, mean, deviation, np.array(moments), np.zeros(0), np.zeros(0), count)
        level, target = np.sort(bare._sum(near, rank)), np.sort(far[0])
        places = np.geomspace(1, len(target), KNOTS).round().astype(np.int64)
        places = len(target) - places[::-1]
        levels, targets = level[places], target[places]
        closest = -np.log(soft)
        nearest = np.mean((closest - mean) / deviation, keepdims=True)
        highest = float(bare._sum(nearest, np.zeros(1))[0])
        # Beyond the most similar pair of the sample, on to where distances vanish.
        levels = np.append(levels, max(highest, levels[-1]))
        targets = np.append(targets, max(closest[0], targets[-1]))
        return cls(soft, mean, deviation, np.array(moments), levels, targets, count)

    def packed(self) -> Doubles:
        """All numbers in one row."""
        parts = [self.softening, self.mean, self.deviation, self.moments, self.levels, self.targets]
        return np.concatenate([*parts, [self.anchors]])

    @classmethod
    def unpacked(cls, row: Doubles) -> Scale:
        """From `packed`."""
        knots = KNOTS + 1
        methods = (len(row) - 5 - 2 * knots) // 3
        ends = np.cumsum([methods, methods, methods, 4, knots, knots])
        soft, mean, deviation, moments, levels, targets, anchors = np.split(row, ends)
        return cls(soft, mean, deviation, moments, levels, targets, int(anchors[0]))

    def fused(self, values: Sequence[Floats], a: Floats, b: Floats) -> Floats:
        """Similarities of n images and m others, given each method's, (n, m), and their curves."""
        near, rank = self._averages(values, a, b)
        target = np.interp(self._sum(near, rank).ravel(), self.levels, self.targets)
        similarity = 1 + self.softening[0] - np.exp(-target.reshape(near.shape))
        step = 10.0**-DIGITS
        limited = np.clip(np.round(similarity, DIGITS), -1, 1 - step)
        same = np.logical_and.reduce([one >= 1 for one in values])
        return np.where(same, 1, limited).astype(np.float32)

    def _averages(self, values: Sequence[Floats], a: Floats, b: Floats) -> tuple[Doubles, Doubles]:
        """Averages over the methods of the standardised log distances, and of the ranks."""
        logs = np.log(np.minimum(RANKS, max(1, self.anchors - 1)))
        near = np.zeros(values[0].shape)
        rank = np.zeros(values[0].shape)
        for number, one in enumerate(values):
            far = _log_distance(one.astype(np.float64), self.softening[number])
            near += (far - self.mean[number]) / self.deviation[number]
            own = _ranks(one, a[:, number], logs)
            rank -= (own + _ranks(one.T, b[:, number], logs).T) / 2
        return near / len(values), rank / len(values)

    def _sum(self, near: Doubles, rank: Doubles) -> Doubles:
        moments = self.moments
        result: Doubles = (near - moments[0]) / moments[1] + (rank - moments[2]) / moments[3]
        return result


def curves(values: Floats) -> Floats:
    """Similarities of n images to anchors, (n, m) -> those of `RANKS`, (n, k), descending.

    An anchor that is the image itself, or equal to it, is left out.
    """
    ordered = -np.sort(-np.where(values >= 1, -np.inf, values), axis=1)
    last = np.isfinite(ordered).sum(axis=1, keepdims=True) - 1
    places = np.minimum(RANKS - 1, np.maximum(last, 0))
    found = np.take_along_axis(ordered, places, axis=1)
    return np.where(last < 0, 0, found).astype(np.float32)


def _log_distance(similarity: Doubles, softening: float) -> Doubles:
    return np.asarray(-np.log(np.maximum(1 - similarity, 0) + softening), np.float64)


def _ranks(values: Floats, kept: Floats, logs: Doubles) -> Doubles:
    """Logarithms of the ranks of `values`, (n, m), among the similarities of each row."""
    result = np.empty(values.shape)
    rising = logs[::-1]
    for row, (one, curve) in enumerate(zip(values, kept, strict=True)):
        result[row] = np.interp(one, curve[::-1], rising)
    return result

"""What the similarities of a sample say about its clusters at a series of thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.graph.forest import Labels, Merges, labels_at
from icas.clusterimg.thresholds.sample import Sample

Floats = NDArray[np.float64]

FEW = 8
"""Fewest images by which a threshold can be chosen."""
STEPS = 60
"""Most thresholds that are looked at."""
GAPS = 3
"""Of these, those at which the next merge is much farther."""
BLUR = 0.02
"""Resolution of similarities, as a share of the median dissimilarity."""
WEIGHT = 0.05
"""Weight of a nat of explained pairs, relative to a nat of contrast."""
BINS = 24
"""Classes of rank in which pairs inside and between clusters are compared."""


@dataclass(frozen=True)
class Evidence:
    """Clusters of a sample at k thresholds, each after one of its merges.

    Attributes
    ----------
    steps : (k,) int64 ndarray
        The merges, the most similar first.
    links : (k, 9) ndarray
        By which the share of right links is estimated.
    clusters : (k, 6) ndarray
        By which the thresholds of one sample are ranked; relative to each other.
    images : int
        Images of the sample.
    """

    steps: NDArray[np.int64]
    links: Floats
    clusters: Floats
    images: int

    @property
    def part(self) -> Floats:
        """(k,) part of the images that is in clusters."""
        return np.asarray(self.clusters[:, 4], np.float64)

    @classmethod
    def of(cls, sample: Sample, merges: Merges, default: float) -> Evidence:
        """Look at the thresholds of `merges`; `default` is the one of the method."""
        count = len(sample)
        near = _Neighborhoods.of(sample)
        height = near.log_distance(merges.similarity)
        steps = _spread(np.flatnonzero(merges.distinct), height)
        linked = np.array([sample.pairs_at(value) for value in merges.similarity[steps]])
        pairs = np.cumsum(merges.sizes.prod(axis=1))[steps]
        clustered, largest = merges.clustered[steps], merges.largest[steps] / count
        contrast = _contrast(merges, height)
        explained = _explained(merges, sample, near.values)
        score = contrast + WEIGHT * explained
        labels = (labels_at(sample.forest, merges.similarity[step]) for step in steps)
        gap, remote = np.array([near.gap_and_distance(at_step) for at_step in labels]).T
        size = np.log(count)
        by_chance = near.expected(height[steps]) + 0.5
        links = [
            np.sqrt(np.maximum(contrast[steps], 0) / clustered / near.slope),
            (np.log(by_chance) - np.log(linked + 0.5)) / size,
            np.log(clustered),
            height[steps] - np.log(1 - default + near.blur),
            np.full(len(steps), 1 / size),
            gap,
            remote,  # below 0: plain images, near to many others
            (merges.largest[steps] / clustered) ** 4,  # 1: one cluster alone
            # near 1: several clusters hold all images, and the images are not few
            (clustered / count) ** 4 * (1 - largest) * (1 - FEW / count),
        ]
        tight = gap**2 * clustered
        best = max(score[merges.distinct].max(), 1e-9)
        clusters = [
            np.maximum(score[steps] / best, -1),
            tight / max(tight.max(), 1e-9),
            largest,
            largest**2,
            clustered / count,
            np.log(linked / pairs),
        ]
        return cls(steps, np.stack(links, axis=1), np.stack(clusters, axis=1), count)


def _spread(steps: NDArray[np.int64], height: Floats) -> NDArray[np.int64]:
    """At most `STEPS` of them: those before the greatest gaps, the others evenly spread."""
    if len(steps) <= STEPS:
        return steps
    gaps = np.argsort(-np.diff(height[steps]), kind="stable")[:GAPS]
    even = np.linspace(0, len(steps) - 1, STEPS - GAPS).astype(np.int64)
    return np.asarray(steps[np.unique(np.concatenate([even, gaps]))], np.int64)


def blur_of(sample: Sample) -> float:
    """What is added to distances before their logarithm is taken."""
    return max(1e-4, BLUR * float(1 - np.median(sample.similarities)))


ROWS = 256
"""Rows of similarities that are ranked at a time."""


@dataclass(frozen=True)
class _Neighborhoods:
    """The other images of each image of a sample, the nearest first, by log distance."""

    values: NDArray[np.float32]  # (n, n) similarities, -inf on the diagonal
    distances: NDArray[np.float32]  # (n, n) logarithms of distances, inf on the diagonal
    nearest: Floats  # (n,) to the nearest image
    middle: Floats  # (n,) to the middle one
    blur: float
    slope: float  # rise of the distance from an eighth to half of the images, per log rank

    @classmethod
    def of(cls, sample: Sample) -> _Neighborhoods:
        count, values = len(sample), sample.matrix(-np.inf)
        blur = blur_of(sample)
        distances = np.log(1 - values + np.float32(blur))
        middle, eighth = max(2, count // 2), max(1, count // 8)
        ranked = np.partition(distances, [0, eighth - 1, middle - 1], axis=1).astype(np.float64)
        rise = np.median(ranked[:, middle - 1] - ranked[:, eighth - 1]) / np.log(middle / eighth)
        return cls(
            values,
            distances,
            ranked[:, 0],
            ranked[:, middle - 1],
            blur,
            max(1e-6, float(rise)),
        )

    def log_distance(self, similarity: NDArray[np.float32]) -> Floats:
        apart = np.maximum(1 - similarity.astype(np.float64), 0)
        return np.asarray(np.log(apart + self.blur), np.float64)

    def expected(self, height: Floats) -> Floats:
        """Pairs at most so far apart if the rise of the far half goes on: without any groups."""
        count = len(self.nearest)
        pairs = count * max(2, count // 2) / 2
        below = np.minimum(0, (height - np.median(self.middle)) / self.slope)
        return np.asarray(pairs * np.exp(below), np.float64)

    def gap_and_distance(self, labels: Labels) -> tuple[float, float]:
        """Means over images in clusters.

        Log ratio of the distances of the nearest image outside and of the nearest image; distance
        to the middle image relative to that of all images, at most 0. Images with little content,
        such as plain surfaces, are near to many others: their links are weaker evidence.
        """
        inside = np.flatnonzero(labels >= 0)
        same = labels[inside][:, None] == labels
        outside = np.where(same, np.inf, self.distances[inside]).min(axis=1)
        outside = np.where(np.isinf(outside), self.middle[inside], outside)
        gap = float(np.mean(outside - self.nearest[inside]))
        remote = float(np.mean(self.middle[inside]) - np.mean(self.middle)) / self.slope
        return gap, min(0.0, remote)


def _contrast(merges: Merges, height: Floats) -> Floats:
    """(m,) contrast of the clusters after each merge, added up over images, in nats."""
    inside = merges.parent >= 0
    outer = np.where(inside, height[merges.parent], height)
    return merges.alive((outer - height) * merges.sizes.sum(axis=1))


def _explained(merges: Merges, sample: Sample, values: NDArray[np.float32]) -> Floats:
    """(m,) nats by which the clusters after each merge explain the ranks of all pairs."""
    classes = _rank_classes(sample, values)
    meeting = merges.meeting[sample.links.a, sample.links.b]
    kinds = int(classes.max()) + 1
    cells = np.bincount(meeting * kinds + classes, minlength=(len(merges) + 1) * kinds)
    counts = cells.reshape(-1, kinds).astype(np.float64)
    inside, total = np.cumsum(counts, axis=0)[:-1], counts.sum(axis=0)
    gain = _likelihood(inside) + _likelihood(total - inside) - _likelihood(total[None])
    return np.asarray(gain - _cost(merges, len(sample)), np.float64)


def _rank_classes(sample: Sample, values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Class of each pair by the geometric mean of the ranks that each image has for the other."""
    links, ranks = sample.links, _ranks(values)
    mutual = np.sqrt(ranks[links.a, links.b] * ranks[links.b, links.a])
    pairs = len(mutual)
    places = np.unique((np.geomspace(1 / pairs, 1, BINS) * pairs).astype(np.int64).clip(1) - 1)
    edges = np.unique(np.sort(mutual)[places])
    return np.asarray(np.searchsorted(edges, mutual, side="left"), np.int64)


def _ranks(values: NDArray[np.float32]) -> Floats:
    """Rank of each value in its row, the greatest 1, equal ones their mean.

    As ``scipy.stats.rankdata(-values, axis=1)``, whose package takes over a second to load.
    """
    count, ranks = values.shape[1], np.empty(values.shape)
    places = np.arange(count)
    for start in range(0, len(values), ROWS):
        rows = -values[start : start + ROWS]
        order = np.argsort(rows, axis=1)
        ordered = np.take_along_axis(rows, order, axis=1)
        ends = np.ones(ordered.shape, bool)  # the last of equal values
        ends[:, :-1] = ordered[:, 1:] != ordered[:, :-1]
        starts = np.ones(ordered.shape, bool)
        starts[:, 1:] = ends[:, :-1]
        first = np.maximum.accumulate(np.where(starts, places, 0), axis=1)
        last = np.where(ends, places, count)[:, ::-1]
        last = np.minimum.accumulate(last, axis=1)[:, ::-1]
        np.put_along_axis(ranks[start : start + ROWS], order, (first + last) / 2 + 1, axis=1)
    return ranks


def _likelihood(counts: Floats) -> Floats:
    """Log-likelihood of counts under their own shares, a half added to each class."""
    shares = (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True)
    return np.asarray((counts * np.log(shares)).sum(axis=1), np.float64)


def _cost(merges: Merges, count: int) -> Floats:
    """(m,) description length of the clusters after each merge, in nats."""
    sizes = merges.sizes.astype(np.float64)
    both = sizes.sum(axis=1)
    gained = both * np.log(both) - (sizes * np.log(sizes)).sum(axis=1)
    return np.asarray(count * np.log(count) - np.cumsum(gained), np.float64)

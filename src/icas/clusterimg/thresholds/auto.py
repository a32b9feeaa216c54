"""The threshold of a run: given, picked by the user, or the best cluster separation in a sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import sampled
from icas.clusterimg.graph.forest import Merges
from icas.clusterimg.methods.base import Method
from icas.clusterimg.thresholds.sample import Sample
from icas.parallel.executors import ALONE, Workers

Floats = NDArray[np.float64]

Picker = Callable[[Sample, float], float]
"""Lets the user choose; gets the sample and the automatic threshold."""

FEW = 8
"""Fewest images by which a threshold can be chosen."""
BLUR = 0.02
"""Resolution of similarities, as a share of the median dissimilarity."""
WEIGHT = 0.05
"""Weight of a nat of explained pairs, relative to a nat of contrast."""
BINS = 24
"""Classes of rank in which pairs inside and between clusters are compared."""
GIANT = 0.5
"""Share of the images above which one cluster means that no threshold separates them."""
TIGHT = 1.0
"""Contrast of tight clusters: the next cluster is e times as far as their members."""
TIGHT_IMAGES = 6
"""Fewest images in tight clusters that are reported."""
TAIL = 0.01
"""Share of the most similar pairs between clusters to which their tail is fitted."""


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold and why."""

    threshold: float
    reason: str
    # expected share of links between unrelated images; NaN if not known
    wrong_share: float = np.nan
    # a higher threshold that links only far more similar images, where `threshold` links most of
    # the folder
    tight: float | None = None
    sample: Sample | None = None  # the images by which it was chosen


def auto(sample: Sample, method: Method) -> ThresholdChoice:
    """The threshold with the best cluster separation in the folder."""
    return choose(sample, method.default_threshold, copies=method.for_copies)


def choose_threshold(
    method: Method,
    given: float | None,
    sample: Sample | None,
    reason: str = "as given",
    picker: Picker | None = None,
) -> ThresholdChoice:
    """The threshold of a run.

    Parameters
    ----------
    given : float or None
        A number, with its `reason`.
    sample : Sample or None
        Needed where no number is given.
    """
    if given is not None:
        return ThresholdChoice(given, reason, sample=sample)
    if sample is None:
        raise ValueError("no number and no sample to find one by")
    choice = auto(sample, method)
    if picker is not None:
        return ThresholdChoice(picker(sample, choice.threshold), "picked", sample=sample)
    return replace(choice, sample=sample)


def sample_of(
    method: Method, features: FeatureSet, images: int | None = None, workers: Workers = ALONE
) -> Sample:
    """Compare all pairs of a sample of `features`, which come from a folder of `images`."""
    rows = sampled(range(len(features)), method.sample_size, 0)
    return Sample.of(method, features[rows], len(features) if images is None else images, workers)


def choose(sample: Sample, default: float, *, copies: bool = False) -> ThresholdChoice:
    """The threshold with the best cluster separation.

    Score of the clusters at a threshold, per image: their contrast, the logarithm of the distance
    to the next cluster over the distance within; and the log-likelihood gain for the pairs' mutual
    ranks of knowing which pairs are inside clusters (the planted partition of block models, less
    the description length of the partition). The threshold is half-way to the next merge. If the
    folder is larger than the sample, it is raised by the growth of the tail of the pairs between
    clusters with the number of pairs.

    Parameters
    ----------
    default : float
        The method's threshold, for samples that are too small.
    copies : bool
        The method is suited to copies: if there are only one large cluster and a few far more
        similar images, only the latter are linked.
    """
    if len(sample) < FEW:
        return ThresholdChoice(
            default, f"auto: the method's default; {len(sample)} images are too few to choose by"
        )
    merges = Merges.of(sample.forest)
    contrast = _contrast(merges, sample)
    best = _greatest(contrast + WEIGHT * _explained(merges, sample) / len(sample), merges)
    giant = merges.largest[best] > GIANT * len(sample)
    tight = _tight(merges, contrast, len(sample)) if giant else None
    if tight is not None and copies:
        return _choice(sample, merges, tight, "only the most similar images")
    found = _choice(sample, merges, best, "best cluster separation")
    if not giant:
        return found
    reason = "auto: no threshold separates most images"
    other = None if tight is None else _between(merges, tight)
    return ThresholdChoice(found.threshold, reason, found.wrong_share, other)


def _contrast(merges: Merges, sample: Sample) -> Floats:
    """(m,) contrast per image of the clusters after each merge, in nats."""
    distance = _log_distance(merges, sample)
    inside = merges.parent >= 0
    outer = np.where(inside, distance[merges.parent], distance)
    return merges.alive((outer - distance) * merges.sizes.sum(axis=1)) / len(sample)


def _log_distance(merges: Merges, sample: Sample) -> Floats:
    blur = max(1e-4, BLUR * float(1 - np.median(sample.similarities)))
    apart = np.maximum(1 - merges.similarity.astype(np.float64), 0)
    return np.asarray(np.log(apart + blur), np.float64)


def _explained(merges: Merges, sample: Sample) -> Floats:
    """(m,) nats by which the clusters after each merge explain the ranks of all pairs."""
    classes = _rank_classes(sample)
    meeting = merges.meeting[sample.links.a, sample.links.b]
    counts = np.zeros((len(merges) + 1, int(classes.max()) + 1))
    np.add.at(counts, (meeting, classes), 1)
    inside, total = np.cumsum(counts, axis=0)[:-1], counts.sum(axis=0)
    gain = _likelihood(inside) + _likelihood(total - inside) - _likelihood(total[None])
    return np.asarray(gain - _cost(merges, len(sample)), np.float64)


def _rank_classes(sample: Sample) -> NDArray[np.int64]:
    """Class of each pair by the geometric mean of the ranks that each image has for the other."""
    count, links = len(sample), sample.links
    values = np.full((count, count), -np.inf, np.float32)
    values[links.a, links.b] = values[links.b, links.a] = links.similarity
    ranks = _ranks(values)
    mutual = np.sqrt(ranks[links.a, links.b] * ranks[links.b, links.a])
    pairs = len(mutual)
    places = np.unique((np.geomspace(1 / pairs, 1, BINS) * pairs).astype(np.int64).clip(1) - 1)
    edges = np.unique(np.sort(mutual)[places])
    return np.asarray(np.searchsorted(edges, mutual, side="left"), np.int64)


def _ranks(values: NDArray[np.float32]) -> Floats:
    """Rank of each value in its row, the greatest 1, equal ones their mean.

    As ``scipy.stats.rankdata(-values, axis=1)``, whose package takes over a second to load.
    """
    ranks = np.empty(values.shape)
    for row, negative in zip(ranks, -values, strict=True):
        ordered = np.sort(negative)
        left, right = (np.searchsorted(ordered, negative, side) for side in ("left", "right"))
        row[:] = left + right
    return (ranks + 1) / 2


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


def _greatest(values: Floats, merges: Merges) -> int:
    return int(np.argmax(np.where(merges.distinct, values, -np.inf)))


def _tight(merges: Merges, contrast: Floats, count: int) -> int | None:
    """The merge after which all clusters are far tighter than the rest, if there is one."""
    clustered = merges.clustered
    each = contrast * count / np.maximum(clustered, 1)
    fitting = (each >= TIGHT) & (clustered >= TIGHT_IMAGES) & (merges.largest <= GIANT * count)
    if not (fitting & merges.distinct).any():
        return None
    return _greatest(np.where(fitting, contrast * each, -np.inf), merges)


def _between(merges: Merges, step: int) -> float:
    """A similarity half-way between a merge and the next, with as few digits as possible."""
    above = float(merges.similarity[step])
    below = float(merges.similarity[step + 1]) if step + 1 < len(merges) else above
    for digits in range(2, 9):
        shown = round((above + below) / 2, digits)
        if below < shown <= above:
            return shown
    return above


def _choice(sample: Sample, merges: Merges, step: int, words: str) -> ThresholdChoice:
    threshold = _between(merges, step)
    tail = _Tail.of(sample, merges, step)
    growth = sample.images / len(sample)
    raised = threshold + tail.scale * float(np.log(growth)) if growth > 1 else threshold
    if growth > 1:
        highest = float(merges.similarity[: step + 1].max())
        threshold = round(min(raised, max(threshold, (threshold + highest) / 2)), 4)
    links = sample.pairs_at(threshold) / sample.share
    wrong = min(1.0, tail.above(threshold) / sample.share / links) if links else np.nan
    return ThresholdChoice(threshold, f"auto: {words}{_share_text(wrong)}", wrong)


def _share_text(wrong: float) -> str:
    """The expected share of wrong links, in words."""
    if np.isnan(wrong):
        return ""
    share = "below 0.1" if wrong < 0.001 else f"{100 * wrong:.1f}"
    return f"; expected wrong links: {share} %"


@dataclass(frozen=True)
class _Tail:
    """Pairs between clusters, the most similar of them, as an exponential tail."""

    start: float
    scale: float
    pairs: int

    @classmethod
    def of(cls, sample: Sample, merges: Merges, step: int) -> _Tail:
        meeting = merges.meeting[sample.links.a, sample.links.b]
        between = sample.links.similarity[meeting > step].astype(np.float64)
        count = min(len(between), max(20, int(TAIL * len(between))))
        if count < 2:
            return cls(-np.inf, 0.0, 0)
        top = between[:count]
        return cls(float(top[-1]), float(np.mean(top - top[-1])), count)

    def above(self, threshold: float) -> float:
        """Pairs expected at or above `threshold`."""
        if self.pairs == 0 or self.scale == 0:
            return 0.0
        return self.pairs * float(np.exp(-max(0.0, threshold - self.start) / self.scale))

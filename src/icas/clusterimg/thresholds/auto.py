"""The threshold of a run: given, picked by the user, or the best cluster separation in a sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import sampled
from icas.clusterimg.graph.forest import Labels, Merges, labels_at
from icas.clusterimg.methods.base import Method
from icas.clusterimg.thresholds.evidence import FEW, Evidence, Floats, blur_of
from icas.clusterimg.thresholds.sample import Sample
from icas.parallel.executors import ALONE, Workers

Weights = Sequence[float] | Floats

Picker = Callable[[Sample, float], float]
"""Lets the user choose; gets the sample and the automatic threshold."""

FOUND = 0.58
"""Least share of right links at some threshold by which a folder has groups."""
LEAST, RISE, MOST = 0.25, 3.0, 0.75
"""Share of right links needed at the threshold that is chosen.

`LEAST` if at some threshold all links are right, and the more, by `RISE`, the less sure that is; at
most `MOST` of the greatest share.
"""
MANY, PART, SURE = 100, 0.15, 0.8
"""Images from which on clusters that hold less than a `PART` of them need a share of `SURE`.

Among many unrelated images, chance finds some pairs that are nearly as similar as related ones.
"""
RESOLUTION = 0.01
"""Least expected share of wrong links: smaller ones cannot be estimated."""
SURER = 2.0
"""Times that a part expects fewer wrong links than a fusion from which on it is far surer."""
SAME = 0.95
"""Agreement of the clusters of two parts (F1 of pairs) from which on they are the same."""
KNOWN = 32
"""Images from which on an expected share of wrong links above `RESOLUTION` is given as a number."""
MAJORITY = 0.5
"""Least share of images with content by which plain ones are judged."""
WEAK = 0.1
"""Expected share of wrong links above which the clusters are badly separated."""
HELP = ("clusterimg label", "clusterimg ask")
"""Commands that bring in what a person knows: names of images, answers."""
TAIL = 0.01
"""Share of the most similar pairs between clusters to which their tail is fitted."""

# Fitted by benchmarks/auto_weights.py: weights of the columns of evidence, before them a constant.
RIGHT = (0.1599, 0.05413, -1.826, -0.312, -1.493, 0.3254, 1.509, 2.495, -1.595, 4.336)
GOOD = (1.066, 2.267, -4.718, -0.2121, 1.973, 0.3058)


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold and why."""

    threshold: float
    reason: str
    # expected share of links between unrelated images; NaN if not known
    wrong_share: float = np.nan
    sample: Sample | None = None  # the images by which it was chosen


def auto(sample: Sample, method: Method) -> ThresholdChoice:
    """The threshold with the best cluster separation in the folder.

    A few plain images do not make groups: the images with content need groups at it, too.
    """
    choice = _chosen(sample, method)
    varied = ~method.plain(sample.features)
    if MAJORITY * len(sample) <= varied.sum() < len(sample) and varied.sum() >= FEW:
        without = _chosen(sample.of_rows(np.flatnonzero(varied)), method)
        if np.isnan(without.wrong_share):
            choice = replace(without, threshold=max(choice.threshold, _above_all(sample)))
        elif without.threshold > choice.threshold:
            choice = without
    if len(sample) < FEW or choice.wrong_share <= WEAK:
        return choice
    others = [name for name in ("orb", "deep") if name not in method.name.split("+")]
    options = [*(f"--method {name}" for name in others[:1]), *HELP]
    return replace(
        choice, reason=f"{choice.reason}; try {', '.join(options[:-1])} or {options[-1]}"
    )


def _chosen(sample: Sample, method: Method) -> ThresholdChoice:
    """The threshold by the similarities of the method, and of its parts if it has any.

    The fused similarities of unrelated images look more like groups than those of each part. So
    where no part finds groups, or one finds weak ones only, there are none. If one part is far
    surer than the others and the fused similarities, its clusters are taken: the threshold is the
    one at which the fused similarities give most of them. So it is with clusters on which all
    parts agree.
    """
    choice = choose(sample, method.default_threshold)
    if not sample.parts or len(sample) < FEW:
        return choice
    each = zip(sample.parts, method.parts, strict=True)
    parts = [choose(part, one.default_threshold) for part, one in each]
    wrong = [one.wrong_share for one in parts if not np.isnan(one.wrong_share)]
    if not wrong or (len(wrong) < len(parts) and min(wrong) > WEAK):
        return _no_groups(sample)
    labels = [part.labels_at(one.threshold) for part, one in zip(sample.parts, parts, strict=True)]
    if len(wrong) < len(parts) or max(wrong) > SURER * min(wrong):
        if choice.wrong_share <= max(RESOLUTION, SURER * min(wrong)):
            return choice
        labels = [labels[int(np.nanargmin([one.wrong_share for one in parts]))]]
    elif choice.wrong_share <= 1 and min(_agreement(labels[0], one) for one in labels[1:]) < SAME:
        return choice
    merges = Merges.of(sample.forest)
    return _found(sample, merges, _nearest_step(sample, merges, labels), min(wrong))


def _nearest_step(sample: Sample, merges: Merges, labels: Sequence[Labels]) -> int:
    """The merge after which the clusters agree best with all of `labels`."""
    steps = np.flatnonzero(merges.distinct)
    found = (labels_at(sample.forest, merges.similarity[step]) for step in steps)
    scores = [sum(_agreement(one, each) for each in labels) for one in found]
    return int(steps[int(np.argmax(scores))])


def _agreement(a: Labels, b: Labels) -> float:
    """F1 of the pairs within the clusters of `a`, compared with those of `b`."""
    both = (a >= 0) & (b >= 0)
    common = _pairs(a[both] * (len(a) + 1) + b[both])
    return 2 * common / max(1, _pairs(a[a >= 0]) + _pairs(b[b >= 0]))


def _pairs(groups: Labels) -> int:
    """Pairs of equal entries."""
    sizes = np.unique(groups, return_counts=True)[1]
    return int((sizes * (sizes - 1) // 2).sum())


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


def choose(sample: Sample, default: float) -> ThresholdChoice:
    """The threshold with the best cluster separation.

    At each of up to `STEPS` thresholds, `Evidence` gives the share of links that are right and a
    rank. Where at no threshold most links are right, nothing belongs together: the threshold is
    then above all similarities. Else the threshold of highest rank is taken, half-way to the next
    merge. If the folder is larger than the sample, it is raised: of so many more pairs between
    clusters, the nearest are nearer. Their tail is taken as exponential in log distances.

    Parameters
    ----------
    default : float
        The method's threshold: the scale of its similarities, and the choice for few images.
    """
    if len(sample) < FEW:
        few = "1 image is" if len(sample) == 1 else f"{len(sample)} images are"
        return ThresholdChoice(default, f"auto: the method's default; {few} too few to choose by")
    merges = Merges.of(sample.forest)
    evidence = Evidence.of(sample, merges, default)
    best = best_step(evidence, RIGHT, GOOD)
    if best is None:
        return _no_groups(sample)
    wrong = max(RESOLUTION, float(1 - share_of_right(evidence, RIGHT)[best]) ** 2)
    return _found(sample, merges, int(evidence.steps[best]), wrong)


def _no_groups(sample: Sample) -> ThresholdChoice:
    return ThresholdChoice(_above_all(sample), "auto: no groups of similar images found")


def _found(sample: Sample, merges: Merges, step: int, wrong: float) -> ThresholdChoice:
    """The choice of a merge with the expected share of wrong links."""
    words = "best" if wrong <= WEAK else "weak"
    share = "1 % or less" if wrong <= RESOLUTION else f"{100 * wrong:.0f} %"
    if wrong > RESOLUTION and len(sample) < KNOWN:
        share = "not known with so few images"
    return ThresholdChoice(
        _threshold(sample, merges, step),
        f"auto: {words} cluster separation; expected wrong links: {share}",
        wrong,
    )


def best_step(evidence: Evidence, right: Weights, good: Weights) -> int | None:
    """The threshold of highest rank where links are right; None if the folder has no groups."""
    share = share_of_right(evidence, right)
    if share.max() < FOUND:
        return None
    least = min(LEAST + RISE * (1 - share.max()), MOST * share.max())
    small = (evidence.part < PART) & (evidence.images >= MANY)
    needed = np.where(small, max(least, SURE), least)
    if not (share >= needed).any():
        return None
    rank = evidence.clusters @ np.array(good)
    return int(np.argmax(np.where(share >= needed, rank, -np.inf)))


def share_of_right(evidence: Evidence, weights: Weights) -> Floats:
    """(k,) estimated share of right links at each threshold."""
    odds = np.exp(-(weights[0] + evidence.links @ np.array(weights[1:])))
    return np.asarray(1 / (1 + odds), np.float64)


def _above_all(sample: Sample) -> float:
    """A threshold half-way from the most similar images to equal ones."""
    highest = float(sample.similarities[-1])
    return max(highest, round((1 + highest) / 2, 4))


def _between(merges: Merges, step: int) -> float:
    """A similarity half-way between a merge and the next, with as few digits as possible."""
    above = float(merges.similarity[step])
    below = float(merges.similarity[step + 1]) if step + 1 < len(merges) else above
    for digits in range(2, 9):
        shown = round((above + below) / 2, digits)
        if below < shown <= above:
            return shown
    return above


def _threshold(sample: Sample, merges: Merges, step: int) -> float:
    """The threshold of a merge, raised for a folder that is larger than the sample."""
    threshold, growth = _between(merges, step), sample.images / len(sample)
    if growth <= 1:
        return threshold
    blur = blur_of(sample)
    # Pairs grow with the square of the images.
    nearer = 2 * np.log(growth) * _tail_scale(sample, merges, step, blur)
    raised = 1 + blur - (1 - threshold + blur) * float(np.exp(-nearer))
    highest = float(merges.similarity[: step + 1].max())
    return round(min(raised, max(threshold, (threshold + highest) / 2)), 4)


def _tail_scale(sample: Sample, merges: Merges, step: int, blur: float) -> float:
    """Scale of the exponential tail of the log distances of the pairs between clusters."""
    meeting = merges.meeting[sample.links.a, sample.links.b]
    between = sample.links.similarity[meeting > step].astype(np.float64)
    count = min(len(between), max(20, int(TAIL * len(between))))
    distances = np.log(1 - between[:count] + blur)
    return float(np.mean(distances[-1] - distances)) if count > 1 else 0.0

"""The threshold of a run: a given number, or one chosen by a sample of the folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import sampled
from icas.clusterimg.methods.base import Method
from icas.clusterimg.thresholds.auto import ThresholdChoice, choose
from icas.clusterimg.thresholds.sample import Sample
from icas.parallel.executors import ALONE, Workers

Picker = Callable[[Sample, float], float]
"""Lets the user choose; gets the sample and the automatic threshold."""


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

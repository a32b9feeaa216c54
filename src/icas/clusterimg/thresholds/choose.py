"""Which threshold: the number that is given, that of the batch stage, or one from the folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import sampled
from icas.clusterimg.methods.base import Method
from icas.clusterimg.thresholds.auto import AutoChoice, choose
from icas.clusterimg.thresholds.sample import Sample
from icas.parallel.executors import ALONE, Workers

Picker = Callable[[Sample, AutoChoice], float]
"""Lets a person choose; gets the sample and what would be taken without them."""


@dataclass(frozen=True)
class Decision:
    """A threshold, why that one, and what it was chosen by.

    Attributes
    ----------
    threshold : float
    why : str
    sample : Sample or None
    tight : float or None
        A higher one to try, as in `AutoChoice`.
    """

    threshold: float
    why: str
    sample: Sample | None = None
    tight: float | None = None


def auto(sample: Sample, method: Method) -> AutoChoice:
    """The threshold that the folder itself suggests."""
    return choose(sample, method.default_threshold, copies=method.for_copies)


def decide(
    method: Method,
    given: float | None,
    sample: Sample | None,
    why: str = "as given",
    picker: Picker | None = None,
) -> Decision:
    """The threshold to be used.

    Parameters
    ----------
    method : Method
    given : float or None
        A number that is settled already, and `why`.
    sample : Sample or None
        Needed where no number is given.
    picker : callable, optional
        Asks a person.
    """
    if given is not None:
        return Decision(given, why, sample)
    if sample is None:
        raise ValueError("no number and no sample to find one by")
    found = auto(sample, method)
    if picker is not None:
        return Decision(picker(sample, found), "picked", sample)
    return Decision(found.threshold, found.reason, sample, found.tight)


def sample_of(
    method: Method, features: FeatureSet, images: int | None = None, workers: Workers = ALONE
) -> Sample:
    """Compare all pairs of a sample of `features`, which come from a folder of `images`."""
    rows = sampled(range(len(features)), method.sample_size, 0)
    return Sample.of(method, features[rows], len(features) if images is None else images, workers)

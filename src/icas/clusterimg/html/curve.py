"""The curve of pairs and clusters over the threshold, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from icas.clusterimg.html.rendering import ReportView, about, render
from icas.clusterimg.thresholds.sample import Expected, Sample


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, with labels at `ticks`; maybe logarithmic."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def position(self, value: float) -> float:
        """From 0 at the low end to 1 at the high end; values beyond are at the ends."""
        low, high, inside = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, inside = math.log10(low), math.log10(high), math.log10(inside)
        return (inside - low) / (high - low)


def line_axis(low: float, high: float, most: int = 5, *, whole: bool = False) -> Axis:
    """An axis of equal steps, with round ticks: at most about `most`.

    With `whole` the range is widened to whole steps, so that both ends have a tick.
    """
    step = _round_step((high - low) / most)
    if whole:
        low, high = step * math.floor(low / step), step * math.ceil(high / step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(low, high, tuple(round(k * step, 12) for k in range(first, last + 1)))


def log_axis(values: Iterable[float]) -> Axis:
    """An axis over the powers of ten around `values`; those not above 0 are at its low end."""
    positive = [value for value in values if value > 0] or [1.0]
    low = math.floor(math.log10(min(positive)) + 1e-9)
    high = max(low + 1, math.ceil(math.log10(max(positive)) - 1e-9))
    step = math.ceil((high - low) / 6)
    return Axis(10.0**low, 10.0**high, tuple(10.0**k for k in range(low, high + 1, step)), log=True)


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= least * (1 - 1e-9))


STEPS = 160
"""Thresholds at which the sample's clusters change, at most so many."""

EVEN = 80
"""Further thresholds at equal distances: pairs change also where clusters do not."""

ROWS = 12
"""Rows of the table, about."""

GRAIN = 1000
"""Units along each side of the drawing."""


@dataclass(frozen=True)
class Panel:
    """One curve over the threshold: its values, and the one at the chosen threshold."""

    name: str
    title: str
    values: Sequence[float]
    chosen: float
    axis: Axis

    def path(self, points: Sequence[Expected], across: Axis) -> str:
        """An SVG path of steps: a value holds down to the next lower threshold drawn."""
        x = [round(GRAIN * across.position(point.threshold)) for point in points]
        y = [round(GRAIN * (1 - self.axis.position(value))) for value in self.values]
        steps = (f"V{down}H{right}" for right, down in zip(x[1:], y[1:], strict=True))
        return f"M{x[0]} {y[0]}{''.join(steps)}"


def curve_section(report: ReportView) -> str:
    """The section, from its heading on; empty where nothing was sampled or models decided."""
    sample, threshold = report.sample, report.threshold
    if sample is None or threshold is None or len(sample.links) == 0:
        return ""
    exact = sample.images == len(sample)
    points = [sample.expected(value) for value in _thresholds(sample, threshold)]
    chosen = sample.expected(threshold)
    across = line_axis(points[0].threshold, points[-1].threshold, most=6)
    pairs, clusters = [point.pairs for point in points], [point.clusters for point in points]
    up = line_axis(0, max(2, *clusters), whole=True)
    values = np.linspace(across.low, across.high, ROWS).round(3)
    table = {float(value) for value in values if across.low <= value <= across.high}
    return render(
        "curve.html",
        report=report,
        sample=sample,
        threshold=threshold,
        exact=exact,
        points=points,
        chosen=chosen,
        across=across,
        panels=(
            Panel("pairs", "Similar pairs", pairs, chosen.pairs, log_axis(pairs)),
            Panel("clusters", "Clusters", clusters, chosen.clusters, up),
        ),
        words=partial(_words, exact=exact),
        rows=[sample.expected(value) for value in sorted(table | {threshold})],
    )


def _thresholds(sample: Sample, chosen: float) -> list[float]:
    """Thresholds of the drawing, ascending, the chosen one among them."""
    steps = sample.steps(STEPS).astype(np.float64)
    low, high = min(float(steps.min()), chosen), max(float(steps.max()), chosen)
    if low == high:
        low, high = low - 0.05, high + 0.05
    values = np.concatenate([steps, np.linspace(low, high, EVEN), [chosen]])
    return [float(value) for value in np.unique(values)]


def _words(point: Expected, exact: bool) -> str:
    """Pairs, clusters and images at a threshold, as text."""
    counts = (point.pairs, point.clusters, point.clustered_images)
    pairs, clusters, images = (about(value, exact) for value in counts)
    return (
        f"{'' if exact else 'about '}{pairs} similar pair{_s(pairs)},"
        f" {clusters} cluster{_s(clusters)} with {images} image{_s(images)}"
    )


def _s(number: str) -> str:
    return "" if number == "1" else "s"

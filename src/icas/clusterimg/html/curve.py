"""The part of report.html that draws what every threshold would give, with the chosen one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from icas.clusterimg.html.report_view import ReportView
from icas.clusterimg.thresholds.sample import Expected, Sample
from icas.notebook.html import counted, text


@dataclass(frozen=True)
class Axis:
    """A range of values and where the labels go.

    Attributes
    ----------
    low, high : float
        Values at the two ends, low < high.
    ticks : tuple of float
        Values that get a label, ascending, within the range.
    log : bool
        Whether equal ratios take equal room.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def place(self, value: float) -> float:
        """Where `value` lies, 0 at the low end and 1 at the high one; beyond them, at the end."""
        low, high, here = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, here = math.log10(low), math.log10(high), math.log10(here)
        return (here - low) / (high - low)


def line_axis(low: float, high: float, most: int = 5, *, whole: bool = False) -> Axis:
    """An axis of equal steps, with round ticks: at most about `most`.

    With `whole` the range is widened to whole steps, so that a tick stands at both ends.
    """
    step = _round_step((high - low) / most)
    if whole:
        low, high = step * math.floor(low / step), step * math.ceil(high / step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(low, high, tuple(round(k * step, 12) for k in range(first, last + 1)))


def log_axis(values: Iterable[float]) -> Axis:
    """An axis over the powers of ten around `values`; those not above 0 lie at its low end."""
    positive = [value for value in values if value > 0] or [1.0]
    low = math.floor(math.log10(min(positive)) + 1e-9)
    high = max(low + 1, math.ceil(math.log10(max(positive)) - 1e-9))
    step = math.ceil((high - low) / 6)
    return Axis(10.0**low, 10.0**high, tuple(10.0**k for k in range(low, high + 1, step)), log=True)


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= least * (1 - 1e-9))


def short(value: float) -> str:
    """A number as a label: 1k for a thousand, 1M for a million, 1B for a thousand of these."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def about(value: float, exact: bool = False) -> str:
    """A count: whole, and of two digits that tell where it is no more than expected."""
    if not exact and value >= 100:
        scale = 10 ** (math.floor(math.log10(value)) - 1)
        return f"{round(value / scale) * scale:,}"
    return f"{round(value):,}"


STEPS = 160
"""Thresholds at which the sample's clusters change, at most so many."""

EVEN = 80
"""Further thresholds at equal distances: pairs also come in where clusters do not change."""

ROWS = 12
"""Rows of the table, about."""

GRAIN = 1000
"""Units along each side of the drawing."""


@dataclass(frozen=True)
class _Panel:
    """One curve over the threshold.

    Attributes
    ----------
    name : str
        Names the panel's parts in the page.
    title : str
    values : sequence of float
        One for each threshold.
    chosen : float
        The value at the chosen threshold.
    axis : Axis
    """

    name: str
    title: str
    values: Sequence[float]
    chosen: float
    axis: Axis


def curve_section(report: ReportView) -> str:
    """The section, from its heading on; empty where nothing was sampled or models decided."""
    sample, threshold = report.sample, report.threshold
    if sample is None or threshold is None or len(sample.links) == 0:
        return ""
    points = [sample.expected(value) for value in _thresholds(sample, threshold)]
    chosen = sample.expected(threshold)
    across = line_axis(points[0].threshold, points[-1].threshold, most=6)
    pairs, clusters = [one.pairs for one in points], [one.clusters for one in points]
    up = line_axis(0, max(2, *clusters), whole=True)
    panels = (
        _Panel("pairs", "Similar pairs", pairs, chosen.pairs, log_axis(pairs)),
        _Panel("clusters", "Clusters", clusters, chosen.clusters, up),
    )
    drawn = "".join(_figure(panel, points, across, sample, threshold) for panel in panels)
    slider = _slider(points, across, sample, chosen)
    return (
        '<section aria-labelledby="threshold"><h2 id="threshold">Threshold</h2>'
        f'<p class="legend">{_basis(sample)} {_found(sample, chosen, report)}</p>'
        f'<div class="card"><div class="curves">{drawn}</div>{slider}'
        f"{_table(across, sample, chosen)}</div></section>"
    )


def _thresholds(sample: Sample, chosen: float) -> list[float]:
    """Thresholds of the drawing, ascending, the chosen one among them."""
    steps = sample.steps(STEPS).astype(np.float64)
    low, high = min(float(steps.min()), chosen), max(float(steps.max()), chosen)
    if low == high:
        low, high = low - 0.05, high + 0.05
    values = np.concatenate([steps, np.linspace(low, high, EVEN), [chosen]])
    return [float(value) for value in np.unique(values)]


def _basis(sample: Sample) -> str:
    """What the numbers stem from."""
    if _exact(sample):
        return f"All pairs of the {counted(sample.images, 'image')} were compared."
    return (
        f"Expected in the folder of {counted(sample.images, 'image')}, from all pairs of a sample"
        f" of {len(sample):,}."
    )


def _found(sample: Sample, chosen: Expected, report: ReportView) -> str:
    """What the chosen threshold gives, as expected and as found."""
    clustered = len(report.files) - report.outliers
    return (
        f"At <b>{chosen.threshold:g}</b> that makes <b>{_words(sample, chosen)}</b>. The run found"
        f" {counted(report.clusters, 'cluster')} with {counted(clustered, 'image')}."
        ' <a href="#pairs">See the pairs next to the threshold</a>.'
    )


def _words(sample: Sample, one: Expected) -> str:
    exact = _exact(sample)
    pairs, clusters, images = (
        about(value, exact) for value in (one.pairs, one.clusters, one.clustered_images)
    )
    return (
        f"{'' if exact else 'about '}{pairs} similar {_plural('pair', pairs)},"
        f" {clusters} {_plural('cluster', clusters)} with {images} {_plural('image', images)}"
    )


def _plural(what: str, number: str) -> str:
    return what if number == "1" else f"{what}s"


def _exact(sample: Sample) -> bool:
    return sample.images == len(sample)


def _figure(
    panel: _Panel, points: Sequence[Expected], across: Axis, sample: Sample, threshold: float
) -> str:
    """A drawing that grows with its place while its letters keep their size.

    Its sides are the plot itself, places are percents, and labels hang out over the sides; only
    the curve is drawn in units of its own and stretched.
    """
    exact = _exact(sample)
    mark = f"{threshold:g}: {'' if exact else 'about '}{about(panel.chosen, exact)}"
    scale = ' <span class="quiet">on a log scale</span>' if panel.axis.log else ""
    name = f"curve-{panel.name}"
    told = (
        f"From {about(panel.values[0], exact)} at threshold {points[0].threshold:.3g} to"
        f" {about(panel.values[-1], exact)} at {points[-1].threshold:.3g}. Chosen is {mark}."
    )
    return (
        f"<figure><figcaption>{panel.title}{scale}</figcaption>"
        f'<svg class="plot" role="img" aria-labelledby="{name} {name}-told">'
        f'<title id="{name}">{panel.title} over the threshold</title>'
        f'<desc id="{name}-told">{text(told)}</desc>'
        f"{_grid(panel.axis, across)}"
        f'<svg viewBox="0 0 {GRAIN} {GRAIN}" preserveAspectRatio="none">'
        f'<path class="curve" d="{_path(panel, points, across)}"/></svg>'
        '<line class="probe" hidden="" y1="0" y2="100%"/>'
        f"{_mark(mark, across.place(threshold), panel.axis.place(panel.chosen))}</svg></figure>"
    )


def _mark(words: str, x: float, y: float) -> str:
    """The chosen point."""
    across, down = _percent(x), _percent(1 - y)
    return (
        f'<line class="mark" x1="{across}" x2="{across}" y1="0" y2="100%"/>'
        f'<circle class="mark" cx="{across}" cy="{down}" r="5"/>'
        f'<text class="mark" x="{across}" y="0" dy="-9" text-anchor="{_anchor(x)}">{words}</text>'
    )


def _grid(up: Axis, across: Axis) -> str:
    """Lines and labels of both axes."""
    rows = "".join(
        f'<line x1="0" x2="100%" y1="{_percent(1 - up.place(value))}"'
        f' y2="{_percent(1 - up.place(value))}"/>'
        f'<text x="0" y="{_percent(1 - up.place(value))}" dx="-8" dy="4" text-anchor="end">'
        f"{short(value)}</text>"
        for value in up.ticks
    )
    columns = "".join(
        f'<text x="{_percent(across.place(value))}" y="100%" dy="19" text-anchor="middle">'
        f"{value:g}</text>"
        for value in across.ticks
    )
    name = '<text x="50%" y="100%" dy="40" text-anchor="middle">Threshold</text>'
    return f'<g class="axes">{rows}{columns}{name}</g>'


def _path(panel: _Panel, points: Sequence[Expected], across: Axis) -> str:
    """Stairs: what a threshold gives holds down to the next lower threshold drawn."""
    places = [round(GRAIN * across.place(point.threshold)) for point in points]
    heights = [round(GRAIN * (1 - panel.axis.place(value))) for value in panel.values]
    steps = (f"V{height}H{place}" for place, height in zip(places[1:], heights[1:], strict=True))
    return f"M{places[0]} {heights[0]}{''.join(steps)}"


def _slider(points: Sequence[Expected], across: Axis, sample: Sample, chosen: Expected) -> str:
    """Moves a line through both curves and tells what it gives; the page's script shows it."""
    thresholds = [point.threshold for point in points]
    data = ";".join(
        f"{one.threshold:.4g}|{_percent(across.place(one.threshold))}|{_words(sample, one)}"
        for one in points
    )
    return (
        f'<div class="probing" hidden><label for="probe">Try a threshold</label>'
        f'<input id="probe" type="range" min="0" max="{len(points) - 1}"'
        f' value="{thresholds.index(chosen.threshold)}" data-points="{text(data)}">'
        '<output id="probed" for="probe"></output></div>'
    )


def _table(across: Axis, sample: Sample, chosen: Expected) -> str:
    """Some points of the curves, folded away."""
    values = np.linspace(across.low, across.high, ROWS).round(3)
    kept = {float(value) for value in values if across.low <= value <= across.high}
    rows = [sample.expected(value) for value in sorted(kept | {chosen.threshold})]
    heads = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("Threshold", "Similar pairs", "Clusters", "Clustered images")
    )
    cells = "".join(_row(one, one.threshold == chosen.threshold, _exact(sample)) for one in rows)
    return (
        '<details><summary>As a table</summary><div class="scroll"><table class="numbers">'
        f"<thead><tr>{heads}</tr></thead><tbody>{cells}</tbody></table></div></details>"
    )


def _row(one: Expected, chosen: bool, exact: bool) -> str:
    badge = ' <em class="tag">chosen</em>' if chosen else ""
    numbers = (one.pairs, one.clusters, one.clustered_images)
    cells = "".join(f"<td>{about(value, exact)}</td>" for value in numbers)
    return (
        f"<tr{' class=chosen' if chosen else ''}>"
        f'<th scope="row">{one.threshold:g}{badge}</th>{cells}</tr>'
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"


def _anchor(x: float) -> str:
    """Where a label is held, so that it stays inside."""
    return "start" if x < 0.25 else "end" if x > 0.75 else "middle"

"""Pairs and clusters over the threshold: the numbers, and drawing them without pyplot's state."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.evaluation.scores import CurvePoint
from icas.clusterimg.picker.state import PickState, Span, number_text, threshold_text
from icas.clusterimg.thresholds.sample import Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 300
"""Thresholds of a curve at even distances, beside those at which clusters change."""
TAIL = 0.02
"""Share of the changes below the first view: a few odd images may reach far down."""
CROWDED = 10
"""Pairs per image above which the axis of pairs is logarithmic at first."""
INK, QUIET, RULE = "#1b2530", "#56636f", "#d5dbe1"
PAIRS, CLUSTERS, QUALITY = "#0b5cad", "#b84a00", "#1d7a46"
FONT = ("DejaVu Sans",)
DPI = 100
CLUSTERS_DASHES = (0.0, (5.0, 1.5))
AIR = 1.06
"""Length of an axis over its largest number."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Pairs and clusters of the whole folder at thresholds in descending order.

    `view` is the range of thresholds to show at first. Numbers are exact where all `images` were
    `compared`, else expected. `f1` is the pairwise F1 against true labels, if known.
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
        """The curve expected from a sample."""
        changes = changes_of(sample)
        even = np.linspace(*whole_span(changes), POINTS)
        thresholds = np.unique(np.concatenate([even, sample.steps().astype(np.float64)]))[::-1]
        points = [sample.expected(float(threshold)) for threshold in thresholds]
        rows = [(point.pairs, point.clusters, point.clustered_images) for point in points]
        pairs, clusters, clustered = np.array(rows, np.float64).T
        view = first_view(changes)
        return cls(thresholds, pairs, clusters, clustered, view, sample.images, len(sample))

    @classmethod
    def of_points(cls, points: Sequence[CurvePoint], pairs: Sequence[int], images: int) -> Curve:
        """The curve of the thresholds at which clusters change, all pairs of `images` compared.

        `points` are from the highest to the lowest threshold; `pairs` are linked at each of them.
        """
        changes = np.array([point.threshold for point in points][::-1])
        rows = [(0.0, 0.0, 0.0, 0.0)]  # above the highest threshold nothing is linked
        rows += [
            (float(count), float(point.clusters), float(point.clustered_images), point.f1 or 0.0)
            for point, count in zip(points, pairs, strict=True)
        ]
        counts, clusters, clustered, f1 = np.array(rows).T
        thresholds = np.concatenate([[np.nextafter(whole_span(changes)[1], 2)], changes[::-1]])
        known = bool(points) and points[0].f1 is not None
        view, quality = first_view(changes), f1 if known else None
        return cls(thresholds, counts, clusters, clustered, view, images, images, quality)

    def steps(self, values: Numbers) -> tuple[Numbers, Numbers]:
        """`values` and thresholds as a line: a value holds down to the next threshold."""
        return np.repeat(values, 2)[:-1], np.repeat(self.threshold, 2)[1:]

    @property
    def exact(self) -> bool:
        """Whether the numbers are counted, not expected."""
        return self.images == self.compared


def changes_of(sample: Sample) -> Numbers:
    """Similarities at which the sample's clusters change, ascending."""
    return np.unique(sample.forest.similarity).astype(np.float64)


def whole_span(changes: Numbers) -> Span:
    """Thresholds from "all in one cluster" to "every image alone", with a margin."""
    if not len(changes):
        return 0.0, 1.0
    low, high = float(changes[0]), float(changes[-1])
    margin = max(0.05 * (high - low), 0.01)
    return low - margin, min(high + margin, 1.0) if high < 1.0 else 1.0


def first_view(changes: Numbers) -> Span:
    """The range of thresholds with nearly all of the changes."""
    low, high = whole_span(changes)
    if not len(changes):
        return low, high
    bottom = float(np.quantile(changes, TAIL))
    return max(low, bottom - max(0.05 * (high - bottom), 0.01)), high


def first_state(sample: Sample, start: float) -> PickState:
    """The picker as it opens, with `start` chosen."""
    changes = changes_of(sample)
    whole, view = (
        (min(low, start), max(high, start))
        for low, high in (whole_span(changes), first_view(changes))
    )
    crowded = sample.pairs_at(view[0]) / sample.share > CROWDED * sample.images
    return PickState(tuple(changes.tolist()), whole, view, start, view, start, log=crowded)


def points(pixels: float) -> float:
    """Font size in points, from pixels of a screen of usual density."""
    return pixels * 72 / DPI


def count_text(number: float) -> str:
    """A number on an axis: 950, 12k, 1.5M."""
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g}{sign}"
    return f"{number:.3g}"


class CurveAxes:
    """Similar pairs (counted at the bottom) and clusters (at the top) against the threshold."""

    def __init__(self, axes: Axes, curve: Curve, scale: float = 1.0, *, legend: bool) -> None:
        self.pairs, self.clusters, self._curve = axes, axes.twiny(), curve
        exact = "" if curve.exact else " (estimated)"
        _plain(self.pairs, PAIRS, scale)
        _plain(self.clusters, CLUSTERS, scale)
        self.pairs.grid(True, color=RULE, linewidth=0.7)
        self.pairs.set_axisbelow(True)
        label: dict[str, Any] = {"family": FONT, "fontsize": points(13 * scale)}
        self.pairs.set_ylabel("threshold", color=INK, **label)
        self.pairs.set_xlabel(f"similar pairs{exact}", color=PAIRS, **label)
        self.clusters.set_xlabel(f"clusters{exact}", color=CLUSTERS, labelpad=5, **label)
        look: dict[str, Any] = {"linewidth": 2.0 * scale, "solid_joinstyle": "round"}
        lines = [
            *self.pairs.plot(*curve.steps(curve.pairs), color=PAIRS, **look),
            *self.clusters.plot(*curve.steps(curve.clusters), color=CLUSTERS, **look),
        ]
        lines[1].set_linestyle(CLUSTERS_DASHES)
        if legend:
            self.clusters.legend(
                lines,
                ["similar pairs", "clusters"],
                loc="lower right",
                bbox_to_anchor=(1.0, 1.1),  # above the axes, where no curve is
                ncols=2,
                frameon=False,
                borderaxespad=0.0,
                labelcolor=INK,
                prop={"family": list(FONT), "size": points(12 * scale)},
            )

    def look(self, view: Span, log: bool) -> None:
        """Show the thresholds of `view`, with as many pairs and clusters as they give."""
        from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

        inside = (self._curve.threshold >= view[0]) & (self._curve.threshold <= view[1])
        pairs, clusters = self._curve.pairs[inside], self._curve.clusters[inside]
        most = max(float(pairs.max(initial=0)), 1.0)
        self.pairs.set_ylim(view[0], view[1] + (AIR - 1) / 3 * (view[1] - view[0]))
        if log:
            least = min(float(pairs[pairs > 0].min(initial=most)), most / 10)
            self.pairs.set_xscale("log", nonpositive="clip")
            self.pairs.set_xlim(least / 1.5, most * 1.5)
            self.pairs.xaxis.set_major_locator(LogLocator(numticks=6))
            self.pairs.xaxis.set_minor_formatter(NullFormatter())
        else:
            self.pairs.set_xscale("linear")
            self.pairs.set_xlim(0, most * AIR)
            self.pairs.xaxis.set_major_locator(MaxNLocator(5))
        self.clusters.set_xlim(0, max(float(clusters.max(initial=0)), 1.0) * AIR)
        self.clusters.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        for axes in (self.pairs, self.clusters):
            axes.xaxis.set_major_formatter(lambda number, _: count_text(number))


def _plain(axes: Axes, color: str, scale: float) -> None:
    """Thin axes, dark letters."""
    axes.spines["right"].set_visible(False)
    axes.spines[:].set_color(RULE)
    axes.tick_params(axis="x", which="both", colors=color)
    axes.tick_params(axis="y", colors=QUIET, labelcolor=INK)
    axes.tick_params(which="both", labelsize=points(12 * scale), labelfontfamily=FONT[0], length=3)
    axes.patch.set_visible(False)


def curve_picture(sample: Sample, chosen: float | None = None) -> Figure:
    """The curve of a sample, 900 x 600 pixels, with a threshold marked."""
    return picture_of(Curve.of(sample), sample.features.method, chosen)


def picture_of(curve: Curve, method: str, chosen: float | None = None) -> Figure:
    """A curve as a figure; with F1 beside it where that is known."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), dpi=DPI, facecolor="white")
    ratios = [1.0] if curve.f1 is None else [2.0, 1.0]
    grid = figure.add_gridspec(
        1, len(ratios), width_ratios=ratios, left=0.1, right=0.96, bottom=0.11, top=0.8, wspace=0.1
    )
    axes = [figure.add_subplot(grid[0])]
    low, high = curve.view
    view = (low, high) if chosen is None else (min(low, chosen), max(high, chosen))
    most = curve.pairs[curve.threshold >= view[0]].max(initial=0)
    CurveAxes(axes[0], curve, legend=True).look(view, log=bool(most > CROWDED * curve.images))
    if curve.f1 is not None:
        axes.append(figure.add_subplot(grid[1], sharey=axes[0]))
        _draw_f1(axes[1], curve, curve.f1)
    words: dict[str, Any] = {"family": FONT, "size": points(13), "color": QUIET}
    figure.text(0.1, 0.905, heading(curve, method), **words)
    words |= {"weight": "bold", "size": points(18), "color": INK}
    figure.text(0.1, 0.945, chosen_words(curve, chosen), **words)
    if chosen is not None:
        for one in axes:
            one.axhline(chosen, color=INK, linewidth=1.4)
    return figure


def heading(curve: Curve, method: str) -> str:
    """Method and number of images of the curve."""
    if curve.exact:
        return f"{method} · {curve.images:,} images, all pairs compared"
    return (
        f"{method} · {curve.compared:,} of {curve.images:,} images compared; numbers are"
        " estimates for all"
    )


def chosen_words(curve: Curve, chosen: float | None) -> str:
    """Numbers at the chosen threshold, in a line."""
    if chosen is None:
        return "Similar pairs and clusters by threshold"
    at = int(np.clip(np.searchsorted(-curve.threshold, -chosen), 0, len(curve.threshold) - 1))
    pairs, clusters = (number_text(x[at], curve.exact) for x in (curve.pairs, curve.clusters))
    return f"Threshold {threshold_text(chosen)}: {pairs} similar pairs, {clusters} clusters"


def _draw_f1(axes: Axes, curve: Curve, f1: Numbers) -> None:
    """F1 against the same thresholds, with its best."""
    _plain(axes, QUALITY, 1.0)
    axes.spines["top"].set_visible(False)
    axes.grid(True, color=RULE, linewidth=0.7)
    axes.tick_params(axis="y", labelleft=False)
    axes.plot(*curve.steps(f1), color=QUALITY, linewidth=2)
    best = int(np.argmax(f1))
    axes.plot(f1[best], curve.threshold[best], "o", color=QUALITY, markersize=7)
    words: dict[str, Any] = {"color": QUALITY, "family": FONT}
    title = f"best {f1[best]:.2f} at {threshold_text(float(curve.threshold[best]))}"
    axes.set_title(title, fontsize=points(12), loc="left", pad=10, **words)
    axes.set(xlim=(0, 1.05), xticks=[0, 0.5, 1])
    axes.set_xlabel("pairwise F1", fontsize=points(13), **words)


def png_of(figure: Figure) -> bytes:
    """A figure as a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=figure.dpi, facecolor="white")
    return stream.getvalue()

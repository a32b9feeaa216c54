"""The curve over all thresholds on a matplotlib figure, without any state of pyplot."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.evaluation.scores import CurvePoint
from icas.clusterimg.picker.state import PickState, Span, number_text, threshold_text
from icas.clusterimg.thresholds.sample import Expected, Sample

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


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, RULE = "#1b2530", "#56636f", "#d5dbe1"
PAIRS, CLUSTERS, QUALITY = "#0b5cad", "#b84a00", "#1d7a46"
CHOSEN = "#1b2530"
FONT = ("DejaVu Sans",)
DPI = 100
CLUSTERS_DASHES = (0.0, (5.0, 1.5))
AIR = 1.06
"""How much longer an axis is than its largest number needs."""


def points(pixels: float) -> float:
    """Size of a letter in points, from pixels of a screen of usual density."""
    return pixels * 72 / DPI


def count_text(number: float) -> str:
    """A number on an axis: 950, 12k, 1.5M."""
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g}{sign}"
    return f"{number:.3g}"


class CurveAxes:
    """Similar pairs and clusters against the threshold, on axes that stand in for one another.

    Attributes
    ----------
    pairs : Axes
        Threshold upwards, pairs to the right.
    clusters : Axes
        The same place and thresholds, clusters to the right, counted at the top.
    """

    def __init__(
        self, axes: Axes, curve: Curve, scale: float = 1.0, *, legend: bool = True
    ) -> None:
        self.pairs, self.clusters, self._curve = axes, axes.twiny(), curve
        exact = "" if curve.exact else " (expected)"
        for one, color in ((self.pairs, PAIRS), (self.clusters, CLUSTERS)):
            _plain(one, color, scale)
        self.pairs.grid(True, color=RULE, linewidth=0.7)
        self.pairs.set_axisbelow(True)
        label: dict[str, Any] = {"family": FONT, "fontsize": points(13 * scale)}
        self.pairs.set_ylabel("threshold", color=INK, **label)
        self.pairs.set_xlabel(f"similar pairs{exact}", color=PAIRS, **label)
        self.clusters.set_xlabel(f"clusters{exact}", color=CLUSTERS, labelpad=5, **label)
        drawn: dict[str, Any] = {"linewidth": 2.0 * scale, "solid_joinstyle": "round"}
        (line,) = self.pairs.plot(*curve.steps(curve.pairs), color=PAIRS, **drawn)
        (other,) = self.clusters.plot(*curve.steps(curve.clusters), color=CLUSTERS, **drawn)
        other.set_linestyle(CLUSTERS_DASHES)
        if legend:
            self.clusters.legend(
                [line, other],
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
        from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

        inside = (self._curve.threshold >= view[0]) & (self._curve.threshold <= view[1])
        pairs, clusters = self._curve.pairs[inside], self._curve.clusters[inside]
        most = max(float(pairs.max(initial=0)), 1.0)
        self.pairs.set_ylim(view[0], view[1] + (AIR - 1) / 3 * (view[1] - view[0]))
        if log:
            some = pairs[pairs > 0]
            least = min(float(some.min(initial=most)), most / 10)
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
        for one in (self.pairs, self.clusters):
            one.xaxis.set_major_formatter(FuncFormatter(lambda number, _: count_text(number)))


def _plain(axes: Axes, color: str, scale: float) -> None:
    """Thin axes, dark letters."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom", "top"))
        spine.set_color(RULE)
    axes.tick_params(axis="x", which="both", colors=color)
    axes.tick_params(axis="y", colors=QUIET, labelcolor=INK)
    axes.tick_params(which="both", labelsize=points(12 * scale), labelfontfamily=FONT[0], length=3)
    axes.patch.set_visible(False)


def curve_picture(sample: Sample, chosen: float | None = None) -> Figure:
    """The curve of a sample as a figure of its own, which no window shows.

    Parameters
    ----------
    sample : Sample
    chosen : float, optional
        A threshold that is marked.

    Returns
    -------
    matplotlib.figure.Figure
        900 x 600 pixels.
    """
    return picture_of(Curve.of(sample), sample.features.method, chosen)


def picture_of(curve: Curve, method: str, chosen: float | None = None) -> Figure:
    """A curve as a figure; with F1 beside it where that is known."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), dpi=DPI, facecolor="white")
    ratios = [1.0] if curve.f1 is None else [2.0, 1.0]
    places = figure.add_gridspec(
        1, len(ratios), width_ratios=ratios, left=0.1, right=0.96, bottom=0.11, top=0.8, wspace=0.1
    )
    axes = figure.add_subplot(places[0])
    drawn = CurveAxes(axes, curve)
    span = curve.view
    view = span if chosen is None else (min(span[0], chosen), max(span[1], chosen))
    most = curve.pairs[curve.threshold >= view[0]].max(initial=0)
    drawn.look(view, log=bool(most > 10 * curve.images))
    if curve.f1 is not None:
        _draw_f1(figure.add_subplot(places[1], sharey=axes), curve)
    _head(figure, heading(curve, method), chosen_words(curve, chosen))
    if chosen is not None:
        for one in figure.axes[:1] + figure.axes[2:]:
            one.axhline(chosen, color=CHOSEN, linewidth=1.4)
    return figure


def heading(curve: Curve, method: str) -> str:
    """What the numbers come from."""
    if curve.exact:
        return f"{method} · {curve.images:,} images, all pairs compared"
    return (
        f"{method} · {curve.compared:,} of {curve.images:,} images compared;"
        " numbers are those expected of all"
    )


def chosen_words(curve: Curve, chosen: float | None) -> str:
    """What the chosen threshold gives, in a line."""
    if chosen is None:
        return "What each threshold gives"
    at = int(np.clip(np.searchsorted(-curve.threshold, -chosen), 0, len(curve.threshold) - 1))
    pairs, clusters = curve.pairs[at], curve.clusters[at]
    return (
        f"Threshold {threshold_text(chosen)}: {number_text(pairs, curve.exact)} similar pairs,"
        f" {number_text(clusters, curve.exact)} clusters"
    )


def _head(figure: Figure, quiet: str, title: str) -> None:
    figure.text(0.1, 0.945, title, color=INK, family=FONT, weight="bold", size=points(18))
    figure.text(0.1, 0.905, quiet, color=QUIET, family=FONT, size=points(13))


def _draw_f1(axes: Axes, curve: Curve) -> None:
    """F1 against the same thresholds, with its best."""
    assert curve.f1 is not None
    _plain(axes, QUALITY, 1.0)
    axes.spines["top"].set_visible(False)
    axes.grid(True, color=RULE, linewidth=0.7)
    axes.tick_params(axis="y", labelleft=False)
    axes.plot(*curve.steps(curve.f1), color=QUALITY, linewidth=2)
    best = int(np.argmax(curve.f1))
    told = f"{curve.f1[best]:.2f} at {threshold_text(float(curve.threshold[best]))}"
    axes.plot(curve.f1[best], curve.threshold[best], "o", color=QUALITY, markersize=7)
    axes.set_title(
        f"best {told}", color=QUALITY, family=FONT, fontsize=points(12), loc="left", pad=10
    )
    axes.set_xlim(0, 1.05)
    axes.set_xticks([0, 0.5, 1])
    axes.set_xlabel("pairwise F1", color=QUALITY, family=FONT, fontsize=points(13))


def png_of(figure: Figure) -> bytes:
    """A figure as a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=figure.dpi, facecolor="white")
    return stream.getvalue()

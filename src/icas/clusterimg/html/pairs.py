"""The part of report.html that shows the pairs next to the threshold: what it wins and loses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from icas.clusterimg.data.links import Links
from icas.clusterimg.html.clusters import SECTIONS, Pictures, item
from icas.clusterimg.html.report_view import ReportView
from icas.clusterimg.thresholds.sample import Sample
from icas.notebook.html import similarity

PAIRS = 8
"""Pairs on either side of the threshold."""


@dataclass(frozen=True)
class Pair:
    """Two images, by their place in the report."""

    a: int
    b: int
    similarity: float


@dataclass(frozen=True)
class NextPairs:
    """The pairs of the sample next to the threshold, the nearest first.

    Attributes
    ----------
    linked : tuple of Pair
        At or above the threshold.
    apart : tuple of Pair
        Below it.
    """

    linked: tuple[Pair, ...] = ()
    apart: tuple[Pair, ...] = ()

    @property
    def images(self) -> set[int]:
        """Images of all pairs, by their place in the report."""
        return {image for pair in (*self.linked, *self.apart) for image in (pair.a, pair.b)}

    @property
    def thumbnails(self) -> int:
        """How many the pairs show together."""
        return 2 * (len(self.linked) + len(self.apart))


def pairs_next_to_threshold(report: ReportView) -> NextPairs:
    """At most `PAIRS` pairs on either side; none where nothing was sampled."""
    if report.sample is None or report.threshold is None:
        return NextPairs()
    places = {file: image for image, file in enumerate(report.files)}
    sides = report.sample.pairs_around(report.threshold, PAIRS)
    return NextPairs(*(_pairs(report.sample, links, places) for links in sides))


def _pairs(sample: Sample, links: Links, places: dict[str, int]) -> tuple[Pair, ...]:
    """The links as pairs of the report; without images that the run did not read again."""
    files = sample.features.files
    ends = (
        (places.get(files[a]), places.get(files[b])) for a, b in zip(links.a, links.b, strict=True)
    )
    return tuple(
        Pair(a, b, float(value))
        for (a, b), value in zip(ends, links.similarity, strict=True)
        if a is not None and b is not None
    )


def pairs_section(report: ReportView, near: NextPairs, pictures: Pictures) -> str:
    """The section, from its heading on; empty where there are no such pairs."""
    if not near.images or report.threshold is None:
        return ""
    show = partial(_side, report=report, pictures=pictures)
    linked = show("The last that are linked", near.linked, "No pair is linked.")
    apart = show("The first that are not", near.apart, "Every pair is linked.")
    return (
        '<section aria-labelledby="pairs"><h2 id="pairs">Pairs next to the threshold</h2>'
        '<p class="legend">Of the pairs that were compared to draw the curve, those with a'
        f" similarity next to <b>{report.threshold:g}</b>. A higher threshold would lose the"
        " linked ones first, a lower one would win the others first. Two images that are not"
        " linked can still share a cluster, through other images.</p>"
        f'<div class="sides">{linked}{apart}</div></section>'
    )


def _side(
    title: str, pairs: tuple[Pair, ...], none: str, *, report: ReportView, pictures: Pictures
) -> str:
    rows = "".join(_pair(pair, report, pictures) for pair in pairs)
    content = f'<ol class="near">{rows}</ol>' if rows else f'<p class="quiet">{none}</p>'
    return f'<div class="card"><h3>{title}</h3>{content}</div>'


def _pair(pair: Pair, report: ReportView, pictures: Pictures) -> str:
    two = "".join(item(image, pictures=pictures) for image in (pair.a, pair.b))
    return (
        f"<li><p><b>{similarity(pair.similarity)}</b>"
        f' <span class="quiet">{_where(pair, report)}</span></p><ul class="row two">{two}</ul></li>'
    )


def _where(pair: Pair, report: ReportView) -> str:
    """Where the two images of a pair lie, in words."""
    a, b = (int(report.labels[image]) for image in (pair.a, pair.b))
    if a == b:
        return "both outliers" if a < 0 else f"both in {_cluster(a)}"
    first, second = (_cluster(one) if one >= 0 else "outliers" for one in (a, b))
    return f"{first} and {second}"


def _cluster(number: int) -> str:
    name = f"cluster_{number}"
    return f'<a href="#{name}">{name}</a>' if number < SECTIONS else name

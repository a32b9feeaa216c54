"""The part of report.html that shows what new images were found to be in the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from icas.cli.console import Console
from icas.clusterimg.html.clusters import SECTIONS, picture
from icas.clusterimg.html.report_view import ReportView
from icas.clusterimg.html.selection import thumbnails_of
from icas.clusterimg.html.thumbnails import BYTES, MOST, Thumbnail, fair_shares
from icas.clusterimg.reference.scan import InReference
from icas.notebook.html import counted, similarity, text

ROW = 12
"""Pictures of the reference shown with one cluster."""

SHARE = 2
"""Of the thumbnails of a page so much (one part in 2) are for the reference at the most."""

FOUND = ("in the reference", "not in the reference")
"""What clusters and outliers are with a reference."""


def titles(report: ReportView) -> dict[str, str]:
    """Headings and legends of the clusters and the outliers."""
    if report.reference is not None:
        return {
            "clusters_title": "In the reference",
            "clusters_legend": (
                "The largest come first: new images, and the pictures of the reference that they"
                " are linked to, each with its highest similarity. Where the two do not show the"
                " same, a higher threshold is needed. Images share a card that are linked to the"
                " same picture, directly or through others; above its <b>weakest link</b> as"
                " threshold a card would come apart."
            ),
            "outliers_title": "Not in the reference",
            "outlier_legend": "Images that no picture of the reference is similar enough to.",
        }
    return {
        "clusters_title": "Clusters",
        "clusters_legend": (
            "The largest come first. Above its <b>weakest link</b> as threshold a cluster would"
            " break in two; its <b>least similar pair</b> are the two of its images that are least"
            " alike. The <b>medoid</b> is the image most similar to the others."
        ),
        "outliers_title": "Outliers",
        "outlier_legend": (
            "Images that the model left out, or that are alone in their cluster."
            if report.models
            else "Images that no other one is similar enough to."
        ),
    }


def no_outliers(report: ReportView) -> tuple[str, ...]:
    """What is said where there are no outliers, if it is something else than usual."""
    return () if report.reference is None else ("Every image is in the reference.",)


def how_found(report: ReportView) -> str:
    """How images were looked up in the reference, a paragraph."""
    assert report.reference is not None
    pictures = counted(len(report.reference.files), "picture")
    return (
        f"<p>Compared with <b>{text(report.method)}</b> with the {pictures} of the reference"
        f" <b>{text(report.reference.folder)}</b>. An image counts as found where its similarity to"
        f" one of them is at least <b>{report.threshold:g}</b>"
        f' <span class="quiet">({text(report.threshold_reason)})</span>.</p>'
    )


@dataclass(frozen=True)
class Counterpart:
    """A picture of the reference, by its place there, and its highest similarity."""

    place: int
    similarity: float


@dataclass(frozen=True)
class Counterparts:
    """The pictures of the reference that clusters are linked to.

    Attributes
    ----------
    reference : InReference
    shown : sequence of tuple of Counterpart
        For each cluster of the page, the most similar first.
    more : sequence of int
        For each cluster how many are not shown.
    thumbnails : mapping of int to Thumbnail or None
        By place in the reference; None where the file could not be read any more.
    """

    reference: InReference
    shown: Sequence[tuple[Counterpart, ...]]
    more: Sequence[int]
    thumbnails: Mapping[int, Thumbnail | None] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Bytes of all thumbnails that are shown."""
        found = (self.thumbnails[one.place] for row in self.shown for one in row)
        return sum(len(one.uri) for one in found if one is not None)

    def width(self, cluster: int) -> int:
        """Pictures shown with a cluster."""
        return len(self.shown[cluster])

    def beside(self, members: str, count: int, cluster: int) -> str:
        """The new images of a cluster, `count` of them shown, and those of the reference."""
        ours = f'<div class="{_basis(count)}"><h4>new</h4>{members}</div>'
        return f'<div class="both">{ours}{self._part(cluster)}</div>'

    def _part(self, cluster: int) -> str:
        items = "".join(self._item(one) for one in self.shown[cluster])
        row = f'<ul class="row">{items}</ul>' if items else ""
        more = self.more[cluster]
        words = f"{more:,} more" if row else counted(more, "picture")
        note = f'<p class="quiet">{words}, in reference.csv.</p>' if more else ""
        room = _basis(self.width(cluster))
        return f'<div class="{room}"><h4>reference</h4>{row}{note}</div>'

    def _item(self, one: Counterpart) -> str:
        file = self.reference.files[one.place]
        href = text((self.reference.folder / file).as_uri())
        badge = f'<em class="badge">{similarity(one.similarity)}</em>'
        return (
            f'<li class="file"><a href="{href}" title="{text(file)}"><span class="picture">'
            f"{picture(self.thumbnails[one.place], file)}{badge}</span>"
            f'<span class="name">{text(file)}</span></a></li>'
        )


def _basis(count: int) -> str:
    """The class that gives so many thumbnails room on one line, beside others where they fit."""
    return f"room{max(1, count)}" if count <= 6 else "whole"


def counterparts_of(
    report: ReportView,
    max_pixels: int,
    console: Console,
    *,
    most: int = MOST // SHARE,
    size: int = BYTES // SHARE,
) -> Counterparts | None:
    """What is shown of the reference: at most `most` thumbnails of together at most `size` bytes.

    None where the run had no reference.
    """
    if report.reference is None:
        return None
    rows = _by_cluster(report, report.reference)[:SECTIONS]
    wanted = [min(ROW, len(row)) for row in rows]
    found = _cut(report.reference, rows, fair_shares(wanted, most))
    places = sorted({one.place for row in found.shown for one in row})
    paths = [Path(report.reference.folder, report.reference.files[place]) for place in places]
    made = thumbnails_of(report.settings, paths, max_pixels, console)
    thumbnails = dict(zip(places, made, strict=True))
    found = Counterparts(found.reference, found.shown, found.more, thumbnails)
    while found.bytes > size:
        most = min(most, sum(map(len, found.shown))) * size // found.bytes
        fewer = _cut(report.reference, rows, fair_shares(wanted, most))
        found = Counterparts(found.reference, fewer.shown, fewer.more, thumbnails)
    return found


def _cut(
    reference: InReference, rows: Sequence[Sequence[Counterpart]], shares: Sequence[int]
) -> Counterparts:
    pairs = list(zip(rows, shares, strict=True))
    return Counterparts(
        reference,
        [tuple(row[:share]) for row, share in pairs],
        [len(row) - share for row, share in pairs],
    )


def _by_cluster(report: ReportView, reference: InReference) -> list[list[Counterpart]]:
    """All pictures that each cluster is linked to, the most similar first."""
    best = np.full(len(reference.files), -np.inf, np.float32)
    cluster = np.full(len(reference.files), -1, np.int64)  # all its links lead to one cluster
    for part in reference.links.parts():
        np.maximum.at(best, part.b, part.similarity)
        cluster[part.b] = report.labels[part.a]
    order = np.lexsort((-best, cluster))
    ends = np.searchsorted(cluster[order], np.arange(report.clusters + 1))
    return [
        [Counterpart(int(place), float(best[place])) for place in order[start:end]]
        for start, end in pairwise(ends.tolist())
    ]

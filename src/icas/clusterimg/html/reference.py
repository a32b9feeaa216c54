"""The images of the reference that the page shows beside new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from icas.cli.console import Console
from icas.clusterimg.html.groups import SECTIONS
from icas.clusterimg.html.rendering import ReportView
from icas.clusterimg.html.thumbnails import BYTES, MOST, Thumbnail, fair_shares, thumbnails_of
from icas.clusterimg.reference.scan import InReference

ROW = 12
"""Images of the reference shown with one cluster."""

SHARE = 2
"""One part in so many of the thumbnails of a page is for the reference at most."""


@dataclass(frozen=True)
class Counterpart:
    """An image of the reference, by index there, and its highest similarity."""

    index: int
    similarity: float


@dataclass(frozen=True)
class Counterparts:
    """The images of the reference that each cluster is linked to, the most similar first.

    `more` counts those that are not shown. Thumbnails are by index in the reference; None if the
    file could not be read any more.
    """

    reference: InReference
    shown: Sequence[Sequence[Counterpart]]
    more: Sequence[int]
    thumbnails: Mapping[int, Thumbnail | None] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Bytes of all thumbnails that are shown."""
        made = (self.thumbnails[match.index] for row in self.shown for match in row)
        return sum(len(thumbnail.uri) for thumbnail in made if thumbnail is not None)

    def width(self, cluster: int) -> int:
        """Images shown with a cluster."""
        return len(self.shown[cluster])

    def file(self, match: Counterpart) -> str:
        """Name of an image in the reference folder."""
        return self.reference.files[match.index]

    def href(self, match: Counterpart) -> str:
        """Link to the image."""
        return (self.reference.folder / self.file(match)).as_uri()


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
    reference = report.reference
    if reference is None:
        return None
    rows = _by_cluster(report, reference)[:SECTIONS]
    wanted = [min(ROW, len(row)) for row in rows]
    result = _limited(reference, rows, fair_shares(wanted, most))
    indices = sorted({match.index for row in result.shown for match in row})
    paths = [Path(reference.folder, reference.files[index]) for index in indices]
    made = thumbnails_of(report.settings, paths, max_pixels, console)
    thumbnails = dict(zip(indices, made, strict=True))
    result = replace(result, thumbnails=thumbnails)
    while result.bytes > size:
        most = min(most, sum(map(len, result.shown))) * size // result.bytes
        fewer = _limited(reference, rows, fair_shares(wanted, most))
        result = replace(fewer, thumbnails=thumbnails)
    return result


def _limited(
    reference: InReference, rows: Sequence[Sequence[Counterpart]], shares: Sequence[int]
) -> Counterparts:
    pairs = list(zip(rows, shares, strict=True))
    shown = [row[:share] for row, share in pairs]
    return Counterparts(reference, shown, [len(row) - share for row, share in pairs])


def _by_cluster(report: ReportView, reference: InReference) -> list[list[Counterpart]]:
    """All images that each cluster is linked to, the most similar first."""
    best = np.full(len(reference.files), -np.inf, np.float32)
    cluster = np.full(len(reference.files), -1, np.int64)  # all its links lead to one cluster
    for part in reference.links.parts():
        np.maximum.at(best, part.b, part.similarity)
        cluster[part.b] = report.labels[part.a]
    order = np.lexsort((-best, cluster))
    ends = np.searchsorted(cluster[order], np.arange(report.clusters + 1))
    return [
        [Counterpart(int(index), float(best[index])) for index in order[start:end]]
        for start, end in pairwise(ends.tolist())
    ]

"""The pairs next to the threshold: what a slightly different threshold would win and lose."""

from __future__ import annotations

from dataclasses import dataclass

from icas.clusterimg.data.links import Links
from icas.clusterimg.html.report_view import ReportView

PAIRS = 8
"""Pairs on either side of the threshold."""


@dataclass(frozen=True)
class Pair:
    """Two images, by index in the report."""

    a: int
    b: int
    similarity: float


@dataclass(frozen=True)
class NextPairs:
    """The pairs of the sample at or above the threshold, and below it, the nearest first."""

    linked: tuple[Pair, ...] = ()
    apart: tuple[Pair, ...] = ()

    @property
    def images(self) -> set[int]:
        """Images of all pairs, by index in the report."""
        return {image for pair in (*self.linked, *self.apart) for image in (pair.a, pair.b)}

    @property
    def thumbnails(self) -> int:
        """Number of thumbnails that the pairs show."""
        return 2 * (len(self.linked) + len(self.apart))


def pairs_next_to_threshold(report: ReportView) -> NextPairs:
    """At most `PAIRS` pairs on either side; none where nothing was sampled."""
    if report.sample is None or report.threshold is None:
        return NextPairs()
    files = report.sample.features.files
    index = {file: image for image, file in enumerate(report.files)}

    def side(links: Links) -> tuple[Pair, ...]:
        """The links as pairs of the report; without images that the run did not read again."""
        rows = zip(links.a, links.b, links.similarity, strict=True)
        return tuple(
            Pair(index[files[a]], index[files[b]], float(value))
            for a, b, value in rows
            if files[a] in index and files[b] in index
        )

    linked, apart = report.sample.pairs_around(report.threshold, PAIRS)
    return NextPairs(side(linked), side(apart))

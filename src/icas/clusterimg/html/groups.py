"""Images and pairs that the page shows, within its byte budget."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

import numpy as np

from icas.cli.console import Console
from icas.clusterimg.clustering.cohesion import Certificate
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.data.links import Links
from icas.clusterimg.html.rendering import ReportView
from icas.clusterimg.html.thumbnails import BYTES, MOST, Thumbnail, fair_shares, thumbnails_of

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


ROW = 24
"""Thumbnails of one cluster."""
OUTLIERS_ROW = 96
"""Thumbnails of the outliers, which together are one group."""
SECTIONS = 5_000
"""Clusters shown: as many as 10,000 images can form. Beyond, the tables have them."""
NAMES = 50_000
"""Names listed of images without a thumbnail."""


@dataclass(frozen=True)
class Pictures:
    """How single images are shown, by index in the report.

    A thumbnail is None if the file could not be read any more; `targets` are the paths of the
    images in the result, relative to the page; `best` the files to keep of their clusters.
    """

    files: Sequence[str]
    thumbnails: Mapping[int, Thumbnail | None]
    targets: Mapping[int, PurePosixPath]
    best: Collection[str] = ()

    def href(self, image: int) -> str | None:
        """Link to the image in the result; None if it is not part of one."""
        target = self.targets.get(image)
        return None if target is None else quote(os.fsencode(target))


@dataclass(frozen=True)
class Group:
    """A cluster, or the outliers (without a certificate).

    Images with a thumbnail, the medoid first; those shown by name; the number of the others.
    """

    certificate: Certificate | None
    pictured: tuple[int, ...]
    named: tuple[int, ...]
    left_out: int

    @property
    def size(self) -> int:
        return len(self.pictured) + len(self.named) + self.left_out


def groups_of(report: ReportView, most: int, best: Collection[str] = ()) -> list[Group]:
    """The clusters that are shown, largest first, then the outliers if there are any.

    Together they have at most `most` thumbnails. The medoid and the images in `best` come first.
    """
    order = np.argsort(report.labels, kind="stable")
    ends = np.searchsorted(report.labels[order], np.arange(-1, report.clusters), side="right")
    outliers, *clusters = (part.tolist() for part in np.split(order, ends[:-1]))
    members: list[list[int]] = []
    certificates: list[Certificate | None] = []
    for certificate, images in list(zip(report.certificates, clusters, strict=True))[:SECTIONS]:
        medoid = certificate.medoid
        members.append(sorted(images, key=lambda image: _place(report.files[image], medoid, best)))
        certificates.append(certificate)
    limits = [ROW] * len(members)
    if outliers:
        members, certificates = [*members, outliers], [*certificates, None]
        limits = [*limits, OUTLIERS_ROW]
    wanted = [min(len(images), limit) for images, limit in zip(members, limits, strict=True)]
    # Two at a time: a single image does not show what a cluster has in common.
    twos = fair_shares([(count + 1) // 2 for count in wanted], most // 2)
    pictured = [min(count, 2 * two) for count, two in zip(wanted, twos, strict=True)]
    rest = [len(images) - count for images, count in zip(members, pictured, strict=True)]
    stops = [count + named for count, named in zip(pictured, fair_shares(rest, NAMES), strict=True)]
    return [
        Group(certificate, tuple(images[:first]), tuple(images[first:end]), len(images) - end)
        for certificate, images, first, end in zip(
            certificates, members, pictured, stops, strict=True
        )
    ]


def _place(file: str, medoid: str, best: Collection[str]) -> int:
    return 0 if file == medoid else 1 if file in best else 2


def pictured(
    report: ReportView,
    near: NextPairs,
    images: Sequence[ImageRef],
    max_pixels: int,
    console: Console,
    known: Mapping[str, Thumbnail],
    share: int = 1,
    best: Collection[str] = (),
) -> tuple[list[Group], dict[int, Thumbnail | None]]:
    """The groups of the page, and the thumbnails that they and the pairs show.

    There are at most `MOST` / `share` thumbnails of together at most `BYTES` / `share`: where
    images compress badly, each cluster gets fewer. Those in `known`, by file, are reused.

    Returns
    -------
    groups : list of Group
    thumbnails : dict of int to Thumbnail or None
        By index in the report; None if the file cannot be read any more.
    """
    most, budget = MOST // share, BYTES // share
    groups = groups_of(report, most - near.thumbnails, best)
    chosen = _chosen(groups, near)
    thumbnails: dict[int, Thumbnail | None] = {
        image: known[report.files[image]] for image in chosen if report.files[image] in known
    }
    missing = [image for image in chosen if image not in thumbnails]
    paths = [images[image].path for image in missing]
    made = thumbnails_of(report.settings, paths, max_pixels, console)
    thumbnails |= zip(missing, made, strict=True)
    while (size := _bytes(groups, near, thumbnails)) > budget:
        # Fewer thumbnails are always a subset of the present ones: shares only become smaller.
        shown = near.thumbnails + sum(len(group.pictured) for group in groups)
        most = min(most, shown) * budget // size
        groups = groups_of(report, max(0, most - near.thumbnails), best)
    return groups, {image: thumbnails[image] for image in _chosen(groups, near)}


def _chosen(groups: Sequence[Group], near: NextPairs) -> list[int]:
    """Images that get a thumbnail."""
    return sorted(near.images.union(*(group.pictured for group in groups)))


def _bytes(
    groups: Sequence[Group], near: NextPairs, thumbnails: Mapping[int, Thumbnail | None]
) -> int:
    """Bytes of all thumbnails on the page; an image of a pair is there twice."""
    shown = [image for group in groups for image in group.pictured]
    shown += [image for pair in (*near.linked, *near.apart) for image in (pair.a, pair.b)]
    return sum(len(made.uri) for image in shown if (made := thumbnails[image]) is not None)

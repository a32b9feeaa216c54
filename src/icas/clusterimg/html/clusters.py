"""How report.html shows one image: thumbnail, name, and a link to where the run puts it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Protocol
from urllib.parse import quote

import numpy as np

from icas.clusterimg.clustering.cohesion import Certificate
from icas.clusterimg.html.report_view import ReportView
from icas.clusterimg.html.thumbnails import Thumbnail, fair_shares
from icas.notebook.html import counted, facts, similarity, text


@dataclass(frozen=True)
class Pictures:
    """What the page shows of single images, by their place in the report.

    Attributes
    ----------
    files : sequence of str
    thumbnails : mapping of int to Thumbnail or None
        None where the file could not be read any more.
    targets : mapping of int to PurePosixPath
        Where the image itself will lie, relative to the page.
    """

    files: Sequence[str]
    thumbnails: Mapping[int, Thumbnail | None]
    targets: Mapping[int, PurePosixPath]


def item(
    image: int, *, pictures: Pictures, medoid: str | None = None, pictured: bool = True
) -> str:
    """One image: its name, and its thumbnail if it is `pictured`."""
    file = pictures.files[image]
    badge = '<em class="badge">medoid</em>' if file == medoid else ""
    name = f'<span class="name">{text(file)}</span>'
    if pictured:
        shown = picture(pictures.thumbnails[image], file)
        content = f'<span class="picture">{shown}{badge}</span>{name}'
        title = f' title="{text(file)}"'
    else:
        content, title = name + badge, ""
    if image not in pictures.targets:
        return f'<li class="file"><span{title}>{content}</span></li>'
    href = text(quote(os.fsencode(pictures.targets[image])))
    return f'<li class="file"><a href="{href}"{title}>{content}</a></li>'


def picture(thumbnail: Thumbnail | None, file: str) -> str:
    """The thumbnail of a file, or a word where it has none."""
    if thumbnail is None:
        return '<span class="blank">cannot be read any more</span>'
    return (
        f'<img src="{thumbnail.uri}" width="{thumbnail.width}" height="{thumbnail.height}"'
        f' alt="Thumbnail of {text(file)}" loading="lazy" decoding="async">'
    )


ROW = 24
"""Thumbnails of one cluster."""

OUTLIERS_ROW = 96
"""Thumbnails of the outliers, which together are one group."""

SECTIONS = 5_000
"""Clusters shown: as many as 10,000 images can form. Beyond, the tables have them."""

NAMES = 50_000
"""Names listed of images without a thumbnail."""

FEW = 8
"""So many names are not folded away where a cluster got no thumbnail."""

CARDS = 120
"""Cards that are laid out together: a browser lays out a grid of thousands slowly."""

BRIDGES = 20
"""Clusters that may be two, named before the clusters; each of them is marked as well."""


NONE_FOUND = "No image is in the reference."


class Beside(Protocol):
    """What is shown beside the images of a cluster."""

    def width(self, cluster: int) -> int:
        """How many pictures."""
        ...

    def beside(self, members: str, count: int, cluster: int) -> str:
        """The `count` shown images of a cluster, `members`, together with them."""
        ...


@dataclass(frozen=True)
class Group:
    """A cluster or the outliers: images in the order of the page.

    Attributes
    ----------
    certificate : Certificate or None
        None for the outliers.
    pictured : tuple of int
        Images with a thumbnail, the medoid first.
    named : tuple of int
        Further images, which are named.
    left_out : int
        How many more there are.
    """

    certificate: Certificate | None
    pictured: tuple[int, ...]
    named: tuple[int, ...]
    left_out: int

    @property
    def size(self) -> int:
        return len(self.pictured) + len(self.named) + self.left_out


def groups_of(report: ReportView, most: int) -> list[Group]:
    """The clusters that are shown, largest first, then the outliers if there are any.

    Together they have at most `most` thumbnails.
    """
    order = np.argsort(report.labels, kind="stable")
    ends = np.searchsorted(report.labels[order], np.arange(-1, report.clusters), side="right")
    outliers, *clusters = (part.tolist() for part in np.split(order, ends[:-1]))
    shown = list(zip(report.certificates, clusters, strict=True))[:SECTIONS]
    members = [_medoid_first(one, cluster, report.files) for one, cluster in shown]
    certificates: list[Certificate | None] = [certificate for certificate, _ in shown]
    limits = [ROW] * len(members)
    if outliers:
        members, certificates = [*members, outliers], [*certificates, None]
        limits = [*limits, OUTLIERS_ROW]
    wanted = [min(len(part), limit) for part, limit in zip(members, limits, strict=True)]
    # Two at a time: a single image does not show what a cluster has in common.
    twos = fair_shares([(count + 1) // 2 for count in wanted], most // 2)
    pictured = [min(count, 2 * two) for count, two in zip(wanted, twos, strict=True)]
    rest = [len(part) - count for part, count in zip(members, pictured, strict=True)]
    return [
        _group(*parts)
        for parts in zip(certificates, members, pictured, fair_shares(rest, NAMES), strict=True)
    ]


def _group(
    certificate: Certificate | None, members: Sequence[int], pictured: int, named: int
) -> Group:
    end = pictured + named
    return Group(
        certificate, tuple(members[:pictured]), tuple(members[pictured:end]), len(members) - end
    )


def _medoid_first(
    certificate: Certificate, members: Iterable[int], files: Sequence[str]
) -> list[int]:
    return sorted(members, key=lambda image: files[image] != certificate.medoid)


def bridges_note(report: ReportView) -> str:
    """Which clusters may be two, and what that means; empty where there are none."""
    joined = [one.cluster for one in report.certificates if one.bridge is not None]
    if not joined:
        return ""
    named = [number for number in joined[:BRIDGES] if number < SECTIONS]
    links = ", ".join(f'<a href="#cluster_{number}">cluster_{number}</a>' for number in named)
    more = f" and {len(joined) - len(named):,} more" if len(joined) > len(named) else ""
    return (
        f'<p class="legend">{counted(len(joined), "cluster")} <b>may be two</b> or more, joined by'
        f" a weakest link much weaker than the links in the parts: {links}{more}.</p>"
    )


def clusters_section(
    report: ReportView,
    groups: Sequence[Group],
    pictures: Pictures,
    counterparts: Beside | None = None,
) -> Iterator[str]:
    """A card for every cluster that is shown, with its `counterparts` in a reference."""
    if not report.clusters:
        none = "No two images are alike enough to form a cluster."
        yield f'<p class="empty">{none if counterparts is None else NONE_FOUND}</p>'
        return
    cards = [
        _cluster(group, group.certificate, pictures)
        if counterparts is None
        else _found(group, group.certificate, pictures, counterparts)
        for group in groups
        if group.certificate is not None
    ]
    for start in range(0, len(cards), CARDS):
        yield '<div class="grid">'
        yield from cards[start : start + CARDS]
        yield "</div>"
    if report.clusters > SECTIONS:
        more = counted(report.clusters - SECTIONS, "smaller cluster")
        yield f'<p class="empty">{more} not shown here: clusters.csv has all of them.</p>'


def _cluster(group: Group, certificate: Certificate, pictures: Pictures) -> str:
    name = f"cluster_{certificate.cluster}"
    width = "narrow" if group.size <= 2 else "middle" if group.size <= 8 else "wide"
    cohesion = facts(
        {
            "weakest link": similarity(certificate.weakest_link),
            "least similar pair": similarity(certificate.least_similar_pair),
        }
    )
    return (
        f'<article class="card group {width}" aria-labelledby="{name}">'
        f'<header><h3 id="{name}">{name}</h3>'
        f'<p class="count">{counted(group.size, "image")}</p>{cohesion}{_bridge(certificate)}'
        f"</header>{_members(group, pictures, certificate.medoid)}</article>"
    )


def _found(group: Group, certificate: Certificate, pictures: Pictures, counterparts: Beside) -> str:
    """The card of a cluster of images that are in the reference."""
    number = certificate.cluster
    name = f"cluster_{number}"
    shown = len(group.pictured) + counterparts.width(number)
    width = "narrow" if shown <= 2 else "middle" if shown <= 4 else "wide"
    weakest = facts({"weakest link": similarity(certificate.weakest_link)})
    return (
        f'<article class="card group {width}" aria-labelledby="{name}">'
        f'<header><h3 id="{name}">{name}</h3>'
        f'<p class="count">{counted(group.size, "image")}</p>{weakest}</header>'
        f"{counterparts.beside(_members(group, pictures, None), len(group.pictured), number)}"
        "</article>"
    )


def _bridge(certificate: Certificate) -> str:
    """The mark of a cluster that may be two."""
    if certificate.bridge is None:
        return ""
    large, small = certificate.bridge
    rest = certificate.images - large - small
    words = (
        f"several: {large:,}, {small:,} and {rest:,}" if rest else f"two: {large:,} and {small:,}"
    )
    return f'<p class="bridge">may be {words} images</p>'


def outliers_section(
    groups: Sequence[Group],
    pictures: Pictures,
    none: str = "No outliers: every image lies in a cluster.",
) -> str:
    """One card for all outliers; `none` is said where there are none."""
    if not groups or groups[-1].certificate is not None:
        return f'<p class="empty">{none}</p>'
    return f'<div class="card group">{_members(groups[-1], pictures, None)}</div>'


def _members(group: Group, pictures: Pictures, medoid: str | None) -> str:
    """The thumbnails of a group, and the names of those that have none."""
    one = partial(item, pictures=pictures, medoid=medoid)
    shown = "".join(map(one, group.pictured))
    row = f'<ul class="row">{shown}</ul>' if shown else ""
    if not group.named and not group.left_out:
        return row
    count = len(group.named) + group.left_out
    words = f"+{count:,} more" if shown else counted(count, "file name")
    listed = "".join(one(image, pictured=False) for image in group.named)
    names = f'<ul class="names">{listed}</ul>' if group.named else ""
    note = f'<p class="quiet">{group.left_out:,} more in clusters.csv.</p>'
    opened = " open" if not shown and count <= FEW else ""
    return (
        f"{row}<details{opened}><summary>{words}</summary>{names}"
        f"{note if group.left_out else ''}</details>"
    )

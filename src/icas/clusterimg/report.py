"""report.html: what a run found, on one page that needs nothing beside it."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import PurePosixPath
from string import Template
from urllib.parse import quote

import numpy as np

from icas._version import __version__
from icas.clusterimg.layout import plan_tree
from icas.clusterimg.markup import counted, facts, pairs, similarity, text
from icas.clusterimg.outcome import Certificate, ClusterReport
from icas.clusterimg.report_models import models_section
from icas.clusterimg.scan import ImageRef
from icas.clusterimg.thumbnails import MOST, Thumbnail, fair_shares, make_thumbnails
from icas.common.progress import Console

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

ROWS = 5_000
"""Unreadable or ignored files listed."""

LINKED = ("copy", "move", "hardlink", "symlink")
"""Ways of transfer after which the images lie beside the page."""


@dataclass(frozen=True)
class _Group:
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


@dataclass(frozen=True)
class _Pictures:
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


def report_page(
    report: ClusterReport, images: Sequence[ImageRef], max_pixels: int, console: Console
) -> bytes:
    """The page ``report.html`` of a run: self-contained, with thumbnails inside.

    It needs no network and forbids itself any. The same report and images give the same bytes.

    Parameters
    ----------
    report : ClusterReport
    images : sequence of ImageRef
        Where the images of ``report.files`` still lie, in the same order.
    max_pixels : int
        Pictures that claim more get no thumbnail.
    console : Console
        Shows the progress.

    Returns
    -------
    HTML in UTF-8: some 5 KB for each of at most 2,000 thumbnails, and the names.
    """
    groups = _groups(report)
    chosen = [image for group in groups for image in group.pictured]
    paths = [images[image].path for image in chosen]
    made = make_thumbnails(paths, max_pixels, report.settings.get("jobs"), console)
    thumbnails = dict(zip(chosen, made, strict=True))
    pictures = _Pictures(report.files, thumbnails, _targets(report, images))
    template = _template()
    parts = {
        "title": text(f"{_folder(report)}: {counted(report.clusters, 'cluster')}"),
        "heading": text(_folder(report)),
        "source": text(report.source),
        "version": __version__,
        "script_hash": _hash_of("script", template),
        "style_hash": _hash_of("style", template),
        "tiles": "".join(_tiles(report)),
        "how": _how(report),
        "clusters": "\n".join(_clusters(report, groups, pictures)),
        "outliers": _outliers(groups, pictures),
        "unreadable": _unreadable(report),
        "ignored": _ignored(report),
        "outlier_legend": (
            "Images that the model left out, or that are alone in their cluster."
            if report.models
            else "Images that no other one is similar enough to."
        ),
        "models": models_section(report),
        "run": "\n".join(_run(report)),
    }
    return Template(template).substitute(parts).encode("utf-8")


def _groups(report: ClusterReport) -> list[_Group]:
    """The clusters that are shown, largest first, then the outliers if there are any."""
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
    pictured = fair_shares(wanted, MOST)
    rest = [len(part) - count for part, count in zip(members, pictured, strict=True)]
    return [
        _group(*parts)
        for parts in zip(certificates, members, pictured, fair_shares(rest, NAMES), strict=True)
    ]


def _group(
    certificate: Certificate | None, members: Sequence[int], pictured: int, named: int
) -> _Group:
    end = pictured + named
    return _Group(
        certificate, tuple(members[:pictured]), tuple(members[pictured:end]), len(members) - end
    )


def _medoid_first(
    certificate: Certificate, members: Iterable[int], files: Sequence[str]
) -> list[int]:
    return sorted(members, key=lambda image: files[image] != certificate.medoid)


def _targets(report: ClusterReport, images: Sequence[ImageRef]) -> dict[int, PurePosixPath]:
    """Where the run puts each image, relative to the page; nothing where it makes no result."""
    if report.settings.get("transfer") not in LINKED or report.settings.get("stage") == "batch":
        return {}
    plan = plan_tree(report.dst, PurePosixPath("result"), images, report.labels)
    targets = {move.source: move.target for move in plan.moves}
    return {image: targets[ref.path] for image, ref in enumerate(images)}


def _template() -> str:
    file = resources.files("icas.clusterimg").joinpath("report_template.html")
    return file.read_text(encoding="utf-8")


def _hash_of(tag: str, template: str) -> str:
    """What the page's content security policy names its own script or style by.

    With it a script that came in through a file name would not run even if it were not escaped.
    """
    found = re.search(f"<{tag}>(.*?)</{tag}>", template, re.DOTALL)
    content = found.group(1) if found else ""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")


def _folder(report: ClusterReport) -> str:
    return re.split(r"[/\\]", report.source.rstrip("/\\"))[-1] or report.source


def _tiles(report: ClusterReport) -> Iterator[str]:
    """The four counts of the summary."""
    counts = (
        (len(report.files), "image", "#clusters"),
        (report.clusters, "cluster", "#clusters"),
        (report.outliers, "outlier", "#outliers"),
        (len(report.unreadable), "unreadable", "#unreadable"),
    )
    for number, what, place in counts:
        ending = "" if number == 1 or what == "unreadable" else "s"
        warning = ' class="bad"' if what == "unreadable" and number else ""
        yield f'<li{warning}><a href="{place}"><b>{number:,}</b> {what}{ending}</a></li>'


def _how(report: ClusterReport) -> str:
    if report.threshold is None:
        return (
            f"<p>Features of <b>{text(report.method)}</b>, grouped by"
            f' <b>{text(report.threshold_reason)}</b>. <a href="#models">All models tried</a>.</p>'
        )
    return (
        f"<p>Compared with <b>{text(report.method)}</b>. Two images are linked where their"
        f" similarity is at least <b>{report.threshold:g}</b>"
        f' <span class="quiet">({text(report.threshold_reason)})</span>.</p>'
    )


def _clusters(
    report: ClusterReport, groups: Sequence[_Group], pictures: _Pictures
) -> Iterator[str]:
    if not report.clusters:
        yield '<p class="empty">No two images are alike enough to form a cluster.</p>'
        return
    for group in groups:
        if group.certificate is not None:
            yield _cluster(group, group.certificate, pictures)
    if report.clusters > SECTIONS:
        more = counted(report.clusters - SECTIONS, "smaller cluster")
        yield f'<p class="empty">{more} not shown here: clusters.csv has all of them.</p>'


def _cluster(group: _Group, certificate: Certificate, pictures: _Pictures) -> str:
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
        f'<p class="count">{counted(group.size, "image")}</p>{cohesion}</header>'
        f"{_members(group, pictures, certificate.medoid)}</article>"
    )


def _outliers(groups: Sequence[_Group], pictures: _Pictures) -> str:
    if not groups or groups[-1].certificate is not None:
        return '<p class="empty">No outliers: every image lies in a cluster.</p>'
    return f'<div class="card group">{_members(groups[-1], pictures, None)}</div>'


def _members(group: _Group, pictures: _Pictures, medoid: str | None) -> str:
    """The thumbnails of a group, and the names of those that have none."""
    item = partial(_item, pictures=pictures, medoid=medoid)
    shown = "".join(map(item, group.pictured))
    row = f'<ul class="row">{shown}</ul>' if shown else ""
    if not group.named and not group.left_out:
        return row
    count = len(group.named) + group.left_out
    words = f"+{count:,} more" if shown else counted(count, "file name")
    names = f'<ul class="names">{"".join(map(item, group.named))}</ul>' if group.named else ""
    note = f'<p class="quiet">{group.left_out:,} more in clusters.csv.</p>'
    opened = " open" if not shown and count <= FEW else ""
    return (
        f"{row}<details{opened}><summary>{words}</summary>{names}"
        f"{note if group.left_out else ''}</details>"
    )


def _item(image: int, *, pictures: _Pictures, medoid: str | None) -> str:
    """One image: its name, and its thumbnail if it is to have one."""
    file = pictures.files[image]
    badge = '<em class="badge">medoid</em>' if file == medoid else ""
    name = f'<span class="name">{text(file)}</span>'
    if image in pictures.thumbnails:
        picture = _thumbnail(pictures.thumbnails[image], file)
        content = f'<span class="picture">{picture}{badge}</span>{name}'
        title = f' title="{text(file)}"'
    else:
        content, title = name + badge, ""
    if image not in pictures.targets:
        return f'<li class="file"><span{title}>{content}</span></li>'
    href = text(quote(os.fsencode(pictures.targets[image])))
    return f'<li class="file"><a href="{href}"{title}>{content}</a></li>'


def _thumbnail(thumbnail: Thumbnail | None, file: str) -> str:
    if thumbnail is None:
        return '<span class="blank">cannot be read any more</span>'
    return (
        f'<img src="{thumbnail.uri}" width="{thumbnail.width}" height="{thumbnail.height}"'
        f' alt="Thumbnail of {text(file)}" loading="lazy" decoding="async">'
    )


def _unreadable(report: ClusterReport) -> str:
    if not report.unreadable:
        return '<p class="empty">Every image could be read.</p>'
    rows = "".join(
        f'<tr class="file"><td class="name">{text(one.file)}</td><td>{text(one.reason)}</td></tr>'
        for one in report.unreadable[:ROWS]
    )
    return (
        '<div class="card group"><table><thead><tr><th scope="col">File</th>'
        f'<th scope="col">Reason</th></tr></thead><tbody>{rows}</tbody></table>'
        f"{_beyond(len(report.unreadable), 'in unreadable.csv')}</div>"
    )


def _ignored(report: ClusterReport) -> str:
    """Files that are no images, folded away."""
    if not report.ignored:
        return ""
    names = "".join(
        f'<li class="file"><span class="name">{text(file)}</span></li>'
        for file in report.ignored[:ROWS]
    )
    return (
        '<details class="card group"><summary>'
        f"{counted(len(report.ignored), 'file')} of other kinds left alone</summary>"
        f'<ul class="names">{names}</ul>{_beyond(len(report.ignored), "not listed")}</details>'
    )


def _beyond(count: int, where: str) -> str:
    return f'<p class="quiet">{count - ROWS:,} more {where}.</p>' if count > ROWS else ""


def _run(report: ClusterReport) -> Iterator[str]:
    """How the run went, in small tables."""
    yield pairs("Comparisons of two images", dict(_comparisons(report)))
    # The page is made before the images are carried over, so that stage has no time yet.
    stages = ((name, time) for name, time in report.seconds.items() if name != "transfer")
    seconds = {name: f"{time:.2f} s" for name, time in stages}
    memory = report.peak_memory_mb
    yield pairs(
        "Time and memory",
        {**seconds, "most memory": "not told" if memory is None else f"{memory:,.0f} MB"},
    )
    yield pairs(f"Options of {report.method}", report.options)
    yield pairs("Settings", report.settings, wide=True)


def _comparisons(report: ClusterReport) -> Iterator[tuple[str, str]]:
    """Pairs possible, made and skipped; of the latter two the share as well."""
    possible = report.comparisons.get("possible", 0)
    for name, number in report.comparisons.items():
        share = f" ({number / possible:.1%})" if possible and name != "possible" else ""
        yield name, f"{number:,}{share}"

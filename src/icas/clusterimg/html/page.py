"""The page ``report.html`` of a run."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isnan
from pathlib import PurePosixPath

from icas._version import __version__
from icas.cli.console import Console
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.html.curve import curve_section
from icas.clusterimg.html.groups import (
    SECTIONS,
    NextPairs,
    Pictures,
    pairs_next_to_threshold,
    pictured,
)
from icas.clusterimg.html.names import names_by_cluster
from icas.clusterimg.html.reference import SHARE, counterparts_of
from icas.clusterimg.html.rendering import ReportView, asset, render
from icas.clusterimg.html.thumbnails import Thumbnail
from icas.clusterimg.model_selection.search import ModelGroups, Tried
from icas.clusterimg.transfer.plan import plan_tree

ROWS = 5_000
"""Unreadable or ignored files listed."""

BRIDGES = 20
"""Clusters that may be two, linked before the clusters; each of them is marked as well."""

LINKED = ("copy", "move", "hardlink", "symlink")
"""Transfer modes after which the images are beside the page."""


def report_page(
    report: ReportView,
    images: Sequence[ImageRef],
    max_pixels: int,
    console: Console,
    *,
    known: Mapping[str, Thumbnail] | None = None,
    targets: Mapping[int, PurePosixPath] | None = None,
    best: Collection[str] = (),
) -> bytes:
    """The page ``report.html`` of a run: self-contained, with thumbnails inside.

    It needs no network, and its content security policy forbids any; output is deterministic.
    Thumbnails have at most 22 MB together, some 5 KB each. Images with more than `max_pixels` get
    none; those `known` from an earlier page, by file, are reused. `targets` are the paths of the
    images in the result, relative to the page; by default those of a run. `best` are the files to
    keep of their clusters, which get a mark.
    """
    near = pairs_next_to_threshold(report)
    counterparts = counterparts_of(report, max_pixels, console)
    share = 1 if counterparts is None else SHARE
    groups, thumbnails = pictured(
        report, near, images, max_pixels, console, known or {}, share, best
    )
    if targets is None:
        targets = _targets(report, images)
    pictures = Pictures(report.files, thumbnails, targets, best)
    bridges = [one.cluster for one in report.certificates if one.bridge is not None]
    page = render(
        "page.html",
        report=report,
        folder=re.split(r"[/\\]", report.source.rstrip("/\\"))[-1] or report.source,
        pictures=pictures,
        counterparts=counterparts,
        clusters=[group for group in groups if group.certificate is not None],
        outliers=next((group for group in groups if group.certificate is None), None),
        bridges=() if counterparts else bridges,
        linked_bridges=[number for number in bridges[:BRIDGES] if number < SECTIONS],
        class_names=names_by_cluster(report.files, report.labels, report.names),
        curve=curve_section(report),
        pairs=pairs_section(report, near, pictures),
        models=models_section(report),
        comparisons=dict(_comparisons(report)),
        seconds=_seconds(report),
        rows=ROWS,
        style=asset("style.css"),
        script=asset("script.js"),
        version=__version__,
    )
    return page.encode("utf-8")


def _targets(report: ReportView, images: Sequence[ImageRef]) -> dict[int, PurePosixPath]:
    """Path of each image in the result, relative to the page; empty where there is no result."""
    if report.settings.get("transfer") not in LINKED or report.settings.get("stage") == "batch":
        return {}
    plan = plan_tree(report.dst, PurePosixPath("result"), images, report.labels)
    targets = {move.source: move.target for move in plan.operations}
    return {image: targets[ref.path] for image, ref in enumerate(images)}


def pairs_section(report: ReportView, near: NextPairs, pictures: Pictures) -> str:
    """The pairs next to the threshold; empty where there are none."""
    if not near.images or report.threshold is None:
        return ""
    return render("pairs.html", report=report, near=near, pictures=pictures, sections=SECTIONS)


def models_section(report: ReportView) -> str:
    """The models that were tried; empty where images were grouped by links."""
    if not report.models:
        return ""
    return render("models.html", report=report, ranked=list(map(_ranked, report.models)))


def _ranked(groups: ModelGroups) -> list[Tried]:
    """The models of a batch, the best first."""
    order = sorted(groups.tried, key=lambda one: (isnan(one.rank), one.rank, one.clusters))
    return sorted(order, key=lambda one: one is not groups.chosen)


def _comparisons(report: ReportView) -> Iterator[tuple[str, str]]:
    """Pairs possible, made and skipped; of the latter two the share as well."""
    possible = report.comparisons.get("possible", 0)
    for name, number in report.comparisons.items():
        share = f" ({number / possible:.1%})" if possible and name != "possible" else ""
        yield name, f"{number:,}{share}"
    if report.candidates is not None:
        recall = report.candidates.get("recall")
        value = "unknown" if recall is None else f"{recall:.1%}"
        yield f"recall of links with {report.candidates.get('k')} candidates per image", value


def _seconds(report: ReportView) -> dict[str, str]:
    """Time of every stage but the transfer, which the page is made before; and the memory."""
    stages = ((name, time) for name, time in report.seconds.items() if name != "transfer")
    memory = report.peak_memory_mb
    return {
        **{name: f"{time:.2f} s" for name, time in stages},
        "peak memory": "unknown" if memory is None else f"{memory:,.0f} MB",
    }

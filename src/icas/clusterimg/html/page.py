"""The part of report.html that tells which models were tried, and which was chosen."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from math import isnan
from pathlib import PurePosixPath
from string import Template

from icas._version import __version__
from icas.cli.console import Console
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.html.clusters import Pictures, bridges_note, clusters_section, outliers_section
from icas.clusterimg.html.curve import curve_section
from icas.clusterimg.html.pairs import pairs_next_to_threshold, pairs_section
from icas.clusterimg.html.reference import (
    FOUND,
    SHARE,
    counterparts_of,
    how_found,
    no_outliers,
    titles,
)
from icas.clusterimg.html.report_view import ReportView
from icas.clusterimg.html.selection import pictured
from icas.clusterimg.html.thumbnails import Thumbnail
from icas.clusterimg.model_selection.scores import Tried
from icas.clusterimg.model_selection.search import ModelGroups
from icas.clusterimg.transfer.plan import plan_tree
from icas.notebook.html import counted, pairs, text

BATCHES = 50
"""Tables shown; models.csv has them all."""
ROWS = 100
"""Models shown of one batch, the best first."""
HEADINGS = (
    "Model",
    "Clusters",
    "Outliers",
    "Silhouette",
    "Davies-Bouldin",
    "Calinski-Harabasz",
    "Mean rank",
)


def models_section(report: ReportView) -> str:
    """The section, from its heading on; empty where images were grouped by links."""
    if not report.models:
        return ""
    return (
        '<section aria-labelledby="models"><h2 id="models">Models</h2>'
        '<p class="legend">Every model was judged by three indexes; the one with the best mean of'
        " its three ranks was taken. Silhouette and Calinski-Harabasz are better high,"
        f" Davies-Bouldin low.</p>{''.join(_tables(report))}</section>"
    )


def _tables(report: ReportView) -> Iterator[str]:
    batches = int(report.batch.max(initial=0)) + 1
    single = len(report.models) == 1
    for number, groups in enumerate(report.models[:BATCHES]):
        name = f"Batch {number}" if number < batches else "Representatives of all batches"
        table = _table(groups)
        chosen = f"{name}: {groups.chosen.words()}"
        yield (
            f'<div class="card group">{table}</div>'
            if single
            else f'<details class="card group"><summary>{text(chosen)}</summary>{table}</details>'
        )
    if len(report.models) > BATCHES:
        more = counted(len(report.models) - BATCHES, "more table")
        yield f'<p class="quiet">{more} in models.csv.</p>'


def _table(groups: ModelGroups) -> str:
    order = sorted(groups.tried, key=lambda one: (isnan(one.rank), one.rank, one.clusters))
    heads = "".join(f'<th scope="col">{heading}</th>' for heading in HEADINGS)
    rows = "".join(_row(one, one is groups.chosen) for one in _chosen_first(order, groups.chosen))
    more = f'<p class="quiet">{len(order) - ROWS:,} more in models.csv.</p>'
    return (
        f'<div class="scroll"><table class="numbers"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{more if len(order) > ROWS else ''}"
    )


def _chosen_first(order: Sequence[Tried], chosen: Tried) -> Iterator[Tried]:
    yield chosen
    yield from [one for one in order if one is not chosen][: ROWS - 1]


def _row(one: Tried, chosen: bool) -> str:
    badge = ' <em class="tag">chosen</em>' if chosen else ""
    note = f'<br><span class="quiet">{text(one.note)}</span>' if one.note else ""
    numbers = (one.silhouette, one.davies_bouldin, one.calinski_harabasz, one.rank)
    cells = "".join(f"<td>{_number(value)}</td>" for value in numbers)
    return (
        f"<tr{' class=chosen' if chosen else ''}>"
        f'<td class="name">{text(one.words())}{badge}{note}</td>'
        f"<td>{one.clusters:,}</td><td>{one.outliers:,}</td>{cells}</tr>"
    )


def _number(value: float) -> str:
    return "–" if isnan(value) else f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"


ROWS = 5_000
"""Unreadable or ignored files listed."""

LINKED = ("copy", "move", "hardlink", "symlink")
"""Ways of transfer after which the images lie beside the page."""


def report_page(
    report: ReportView,
    images: Sequence[ImageRef],
    max_pixels: int,
    console: Console,
    *,
    known: Mapping[str, Thumbnail] | None = None,
    targets: Mapping[int, PurePosixPath] | None = None,
) -> bytes:
    """The page ``report.html`` of a run: self-contained, with thumbnails inside.

    It needs no network and forbids itself any. The same report and images give the same bytes.

    Parameters
    ----------
    report : ReportView
    images : sequence of ImageRef
        Where the images of ``report.files`` still lie, in the same order.
    max_pixels : int
        Pictures that claim more get no thumbnail.
    console : Console
        Shows the progress.
    known : mapping of str to Thumbnail, optional
        Thumbnails of an earlier page, by file: they are not made again.
    targets : mapping of int to PurePosixPath, optional
        Where the images will lie beside the page; default where a run puts them.

    Returns
    -------
    HTML in UTF-8: thumbnails of at most 22 MB, some 5 KB each, and the names.
    """
    near = pairs_next_to_threshold(report)
    found = counterparts_of(report, max_pixels, console)
    share = 1 if found is None else SHARE
    groups, thumbnails = pictured(report, near, images, max_pixels, console, known or {}, share)
    places = _targets(report, images) if targets is None else targets
    pictures = Pictures(report.files, thumbnails, places)
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
        "curve": curve_section(report),
        "bridges": bridges_note(report),
        "clusters": "\n".join(clusters_section(report, groups, pictures, found)),
        "pairs": pairs_section(report, near, pictures),
        "outliers": outliers_section(groups, pictures, *no_outliers(report)),
        "unreadable": _unreadable(report),
        "ignored": _ignored(report),
        **titles(report),
        "models": models_section(report),
        "run": "\n".join(_run(report)),
    }
    return Template(template).substitute(parts).encode("utf-8")


def _targets(report: ReportView, images: Sequence[ImageRef]) -> dict[int, PurePosixPath]:
    """Where the run puts each image, relative to the page; nothing where it makes no result."""
    if report.settings.get("transfer") not in LINKED or report.settings.get("stage") == "batch":
        return {}
    plan = plan_tree(report.dst, PurePosixPath("result"), images, report.labels)
    targets = {move.source: move.target for move in plan.moves}
    return {image: targets[ref.path] for image, ref in enumerate(images)}


def _template() -> str:
    file = resources.files("icas.clusterimg.html").joinpath("report_template.html")
    return file.read_text(encoding="utf-8")


def _hash_of(tag: str, template: str) -> str:
    """What the page's content security policy names its own script or style by.

    With it a script that came in through a file name would not run even if it were not escaped.
    """
    found = re.search(f"<{tag}>(.*?)</{tag}>", template, re.DOTALL)
    content = found.group(1) if found else ""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")


def _folder(report: ReportView) -> str:
    return re.split(r"[/\\]", report.source.rstrip("/\\"))[-1] or report.source


def _tiles(report: ReportView) -> Iterator[str]:
    """The four counts of the summary."""
    clusters, inside, outside = report.clusters, "cluster", "outlier"
    if report.reference is not None:
        clusters, (inside, outside) = report.reference.found, FOUND
    counts = (
        (len(report.files), "image", "#clusters"),
        (clusters, inside, "#clusters"),
        (report.outliers, outside, "#outliers"),
        (len(report.unreadable), "unreadable", "#unreadable"),
    )
    for number, what, place in counts:
        ending = "" if number == 1 or what in ("unreadable", *FOUND) else "s"
        warning = ' class="bad"' if what == "unreadable" and number else ""
        yield f'<li{warning}><a href="{place}"><b>{number:,}</b> {what}{ending}</a></li>'


def _how(report: ReportView) -> str:
    if report.threshold is None:
        tried = ' <a href="#models">All models tried</a>.' if report.models else ""
        return (
            f"<p>Features of <b>{text(report.method)}</b>, grouped by"
            f" <b>{text(report.threshold_reason)}</b>.{tried}</p>"
        )
    if report.reference is not None:
        return how_found(report)
    return (
        f"<p>Compared with <b>{text(report.method)}</b>. Two images are linked where their"
        f" similarity is at least <b>{report.threshold:g}</b>"
        f' <span class="quiet">({text(report.threshold_reason)})</span>.</p>'
    )


def _unreadable(report: ReportView) -> str:
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


def _ignored(report: ReportView) -> str:
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


def _run(report: ReportView) -> Iterator[str]:
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


def _comparisons(report: ReportView) -> Iterator[tuple[str, str]]:
    """Pairs possible, made and skipped; of the latter two the share as well."""
    possible = report.comparisons.get("possible", 0)
    for name, number in report.comparisons.items():
        share = f" ({number / possible:.1%})" if possible and name != "possible" else ""
        yield name, f"{number:,}{share}"
    if report.candidates is not None:
        recall = report.candidates.get("recall")
        told = "not known" if recall is None else f"{recall:.1%}"
        yield f"links found by {report.candidates.get('k')} candidates an image", told

"""How a notebook shows a ClusterReport: rows of thumbnails, in few bytes, whatever its size."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import numpy as np

from icas.cli.console import Console
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.html.clusters import Group, groups_of, picture
from icas.clusterimg.html.report_view import ReportView
from icas.clusterimg.html.selection import thumbnails_of
from icas.clusterimg.html.thumbnails import QUALITY, Thumbnail
from icas.clusterimg.transfer.plan import plan_tree
from icas.common.errors import IcasError
from icas.io.reading import MAX_PIXELS
from icas.notebook.html import counted, text
from icas.notebook.images import as_jpeg, data_uri

CLUSTERS = 8
"""Clusters shown; the outliers come below."""
ROW = 8
"""Thumbnails of each."""
SIDE = 96
"""Longest side of a thumbnail."""
BYTES = 260_000
"""Bytes of all thumbnails: the cell stays below 300 kB."""
UNREADABLE = 5
"""Files named that could not be read."""

NAME = "font-size:75%;overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
FRAME = "margin:6px 0;padding:6px 0 0;border-top:1px solid rgba(128,128,128,.35)"
FLOW = "display:flex;flex-wrap:wrap;gap:6px 10px;align-items:flex-end"


def report_cell(report: ReportView) -> str:
    """A run in HTML that needs nothing beside it: at most 300 kB, without script.

    The largest clusters and the outliers get a row of thumbnails each. Images that are neither in
    the source nor in the result any more are named without one.
    """
    groups = groups_of(report, 2 * len(report.files))
    clusters = [group for group in groups if group.certificate is not None][:CLUSTERS]
    outliers = [group for group in groups[-1:] if group.certificate is None]
    shown = [*clusters, *outliers]
    chosen = [image for group in shown for image in group.pictured[:ROW]]
    rows = _within(report, shown, _thumbnails(report, chosen))
    if report.clusters > len(clusters):
        hidden = counted(report.clusters - len(clusters), "smaller cluster")
        rows.insert(len(clusters), f"<p>… and {hidden}</p>")
    inside = f"{_head(report)}{''.join(rows)}{_unread(report)}"
    return f'<div style="max-width:900px">{inside}</div>'


def _head(report: ReportView) -> str:
    number = "" if report.threshold is None else f" {report.threshold:.4g}"
    how = f"{report.method}, threshold{number}: {report.threshold_reason}"
    page = report.dst / "report.html"
    link = ""
    if report.written and page.is_file():
        link = f' · <a href="{text(_address(page))}" target="_blank">{text(page)}</a>'
    return f"<p><b>{text(report.summary())}</b><br>{text(how)}{link}</p>"


def _address(page: Path) -> str:
    """As a notebook beside the result finds it; else where it lies on this machine."""
    here = Path.cwd()
    whole = page.absolute()
    if whole.is_relative_to(here):
        return quote(os.fsencode(whole.relative_to(here).as_posix()))
    return whole.as_uri()


def _within(
    report: ReportView, groups: Sequence[Group], thumbnails: Mapping[int, Thumbnail | None]
) -> list[str]:
    """A row a group, each with fewer thumbnails where all of them would take too many bytes."""
    for most in range(ROW, -1, -1):
        chosen = [image for group in groups for image in group.pictured[:most]]
        found = (thumbnails[image] for image in chosen)
        if sum(len(one.uri) for one in found if one is not None) <= BYTES:
            break
    return [_row(report, group, group.pictured[:most], thumbnails) for group in groups]


def _row(
    report: ReportView,
    group: Group,
    chosen: Sequence[int],
    thumbnails: Mapping[int, Thumbnail | None],
) -> str:
    one = group.certificate
    name = "outliers" if one is None else f"cluster_{one.cluster}"
    doubt = " · may be two" if one is not None and one.bridge is not None else ""
    items = "".join(_item(report.files[image], thumbnails[image]) for image in chosen)
    rest = group.size - len(chosen)
    more = f"<span>… and {rest:,} more</span>" if rest else ""
    return (
        f'<div style="{FRAME}"><b>{name}</b> · {counted(group.size, "image")}{doubt}'
        f'<div style="{FLOW}">{items}{more}</div></div>'
    )


def _item(file: str, thumbnail: Thumbnail | None) -> str:
    return (
        f'<div title="{text(file)}" style="width:{SIDE}px;line-height:1.3">'
        f'{picture(thumbnail, file)}<div style="{NAME}">{text(file)}</div></div>'
    )


def _unread(report: ReportView) -> str:
    if not report.unreadable:
        return ""
    named = "".join(
        f"<li>{text(one.file)}: {text(one.reason)}</li>" for one in report.unreadable[:UNREADABLE]
    )
    rest = len(report.unreadable) - UNREADABLE
    more = f"<li>… and {rest:,} more, all in unreadable.csv</li>" if rest > 0 else ""
    return f'<div style="{FRAME}"><b>unreadable</b><ul>{named}{more}</ul></div>'


def _thumbnails(report: ReportView, images: Sequence[int]) -> dict[int, Thumbnail | None]:
    """Of those images that are somewhere; made and kept as those of ``report.html`` are."""
    places = dict(_places(report, images))
    paths = list(places.values())
    limit = report.settings.get("max_pixels") or MAX_PIXELS
    try:
        made = thumbnails_of(report.settings, paths, limit, Console())
    except (IcasError, OSError):  # the cache is gone or full: without it, then
        uncached = {**report.settings, "cache": False}
        made = thumbnails_of(uncached, paths, limit, Console())
    found = dict(zip(places, made, strict=True))
    return {image: _smaller(found.get(image)) for image in images}


def _places(report: ReportView, images: Sequence[int]) -> Iterator[tuple[int, Path]]:
    """Where each image lies now: in the source, or where the run put it."""
    source = Path(report.source)
    missing = []
    for image in images:
        path = source / report.files[image]
        if path.is_file():
            yield image, path
        else:
            missing.append(image)
    yield from _in_result(report, missing)


def _in_result(report: ReportView, images: Sequence[int]) -> Iterator[tuple[int, Path]]:
    """Those of `images` that lie in ``result/``."""
    source = Path(report.source)
    for label in sorted({int(report.labels[image]) for image in images}):
        members = (report.labels == label).nonzero()[0]
        refs = [ImageRef(source / report.files[one], report.files[one]) for one in members]
        plan = plan_tree(report.dst, PurePosixPath("result"), refs, report.labels[members])
        targets = dict(zip(members.tolist(), plan.moves, strict=True))
        for image in images:
            if image in targets and (path := report.dst / targets[image].target).is_file():
                yield image, path


def _smaller(thumbnail: Thumbnail | None) -> Thumbnail | None:
    """The same with no side above `SIDE`."""
    from PIL import Image as Pictures

    if thumbnail is None:
        return None
    data = base64.b64decode(thumbnail.uri.partition(",")[2])
    made = Pictures.open(io.BytesIO(data), formats=["JPEG"])
    made.thumbnail((SIDE, SIDE))
    share = min(1.0, SIDE / max(thumbnail.width, thumbnail.height))
    width, height = (max(1, round(side * share)) for side in (thumbnail.width, thumbnail.height))
    return Thumbnail(data_uri(as_jpeg(np.asarray(made), QUALITY, -1)), width, height)

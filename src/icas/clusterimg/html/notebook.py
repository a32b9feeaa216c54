"""How a notebook shows a run: rows of thumbnails, in few bytes, whatever its size."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import numpy as np

from icas.cli.console import Console
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.html.groups import groups_of
from icas.clusterimg.html.names import names_by_cluster
from icas.clusterimg.html.rendering import ReportView, render
from icas.clusterimg.html.thumbnails import QUALITY, Thumbnail, thumbnails_of
from icas.clusterimg.transfer.plan import plan_tree
from icas.common.errors import IcasError
from icas.io.reading import MAX_PIXELS
from icas.notebook.html import as_jpeg, data_uri

CLUSTERS = 8
"""Clusters shown; the outliers come below."""
ROW = 8
"""Thumbnails of each."""
SIDE = 96
"""Longest side of a thumbnail."""
BYTES = 260_000
"""Bytes of all thumbnails: the cell stays below 300 kB."""


def report_cell(report: ReportView) -> str:
    """A run in HTML that needs nothing beside it: at most 300 kB, without script.

    The largest clusters and the outliers get a row of thumbnails each. Images that are neither in
    the source nor in the result any more are named without one.
    """
    groups = groups_of(report, 2 * len(report.files))
    clusters = [group for group in groups if group.certificate is not None][:CLUSTERS]
    outliers = [group for group in groups[-1:] if group.certificate is None]
    chosen = [image for group in (*clusters, *outliers) for image in group.pictured[:ROW]]
    thumbnails = _thumbnails(report, chosen)
    for most in range(ROW, -1, -1):
        shown = [image for group in (*clusters, *outliers) for image in group.pictured[:most]]
        made = (thumbnails[image] for image in shown)
        if sum(len(thumbnail.uri) for thumbnail in made if thumbnail is not None) <= BYTES:
            break
    page = report.dst / "report.html"
    cell = render(
        "cell.html",
        report=report,
        page=page if report.written and page.is_file() else None,
        page_href=_address(page),
        clusters=[(group, group.pictured[:most]) for group in clusters],
        outliers=[(group, group.pictured[:most]) for group in outliers],
        thumbnails=thumbnails,
        class_names=names_by_cluster(report.files, report.labels, report.names),
        side=SIDE,
    )
    return str(cell)  # no markup: what notebooks concatenate is plain


def _address(page: Path) -> str:
    """Relative to a notebook beside the result; else absolute."""
    absolute = page.absolute()
    if absolute.is_relative_to(Path.cwd()):
        return quote(os.fsencode(absolute.relative_to(Path.cwd()).as_posix()))
    return absolute.as_uri()


def _thumbnails(report: ReportView, images: Sequence[int]) -> dict[int, Thumbnail | None]:
    """Thumbnails of the images that still exist; made and cached as those of ``report.html``."""
    found = dict(_paths(report, images))
    paths = list(found.values())
    limit = report.settings.get("max_pixels") or MAX_PIXELS
    try:
        made = thumbnails_of(report.settings, paths, limit, Console())
    except (IcasError, OSError):  # the cache is gone or full
        uncached = {**report.settings, "cache": False}
        made = thumbnails_of(uncached, paths, limit, Console())
    thumbnails = dict(zip(found, made, strict=True))
    return {image: _smaller(thumbnails.get(image)) for image in images}


def _paths(report: ReportView, images: Sequence[int]) -> Iterator[tuple[int, Path]]:
    """The present path of each image: in the source, or where the run put it."""
    source = Path(report.source)
    missing = []
    for image in images:
        path = source / report.files[image]
        if path.is_file():
            yield image, path
        else:
            missing.append(image)
    for label in sorted({int(report.labels[image]) for image in missing}):
        members = (report.labels == label).nonzero()[0]
        refs = [ImageRef(source / report.files[one], report.files[one]) for one in members]
        plan = plan_tree(report.dst, PurePosixPath("result"), refs, report.labels[members])
        targets = dict(zip(members.tolist(), plan.operations, strict=True))
        for image in missing:
            if image in targets and (path := report.dst / targets[image].target).is_file():
                yield image, path


def _smaller(thumbnail: Thumbnail | None) -> Thumbnail | None:
    """The same with no side above `SIDE`."""
    from PIL import Image as Pillow

    if thumbnail is None:
        return None
    data = base64.b64decode(thumbnail.uri.partition(",")[2])
    made = Pillow.open(io.BytesIO(data), formats=["JPEG"])
    made.thumbnail((SIDE, SIDE))
    share = min(1.0, SIDE / max(thumbnail.width, thumbnail.height))
    width, height = (max(1, round(side * share)) for side in (thumbnail.width, thumbnail.height))
    return Thumbnail(data_uri(as_jpeg(np.asarray(made), QUALITY, -1)), width, height)

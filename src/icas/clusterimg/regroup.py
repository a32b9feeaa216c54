"""A finished result under other clusters: planned, told, recorded, then carried out."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.certify import certificates
from icas.clusterimg.finished import Finished, Tables
from icas.clusterimg.graph import Labels
from icas.clusterimg.layout import plan_tree
from icas.clusterimg.outcome import ClusterReport
from icas.clusterimg.rearrange import begin, finish, plan_relocations
from icas.clusterimg.rearrangements import Rearrangement, Relocation
from icas.clusterimg.scan import ImageRef
from icas.clusterimg.tables import certificates_table, clusters_table, run_json
from icas.clusterimg.thumbnails import Thumbnail
from icas.clusterimg.untouched import TREE, check_possible, check_untouched
from icas.common.markup import text
from icas.common.progress import Console

REPORT = "report.html"
TABLES = ("clusters.csv", "certificate.csv")
_PICTURE = re.compile(
    r'<img src="(data:[^"]*)" width="(\d+)" height="(\d+)" alt="Thumbnail of ([^"]*)"'
)


@dataclass(frozen=True)
class Change:
    """What is to become of a finished result.

    Attributes
    ----------
    what : str
        ``recut`` or ``split``.
    about : mapping
        How it was asked for, for the record.
    labels : (n,) int64 ndarray
        The new clusters.
    threshold : float or None
    reason : str
        Why that one.
    afterwards : mapping
        What ``run.json`` is to say of the changes since the run.
    """

    what: str
    about: Mapping[str, Any]
    labels: Labels
    threshold: float | None
    reason: str
    afterwards: Mapping[str, Any]


def regroup(
    finished: Finished, change: Change, console: Console, *, dry_run: bool = False
) -> ClusterReport:
    """Move the files of `finished` into the folders of `change`, and write its tables anew.

    Raises
    ------
    ConflictError
        Something stands in the way; nothing has moved then.
    IcasError
        The disk fails; another call goes on where this one stopped.
    """
    start = time.perf_counter()
    report = _report(finished, change, console)
    places = _places(finished, change.labels)
    relocations = plan_relocations(dict(places.values()))
    check_possible(finished.root, relocations)
    names = (*TABLES, *([REPORT] if finished.has(REPORT) else []), "run.json")
    _print_plan(finished.root, relocations, names, console)
    if dry_run:
        return report
    pages = _pages(finished, report, places, console)
    check_untouched(finished.root, finished.made)  # making the page may have taken a while
    report = replace(report, written=True, seconds=_with_time(report, change, start))
    contents = {**_tables(report), **pages, "run.json": run_json(report.as_dict())}
    begin(
        finished.root,
        Rearrangement(change.what, change.about, dict.fromkeys(names), relocations),
        contents,
    )
    finish(finished.root, console)
    return replace(report, seconds=_with_time(report, change, start))


def _with_time(report: ClusterReport, change: Change, start: float) -> dict[str, float]:
    return {**report.seconds, change.what: round(time.perf_counter() - start, 3)}


def report_of(finished: Finished) -> ClusterReport:
    """A finished result as it is, as a report."""
    report = report_from(finished.root, finished.told, finished.tables)
    return replace(report, ignored=finished.kept.ignored, sample=finished.kept.sample)


def report_from(root: Path, told: Mapping[str, Any], tables: Tables) -> ClusterReport:
    """What ``run.json`` and the tables of a result say, as a report."""
    report = ClusterReport(
        dst=root,
        method=told["method"],
        threshold=told["threshold"],
        threshold_reason=told["threshold_reason"],
        files=tables.files,
        labels=tables.labels,
        batch=tables.batch,
        representative=tables.representative,
        certificates=tables.certificates,
        unreadable=tables.unreadable,
        ignored=(),
        comparisons=told["comparisons"],
        seconds=told["seconds"],
        peak_memory_mb=told["peak_memory_mb"],
        settings=told["settings"],
        options=told["options"],
        source=told["source"],
        written=True,
    )
    own = report.as_dict()
    return replace(report, afterwards={key: told[key] for key in told if key not in own})


def _report(finished: Finished, change: Change, console: Console) -> ClusterReport:
    found = certificates(finished, change.labels, console)
    earlier = report_of(finished)
    former = {
        key: value for key, value in earlier.afterwards.items() if key not in ("recut", "splits")
    }
    seconds = {key: value for key, value in earlier.seconds.items() if key != change.what}
    report = replace(
        earlier,
        threshold=change.threshold,
        threshold_reason=change.reason,
        labels=change.labels,
        certificates=found,
        seconds=seconds,
        afterwards={**former, **change.afterwards},
        written=False,
    )
    return replace(report, representative=_representative(report))


def _representative(report: ClusterReport) -> NDArray[np.bool_]:
    """Who stands for a cluster; where batches were merged, who stood when they were."""
    if report.batch.max(initial=0) > 0 or any(not one.medoid for one in report.certificates):
        return report.representative
    medoids = {one.medoid for one in report.certificates}
    standing = np.array([file in medoids for file in report.files], bool)
    return standing | (report.labels < 0)


def _places(finished: Finished, labels: Labels) -> dict[int, tuple[str, str]]:
    """Image -> its place and its new one, relative to the result; none where only tables are."""
    now = {
        one.source: one.target
        for one in finished.made
        if one.source is not None
        and one.left_alone is None
        and PurePosixPath(one.target).parts[0] == TREE
    }
    if not now:
        return {}
    kept = finished.kept
    refs = [
        ImageRef(Path(source), file) for source, file in zip(kept.sources, kept.files, strict=True)
    ]
    plan = plan_tree(finished.root, PurePosixPath(TREE), refs, labels)
    new = {str(move.source): str(move.target) for move in plan.moves}
    return {
        image: (now[source], new[source])
        for image, source in enumerate(kept.sources)
        if source in now
    }


def _print_plan(
    root: Path, relocations: tuple[Relocation, ...], names: tuple[str, ...], console: Console
) -> None:
    """Say what is going to be done, before it is."""
    folders = {
        str(PurePosixPath(place).parent) for one in relocations for place in (one.old, one.new)
    }
    images = f"{len(relocations)} image{'' if len(relocations) == 1 else 's'}"
    console.line(
        f"plan: move {images} between {len(folders)} folders of {root / TREE},"
        f" write {', '.join(names)} anew"
    )
    for one in relocations:
        console.detail(f"plan: move {root / one.old} -> {root / one.new}")


def _tables(report: ClusterReport) -> dict[str, bytes]:
    columns = (report.files, report.labels, report.batch, report.representative)
    contents = (clusters_table(*columns), certificates_table(report.certificates))
    return dict(zip(TABLES, contents, strict=True))


def _pages(
    finished: Finished,
    report: ClusterReport,
    places: Mapping[int, tuple[str, str]],
    console: Console,
) -> dict[str, bytes]:
    """The report page, with the thumbnails of the earlier one, if the run made one."""
    if not finished.has(REPORT):
        return {}
    from icas.clusterimg.report import report_page

    kept, root = finished.kept, finished.root
    images = [
        ImageRef(root / places[image][0] if image in places else Path(source), file)
        for image, (source, file) in enumerate(zip(kept.sources, kept.files, strict=True))
    ]
    page = report_page(
        report,
        images,
        int(report.settings["max_pixels"]),
        console,
        known=_thumbnails((root / REPORT).read_text(encoding="utf-8"), kept.files),
        targets={image: PurePosixPath(new) for image, (_, new) in places.items()},
    )
    return {REPORT: page}


def _thumbnails(page: str, files: tuple[str, ...]) -> dict[str, Thumbnail]:
    """The thumbnails of a page, by file."""
    found = {
        html.unescape(name): Thumbnail(uri, int(width), int(height))
        for uri, width, height, name in _PICTURE.findall(page)
    }
    names = {file: html.unescape(text(file)) for file in files}
    return {file: found[name] for file, name in names.items() if name in found}

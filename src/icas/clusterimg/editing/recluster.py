"""A finished result under other clusters: planned, told, recorded, then carried out."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.clusterimg.clustering.cohesion import Certificate, cohesions_of
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.graph.bridges import bridges
from icas.clusterimg.graph.forest import Labels, members_of, weakest_links
from icas.clusterimg.html.thumbnails import Thumbnail
from icas.clusterimg.journal.records import Rearrangement, Relocation
from icas.clusterimg.results.load import FinishedRun, Tables
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.results.saved import SavedFeatures, method_of_run
from icas.clusterimg.results.tables import certificates_table, clusters_table
from icas.clusterimg.transfer.plan import TREE, plan_tree
from icas.clusterimg.transfer.relocation import begin, check_relocations, finish, plan_relocations
from icas.clusterimg.transfer.verify import check_untouched
from icas.common.errors import IcasError
from icas.io.tables import run_json
from icas.notebook.html import text
from icas.parallel.executors import start_workers

MOST_BYTES = 300_000_000
"""Bytes of features laid side by side, over all pairs, up to which medoids are looked for.

That is some 37 million pairs of hashes, or 35 thousand of ORB's: a few seconds either way.
"""

Members = NDArray[np.int64]
Known = tuple[float, str]
"""Least similar pair and medoid of a cluster."""


def certificates(
    finished: FinishedRun, labels: Labels, console: Console
) -> tuple[Certificate, ...]:
    """A certificate for each cluster of `labels`.

    Weakest links are told by the forest. The medoid and the least similar pair stay as they were
    where a cluster did, and else come from the features that were kept, the smallest clusters
    first; beyond `MOST_BYTES`, or where no features were kept, they are empty.
    """
    links = finished.state.forest.links()
    members = members_of(labels)
    known = _as_before(finished)
    fresh = [inside for inside in members if inside.tobytes() not in known]
    known |= _from_features(finished, fresh, console)
    found = []
    rows = zip(members, weakest_links(labels, links), bridges(labels, links), strict=True)
    by_hand = finished.run["settings"]["stage"] == "merge"
    least_link = -np.inf if by_hand else np.float32(finished.state.forest.floor)
    for number, (inside, weakest, bridge) in enumerate(rows):
        if weakest < least_link:  # only a decision joins what is less alike
            bridge = None
        least, medoid = known.get(inside.tobytes(), (float("nan"), ""))
        found.append(Certificate(number, len(inside), weakest, least, medoid, bridge))
    return tuple(found)


def _as_before(finished: FinishedRun) -> dict[bytes, Known]:
    """What the earlier certificates tell, by the images of the cluster."""
    pairs = zip(members_of(finished.labels), finished.tables.certificates, strict=True)
    return {
        members.tobytes(): (one.least_similar_pair, one.medoid)
        for members, one in pairs
        if one.medoid
    }


def _from_features(
    finished: FinishedRun, clusters: Sequence[Members], console: Console
) -> dict[bytes, Known]:
    """What the kept features tell of as many of `clusters` as can be compared soon."""
    kept = SavedFeatures.read(finished.root, str(finished.run["method"])) if clusters else None
    if kept is None:
        return {}
    try:
        method = method_of_run(finished.run)
    except IcasError as error:
        console.warn(f"medoids of new clusters are left empty: {error}")
        return {}
    chosen = _soon_compared(clusters, kept.features.nbytes / max(1, len(kept.features)))
    labels = np.full(len(kept.features), -1, np.int64)
    for number, members in enumerate(chosen):
        labels[kept.places(members)] = number
    files = finished.state.files
    with start_workers("threads", finished.run["settings"].get("jobs")) as workers:
        cohesions = cohesions_of(method, kept.features, labels, workers=workers)
    return {
        members.tobytes(): (one.least_similar_pair, files[kept.rows[one.medoid]])
        for members, one in zip(chosen, cohesions, strict=True)
    }


def _soon_compared(clusters: Sequence[Members], image_bytes: float) -> list[Members]:
    """The smaller ones of `clusters`, whose pairs stay below `MOST_BYTES` together."""
    ordered = sorted(clusters, key=len)
    pairs = np.cumsum([len(members) * (len(members) - 1) // 2 for members in ordered])
    return ordered[: int(np.searchsorted(pairs * image_bytes, MOST_BYTES, side="right"))]


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
    finished: FinishedRun, change: Change, console: Console, *, dry_run: bool = False
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
    check_relocations(finished.root, relocations)
    names = (*TABLES, *([REPORT] if finished.has(REPORT) else []), "run.json")
    _print_plan(finished.root, relocations, names, console)
    if dry_run:
        return report
    pages = _pages(finished, report, places, console)
    check_untouched(finished.root, finished.records)  # making the page may have taken a while
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


def report_of(finished: FinishedRun) -> ClusterReport:
    """A finished result as it is, as a report."""
    report = report_from(finished.root, finished.run, finished.tables)
    return replace(report, ignored=finished.state.ignored, sample=finished.state.sample)


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


def _report(finished: FinishedRun, change: Change, console: Console) -> ClusterReport:
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


def _places(finished: FinishedRun, labels: Labels) -> dict[int, tuple[str, str]]:
    """Image -> its place and its new one, relative to the result; none where only tables are."""
    now = {
        one.source: one.target
        for one in finished.records
        if one.source is not None
        and one.left_alone is None
        and PurePosixPath(one.target).parts[0] == TREE
    }
    if not now:
        return {}
    kept = finished.state
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
    finished: FinishedRun,
    report: ClusterReport,
    places: Mapping[int, tuple[str, str]],
    console: Console,
) -> dict[str, bytes]:
    """The report page, with the thumbnails of the earlier one, if the run made one."""
    if not finished.has(REPORT):
        return {}
    from icas.clusterimg.html.page import report_page

    kept, root = finished.state, finished.root
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

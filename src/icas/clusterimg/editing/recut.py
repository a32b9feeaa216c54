"""Cluster a finished result at another threshold, and apply other clusters to it.

Files in ``result/`` move and tables are replaced: planned, journalled, then executed.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.clusterimg.clustering.cohesion import Certificate, cohesions_of
from icas.clusterimg.clustering.linkages import DEFAULT_LINKAGE
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.decisions.names import contradictions, shortened
from icas.clusterimg.editing.constrained_run import ConstrainedRun
from icas.clusterimg.graph.forest import Labels, bridges, members_of, weakest_links
from icas.clusterimg.html.thumbnails import Thumbnail
from icas.clusterimg.journal.journal import FileRecord, FolderRecord, Rearrangement, Relocation
from icas.clusterimg.results.best_images import (
    BEST,
    BestImage,
    best_table,
    kept_files,
    ranked,
    read_best,
)
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.results.saved import (
    FinishedRun,
    SavedFeatures,
    Tables,
    certificates_table,
    check_recorded,
    clusters_table,
    method_of_run,
)
from icas.clusterimg.transfer.cleanup import check_untouched
from icas.clusterimg.transfer.destination import locked
from icas.clusterimg.transfer.plan import TREE, plan_tree
from icas.clusterimg.transfer.relocation import (
    begin,
    check_relocations,
    finish,
    finish_interrupted,
    plan_relocations,
)
from icas.common.errors import IcasError, UsageError
from icas.dataset.image_labels import ImageLabel, read_image_labels
from icas.io.files import path_of, run_json
from icas.notebook.html import text
from icas.parallel.executors import start_workers

MOST_BYTES = 300_000_000
"""Bytes of features, over all pairs, up to which medoids are computed: a few seconds."""

Members = NDArray[np.int64]
Medoid = tuple[float, str]
"""Least similar pair and medoid of a cluster."""


def certificates(
    finished: FinishedRun, labels: Labels, console: Console, saved: SavedFeatures | None = None
) -> tuple[Certificate, ...]:
    """A certificate for each cluster of `labels`; `saved` are features, by default those on disk.

    Unchanged clusters keep their medoid and least similar pair. For others these are computed from
    saved features, the smallest clusters first; beyond `MOST_BYTES`, or without saved features,
    they are empty.
    """
    links = finished.state.forest.links()
    members = members_of(labels)
    earlier = zip(members_of(finished.labels), finished.tables.certificates, strict=True)
    medoids = {
        images.tobytes(): (one.least_similar_pair, one.medoid)
        for images, one in earlier
        if one.medoid
    }
    changed = [images for images in members if images.tobytes() not in medoids]
    medoids |= _medoids(finished, changed, console, saved)
    edited = finished.run["settings"]["stage"] == "merge"
    least_link = -np.inf if edited else np.float32(finished.state.forest.floor)
    rows = zip(members, weakest_links(labels, links), bridges(labels, links), strict=True)
    result = []
    for number, (images, weakest, bridge) in enumerate(rows):
        if weakest < least_link:  # only a constraint joins less similar images
            bridge = None
        least, medoid = medoids.get(images.tobytes(), (float("nan"), ""))
        result.append(Certificate(number, len(images), weakest, least, medoid, bridge))
    return tuple(result)


def _medoids(
    finished: FinishedRun,
    clusters: Sequence[Members],
    console: Console,
    saved: SavedFeatures | None,
) -> dict[bytes, Medoid]:
    """Medoids from saved features, of the smaller ones of `clusters`."""
    run = finished.run
    if saved is None and clusters:
        saved = SavedFeatures.read(finished.root, str(run["method"]))
    if saved is None:
        return {}
    try:
        method = method_of_run(run)
    except IcasError as error:
        console.warn(f"no medoids for the new clusters: {error.message}")
        return {}
    features = saved.features
    ordered = sorted(clusters, key=len)
    pairs = np.cumsum([len(images) * (len(images) - 1) // 2 for images in ordered])
    size = features.nbytes / max(1, len(features))
    chosen = ordered[: int(np.searchsorted(pairs * size, MOST_BYTES, side="right"))]
    labels = np.full(len(features), -1, np.int64)
    for number, images in enumerate(chosen):
        labels[saved.places(images)] = number
    files = finished.state.files
    with start_workers("threads", run["settings"].get("jobs")) as workers:
        cohesions = cohesions_of(method, features, labels, workers=workers)
    return {
        images.tobytes(): (one.least_similar_pair, files[saved.rows[one.medoid]])
        for images, one in zip(chosen, cohesions, strict=True)
    }


REPORT = "report.html"
TABLES = ("clusters.csv", "certificate.csv")
_THUMBNAIL = re.compile(
    r'<img src="(data:[^"]*)" width="(\d+)" height="(\d+)" alt="Thumbnail of ([^"]*)"'
)


@dataclass(frozen=True)
class Reclustering:
    """Other clusters for a finished result."""

    what: str  # recut, split, add
    about: Mapping[str, Any]  # its parameters, for the journal
    labels: Labels
    threshold: float | None
    reason: str  # for the threshold
    afterwards: Mapping[str, Any]  # entries of ``run.json`` about changes since the run


@dataclass(frozen=True)
class Added:
    """What a finished result gets with new images."""

    records: tuple[FileRecord, ...] = ()  # planned transfers to `ADDED`
    folders: tuple[FolderRecord, ...] = ()  # that images are moved out of
    contents: Mapping[str, bytes] = field(default_factory=dict)  # further files, by name
    features: SavedFeatures | None = None  # of all images
    names: Mapping[str, ImageLabel] | None = None  # of all images


NOTHING_ADDED = Added()


def recluster(
    finished: FinishedRun,
    change: Reclustering,
    console: Console,
    *,
    dry_run: bool = False,
    added: Added = NOTHING_ADDED,
) -> ClusterReport:
    """Move the files of `finished` to the folders of their new clusters, and replace its tables."""
    start, root = time.perf_counter(), finished.root
    report = _report(finished, change, console, added.features)
    if added.names is not None:
        report = replace(report, names=added.names)
    targets = _targets(finished, change.labels, added.records)
    relocations = plan_relocations(dict(targets.values()))
    check_relocations(root, relocations)
    written = [name for name in (BEST, REPORT) if finished.has(name)]
    names = [*TABLES, *added.contents, *written, "run.json"]
    _print_plan(root, relocations, names, console)
    if dry_run:
        return report
    columns = (report.files, report.labels, report.batch, report.representative)
    tables = (clusters_table(*columns), certificates_table(report.certificates))
    contents = dict(zip(TABLES, tables, strict=True)) | dict(added.contents)
    best, by = best_again(finished, report)
    if finished.has(BEST):
        contents[BEST] = best_table(best, by)
    paths = {image: PurePosixPath(new) for image, (_, new) in targets.items()}
    contents |= page_again(finished, report, console, paths, kept_files(best))
    check_untouched(root, finished.records)  # rendering the page may take long
    report = replace(report, written=True, seconds=_with_time(report, change, start))
    contents["run.json"] = run_json(report.as_dict())
    phase = "fetching" if added.records else "clearing"
    tables_of = dict.fromkeys(names)
    rearrangement = Rearrangement(change.what, change.about, tables_of, relocations, phase)
    begin(root, rearrangement, contents, added.records, added.folders)
    finish(root, console)
    clusters = {
        file: f"cluster_{label}"
        for file, label in zip(report.files, change.labels.tolist(), strict=True)
        if label >= 0
    }
    for message in shortened(list(contradictions(clusters, report.names))):
        console.warn(message)
    return replace(report, seconds=_with_time(report, change, start))


def _with_time(report: ClusterReport, change: Reclustering, start: float) -> dict[str, float]:
    return {**report.seconds, change.what: round(time.perf_counter() - start, 3)}


def report_of(finished: FinishedRun) -> ClusterReport:
    """The report of a finished result."""
    report = report_from(finished.root, finished.run, finished.tables)
    return replace(report, ignored=finished.state.ignored, sample=finished.state.sample)


def report_from(root: Path, run: Mapping[str, Any], tables: Tables) -> ClusterReport:
    """The report of a result, from its ``run.json`` and tables."""
    report = ClusterReport(
        dst=root,
        method=run["method"],
        threshold=run["threshold"],
        threshold_reason=run["threshold_reason"],
        files=tables.files,
        labels=tables.labels,
        batch=tables.batch,
        representative=tables.representative,
        certificates=tables.certificates,
        unreadable=tables.unreadable,
        ignored=(),
        comparisons=run["comparisons"],
        seconds=run["seconds"],
        peak_memory_mb=run["peak_memory_mb"],
        settings=run["settings"],
        options=run["options"],
        source=run["source"],
        written=True,
        names=read_image_labels(root),
    )
    own = {*report.as_dict(), "names"}
    return replace(report, afterwards={key: run[key] for key in run if key not in own})


def _report(
    finished: FinishedRun, change: Reclustering, console: Console, saved: SavedFeatures | None
) -> ClusterReport:
    earlier = report_of(finished)
    afterwards = {
        key: value for key, value in earlier.afterwards.items() if key not in ("recut", "splits")
    }
    report = replace(
        earlier,
        threshold=change.threshold,
        threshold_reason=change.reason,
        labels=change.labels,
        certificates=certificates(finished, change.labels, console, saved),
        seconds={key: value for key, value in earlier.seconds.items() if key != change.what},
        afterwards={**afterwards, **change.afterwards},
        written=False,
    )
    medoids = {one.medoid for one in report.certificates}
    if report.batch.max(initial=0) > 0 or "" in medoids:
        return report  # representatives stay as they were when batches were merged
    is_medoid = np.array([file in medoids for file in report.files], bool)
    return replace(report, representative=is_medoid | (report.labels < 0))


def _targets(
    finished: FinishedRun, labels: Labels, added: Sequence[FileRecord]
) -> dict[int, tuple[str, str]]:
    """Image -> old and new path in the result; empty where the run wrote tables only."""
    state = finished.state
    old = dict(tree_of(finished))
    old |= {one.source: one.target for one in added if one.source is not None}
    if not old:
        return {}
    files = zip(state.sources, state.files, strict=True)
    refs = [ImageRef(Path(source), file) for source, file in files]
    plan = plan_tree(finished.root, PurePosixPath(TREE), refs, labels)
    new = {str(move.source): str(move.target) for move in plan.operations}
    return {
        image: (old[source], new[source])
        for image, source in enumerate(state.sources)
        if source in old
    }


def _print_plan(
    root: Path, relocations: tuple[Relocation, ...], names: Sequence[str], console: Console
) -> None:
    paths = [path for one in relocations for path in (one.old, one.new)]
    folders = {PurePosixPath(path).parent for path in paths}
    images = f"{len(relocations)} image{'' if len(relocations) == 1 else 's'}"
    console.line(
        f"plan: move {images} between {len(folders)} folders of {root / TREE}, rewrite"
        f" {', '.join(names)}"
    )
    for one in relocations:
        console.detail(f"plan: move {root / one.old} -> {root / one.new}")


def best_again(
    finished: FinishedRun, report: ClusterReport
) -> tuple[tuple[BestImage, ...], tuple[str, ...]]:
    """The images to keep of the clusters of `report`, by the numbers in ``best.csv``.

    Also the criteria; nothing where there is no such table.
    """
    by = tuple(finished.run.get("best", {}).get("by", ())) if finished.has(BEST) else ()
    if not by:
        return (), ()
    values = {one.file: one.values for one in read_best(finished.root)}
    return ranked(report.files, report.labels, values, by), by


def page_again(
    finished: FinishedRun,
    report: ClusterReport,
    console: Console,
    targets: Mapping[int, PurePosixPath],
    best: Collection[str] = (),
) -> dict[str, bytes]:
    """The report page with the thumbnails of the earlier one, if the run wrote one.

    `targets` are the paths in the result that the page links to; images without a thumbnail are
    read from where they are now.
    """
    if not finished.has(REPORT):
        return {}
    from icas.clusterimg.html.page import report_page

    state, root = finished.state, finished.root
    now = tree_of(finished)
    images = [
        ImageRef(root / now[source] if source in now else Path(source), file)
        for source, file in zip(state.sources, state.files, strict=True)
    ]
    page = report_page(
        report,
        images,
        int(report.settings["max_pixels"]),
        console,
        known=_thumbnails((root / REPORT).read_text(encoding="utf-8"), state.files),
        targets=targets,
        best=best,
    )
    return {REPORT: page}


def tree_of(finished: FinishedRun) -> dict[str, str]:
    """Source -> path in ``result/`` of the images there; empty where the run wrote tables only."""
    return {
        one.source: one.target
        for one in finished.records
        if one.source is not None
        and one.left_alone is None
        and PurePosixPath(one.target).parts[0] == TREE
    }


def _thumbnails(page: str, files: tuple[str, ...]) -> dict[str, Thumbnail]:
    """The thumbnails of a page, by file."""
    thumbnails = {
        html.unescape(name): Thumbnail(uri, int(width), int(height))
        for uri, width, height, name in _THUMBNAIL.findall(page)
    }
    names = {file: html.unescape(text(file)) for file in files}
    return {file: thumbnails[name] for file, name in names.items() if name in thumbnails}


def recut(
    dst: str | Path, threshold: float, *, dry_run: bool = False, progress: bool = False
) -> ClusterReport:
    """Give a finished result another threshold, without new comparisons.

    Files move between the cluster folders of ``result/``, and ``clusters.csv``,
    ``certificate.csv``, ``report.html`` and ``run.json`` are replaced. An interrupted recut or
    split is finished first.

    Parameters
    ----------
    dst : str or Path
        Result folder.
    threshold : float
        New threshold: at least the one of the run, at most 1.
    dry_run : bool, default False
        Plan only, change nothing.
    progress : bool, default False
        Show progress bars and warnings on stderr.

    Returns
    -------
    ClusterReport
        The new state of the result; ``afterwards`` has the entry ``recut``.

    Raises
    ------
    UsageError
        No finished result, a result without threshold, or a threshold that is too low.
    ConflictError
        Files were changed, removed or added since the run, or another process uses the folder.
    IcasError
        A disk error; another call continues.

    See Also
    --------
    icas.split : Split one cluster.
    icas.labels_at : The same for clusters in memory.

    Notes
    -----
    The run saved the maximum spanning forest of its links, which has the clusters at every higher
    threshold; see `icas.Forest`.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> Image.fromarray(data.coffee()).save("photos/cup.jpg")
    >>> Image.fromarray(data.coffee()[20:, 30:]).save("photos/cup-cropped.jpg")
    >>> Image.fromarray(data.camera()).save("photos/camera.jpg")
    >>> icas.cluster("photos", method="imagehash", threshold=0.6, dst="sorted").labels.tolist()
    [-1, 0, 0]
    >>> report = icas.recut("sorted", 0.99)
    >>> report.labels.tolist(), report.afterwards["recut"]
    ([-1, -1, -1], True)
    """
    root, console = path_of(dst, "dst"), Console(warnings=progress, bars=progress)
    is_number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if not is_number or not threshold <= 1:
        raise UsageError(f"--threshold {threshold}: a finished result needs a number up to 1")
    check_recorded(root)
    with nullcontext() if dry_run else locked(root):
        finish_interrupted(root, console, dry_run)
        return recut_result(FinishedRun.read(root), float(threshold), console, dry_run)


def recut_result(
    finished: FinishedRun, threshold: float, console: Console, dry_run: bool
) -> ClusterReport:
    """As `recut`, for a result that was read already."""
    check_linked(finished, "cannot get another threshold")
    floor = finished.state.forest.floor
    constrained = ConstrainedRun.of(finished)
    labels = constrained.labels_at(threshold)
    reclustering = Reclustering(
        "recut",
        {"threshold": threshold},
        labels,
        threshold,
        f"recut; the run compared images down to {floor:g}",
        {"recut": True, "compared_at": floor, **constrained.afterwards},
    )
    if constrained.applied:
        console.line(constrained.applied.summary())
    console.line(f"threshold {threshold:g} ({reclustering.reason})")
    return recluster(constrained.with_forest_of(labels), reclustering, console, dry_run=dry_run)


def check_linked(finished: FinishedRun, what: str) -> None:
    """Raise UsageError where the clusters do not come from single linkage at a threshold."""
    settings = finished.run["settings"]
    linkage = settings.get("linkage") or DEFAULT_LINKAGE
    if finished.run["threshold"] is None:
        why = "its clusters come from clustering models"
    elif linkage != DEFAULT_LINKAGE:
        why = f"its clusters come from --linkage {linkage}"
    elif settings["stage"] == "merge":
        why = "its batches were edited before --stage merge"
    else:
        return
    raise UsageError(f"{finished.root} {what}: {why}; start a new run")

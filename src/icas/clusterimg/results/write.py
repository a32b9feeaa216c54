"""A clustering -> the result folder: refuse, plan, print, record, then write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from icas.cli.console import Console
from icas.clusterimg.clustering.batches import Clustering, Stopwatch
from icas.clusterimg.data.images import ImageRef, Unreadable
from icas.clusterimg.journal.records import Made
from icas.clusterimg.results.report import ClusterReport, seconds_of
from icas.clusterimg.results.saved import FeatureKeeper, Kept
from icas.clusterimg.results.tables import (
    certificates_table,
    clusters_table,
    earlier_run,
    links_table,
    models_table,
    reference_table,
)
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.transfer.commit import complete
from icas.clusterimg.transfer.destination import Destination, record
from icas.clusterimg.transfer.plan import Plan, check_plan, join_plans, plan_tree
from icas.clusterimg.transfer.preflight import check_links_fit
from icas.clusterimg.transfer.staging import RUN, prepare
from icas.io.tables import peak_memory_mb, run_json, table

ALSO_UNREADABLE = 8
"""Unreadable files named on stderr; the table has them all."""


def write_result(
    destination: Destination,
    images: Sequence[ImageRef],
    clustering: Clustering,
    report: ClusterReport,
    settings: ClusterSettings,
    watch: Stopwatch,
    console: Console,
    features: FeatureKeeper | None = None,
) -> ClusterReport:
    """Put images, tables and report into the result folder; the report comes back completed.

    Tables and report are written beside the journal first, so that no image has moved when they
    do not fit on the disk; then the whole plan is put on record; then it is carried out.

    Raises
    ------
    ConflictError
        Something stands in the way; nothing is written then.
    IcasError
        The disk fails.
    """
    plan = make_plan(destination.root, images, clustering, settings)
    _print_plan(plan, destination, settings, console)
    links = len(clustering.merged_links) + sum(len(batch.links) for batch in clustering.batches)
    check_links_fit(destination.root, links, clustering.files, console)
    _tell_unreadable(report, console)
    if settings.dry_run:
        return report
    with watch.stage("transfer"):
        check_plan(plan, settings.transfer, destination.going)
        prepared = _prepared(
            destination, images, clustering, report, settings, watch, console, features
        )
    so_far = replace(report, seconds=seconds_of(watch), peak_memory_mb=peak_memory_mb())
    prepared.append(prepare(destination.root, RUN, run_json(so_far.as_dict())))
    record(destination, plan, prepared, settings.transfer, _about(images, report, settings))
    left = complete(destination.root, console, settings.jobs)
    told = earlier_run(destination.root)
    return replace(
        report,
        unreadable=(*report.unreadable, *(Unreadable(*one) for one in left.items())),
        seconds=told["seconds"],
        peak_memory_mb=told["peak_memory_mb"],
        written=True,
    )


def _prepared(
    destination: Destination,
    images: Sequence[ImageRef],
    clustering: Clustering,
    report: ClusterReport,
    settings: ClusterSettings,
    watch: Stopwatch,
    console: Console,
    features: FeatureKeeper | None,
) -> list[Made]:
    """Every file but the images and ``run.json``, written beforehand.

    What a later cut needs is among them: the forest, and `features` where there are some.
    """
    root = destination.root
    kept = {} if settings.stage == "batch" else _kept(clustering, images, report, features)
    pages = _pages(report, images, settings, watch, console)
    destination.check_free(RUN)
    made = []
    for name, content in (*_tables(clustering, report, settings), *kept.items(), *pages):
        destination.check_free(name)
        made.append(prepare(root, name, content))
    return made


def make_plan(
    root: Path, images: Sequence[ImageRef], clustering: Clustering, settings: ClusterSettings
) -> Plan:
    """Where every image goes."""
    plans = [Plan(root, ())]
    if settings.transfer == "none":
        return plans[0]
    if settings.stage != "batch":
        plans.append(plan_tree(root, PurePosixPath("result"), images, clustering.labels))
    if settings.stage == "batch" or settings.keep_batches:
        for number, batch in enumerate(clustering.batches):
            part = slice(clustering.starts[number], clustering.starts[number + 1])
            folder = PurePosixPath("batches") / f"batch_{number}"
            plans.append(plan_tree(root, folder, images[part], batch.labels))
    return join_plans(plans)


def _print_plan(
    plan: Plan, destination: Destination, settings: ClusterSettings, console: Console
) -> None:
    """Say what is going to be done, before it is."""
    if destination.earlier:
        console.line(
            f"plan: remove {len(destination.earlier)} files that an earlier run made in"
            f" {destination.root}"
        )
    if settings.transfer == "none":
        console.line(f"plan: write tables into {destination.root}, no images")
        return
    size = f"{plan.bytes() / 1e6:,.1f} MB, " if settings.transfer == "copy" else ""
    console.line(
        f"plan: {settings.transfer} {len(plan.moves)} images ({size}{len(plan.folders())} folders)"
        f" into {destination.root}"
    )
    for folder, count in plan.folders().items():
        console.detail(f"plan: {folder}: {count} images")
    for move in plan.moves:
        console.detail(f"plan: {settings.transfer} {move.source} -> {move.target}")


def _tell_unreadable(report: ClusterReport, console: Console) -> None:
    for one in report.unreadable[:ALSO_UNREADABLE]:
        console.warn(f"unreadable: {one.file}: {one.reason}")
    if len(report.unreadable) > ALSO_UNREADABLE:
        rest = len(report.unreadable) - ALSO_UNREADABLE
        console.warn(f"unreadable: {rest} more, all listed in unreadable.csv")
    if report.ignored:
        named = ", ".join(report.ignored[:3]) + (", …" if len(report.ignored) > 3 else "")
        console.warn(f"no images, left alone: {len(report.ignored)} ({named})")


def _about(
    images: Sequence[ImageRef], report: ClusterReport, settings: ClusterSettings
) -> dict[str, str]:
    return {
        "source": report.source,
        "folder": str(_folder_of(images[0])) if images else report.source,
        "method": report.method,
        "threshold": repr(report.threshold),
        "transfer": settings.transfer,
        "stage": settings.stage,
    }


def _folder_of(ref: ImageRef) -> Path:
    """The folder that the name of an image is relative to."""
    return ref.path.absolute().parents[len(PurePosixPath(ref.file).parts) - 1]


def _table_names(
    clustering: Clustering, report: ClusterReport, settings: ClusterSettings
) -> list[str]:
    links = [f"similarities/batch_{number}.csv" for number in range(len(clustering.batches))]
    if settings.stage == "merge":
        links = []
    if settings.stage != "batch":
        links.append("similarities/merge.csv")
    models = ["models.csv"] if report.models else []
    models += ["reference.csv"] if report.reference is not None else []
    return [*links, *models, "clusters.csv", "certificate.csv", "unreadable.csv"]


def _tables(
    clustering: Clustering, report: ClusterReport, settings: ClusterSettings
) -> Iterator[tuple[str, bytes | Iterable[bytes]]]:
    """Name and content of every table."""
    names = _table_names(clustering, report, settings)
    if "models.csv" in names:
        yield "models.csv", models_table([(one.tried, one.chosen) for one in report.models])
    if report.reference is not None:
        found = report.reference
        yield "reference.csv", reference_table(found.links, report.files, found.files)
    for number, name in enumerate(name for name in names if name.startswith("similarities/b")):
        start = int(clustering.starts[number])
        yield name, links_table(clustering.batches[number].links, report.files, start)
    if "similarities/merge.csv" in names:
        yield "similarities/merge.csv", links_table(clustering.merged_links, report.files)
    yield (
        "clusters.csv",
        clusters_table(report.files, report.labels, report.batch, report.representative),
    )
    yield "certificate.csv", certificates_table(report.certificates)
    yield (
        "unreadable.csv",
        table(("file", "reason"), ((one.file, one.reason) for one in report.unreadable)),
    )


def _kept(
    clustering: Clustering,
    images: Sequence[ImageRef],
    report: ClusterReport,
    features: FeatureKeeper | None,
) -> dict[str, bytes]:
    """Name and content of what is kept for later."""
    if report.reference is not None:
        return {}  # its clusters are not made by links among its own images
    kept = Kept.of(clustering, images, report).contents()
    return kept | (features.contents(clustering.labels) if features is not None else {})


def _pages(
    report: ClusterReport,
    images: Sequence[ImageRef],
    settings: ClusterSettings,
    watch: Stopwatch,
    console: Console,
) -> list[tuple[str, bytes]]:
    """The report page, made before any image is moved from where it is read."""
    if not settings.report:
        return []
    from icas.clusterimg.html.page import report_page

    so_far = replace(report, seconds=seconds_of(watch), peak_memory_mb=peak_memory_mb())
    return [("report.html", report_page(so_far, images, settings.max_pixels, console))]

"""One run: scan, method, features, threshold, clusters, report, result folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from icas.cli.console import Console
from icas.clusterimg.clustering.base import Clusterer
from icas.clusterimg.clustering.batches import Clustering, cluster_batches
from icas.clusterimg.decisions.apply import Applied, stored_constraints
from icas.clusterimg.decisions.constraints import Constraints
from icas.clusterimg.decisions.names import StoredNames, names_of_run, stored_labels
from icas.clusterimg.pipeline.source import Source, features_by_batch, read_source
from icas.clusterimg.pipeline.steps import (
    RunContext,
    Survey,
    choose_method,
    describe,
    survey_images,
    with_candidates,
    with_linkage,
    with_trained_network,
)
from icas.clusterimg.reference.clustering import cluster_against
from icas.clusterimg.reference.scan import InReference
from icas.clusterimg.results.report import ClusterReport, make_report
from icas.clusterimg.results.write import ResultWriter
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.transfer.destination import Destination
from icas.clusterimg.transfer.plan import check_transfer


def run(
    src: str | Path,
    settings: ClusterSettings | None = None,
    console: Console | None = None,
    files: Sequence[Path] | None = None,
) -> ClusterReport:
    """Sort a folder of images into folders of similar images.

    Parameters
    ----------
    src : path
        A folder with images, or for ``stage="merge"`` a result of ``stage="batch"``.
    console : Console
        Output of the run; default none.
    files : sequence of Path, optional
        The images in the folder, or below it, to cluster; default: all.
    """
    context = RunContext(Path(src), settings or ClusterSettings(), console or Console(), files)
    with context.destination() as destination:
        source, decisions = _scan(context, destination)
        method = choose_method(context, source)
        context = with_candidates(with_linkage(context, method), method, source)
        context.clusterer(method, context.settings.threshold)  # settings are refused before work
        method = with_trained_network(context, method)
        with context.reading(method, source.read) as reading:
            survey = survey_images(context, reading, source)
            clusterer = context.clusterer(method, survey.threshold, survey.sample)
            describe(context, clusterer, survey.choice)
            clustering, found = _cluster(context, source, survey, clusterer, decisions.constraints)
        report = _report(context, source, survey, clusterer, clustering, found)
        names = _names(context, source, report)
        report = replace(
            report, dst=destination.root, decisions=decisions.as_dict(), names=names.labels
        )
        report = _write(context, destination, source, clustering, report)
        names.show(context.console)
        if found is not None:
            context.console.line(found.words(len(report.files), written=report.written))
        return report


def _scan(context: RunContext, destination: Destination) -> tuple[Source, Applied]:
    """The images and the constraints on them; with a reference folder none are applied."""
    settings = context.settings
    with context.watch.stage("scan"):
        source = read_source(context.source, destination.root, settings, context.files)
        destination.check_spares(source.read)
        check_transfer(source.images, destination.root, settings.transfer)
        decisions = Applied()
        if settings.decisions and source.reference is None:
            files = {ref.file: ref.path for ref in source.images}
            decisions = stored_constraints(files, settings.cache, settings.jobs)
    if decisions:
        context.console.line(decisions.summary())
    return source, decisions


def _cluster(
    context: RunContext,
    source: Source,
    survey: Survey,
    clusterer: Clusterer,
    constraints: Constraints,
) -> tuple[Clustering, InReference | None]:
    """Clusters of all images, and what was found in the reference if there is one."""
    settings, watch, console = context.settings, context.watch, context.console
    batches = features_by_batch(clusterer, survey.images, source, settings, watch)
    if survey.reference is not None and clusterer.threshold is not None:
        looked_up = cluster_against(
            batches,
            survey.reference,
            clusterer.threshold,
            context.link_store(),
            watch=watch,
            console=console,
        )
        return looked_up, looked_up.found
    reading = survey.images.reading
    clustering = cluster_batches(
        clusterer,
        context.keeper.watch(batches),
        merge="none" if settings.stage == "batch" else settings.merge,
        workers=reading.workers,
        watch=watch,
        console=console,
        budget=reading.budget,
        constraints=constraints,
    )
    return clustering, None


def _report(
    context: RunContext,
    source: Source,
    survey: Survey,
    clusterer: Clusterer,
    clustering: Clustering,
    found: InReference | None,
) -> ClusterReport:
    """The report of a run whose files are not written yet."""
    console, counts = context.console, survey.images.reading.counts
    if clusterer.reason:
        console.line(f"grouped by {clusterer.reason}")
    if clusterer.candidates is not None:
        console.line(clusterer.candidates.words())
    console.detail(counts.words())
    lost = found.unreadable if found is not None else ()
    return replace(
        make_report(clustering, clusterer, context.settings, context.watch),
        threshold_reason=clusterer.reason or (survey.choice.reason if survey.choice else ""),
        source=str(context.source.resolve()),
        unreadable=(*clustering.unreadable, *source.unreadable, *lost),
        ignored=source.ignored,
        sample=survey.sample,
        features=asdict(counts),
        reference=found,
    )


def _names(context: RunContext, source: Source, report: ClusterReport) -> StoredNames:
    """The stored class names of the images, and of the clusters that have them."""
    settings = context.settings
    if not settings.decisions or settings.stage == "batch" or source.reference is not None:
        return StoredNames()
    files = set(report.files)
    paths = {ref.file: ref.path for ref in source.images if ref.file in files}
    stored = stored_labels(paths, settings.cache, settings.jobs)
    return names_of_run(stored, report.files, report.labels)


def _write(
    context: RunContext,
    destination: Destination,
    source: Source,
    clustering: Clustering,
    report: ClusterReport,
) -> ClusterReport:
    """Carry out the plan of the result; the completed report."""
    return ResultWriter(
        destination,
        source.images_of(clustering.files),
        clustering,
        report,
        context.settings,
        context.watch,
        context.console,
        context.keeper,
    ).write()

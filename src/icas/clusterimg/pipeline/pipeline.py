"""The story of a run on one page: scan, features, links, clusters, plan, transfer, tables."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from icas.cli.console import Console
from icas.clusterimg.cache.cache import open_cache
from icas.clusterimg.clustering.batches import Clustering, Stopwatch, cluster_batches
from icas.clusterimg.data.memory import MemoryBudget, default_memory
from icas.clusterimg.decisions.apply import Remembered, remembered
from icas.clusterimg.editing.resume import resume
from icas.clusterimg.features.extraction import Reading
from icas.clusterimg.pipeline.choices import (
    asked_linkage,
    asked_method,
    clusterer_of,
    look_over,
    look_over_both,
    new_store,
    picker_of,
    tell,
)
from icas.clusterimg.pipeline.source import Source, features_by_batch, read_source
from icas.clusterimg.pipeline.trained_network import with_trained_network
from icas.clusterimg.reference.clustering import ReferenceClustering, cluster_against
from icas.clusterimg.results.report import ClusterReport, make_report
from icas.clusterimg.results.saved import FeatureKeeper
from icas.clusterimg.results.write import write_result
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.transfer.destination import Destination, claimed
from icas.clusterimg.transfer.preflight import check_ways
from icas.io.sandbox import DECODERS
from icas.parallel.executors import start_workers


def cluster(
    src: str | Path, settings: ClusterSettings | None = None, console: Console | None = None
) -> ClusterReport:
    """Sort a folder of images into folders of similar images.

    Parameters
    ----------
    src : path
        A folder with images, or for ``stage="merge"`` a result of ``stage="batch"``.
    settings : ClusterSettings
    console : Console
        Where the run's words go; default nowhere.

    Raises
    ------
    UsageError
        The folder does not exist, or settings do not fit it.
    ConflictError
        The result folder is in use, or the plan cannot be carried out.
    IcasError
        There is nothing to cluster, or the disk fails.
    """
    settings, console = settings or ClusterSettings(), console or Console()
    source = Path(src)
    if settings.resume:
        done = resume(source, settings, console)
        if done is not None:
            return done
    root = settings.result_folder(source)
    mode = {"overwrite": settings.overwrite, "resume": settings.resume}
    if settings.dry_run:
        return _cluster(source, Destination.of(root, **mode), settings, console)
    with claimed(root, **mode) as destination:
        return _cluster(source, destination, settings, console)


def _cluster(
    source_folder: Path, destination: Destination, settings: ClusterSettings, console: Console
) -> ClusterReport:
    keeper, watch = FeatureKeeper(), Stopwatch()
    with watch.stage("scan"):
        source = read_source(source_folder, destination.root, settings)
        destination.check_spares(source.read)
        check_ways(source.images, destination.root, settings.transfer)
        known = _remembered(source, settings)
    if known:
        console.line(known.told())
    method = asked_method(source_folder, source, settings)
    settings = replace(settings, linkage=asked_linkage(method, source_folder, settings))
    clusterer_of(method, settings.threshold, settings)  # refused before a training
    method = with_trained_network(method, source_folder, settings, console)
    with (
        console.listening(),
        MemoryBudget(settings.memory or default_memory(), settings.scratch) as budget,
        open_cache(settings.cache, settings.cache_size) as cache,
        start_workers(settings.executor, settings.jobs, settings.scheduler) as workers,
        DECODERS,  # end before the workers, so that no thread waits for one
        console.bar(len(source.read), "features", "images") as bar,
    ):
        reading = Reading(
            method,
            workers,
            settings.max_pixels,
            settings.scale,
            bar,
            budget,
            cache,
            isolation=settings.isolation(),
        )
        picker = picker_of(source, settings, console)
        both = None
        if source.reference is None:
            folder, decision = look_over(reading, source, source_folder, settings, watch, picker)
        else:
            both, decision = look_over_both(reading, source, settings, watch, console, picker)
            folder = both.folder
        number, sample = (decision.threshold, decision.sample) if decision else (None, None)
        clusterer = clusterer_of(method, number, settings, sample)
        tell(clusterer, decision, console)
        parts = features_by_batch(clusterer, folder, source, settings, watch)
        clustering: Clustering
        if both is not None:
            assert number is not None  # with a reference there is no run without a threshold
            store = new_store(settings)
            clustering = cluster_against(parts, both, number, store, watch=watch, console=console)
        else:
            clustering = cluster_batches(
                clusterer,
                keeper.watch(parts),
                merge="none" if settings.stage == "batch" else settings.merge,
                workers=workers,
                watch=watch,
                console=console,
                budget=budget,
                constraints=known.constraints,
            )
    why = decision.why if decision is not None else ""
    if clusterer.reason:
        why = clusterer.reason
        console.line(f"grouped by {why}")
    if clusterer.candidates is not None:
        console.line(clusterer.candidates.words())
    clustering = replace(clustering, unreadable=(*clustering.unreadable, *source.unreadable))
    console.detail(reading.counts.words())
    report = make_report(clustering, clusterer, why, settings, source_folder, watch)
    report = replace(report, features=asdict(reading.counts), decisions=known.as_dict())
    report = replace(report, dst=destination.root, ignored=source.ignored, sample=sample)
    report = _with_reference(report, clustering)
    refs = {ref.file: ref for ref in source.images}
    images = [refs[file] for file in clustering.files]
    report = write_result(destination, images, clustering, report, settings, watch, console, keeper)
    if report.reference is not None:
        console.line(report.reference.words(len(report.files), written=report.written))
    return report


def _remembered(source: Source, settings: ClusterSettings) -> Remembered:
    """What was decided about the images; with a reference another question is asked."""
    if not settings.decisions or source.reference is not None:
        return Remembered()
    files = {ref.file: ref.path for ref in source.images}
    return remembered(files, settings.cache, settings.jobs)


def _with_reference(report: ClusterReport, clustering: Clustering) -> ClusterReport:
    """`report` with what was found in the reference, if there was one."""
    if not isinstance(clustering, ReferenceClustering):
        return report
    found = clustering.found
    return replace(report, reference=found, unreadable=(*report.unreadable, *found.unreadable))

"""The story of a run on one page: scan, features, links, clusters, plan, transfer, tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from icas.clusterimg.batches import default_batch_size, split
from icas.clusterimg.clustering import Stopwatch, cluster_batches
from icas.clusterimg.deep.model_grouping import ModelGrouping
from icas.clusterimg.deep.own_network import with_trained_network
from icas.clusterimg.extract import with_common_scale
from icas.clusterimg.features import FeatureSet, Unreadable
from icas.clusterimg.graph import Labels
from icas.clusterimg.grouping import Grouping, LinkGrouping, make_grouping
from icas.clusterimg.handmade import HandmadeBatch, earlier_run, read_batches
from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.base import Method
from icas.clusterimg.outcome import ClusterReport, make_report
from icas.clusterimg.output import Destination, write_result
from icas.clusterimg.reading import Reading
from icas.clusterimg.scan import ImageRef, scan
from icas.clusterimg.settings import ClusterSettings
from icas.common.errors import IcasError
from icas.common.executors import Workers, start_workers
from icas.common.progress import Console


@dataclass(frozen=True)
class Source:
    """What is to be clustered: images by batch, and what lies beside them."""

    batches: tuple[HandmadeBatch, ...] | None
    images: tuple[ImageRef, ...]
    unreadable: tuple[Unreadable, ...]
    ignored: tuple[str, ...]


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
    settings, console, watch = settings or ClusterSettings(), console or Console(), Stopwatch()
    source_folder = Path(src)
    destination = Destination.of(source_folder, settings)
    with watch.stage("scan"):
        source = _read_source(source_folder, destination.root, settings)
        destination.check_spares(source.images)
    method = _method(source_folder, source, settings)
    method = with_trained_network(method, source_folder, settings, console)
    grouping, why = _grouping(method, source_folder, settings)
    if isinstance(grouping, LinkGrouping):
        console.line(f"threshold {grouping.threshold:g}: {why}")
    with start_workers(settings.executor, settings.jobs, settings.scheduler) as workers:
        parts = _features_by_batch(grouping, source, settings, workers, watch, console)
        clustering = cluster_batches(
            grouping,
            parts,
            merge="none" if settings.stage == "batch" else settings.merge,
            workers=workers,
            watch=watch,
            console=console,
        )
    if isinstance(grouping, ModelGrouping):
        why = grouping.told()
        console.line(f"grouped by {why}")
    clustering = replace(clustering, unreadable=(*clustering.unreadable, *source.unreadable))
    report = make_report(clustering, grouping, why, settings, source_folder, watch)
    report = replace(report, dst=destination.root, ignored=source.ignored)
    refs = {ref.file: ref for ref in source.images}
    images = [refs[file] for file in clustering.files]
    return write_result(destination, images, clustering, report, settings, watch, console)


def _read_source(folder: Path, result: Path, settings: ClusterSettings) -> Source:
    if settings.stage == "merge":
        batches = tuple(read_batches(folder))
        images = tuple(ref for batch in batches for ref in batch.images)
        unreadable = tuple(one for batch in batches for one in batch.unreadable)
        source = Source(batches, images, unreadable, ())
    else:
        found = scan(folder, recursive=settings.recursive, exclude=result)
        source = Source(None, found.images, found.unreadable, found.ignored)
    if not source.images:
        hint = "" if settings.recursive else " (--recursive goes into sub-folders)"
        raise IcasError(f"no images in {folder}{hint}")
    return source


def _method(folder: Path, source: Source, settings: ClusterSettings) -> Method:
    """The method that is asked for; after a batch stage the one that it had."""
    told = earlier_run(folder) if settings.stage == "merge" else {}
    method = _earlier_method(told) if told and settings.method is None else settings.make_method()
    if settings.scale is not None:
        method = with_common_scale(method, source.images, settings.scale, settings.max_pixels)
    return method


def _grouping(method: Method, folder: Path, settings: ClusterSettings) -> tuple[Grouping, str]:
    """How images are grouped, and why by that threshold."""
    threshold, why = settings.threshold, "as given"
    if not isinstance(threshold, (int, float)):
        told = earlier_run(folder) if settings.stage == "merge" else {}
        earlier = told.get("threshold") if told.get("method") == method.name else None
        why = f"auto, the default that was measured for {method.name}; --threshold sets another"
        if threshold is None and earlier is not None:
            threshold, why = float(earlier), "as in the batch stage"
    return make_grouping(method, threshold), why


def _earlier_method(told: Mapping[str, Any]) -> Method:
    """The method of the batch stage, with the options that it had."""
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in told.get("options", {}).items()
    }
    return make_method(str(told["method"]), **options)


def _features_by_batch(
    grouping: Grouping,
    source: Source,
    settings: ClusterSettings,
    workers: Workers,
    watch: Stopwatch,
    console: Console,
) -> Iterator[tuple[FeatureSet, Labels | None]]:
    """Features of each batch in turn, with its clusters where they were made by hand."""
    with console.bar(len(source.images), "features", "images") as bar:
        with watch.stage("features"):
            batches = list(_batches(grouping, source, settings))
            reading = Reading(grouping.method, workers, settings.max_pixels, settings.scale, bar)
            folder = reading.look_over(source.images, settings.seed)
        for images, given in batches:
            with watch.stage("features"):
                features = folder.features(images)
            if given is not None and features.unreadable:
                read = set(features.files)
                given = given[[ref.file in read for ref in images]]
            yield features, given


def _batches(
    grouping: Grouping, source: Source, settings: ClusterSettings
) -> Iterator[tuple[tuple[ImageRef, ...], Labels | None]]:
    if source.batches is not None:
        for batch in source.batches:
            yield batch.images, batch.labels
        return
    count = len(source.images)
    size = settings.batch_size or default_batch_size(grouping.method)
    if settings.merge == "exact" and isinstance(grouping, ModelGrouping):
        size = count  # models know no pairs: what one big batch gives is had from one alone
    for part in split(count, size):
        yield source.images[part], None

"""The story of a run on one page: scan, features, links, clusters, plan, transfer, tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from icas.clusterimg.auto import AutoChoice
from icas.clusterimg.batches import default_batch_size, split
from icas.clusterimg.both_sides import BothSides
from icas.clusterimg.cache import open_cache
from icas.clusterimg.clustering import Clustering, Stopwatch, cluster_batches
from icas.clusterimg.deciding import Decision, Picker, decide, sample_size
from icas.clusterimg.deep.model_grouping import ModelGrouping
from icas.clusterimg.deep.own_network import with_trained_network
from icas.clusterimg.destination import Destination, claimed
from icas.clusterimg.extract import with_common_scale
from icas.clusterimg.features import FeatureSet, Unreadable
from icas.clusterimg.graph import Labels
from icas.clusterimg.grouping import Grouping, LinkGrouping, make_grouping
from icas.clusterimg.handmade import HandmadeBatch, earlier_run, read_batches
from icas.clusterimg.kept import FeatureKeeper, method_of_run
from icas.clusterimg.link_store import LinkStore
from icas.clusterimg.linkage import LinkageGrouping
from icas.clusterimg.memory import MemoryBudget, default_memory
from icas.clusterimg.methods.base import GroupedByModels, Method
from icas.clusterimg.on_device import on_device
from icas.clusterimg.outcome import ClusterReport, make_report
from icas.clusterimg.output import write_result
from icas.clusterimg.reading import LookedOver, Reading
from icas.clusterimg.reference import Reference, apart, read_reference
from icas.clusterimg.reference_clustering import ReferenceClustering, cluster_against
from icas.clusterimg.remembered import Remembered, remembered
from icas.clusterimg.resuming import resume
from icas.clusterimg.sample import Sample
from icas.clusterimg.scan import ImageRef, scan
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.ways import check_ways
from icas.common.errors import IcasError
from icas.common.executors import start_workers
from icas.common.progress import Console


@dataclass(frozen=True)
class Source:
    """What is to be clustered: images by batch, and what lies beside them."""

    batches: tuple[HandmadeBatch, ...] | None
    images: tuple[ImageRef, ...]
    unreadable: tuple[Unreadable, ...]
    ignored: tuple[str, ...]
    reference: Reference | None = None

    @property
    def read(self) -> tuple[ImageRef, ...]:
        """All images that are read, those of the reference last."""
        return self.images if self.reference is None else (*self.images, *self.reference.images)


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
    if settings.dry_run:
        return _cluster(source, Destination.of(source, settings), settings, console)
    with claimed(source, settings) as destination:
        return _cluster(source, destination, settings, console)


def _cluster(
    source_folder: Path, destination: Destination, settings: ClusterSettings, console: Console
) -> ClusterReport:
    keeper, watch = FeatureKeeper(), Stopwatch()
    with watch.stage("scan"):
        source = _read_source(source_folder, destination.root, settings)
        destination.check_spares(source.read)
        check_ways(source.images, destination.root, settings.transfer)
        known = _remembered(source, settings)
    if known:
        console.line(known.told())
    method = _method(source_folder, source, settings)
    settings = replace(settings, linkage=_linkage(method, source_folder, settings))
    _asked_grouping(method, settings.threshold, settings)  # told before a training
    method = with_trained_network(method, source_folder, settings, console)
    with (
        console.listening(),
        MemoryBudget(settings.memory or default_memory(), settings.scratch) as budget,
        open_cache(settings.cache, settings.cache_size) as cache,
        start_workers(settings.executor, settings.jobs, settings.scheduler) as workers,
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
        picker = _picker(source, settings, console)
        both = None
        if source.reference is None:
            folder, decision = _looked_over(reading, source, source_folder, settings, watch, picker)
        else:
            both, decision = _looked_over_both(reading, source, settings, watch, console, picker)
            folder = both.folder
        grouping = _grouping(method, decision, settings)
        _tell(grouping, decision, console)
        parts = _features_by_batch(grouping, folder, source, settings, watch)
        clustering: Clustering
        if both is not None:
            assert isinstance(grouping, LinkGrouping)  # the settings allow nothing else
            clustering = cluster_against(grouping, parts, both, watch=watch, console=console)
        else:
            clustering = cluster_batches(
                grouping,
                keeper.watch(parts),
                merge="none" if settings.stage == "batch" else settings.merge,
                workers=workers,
                watch=watch,
                console=console,
                budget=budget,
                constraints=known.constraints,
            )
    why = decision.why if decision is not None else ""
    if isinstance(grouping, ModelGrouping):
        why = grouping.told()
        console.line(f"grouped by {why}")
    if isinstance(grouping, LinkGrouping) and grouping.candidates is not None:
        console.line(grouping.candidates.words())
    clustering = replace(clustering, unreadable=(*clustering.unreadable, *source.unreadable))
    console.detail(reading.counts.words())
    report = make_report(clustering, grouping, why, settings, source_folder, watch)
    report = replace(report, features=asdict(reading.counts), decisions=known.as_dict())
    sample = decision.sample if decision is not None else None
    report = replace(report, dst=destination.root, ignored=source.ignored, sample=sample)
    report = _with_reference(report, clustering)
    refs = {ref.file: ref for ref in source.images}
    images = [refs[file] for file in clustering.files]
    report = write_result(destination, images, clustering, report, settings, watch, console, keeper)
    if report.reference is not None:
        console.line(report.reference.words(len(report.files), written=report.written))
    return report


def _read_source(folder: Path, result: Path, settings: ClusterSettings) -> Source:
    if settings.stage == "merge":
        batches = tuple(read_batches(folder))
        images = tuple(ref for batch in batches for ref in batch.images)
        unreadable = tuple(one for batch in batches for one in batch.unreadable)
        source = Source(batches, images, unreadable, ())
    else:
        found = scan(folder, recursive=settings.recursive, exclude=result)
        reference = None
        if settings.reference is not None:
            reference = read_reference(
                settings.reference, recursive=settings.recursive, exclude=result
            )
            found, reference = apart(folder, found, reference)
        source = Source(None, found.images, found.unreadable, found.ignored, reference)
    if not source.images:
        hint = "" if settings.recursive else " (--recursive goes into sub-folders)"
        raise IcasError(f"no images in {folder}{hint}")
    return source


def _remembered(source: Source, settings: ClusterSettings) -> Remembered:
    """What was decided about the images; with a reference another question is asked."""
    if not settings.decisions or source.reference is not None:
        return Remembered()
    files = {ref.file: ref.path for ref in source.images}
    return remembered(files, settings.cache, settings.jobs)


def _method(folder: Path, source: Source, settings: ClusterSettings) -> Method:
    """The method that is asked for; after a batch stage the one that it had."""
    told = earlier_run(folder) if settings.stage == "merge" else {}
    method = method_of_run(told) if told and settings.method is None else settings.make_method()
    if settings.scale is not None:
        method = with_common_scale(
            method, source.read, settings.scale, settings.max_pixels, settings.isolation()
        )
    if source.reference is not None and isinstance(method, GroupedByModels):
        method = method.by_links()
    return on_device(method, settings.device)


def _looked_over(
    reading: Reading,
    source: Source,
    source_folder: Path,
    settings: ClusterSettings,
    watch: Stopwatch,
    picker: Picker | None,
) -> tuple[LookedOver, Decision | None]:
    """The folder, looked over; and the threshold, None where models group the images."""
    method = reading.method
    grouping = _asked_grouping(method, settings.threshold, settings)
    if isinstance(grouping, ModelGrouping):
        with watch.stage("features"):
            return reading.look_over(source.images, settings.seed), None
    number, why = _number(method, source_folder, settings)
    wanted = number is None or settings.report
    size = (settings.sample or sample_size(method)) if wanted else None
    with watch.stage("features"):
        folder = reading.look_over(source.images, settings.seed, size)
    sample = None
    if size is not None:
        with watch.stage("links"):
            chosen = folder.sample(size, settings.seed)
            sample = Sample.of(method, chosen, len(source.images), reading.workers)
    return folder, decide(method, number, sample, why, picker)


def _looked_over_both(
    reading: Reading,
    source: Source,
    settings: ClusterSettings,
    watch: Stopwatch,
    console: Console,
    picker: Picker | None,
) -> tuple[BothSides, Decision]:
    """Source and reference, looked over, and the threshold between them."""
    method, reference = reading.method, source.reference
    assert reference is not None
    for note in reference.notes:
        console.line(note)
    number, why = _number(method, Path(), settings)
    size = (settings.sample or sample_size(method)) if number is None else None
    with watch.stage("features"):
        both = BothSides.read(reading, source.images, reference, settings.seed, size)
    sample = None
    if size is not None:
        with watch.stage("links"):
            sample = both.sample(size, settings.seed)
    # The sample is of both sides, so the report can tell nothing of the source by it.
    return both, replace(decide(method, number, sample, why, picker), sample=None)


def _with_reference(report: ClusterReport, clustering: Clustering) -> ClusterReport:
    """`report` with what was found in the reference, if there was one."""
    if not isinstance(clustering, ReferenceClustering):
        return report
    found = clustering.found
    return replace(report, reference=found, unreadable=(*report.unreadable, *found.unreadable))


def _picker(source: Source, settings: ClusterSettings, console: Console) -> Picker | None:
    """What asks a person for the threshold, where that is wanted."""
    if settings.threshold != "pick":
        return None
    from icas.clusterimg.picker import pick

    def ask(sample: Sample, suggested: AutoChoice) -> float:
        return pick(
            sample,
            source.read,
            suggested.threshold,
            console,
            max_pixels=settings.max_pixels,
            isolation=settings.isolation(),
        )

    return ask


def _number(
    method: Method, source_folder: Path, settings: ClusterSettings
) -> tuple[float | None, str]:
    """The threshold if it is settled before the folder is looked at, and why that one."""
    if isinstance(settings.threshold, (int, float)):
        return float(settings.threshold), "as given"
    told = earlier_run(source_folder) if settings.stage == "merge" else {}
    earlier = told.get("threshold") if told.get("method") == method.name else None
    if settings.threshold is None and earlier is not None:
        return float(earlier), "as in the batch stage"
    return None, ""


def _asked_grouping(
    method: Method, threshold: float | str | None, settings: ClusterSettings
) -> Grouping:
    return make_grouping(
        method,
        threshold,
        settings.linkage or "chain",
        candidates=settings.candidates,
        seed=settings.seed,
    )


def _grouping(method: Method, decision: Decision | None, settings: ClusterSettings) -> Grouping:
    threshold = None if decision is None else decision.threshold
    grouping = _asked_grouping(method, threshold, settings)
    if decision is None or not isinstance(grouping, LinkGrouping):
        return grouping
    held = LinkStore.most_within(settings.memory or default_memory())
    store = partial(LinkStore, held, settings.scratch)
    return replace(grouping, known=decision.sample, new_store=store)


def _tell(grouping: Grouping, decision: Decision | None, console: Console) -> None:
    """Say which threshold is used and why."""
    if decision is not None:
        console.line(f"threshold {decision.threshold:g}: {decision.why}")
        if decision.tight is not None:
            console.line(
                f"threshold {decision.tight:g} would link only what is far more alike than the rest"
            )
    if isinstance(grouping, LinkageGrouping):
        console.line(f"linkage {grouping.linkage}: what links join is parted by it")


def _linkage(method: Method, folder: Path, settings: ClusterSettings) -> str:
    """The linkage that is asked for; after a batch stage by the same method the one it had."""
    if settings.linkage is not None or settings.stage != "merge":
        return settings.linkage or "chain"
    told = earlier_run(folder)
    earlier = told.get("settings", {}).get("linkage") if told.get("method") == method.name else None
    return earlier or "chain"


def _features_by_batch(
    grouping: Grouping,
    folder: LookedOver,
    source: Source,
    settings: ClusterSettings,
    watch: Stopwatch,
) -> Iterator[tuple[FeatureSet, Labels | None]]:
    """Features of each batch in turn, with its clusters where they were made by hand."""
    for images, given in _batches(grouping, source, settings):
        with watch.stage("features"):
            features = folder.features(images)
        if given is not None and features.unreadable:
            read = set(features.files)
            given = given[[ref.file in read for ref in images]]
        yield features, given
        del features  # or it would stay in memory while the next is made


def _batches(
    grouping: Grouping, source: Source, settings: ClusterSettings
) -> Iterator[tuple[tuple[ImageRef, ...], Labels | None]]:
    if source.batches is not None:
        for batch in source.batches:
            yield batch.images, batch.labels
        return
    count = len(source.images)
    size = settings.batch_size or default_batch_size(grouping.method)
    if settings.merge == "exact" and isinstance(grouping, (ModelGrouping, LinkageGrouping)):
        size = count  # what one big batch gives is had from one alone: links do not decide it
    for part in split(count, size):
        yield source.images[part], None

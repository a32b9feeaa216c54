"""How a run groups its images: method, threshold and linkage, as asked for or as found."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from icas.cli.console import Console
from icas.clusterimg.clustering.base import Clusterer
from icas.clusterimg.clustering.batches import Stopwatch
from icas.clusterimg.clustering.linkages import DEFAULT_LINKAGE, make_clusterer
from icas.clusterimg.data.memory import default_memory
from icas.clusterimg.data.spill import LinkStore
from icas.clusterimg.features.extraction import LookedOver, Reading
from icas.clusterimg.features.inputs import with_common_scale
from icas.clusterimg.methods import on_device
from icas.clusterimg.methods.base import Method
from icas.clusterimg.pipeline.source import Source
from icas.clusterimg.reference.sample import BothSides
from icas.clusterimg.results.saved import method_of_run
from icas.clusterimg.results.tables import earlier_run
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.thresholds.auto import AutoChoice
from icas.clusterimg.thresholds.choose import Decision, Picker, decide
from icas.clusterimg.thresholds.sample import Sample


def asked_method(folder: Path, source: Source, settings: ClusterSettings) -> Method:
    """The method that is asked for; after a batch stage the one that it had."""
    told = earlier_run(folder) if settings.stage == "merge" else {}
    method = method_of_run(told) if told and settings.method is None else settings.make_method()
    if settings.scale is not None:
        method = with_common_scale(
            method, source.read, settings.scale, settings.max_pixels, settings.isolation()
        )
    if source.reference is not None:
        method = method.by_links()
    return on_device(method, settings.device)


def asked_linkage(method: Method, folder: Path, settings: ClusterSettings) -> str:
    """The linkage that is asked for; after a batch stage by the same method the one it had."""
    if settings.linkage is not None or settings.stage != "merge":
        return settings.linkage or DEFAULT_LINKAGE
    told = earlier_run(folder)
    earlier = told.get("settings", {}).get("linkage") if told.get("method") == method.name else None
    return earlier or DEFAULT_LINKAGE


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


def clusterer_of(
    method: Method,
    threshold: float | str | None,
    settings: ClusterSettings,
    sample: Sample | None = None,
) -> Clusterer:
    """The clusterer of `settings` at `threshold`; the pairs of `sample` are compared already."""
    return make_clusterer(
        method,
        threshold,
        settings.linkage or DEFAULT_LINKAGE,
        candidates=settings.candidates,
        seed=settings.seed,
        known=sample,
        new_store=partial(new_store, settings),
    )


def new_store(settings: ClusterSettings) -> LinkStore:
    """A store of links that keeps to the memory of the run."""
    held = LinkStore.most_within(settings.memory or default_memory())
    return LinkStore(held, settings.scratch)


def picker_of(source: Source, settings: ClusterSettings, console: Console) -> Picker | None:
    """What asks a person for the threshold, where that is wanted."""
    if settings.threshold != "pick":
        return None
    from icas.clusterimg.picker.pick import pick

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


def look_over(
    reading: Reading,
    source: Source,
    source_folder: Path,
    settings: ClusterSettings,
    watch: Stopwatch,
    picker: Picker | None,
) -> tuple[LookedOver, Decision | None]:
    """The folder, looked over; and the threshold, None where models group the images."""
    method = reading.method
    if clusterer_of(method, settings.threshold, settings).threshold is None:
        with watch.stage("features"):
            return reading.look_over(source.images, settings.seed), None
    number, why = _number(method, source_folder, settings)
    wanted = number is None or settings.report
    size = (settings.sample or method.sample_size) if wanted else None
    with watch.stage("features"):
        folder = reading.look_over(source.images, settings.seed, size)
    sample = None
    if size is not None:
        with watch.stage("links"):
            chosen = folder.sample(size, settings.seed)
            sample = Sample.of(method, chosen, len(source.images), reading.workers)
    return folder, decide(method, number, sample, why, picker)


def look_over_both(
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
    size = (settings.sample or method.sample_size) if number is None else None
    with watch.stage("features"):
        both = BothSides.read(reading, source.images, reference, settings.seed, size)
    sample = None
    if size is not None:
        with watch.stage("links"):
            sample = both.sample(size, settings.seed)
    # The sample is of both sides, so the report can tell nothing of the source by it.
    return both, replace(decide(method, number, sample, why, picker), sample=None)


def tell(clusterer: Clusterer, decision: Decision | None, console: Console) -> None:
    """Say which threshold is used and why."""
    if decision is not None:
        console.line(f"threshold {decision.threshold:g}: {decision.why}")
        if decision.tight is not None:
            console.line(
                f"threshold {decision.tight:g} would link only what is far more alike than the rest"
            )
    if clusterer.description:
        console.line(clusterer.description)

"""The method, linkage and threshold of a run: as given, as in its batch stage, or as found."""

from __future__ import annotations

from dataclasses import dataclass, replace

from icas.clusterimg.clustering.base import Clusterer
from icas.clusterimg.clustering.linkages import DEFAULT_LINKAGE
from icas.clusterimg.features.extraction import LookedOver, Reading
from icas.clusterimg.features.inputs import with_common_scale
from icas.clusterimg.methods import on_device
from icas.clusterimg.methods.base import Method
from icas.clusterimg.pipeline.context import RunContext
from icas.clusterimg.pipeline.source import Source
from icas.clusterimg.reference.sample import ReferenceFeatures
from icas.clusterimg.results.saved import method_of_run
from icas.clusterimg.thresholds.auto import ThresholdChoice
from icas.clusterimg.thresholds.choose import Picker, choose_threshold
from icas.clusterimg.thresholds.sample import Sample


def choose_method(context: RunContext, source: Source) -> Method:
    """The method of the settings; when batches are merged that of the batch stage."""
    settings, earlier = context.settings, context.batch_stage
    if earlier and settings.method is None:
        method = method_of_run(earlier)
    else:
        method = settings.make_method()
    if settings.scale is not None:
        method = with_common_scale(
            method, source.read, settings.scale, settings.max_pixels, settings.isolation()
        )
    if source.reference is not None:
        method = method.by_links()
    return on_device(method, settings.device)


def with_linkage(context: RunContext, method: Method) -> RunContext:
    """The linkage of the settings; when batches of the same method are merged their linkage."""
    settings, earlier = context.settings, context.batch_stage
    linkage = settings.linkage
    if linkage is None and earlier.get("method") == method.name:
        linkage = earlier.get("settings", {}).get("linkage")
    return replace(context, settings=replace(settings, linkage=linkage or DEFAULT_LINKAGE))


@dataclass(frozen=True)
class Survey:
    """What is known of the images before they are clustered."""

    images: LookedOver  # gives features batch by batch
    choice: ThresholdChoice | None  # None where models cluster the images
    reference: ReferenceFeatures | None = None

    @property
    def threshold(self) -> float | None:
        return None if self.choice is None else self.choice.threshold

    @property
    def sample(self) -> Sample | None:
        return None if self.choice is None else self.choice.sample


def survey(context: RunContext, reading: Reading, source: Source) -> Survey:
    """Read what the choice of the threshold needs, and choose it."""
    settings, watch, method = context.settings, context.watch, reading.method
    if context.clusterer(method, settings.threshold).threshold is None:
        with watch.stage("features"):
            return Survey(reading.look_over(source.images, settings.seed), None)
    for note in source.reference.notes if source.reference is not None else ():
        context.console.line(note)
    number, reason = _given_threshold(context, method)
    wanted = number is None or (settings.report and source.reference is None)
    size = (settings.sample or method.sample_size) if wanted else None
    reference = sample = None
    with watch.stage("features"):
        if source.reference is None:
            images = reading.look_over(source.images, settings.seed, size)
        else:
            reference = ReferenceFeatures.read(
                reading, source.images, source.reference, settings.seed, size
            )
            images = reference.images
    if size is not None:
        with watch.stage("links"):
            if reference is None:
                drawn = images.sample(size, settings.seed)
                sample = Sample.of(method, drawn, len(source.images), reading.workers)
            else:
                sample = reference.sample(size, settings.seed)
    choice = choose_threshold(method, number, sample, reason, _picker(context, source))
    if reference is not None:  # its sample is of both folders, so it describes none of them
        choice = replace(choice, sample=None)
    return Survey(images, choice, reference)


def _given_threshold(context: RunContext, method: Method) -> tuple[float | None, str]:
    """The threshold if it is known before any image is read, and why that one."""
    threshold, earlier = context.settings.threshold, context.batch_stage
    if isinstance(threshold, (int, float)):
        return float(threshold), "as given"
    if threshold is None and earlier.get("method") == method.name:
        number = earlier.get("threshold")
        if number is not None:
            return float(number), "as in the batch stage"
    return None, ""


def _picker(context: RunContext, source: Source) -> Picker | None:
    """Lets the user choose the threshold, if the settings say so."""
    settings = context.settings
    if settings.threshold != "pick":
        return None
    from icas.clusterimg.picker.pick import pick

    def ask(sample: Sample, suggested: float) -> float:
        return pick(
            sample,
            source.read,
            suggested,
            context.console,
            max_pixels=settings.max_pixels,
            isolation=settings.isolation(),
        )

    return ask


def describe(context: RunContext, clusterer: Clusterer, choice: ThresholdChoice | None) -> None:
    """Print which threshold and linkage are used, and why."""
    console = context.console
    if choice is not None:
        console.line(f"threshold {choice.threshold:g}: {choice.reason}")
        if choice.tight is not None:
            console.line(
                f"threshold {choice.tight:g} would link only what is far more alike than the rest"
            )
    if clusterer.description:
        console.line(clusterer.description)

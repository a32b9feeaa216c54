"""The run context, and the steps of a run: method, network, linkage, features, threshold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from icas.cli.console import Console
from icas.clusterimg.cache.cache import open_cache
from icas.clusterimg.clustering.base import Clusterer
from icas.clusterimg.clustering.batches import Stopwatch
from icas.clusterimg.clustering.linkages import DEFAULT_LINKAGE, make_clusterer
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.data.links import LinkStore
from icas.clusterimg.data.memory import MemoryBudget, default_memory
from icas.clusterimg.features.extraction import FolderFeatures, Reading
from icas.clusterimg.features.inputs import with_common_scale
from icas.clusterimg.methods import choose, is_auto, on_device
from icas.clusterimg.methods.base import Method
from icas.clusterimg.methods.deep import Deep
from icas.clusterimg.pipeline.source import Source
from icas.clusterimg.reference.clustering import ReferenceFeatures
from icas.clusterimg.results.saved import FeatureKeeper, earlier_run, method_of_run
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.thresholds.auto import Picker, ThresholdChoice, choose_threshold
from icas.clusterimg.thresholds.sample import Sample
from icas.clusterimg.training.checkpoints import checkpoint_path
from icas.clusterimg.training.report import TrainReport
from icas.clusterimg.training.settings import TrainSettings
from icas.clusterimg.transfer.destination import Destination, claimed
from icas.common.errors import UsageError
from icas.common.registry import need
from icas.io.files import beside
from icas.io.sandbox import DECODERS
from icas.parallel.executors import start_workers

MOST_SECONDS, CORES = 60, 2
"""Time for all pairs, on so many cores, above which `--method auto` uses candidates.

By the cores of a common machine, so that the clusters do not depend on those of this one.
"""
CANDIDATES = 50
"""Candidates per image that `--method auto` uses."""


@dataclass(frozen=True)
class RunContext:
    """Settings of a run, where it reports to, and its clock."""

    source: Path  # folder of images, or for ``--stage merge`` a result of ``--stage batch``
    settings: ClusterSettings
    console: Console
    files: Sequence[Path] | None = None  # the images to cluster; None = all of the source
    watch: Stopwatch = field(default_factory=Stopwatch)
    # features that are saved for a later recut
    keeper: FeatureKeeper = field(default_factory=FeatureKeeper)

    @property
    def batch_stage(self) -> dict[str, Any]:
        """``run.json`` of the batch stage that is merged; empty in other runs."""
        return earlier_run(self.source) if self.settings.stage == "merge" else {}

    @contextmanager
    def destination(self) -> Iterator[Destination]:
        """The result folder, locked for this process but in a dry run."""
        settings = self.settings
        root = settings.result_folder(self.source)
        mode = {"overwrite": settings.overwrite, "resume": settings.resume}
        with (
            nullcontext(Destination.of(root, **mode))
            if settings.dry_run
            else claimed(root, **mode) as destination
        ):
            yield destination

    @contextmanager
    def reading(self, method: Method, images: Sequence[ImageRef]) -> Iterator[Reading]:
        """Workers, memory, cache and progress bar for features of `images`."""
        settings, console = self.settings, self.console
        with (
            console.show_logging(),
            MemoryBudget(settings.memory or default_memory(), settings.scratch) as budget,
            open_cache(settings.cache, settings.cache_size) as cache,
            start_workers(settings.executor, settings.jobs, settings.scheduler) as workers,
            DECODERS,  # end before the workers, so that no thread waits for one
            console.bar(len(images), "features", "images") as bar,
        ):
            yield Reading(
                method,
                workers,
                settings.max_pixels,
                settings.scale,
                bar,
                budget,
                cache,
                isolation=settings.isolation(),
            )

    def link_store(self) -> LinkStore:
        """A store of links within the memory of the run."""
        held = LinkStore.most_within(self.settings.memory or default_memory())
        return LinkStore(held, self.settings.scratch)

    def clusterer(
        self, method: Method, threshold: float | str | None, sample: Sample | None = None
    ) -> Clusterer:
        """The clusterer at a threshold; the pairs of `sample` are compared already."""
        return make_clusterer(
            method,
            threshold,
            self.settings.linkage or DEFAULT_LINKAGE,
            candidates=self.settings.candidates,
            seed=self.settings.seed,
            known=sample,
            new_store=self.link_store,
        )


def choose_method(context: RunContext, source: Source) -> Method:
    """The method of the settings; when batches are merged that of the batch stage."""
    settings, earlier = context.settings, context.batch_stage
    of_batches = earlier and settings.takes_earlier_method
    method = method_of_run(earlier) if of_batches else _method_of(context)
    if settings.scale is not None:
        method = with_common_scale(
            method, source.read, settings.scale, settings.max_pixels, settings.isolation()
        )
    if source.reference is not None:
        method = method.by_links()
    return on_device(method, settings.device)


def _method_of(context: RunContext) -> Method:
    """The method of the settings, with an installed network if there is no trained one."""
    settings, console = context.settings, context.console
    if is_auto(settings.method_name):
        for line in choose(settings.options).lines():
            console.line(line)
    method = settings.make_method()
    if _trained_network(context.source).exists():
        return method
    installed = method.with_installed_weights()
    if installed is not method:
        console.line(f"using the installed network {cast(Deep, installed).weights}")
    return installed


def _trained_network(folder: Path) -> Path:
    """The file of the network trained on a folder, beside it."""
    return beside(folder, "_model.pt")


def with_candidates(context: RunContext, method: Method, source: Source) -> RunContext:
    """Candidates where the method is chosen automatically and all pairs would take too long."""
    settings, count, earlier = context.settings, len(source.images), context.batch_stage
    if not is_auto(settings.method_name):
        return context
    if settings.candidates is not None or settings.reference is not None:
        return context
    pairs = count * (count - 1) // 2
    most = earlier["settings"].get("candidates") if earlier else candidates_for(method, pairs)
    if most is None:
        return context
    reason = "as in the batch stage"
    if not earlier:
        reason = f"because comparing all pairs of {count} images takes over a minute"
    context.console.line(f"candidates: {most} per image, {reason}")
    return replace(context, settings=replace(settings, candidates=most))


def candidates_for(method: Method, pairs: int) -> int | None:
    """Candidates per image where comparing so many pairs takes over a minute."""
    method = method.extractor
    seconds = method.seconds_per_pair * pairs / CORES
    return CANDIDATES if seconds > MOST_SECONDS and method.sketched else None


def with_linkage(context: RunContext, method: Method) -> RunContext:
    """The linkage of the settings; when batches of the same method are merged their linkage."""
    settings, earlier = context.settings, context.batch_stage
    linkage = settings.linkage
    if linkage is None and earlier.get("method") == method.name:
        linkage = earlier.get("settings", {}).get("linkage")
    return replace(context, settings=replace(settings, linkage=linkage or DEFAULT_LINKAGE))


@dataclass(frozen=True)
class Survey:
    """Features, sample and threshold before clustering."""

    images: FolderFeatures  # gives features batch by batch
    choice: ThresholdChoice | None  # None where models cluster the images
    reference: ReferenceFeatures | None = None

    @property
    def threshold(self) -> float | None:
        return None if self.choice is None else self.choice.threshold

    @property
    def sample(self) -> Sample | None:
        return None if self.choice is None else self.choice.sample


def survey_images(context: RunContext, reading: Reading, source: Source) -> Survey:
    """Read what the choice of the threshold needs, and choose it."""
    settings, watch, method = context.settings, context.watch, reading.method
    if context.clusterer(method, settings.threshold).threshold is None:
        with watch.stage("features"):
            return Survey(reading.scan_features(source.images, settings.seed), None)
    for note in source.reference.notes if source.reference is not None else ():
        context.console.line(note)
    number, reason = _given_threshold(context, method)
    wanted = number is None or (settings.report and source.reference is None)
    size = (settings.sample or method.sample_size) if wanted else None
    reference = sample = None
    with watch.stage("features"):
        if source.reference is None:
            images = reading.scan_features(source.images, settings.seed, size)
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
        console.line(f"threshold {choice.threshold:g} ({choice.reason})")
    if clusterer.description:
        console.line(clusterer.description)


def with_trained_network(context: RunContext, method: Method) -> Method:
    """`method` with a network trained on the source folder, if it has none yet.

    The network is ``<folder>_model.pt`` beside the folder. An existing one is used; a training that
    was stopped is continued. A dry run leaves no file. Settings are checked before the training.
    """
    if not method.needs_training:
        return method
    method = cast(Deep, method)
    settings, folder, console = context.settings, context.source, context.console
    if settings.stage == "merge":
        raise UsageError("--stage merge with method 'deep' needs --model or --weights")
    out = _trained_network(folder)
    if out.exists():
        console.line(f"using the trained network {out}")
        return replace(method, weights=out)
    need("method 'deep'", "deep", "torch", "sklearn")
    if isinstance(settings.threshold, (int, float)):
        method.by_links()
    given = _train_settings(out, method, settings)
    console.line(
        f"plan: no --model given and no {out} yet, train a network on the images first"
        + (" (not kept after this dry run)" if settings.dry_run else f" -> {out}")
    )
    if not settings.dry_run:
        console.line(f"trained: {_train(folder, given, console).summary()}")
        return replace(method, weights=out)
    with TemporaryDirectory() as scratch:
        out = Path(scratch, "model.pt")
        report = _train(folder, replace(given, out=out, resume=False), console)
        console.line(
            f"trained: {report.images} images, {len(report.curve)} epochs,"
            f" loss {report.best.judged:.4g}"
        )
        from icas.clusterimg.networks.model_files import load_autoencoder

        network, _ = load_autoencoder(out)
        grid = method.model_grid()
        by_links = isinstance(settings.threshold, (int, float))
        kinds = None if grid is None or by_links else grid.kinds
        return replace(method, model=network, cluster_model=kinds)


def _train_settings(out: Path, method: Deep, settings: ClusterSettings) -> TrainSettings:
    width, height = method.size or (TrainSettings.size, TrainSettings.size)
    if width != height:
        raise UsageError(f"--size {width}x{height}: training needs square images, such as 64x64")
    shared = ("recursive", "max_pixels", "decode_timeout", "jobs")
    return TrainSettings(
        out=out,
        size=width,
        device=method.device,
        seed=method.seed,
        isolate=settings.isolation() is not None,
        resume=checkpoint_path(out).exists(),
        **{name: getattr(settings, name) for name in shared},
    )


def _train(folder: Path, given: TrainSettings, console: Console) -> TrainReport:
    from icas.clusterimg.training.train import train

    return train(folder, given, replace(console, warnings=False))  # the run lists unreadable images

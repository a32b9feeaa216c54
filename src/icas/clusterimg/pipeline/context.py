"""What all steps of one run share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.clusterimg.cache.cache import open_cache
from icas.clusterimg.clustering.base import Clusterer
from icas.clusterimg.clustering.batches import Stopwatch
from icas.clusterimg.clustering.linkages import DEFAULT_LINKAGE, make_clusterer
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.data.memory import MemoryBudget, default_memory
from icas.clusterimg.data.spill import LinkStore
from icas.clusterimg.features.extraction import Reading
from icas.clusterimg.methods.base import Method
from icas.clusterimg.results.saved import FeatureKeeper
from icas.clusterimg.results.tables import earlier_run
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.thresholds.sample import Sample
from icas.clusterimg.transfer.destination import Destination, claimed
from icas.io.sandbox import DECODERS
from icas.parallel.executors import start_workers


@dataclass(frozen=True)
class RunContext:
    """Settings of a run, where it reports to, and its clock."""

    source: Path  # folder of images, or for ``--stage merge`` a result of ``--stage batch``
    settings: ClusterSettings
    console: Console
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

"""What a run is to cluster: the images of a folder, or of batch folders, and their features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from icas.clusterimg.batches import default_batch_size, split
from icas.clusterimg.clustering import Stopwatch
from icas.clusterimg.deep.model_grouping import ModelGrouping
from icas.clusterimg.features import FeatureSet, Unreadable
from icas.clusterimg.graph import Labels
from icas.clusterimg.grouping import Grouping
from icas.clusterimg.handmade import HandmadeBatch, read_batches
from icas.clusterimg.linkage import LinkageGrouping
from icas.clusterimg.reading import LookedOver
from icas.clusterimg.reference import Reference, apart, read_reference
from icas.clusterimg.scan import ImageRef, scan
from icas.clusterimg.settings import ClusterSettings
from icas.common.errors import IcasError


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


def read_source(folder: Path, result: Path, settings: ClusterSettings) -> Source:
    """The images of `folder`, but for those in `result`.

    Raises
    ------
    UsageError
        No such folder, no batch folders, or no such reference.
    IcasError
        There are no images.
    """
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


def features_by_batch(
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

"""What a run is to cluster: the images of a folder, or of batch folders, and their features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from icas.clusterimg.clustering.base import Clusterer
from icas.clusterimg.clustering.batches import Stopwatch, default_batch_size, split
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import ImageRef, Unreadable, scan
from icas.clusterimg.features.extraction import LookedOver
from icas.clusterimg.graph.forest import Labels
from icas.clusterimg.reference.scan import Reference, apart, read_reference
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.transfer.plan import OUTLIERS
from icas.common.errors import IcasError, UsageError
from icas.io.find import natural_key


@dataclass(frozen=True)
class HandmadeBatch:
    """One batch folder.

    Attributes
    ----------
    images : tuple of ImageRef
        The images in it, named relative to the result folder.
    labels : (n,) int64 ndarray
        Number of the folder that each lies in; -1 for ``outliers`` and for images that lie loose.
    unreadable : tuple of Unreadable
        Files that are no images.
    """

    images: tuple[ImageRef, ...]
    labels: Labels
    unreadable: tuple[Unreadable, ...]


def read_batches(root: Path) -> list[HandmadeBatch]:
    """The batch folders of a result of ``--stage batch``.

    Raises
    ------
    UsageError
        There are none.
    """
    folders = _folders(root / "batches") if (root / "batches").is_dir() else []
    if not folders:
        raise UsageError(
            f"{root} holds no batches/ folder: --stage merge takes a result of --stage batch"
        )
    return [_read_batch(root, folder) for folder in folders]


def _folders(parent: Path) -> list[Path]:
    inside = [entry for entry in parent.iterdir() if entry.is_dir() and entry.name[0] != "."]
    return sorted(inside, key=lambda folder: natural_key(folder.name))


def _read_batch(root: Path, folder: Path) -> HandmadeBatch:
    images: list[ImageRef] = []
    labels: list[int] = []
    unreadable: list[Unreadable] = []
    places = [(folder, False, -1)]
    for number, place in enumerate(_folders(folder)):
        places.append((place, True, -1 if place.name == OUTLIERS else number))
    for place, recursive, label in places:
        found = scan(place, recursive=recursive)
        before = place.relative_to(root).as_posix() + "/"
        images.extend(replace(ref, file=before + ref.file) for ref in found.images)
        labels.extend([label] * len(found.images))
        unreadable.extend(Unreadable(before + one.file, one.reason) for one in found.unreadable)
    return HandmadeBatch(tuple(images), np.array(labels, np.int64), tuple(unreadable))


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
    clusterer: Clusterer,
    folder: LookedOver,
    source: Source,
    settings: ClusterSettings,
    watch: Stopwatch,
) -> Iterator[tuple[FeatureSet, Labels | None]]:
    """Features of each batch in turn, with its clusters where they were made by hand."""
    for images, given in _batches(clusterer, source, settings):
        with watch.stage("features"):
            features = folder.features(images)
        if given is not None and features.unreadable:
            read = set(features.files)
            given = given[[ref.file in read for ref in images]]
        yield features, given
        del features  # or it would stay in memory while the next is made


def _batches(
    clusterer: Clusterer, source: Source, settings: ClusterSettings
) -> Iterator[tuple[tuple[ImageRef, ...], Labels | None]]:
    if source.batches is not None:
        for batch in source.batches:
            yield batch.images, batch.labels
        return
    count = len(source.images)
    size = settings.batch_size or default_batch_size(clusterer.method)
    if settings.merge == "exact" and not clusterer.merges_exactly:
        size = count  # what one big batch gives is had from one alone: links do not decide it
    for part in split(count, size):
        yield source.images[part], None

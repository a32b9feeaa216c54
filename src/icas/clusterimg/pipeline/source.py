"""The images of a run, of a folder or of batch folders, and their features batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from icas.clusterimg.clustering.base import Clusterer
from icas.clusterimg.clustering.batches import Stopwatch, default_batch_size, split
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import ImageRef, Scan, Unreadable, scan
from icas.clusterimg.features.extraction import FolderFeatures
from icas.clusterimg.graph.forest import Labels
from icas.clusterimg.reference.scan import Reference, apart, read_reference
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.transfer.plan import OUTLIERS
from icas.common.errors import IcasError, UsageError
from icas.io.find import natural_key


@dataclass(frozen=True)
class BatchFolder:
    """A batch folder, perhaps edited by a person."""

    images: tuple[ImageRef, ...]  # the images in it, named relative to the result folder
    # (n,) number of the folder of each; -1 for ``outliers`` and for images outside sub-folders
    labels: Labels
    unreadable: tuple[Unreadable, ...]  # files that are no images


def _read_batches(root: Path) -> tuple[BatchFolder, ...]:
    """The batch folders of a result of ``--stage batch``."""
    folders = _folders(root / "batches") if (root / "batches").is_dir() else []
    if not folders:
        raise UsageError(
            f"{root} has no batches/ folder: --stage merge needs a result of --stage batch"
        )
    return tuple(_read_batch(root, folder) for folder in folders)


def _folders(parent: Path) -> list[Path]:
    inside = [entry for entry in parent.iterdir() if entry.is_dir() and entry.name[0] != "."]
    return sorted(inside, key=lambda folder: natural_key(folder.name))


def _read_batch(root: Path, folder: Path) -> BatchFolder:
    images: list[ImageRef] = []
    labels: list[int] = []
    unreadable: list[Unreadable] = []
    clusters = [(folder, False, -1)]
    for number, inside in enumerate(_folders(folder)):
        clusters.append((inside, True, -1 if inside.name == OUTLIERS else number))
    for cluster, recursive, label in clusters:
        scanned = scan(cluster, recursive=recursive)
        before = cluster.relative_to(root).as_posix() + "/"
        images.extend(replace(ref, file=before + ref.file) for ref in scanned.images)
        labels.extend([label] * len(scanned.images))
        unreadable.extend(
            Unreadable(before + lost.file, lost.reason) for lost in scanned.unreadable
        )
    return BatchFolder(tuple(images), np.array(labels, np.int64), tuple(unreadable))


@dataclass(frozen=True)
class Source:
    """The images of a run, by batch where batches are merged, and the other files."""

    batches: tuple[BatchFolder, ...] | None
    images: tuple[ImageRef, ...]
    unreadable: tuple[Unreadable, ...]
    ignored: tuple[str, ...]
    reference: Reference | None = None

    @property
    def read(self) -> tuple[ImageRef, ...]:
        """All images that are read, those of the reference last."""
        return self.images if self.reference is None else (*self.images, *self.reference.images)

    def images_of(self, files: Sequence[str]) -> list[ImageRef]:
        """The images by name."""
        refs = {ref.file: ref for ref in self.images}
        return [refs[file] for file in files]


def read_source(
    folder: Path, result: Path, settings: ClusterSettings, files: Sequence[Path] | None = None
) -> Source:
    """The images of `folder`, but for those in `result`; or only `files` in it."""
    if settings.stage == "merge":
        batches = _read_batches(folder)
        images = tuple(ref for batch in batches for ref in batch.images)
        unreadable = tuple(lost for batch in batches for lost in batch.unreadable)
        source = Source(batches, images, unreadable, ())
    else:
        if files is None:
            scanned = scan(folder, recursive=settings.recursive, exclude=result)
        else:
            names = {path.relative_to(folder).as_posix(): path for path in files}
            scanned = Scan(tuple(ImageRef.found(path, file) for file, path in names.items()))
        reference = None
        if settings.reference is not None:
            reference = read_reference(
                settings.reference, recursive=settings.recursive, exclude=result
            )
            scanned, reference = apart(folder, scanned, reference)
        source = Source(None, scanned.images, scanned.unreadable, scanned.ignored, reference)
    if not source.images:
        hint = "" if settings.recursive else " (use --recursive to include sub-folders)"
        raise IcasError(f"no images in {folder}{hint}")
    return source


def features_by_batch(
    clusterer: Clusterer,
    folder: FolderFeatures,
    source: Source,
    settings: ClusterSettings,
    watch: Stopwatch,
) -> Iterator[tuple[FeatureSet, Labels | None]]:
    """Features of each batch in turn, with its clusters where a person may have edited them."""
    for images, edited in _batches(clusterer, source, settings):
        with watch.stage("features"):
            features = folder.features(images)
        if edited is not None and features.unreadable:
            read = set(features.files)
            edited = edited[[ref.file in read for ref in images]]
        yield features, edited
        del features  # or it would stay in memory while the next is made


def _batches(
    clusterer: Clusterer, source: Source, settings: ClusterSettings
) -> Iterator[tuple[tuple[ImageRef, ...], Labels | None]]:
    if source.batches is not None:
        for batch in source.batches:
            yield batch.images, batch.labels
        return
    size = settings.batch_size or default_batch_size(clusterer.method)
    if settings.merge == "exact" and not clusterer.merges_exactly:
        size = len(source.images)  # one batch: merging would not give its clusters
    for part in split(len(source.images), size):
        yield source.images[part], None

"""New images against a reference: features of both, the links between them, and the clusters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console, counted
from icas.clusterimg.clustering.base import Partition
from icas.clusterimg.clustering.batches import Clustering, Stopwatch, default_batch_size, split
from icas.clusterimg.clustering.cohesion import Cohesion
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.images import ImageRef, Unreadable, sampled
from icas.clusterimg.data.links import NONE, Links, LinkStore, join_links
from icas.clusterimg.data.memory import side_within
from icas.clusterimg.features.extraction import FolderFeatures, Reading
from icas.clusterimg.graph.forest import Forest, Labels, number_clusters, spanning_forest
from icas.clusterimg.linking.tiles import count_across, starts_of, tiles_across
from icas.clusterimg.methods.base import Method
from icas.clusterimg.reference.scan import InReference, Reference
from icas.clusterimg.thresholds.sample import Sample
from icas.common.union_find import unions
from icas.parallel.executors import ALONE, Workers

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class ReferenceFeatures:
    """Features of new images, batch by batch, and of all readable images of a reference."""

    images: FolderFeatures
    refs: tuple[ImageRef, ...]
    named: Reference
    reference: FeatureSet

    @classmethod
    def read(
        cls,
        reading: Reading,
        images: tuple[ImageRef, ...],
        reference: Reference,
        seed: int = 0,
        sample: int | None = None,
    ) -> ReferenceFeatures:
        """Read the reference, and the new images of a sample of both if one is wanted.

        A method that is fitted to the folder is fitted to both folders.
        """
        both = reading.method.reads_whole_folder
        seen = (*images, *reference.images) if both else images
        new = None if sample is None else max(1, sample // 2)
        folder = reading.scan_features(seen, seed, new)
        store = reading.budget.store(len(reference.images))
        for part in split(len(reference.images), default_batch_size(reading.method)):
            store.add(folder.features(reference.images[part]))
        return cls(folder, images, reference, store.features())

    def sample(self, most: int, seed: int = 0) -> Sample:
        """About `most` images for the choice of the threshold, all of their pairs compared.

        Half of them are new images, the others their nearest neighbours in the whole reference: a
        random part of a large reference would hold few similar images.
        """
        new = self.images.features(sampled(self.refs, max(1, most // 2), seed))
        method, workers = self.images.reading.method, self.images.reading.workers
        near = np.unique(nearest(method, new, self.reference, workers))
        both = concatenate([replace(part, unreadable=()) for part in (new, self.reference[near])])
        return Sample.of(method, both, len(both), workers)


def nearest(
    method: Method, images: FeatureSet, reference: FeatureSet, workers: Workers = ALONE
) -> Numbers:
    """(n,) the most similar image of `reference` for each of `images`, the first of equals.

    Empty if one of the two is.
    """
    if len(images) == 0 or len(reference) == 0:
        return np.empty(0, np.int64)
    best = np.full(len(images), -np.inf, np.float32)
    place = np.zeros(len(images), np.int64)
    side = side_within(reference, method.tile, workers.jobs)
    starts = range(0, len(reference), side)
    bare = replace(reference, files=(), unreadable=())
    shared = workers.share(replace(images, files=(), unreadable=()))
    try:
        tasks = ((method, shared, bare[start : start + side]) for start in starts)
        for start, (value, column) in zip(
            starts, workers.ordered(_nearest_of_block, tasks), strict=True
        ):
            better = value > best
            best[better], place[better] = value[better], column[better] + start
    finally:
        shared.release()
    return place


def _nearest_of_block(
    method: Method, images: FeatureSet, block: FeatureSet
) -> tuple[NDArray[np.float32], Numbers]:
    """For each of `images` the greatest similarity to images of a block, and which it is."""
    values, columns = [], []
    for part in split(len(images), method.tile):
        similarity = method.similarity(images[part], block)
        columns.append(similarity.argmax(axis=1).astype(np.int64))
        values.append(similarity.max(axis=1))
    block.release()
    return np.concatenate(values), np.concatenate(columns)


@dataclass(frozen=True)
class ReferenceClustering(Clustering):
    """Clusters of n new images: connected components of their links to a reference.

    Each new image with a link is in a cluster, which may have no other new image. A cohesion's
    medoid is the new image with the highest link, its least similar pair the lowest link.
    """

    found: InReference
    # lowest similarity on the maximum spanning tree of each cluster, the reference included
    weakest: tuple[float, ...]

    @property
    def possible(self) -> int:
        """Pairs of a new image and one of the reference."""
        return self.count * len(self.found.files)

    def weakest_links(self) -> list[float]:
        """For each cluster the threshold above which it breaks or is no longer linked."""
        return list(self.weakest)


def cluster_against(
    parts: Iterable[tuple[FeatureSet, Labels | None]],
    both: ReferenceFeatures,
    threshold: float,
    store: LinkStore | None = None,
    *,
    watch: Stopwatch | None = None,
    console: Console | None = None,
) -> ReferenceClustering:
    """Compare new images, batch by batch, with all images of a reference.

    Parameters
    ----------
    parts : iterable of (FeatureSet, labels or None)
        Features of each batch of new images.
    store : LinkStore, optional
        Takes the links.
    """
    watch, console = watch or Stopwatch(), console or Console()
    reference, reading = both.reference, both.images.reading
    store = LinkStore() if store is None else store
    files: list[str] = []
    unreadable: list[Unreadable] = []
    lengths: list[int] = []
    for features, _ in parts:
        with watch.stage("links"):
            links = links_to(
                reading.method, features, reference, threshold, reading.workers, console
            )
            store.add(Links(links.a + len(files), links.b, links.similarity))
        files.extend(features.files)
        unreadable.extend(features.unreadable)
        lengths.append(len(features))
        del features
    found = InReference(
        both.named.folder.resolve(),
        both.named.names(reference.files),
        (*reference.unreadable, *both.named.unreadable),
        store.links(),
    )
    with watch.stage("merge"):
        return _clustering(tuple(files), tuple(unreadable), lengths, found)


def links_to(
    method: Method,
    images: FeatureSet,
    reference: FeatureSet,
    threshold: float,
    workers: Workers = ALONE,
    console: Console | None = None,
) -> Links:
    """Every pair of `images` and `reference` at or above `threshold`.

    Returns
    -------
    Links
        Each side numbered by itself; sorted by a, then from the most similar on, then by b.
    """
    parts = [images, reference]
    with (console or Console()).bar(
        count_across(method, parts, workers.jobs), "links", "tiles"
    ) as bar:
        links = join_links(counted(tiles_across(method, parts, threshold, workers), bar))
    order = np.lexsort((links.b, -links.similarity, links.a))
    return Links(links.a[order], links.b[order] - len(images), links.similarity[order])


def _clustering(
    files: tuple[str, ...],
    unreadable: tuple[Unreadable, ...],
    lengths: Sequence[int],
    found: InReference,
) -> ReferenceClustering:
    links, starts = found.links, starts_of(lengths)
    count = len(files)
    parts = (Links(part.a, part.b + count, part.similarity) for part in links.parts())
    forest = spanning_forest(count + len(found.files), parts)
    labels = clusters_of(len(files), forest)
    cohesions = _cohesions(labels, links)
    batches = tuple(
        _batch(labels, cohesions, start, end, len(found.files))
        for start, end in pairwise(starts.tolist())
    )
    return ReferenceClustering(
        files=files,
        unreadable=unreadable,
        labels=labels,
        batches=batches,
        starts=starts,
        merged_links=NONE,
        cohesions=cohesions,
        compared=len(files) * len(found.files),
        found=found,
        weakest=tuple(_least(labels, [forest.links()]).tolist()),
    )


def clusters_of(count: int, forest: Forest) -> Labels:
    """Clusters of the first `count` images of `forest`, the others being the reference's.

    -1 = no link. Cluster 0 has the most of the first images; ties are ordered by first image.
    """
    groups = unions(forest.count, forest.a, forest.b)[:count]
    linked = np.zeros(count, bool)
    linked[forest.a] = True
    return number_clusters(np.where(linked, groups, -1), least=1)


def _least(labels: Labels, parts: Iterable[Links]) -> NDArray[np.float32]:
    """For each cluster the least similarity of its links."""
    least = np.full(labels.max(initial=-1) + 1, np.inf, np.float32)
    for part in parts:
        np.minimum.at(least, labels[part.a], part.similarity)
    return least


def _cohesions(labels: Labels, links: Links) -> tuple[Cohesion, ...]:
    best = np.full(len(labels), -np.inf, np.float32)
    for part in links.parts():
        np.maximum.at(best, part.a, part.similarity)
    order = np.lexsort((-best, labels))  # the first image of equals first: it is stable
    ranked = labels[order]
    medoids = order[np.searchsorted(ranked, np.arange(labels.max(initial=-1) + 1))]
    least = _least(labels, links.parts())
    return tuple(
        Cohesion(int(medoid), float(lowest)) for medoid, lowest in zip(medoids, least, strict=True)
    )


def _batch(
    labels: Labels, cohesions: Sequence[Cohesion], start: int, end: int, references: int
) -> Partition:
    """The clusters of a batch, represented by those medoids that are in it."""
    inside = tuple(
        replace(it, medoid=it.medoid - start) for it in cohesions if start <= it.medoid < end
    )
    return Partition(labels[start:end], NONE, NONE, (end - start) * references, inside)

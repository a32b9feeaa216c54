"""Features of new images and of a reference, and a sample of both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.clustering.batches import default_batch_size, split
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.images import ImageRef, sampled
from icas.clusterimg.data.memory import side_within
from icas.clusterimg.features.extraction import FolderFeatures, Reading
from icas.clusterimg.methods.base import Method
from icas.clusterimg.reference.scan import Reference
from icas.clusterimg.thresholds.sample import Sample
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

"""New images and a reference, read; and a sample of the two by which a threshold is found."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.clustering.batches import default_batch_size, split
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.images import ImageRef, sampled
from icas.clusterimg.data.memory import side_within
from icas.clusterimg.features.extraction import LookedOver, Reading
from icas.clusterimg.methods.base import Method
from icas.clusterimg.reference.scan import Reference
from icas.clusterimg.thresholds.sample import Sample
from icas.parallel.executors import ALONE, Workers

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class ReferenceFeatures:
    """New images and a reference that were looked over together.

    Attributes
    ----------
    images : LookedOver
        Gives features of the new images batch by batch.
    refs : tuple of ImageRef
        The new images.
    named : Reference
    reference : FeatureSet
        Features of all images of the reference that can be read; the others are listed in it.
    """

    images: LookedOver
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
        """Read the reference whole and, where a sample is wanted, that of the new images.

        A method that looks at whole folders looks at both sides.
        """
        both = reading.method.reads_whole_folder
        seen = (*images, *reference.images) if both else images
        folder = reading.look_over(seen, seed, _new_ones(sample))
        store = reading.budget.store(len(reference.images))
        for part in split(len(reference.images), default_batch_size(reading.method)):
            store.add(folder.features(reference.images[part]))
        return cls(folder, images, reference, store.features())

    def sample(self, most: int, seed: int = 0) -> Sample:
        """About `most` images by which a threshold can be found, all of their pairs compared.

        Half of them are new images, the others are what is most similar to these in the whole
        reference: a part of a large reference drawn by chance would not hold what they are like.
        """
        ours = self.images.features(sampled(self.refs, _new_ones(most) or 0, seed))
        method, workers = self.images.reading.method, self.images.reading.workers
        near = np.unique(nearest(method, ours, self.reference, workers))
        both = concatenate([replace(one, unreadable=()) for one in (ours, self.reference[near])])
        return Sample.of(method, both, len(both), workers)


def _new_ones(sample: int | None) -> int | None:
    """New images in a sample."""
    return None if sample is None else max(1, sample // 2)


def nearest(
    method: Method, images: FeatureSet, reference: FeatureSet, workers: Workers = ALONE
) -> Numbers:
    """For each of `images` the most similar one of `reference`, the first of equals.

    Returns
    -------
    (len(images),) int64 ndarray
        Empty where one of the two is.
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
    """For each of `images` the greatest similarity to one of a block, and which one it is."""
    values, columns = [], []
    for part in split(len(images), method.tile):
        similarity = method.similarity(images[part], block)
        columns.append(similarity.argmax(axis=1).astype(np.int64))
        values.append(similarity.max(axis=1))
    block.release()
    return np.concatenate(values), np.concatenate(columns)

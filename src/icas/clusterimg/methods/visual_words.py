"""Images of many local features as one vector each: what their features have in common, by words.

Source: H. Jégou, M. Douze, C. Schmid, P. Pérez, Aggregating local descriptors into a compact image
representation, CVPR 2010 (VLAD), with the roots of R. Arandjelović, A. Zisserman, CVPR 2013.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.kernels import Bytes, Floats, Ints, Longs

WORDS = 32
"""Kinds of descriptors."""
LEARNED_FROM = 10_000
"""Descriptors from which the words are learned."""
ROUNDS = 6
"""Rounds of k-means: words need not be good ones, only the same for all images."""
UNIT = 127
"""A bit's size in whole numbers: words lie between -`UNIT` and `UNIT`."""
ROOM = 1 << 23
"""Bits that are unpacked at a time, unless one image has more."""


@dataclass(frozen=True)
class VisualWords:
    """A visual vocabulary; maps features to vectors.

    words: (w, bits) float32, whole numbers in [-`UNIT`, `UNIT`].
    """

    words: Floats

    @classmethod
    def fitted(cls, features: FeatureSet, seed: int) -> VisualWords:
        """Words by k-means over descriptors of the images `features`."""
        rng = np.random.default_rng(seed)
        held = _held(features)
        images, rows = np.nonzero(held)
        drawn = np.sort(rng.permutation(len(images))[:LEARNED_FROM])
        picked = features.arrays["descriptors"][images[drawn], rows[drawn]]
        points = _signed(np.unpackbits(picked, axis=1))
        words = points[rng.permutation(len(points))[:WORDS]] * UNIT
        for _ in range(ROUNDS if len(points) else 0):
            words = _means(points, _nearest(points, words), words)
        return cls(words)

    def __call__(self, features: FeatureSet) -> Floats:
        """How the descriptors of each image lie about the words, (n, w * bits) float32.

        Of length 1, or 0 for an image without features. All sums are of whole numbers, so that
        no order of adding changes them.
        """
        result = [self._of(features[rows]) for rows in _parts(features)]
        width = self.words.size
        return np.concatenate([np.empty((0, width), np.float32), *result])

    def _of(self, features: FeatureSet) -> Floats:
        descriptors = features.arrays["descriptors"]
        count, bits = len(descriptors), 8 * descriptors.shape[2]
        if not len(self.words):
            return np.zeros((count, 0), np.float32)
        images, rows = np.nonzero(_held(features))
        ones = np.unpackbits(descriptors[images, rows], axis=1)
        cell = images * len(self.words) + _nearest(_signed(ones), self.words)
        order = np.argsort(cell, kind="stable")
        cells, starts, held = np.unique(cell[order], return_index=True, return_counts=True)
        apart = np.zeros((count * len(self.words), bits), np.int32)
        if len(cells):
            sums = np.add.reduceat(ones[order], starts, axis=0, dtype=np.int32)
            signed = (2 * sums - held[:, None]) * UNIT
            words = self.words.astype(np.int32)[cells % len(self.words)]
            apart[cells] = signed - held[:, None] * words
        return _rooted(apart.reshape(count, -1))


def _rooted(apart: Ints) -> Floats:
    """Roots of the rows' entries with their signs, each row brought to length 1."""
    size = np.abs(apart)
    share = size / np.maximum(size.sum(axis=1, dtype=np.int64), 1)[:, None]
    return np.asarray(np.copysign(np.sqrt(share), apart), np.float32)


def _held(features: FeatureSet) -> NDArray[np.bool_]:
    """(n, K) which rows hold a descriptor."""
    arrays = features.arrays
    held: NDArray[np.bool_] = np.arange(arrays["descriptors"].shape[1]) < arrays["counts"][:, None]
    return held


def _parts(features: FeatureSet) -> Iterator[slice]:
    """Runs of images whose bits may be unpacked at a time."""
    _, most, size = features.arrays["descriptors"].shape
    step = max(1, ROOM // max(1, most * size * 8))
    for start in range(0, len(features), step):
        yield slice(start, start + step)


def _signed(bits: Bytes) -> Floats:
    """Bits as -1 and 1."""
    points = bits.astype(np.float32)
    points *= 2
    points -= 1
    return points


def _nearest(points: Floats, words: Floats) -> Longs:
    """The word nearest to each point, the first of equals; whole numbers, so exact."""
    closeness = points @ words.T * np.float32(2 * UNIT)
    closeness -= np.square(words).sum(axis=1)
    return np.asarray(closeness.argmax(axis=1), np.int64)


def _means(points: Floats, word: Longs, words: Floats) -> Floats:
    """The mean of the points of each word, to whole numbers; words without points stay."""
    counts = np.bincount(word, minlength=len(words)).astype(np.float32)
    belongs = (np.arange(len(words))[:, None] == word).astype(np.float32)
    means = np.rint(belongs @ points * np.float32(UNIT) / np.maximum(counts, 1)[:, None])
    return np.where(counts[:, None] > 0, means, words).astype(np.float32)

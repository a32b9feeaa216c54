"""A sample of a folder, all of its pairs compared; expected counts at every threshold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links, join_links, links_in
from icas.clusterimg.graph.forest import Forest, Labels, labels_at, spanning_forest
from icas.clusterimg.linking.tiles import links_within
from icas.clusterimg.methods.base import Method
from icas.parallel.executors import ALONE, Workers

SAMPLE = 1500
"""Images of a sample: about a million pairs."""


@dataclass(frozen=True)
class Expected:
    """Expected pairs at or above a threshold, clusters and clustered images in the folder."""

    threshold: float
    pairs: float
    clusters: float
    clustered_images: float


@dataclass(frozen=True)
class Sample:
    """Images drawn from a folder, and the similarity of each two of them.

    Attributes
    ----------
    features : FeatureSet
        Of the n images drawn, in the order of the folder.
    images : int
        In the whole folder, at least n.
    links : Links
        All n (n - 1) / 2 pairs, the most similar first.
    parts : tuple of Sample
        The same images, compared by each part of a method that has parts.
    """

    features: FeatureSet
    images: int
    links: Links
    parts: tuple[Sample, ...] = ()

    @classmethod
    def of(
        cls, method: Method, features: FeatureSet, images: int, workers: Workers = ALONE
    ) -> Sample:
        """Compare all pairs of `features`, which were drawn from a folder of `images`."""
        each = zip(method.parts, method.split(features), strict=True)
        parts = tuple(cls.of(part, one, images, workers) for part, one in each)
        if parts:
            values = method.fused(features, [part.matrix() for part in parts])
            pairs = links_in(values, -np.inf, triangle=True)
        else:
            pairs = join_links(links_within(method, features, -np.inf, workers))
        links = pairs.select(np.argsort(-pairs.similarity, kind="stable"))
        return cls(features, max(images, len(features)), links, parts)

    def __len__(self) -> int:
        return len(self.features)

    def of_rows(self, rows: NDArray[np.int64]) -> Sample:
        """The sample without the images that are not in `rows`, which ascend."""
        place = np.full(len(self), -1)
        place[rows] = np.arange(len(rows))
        a, b = place[self.links.a], place[self.links.b]
        kept = (a >= 0) & (b >= 0)
        links = Links(a[kept], b[kept], self.links.similarity[kept])
        images = max(len(rows), round(self.images * len(rows) / max(1, len(self))))
        parts = tuple(part.of_rows(rows) for part in self.parts)
        return Sample(self.features[rows], images, links, parts)

    def matrix(self, diagonal: float = 1) -> NDArray[np.float32]:
        """(n, n) similarities."""
        values = np.full((len(self), len(self)), diagonal, np.float32)
        values[self.links.a, self.links.b] = values[self.links.b, self.links.a] = (
            self.links.similarity
        )
        return values

    def is_all_of(self, features: FeatureSet) -> bool:
        """Whether the sample consists of the very files of `features`."""
        return bool(features.files) and self.features.files == features.files

    @cached_property
    def forest(self) -> Forest:
        """The maximum spanning forest: the sample's clusters at every threshold."""
        return spanning_forest(len(self), [self.links])

    @cached_property
    def similarities(self) -> NDArray[np.float32]:
        """Similarities of all pairs, ascending."""
        return self.links.similarity[::-1]

    @property
    def share(self) -> float:
        """Share of the folder's pairs that are in the sample, in (0, 1]."""
        pairs = self.images * (self.images - 1) / 2
        return len(self.links) / pairs if pairs else 1.0

    def pairs_at(self, threshold: float) -> int:
        """Pairs of the sample at or above `threshold`."""
        below = np.searchsorted(self.similarities, np.float32(threshold))
        return len(self.links) - int(below)

    def labels_at(self, threshold: float) -> Labels:
        """Clusters of the sample at `threshold`."""
        return labels_at(self.forest, threshold)

    def expected(self, threshold: float) -> Expected:
        """Expected counts in the whole folder at `threshold`; exact if the sample is all of it.

        Pairs grow as the folder's pairs do. Clusters and clustered images are extrapolated by the
        power law through half of the sample and all of it.
        """
        pairs = self.pairs_at(threshold) / self.share
        here = _counts(self.labels_at(threshold))
        if self.images == len(self):
            return Expected(threshold, pairs, *here)
        half = _counts(labels_at(self._half, threshold))
        doublings = np.log2(self.images / len(self))
        clusters, clustered = (
            _extrapolated(small, large, doublings) for small, large in zip(half, here, strict=True)
        )
        clustered = min(clustered, float(self.images))
        return Expected(threshold, pairs, min(clusters, clustered / 2), clustered)

    @cached_property
    def _half(self) -> Forest:
        """The forest of every other image."""
        inside = (self.links.a % 2 == 0) & (self.links.b % 2 == 0)
        links = self.links
        half = Links(links.a[inside] // 2, links.b[inside] // 2, links.similarity[inside])
        return spanning_forest((len(self) + 1) // 2, [half])

    def pairs_around(self, threshold: float, count: int) -> tuple[Links, Links]:
        """The `count` least similar pairs that are linked, and the most similar that are not.

        Returns
        -------
        above, below : Links
            Each with the pair next to the threshold first.
        """
        linked = self.pairs_at(threshold)
        above = np.arange(linked - 1, max(linked - 1 - count, -1), -1)
        below = np.arange(linked, min(linked + count, len(self.links)))
        return self.links.select(above), self.links.select(below)

    def steps(self, most: int = 400) -> NDArray[np.float32]:
        """Thresholds at which the sample's clusters change, descending; at most about `most`."""
        values = np.unique(self.forest.similarity)[::-1]
        if len(values) <= most:
            return values
        return values[np.unique(np.linspace(0, len(values) - 1, most).round().astype(np.int64))]


def _counts(labels: Labels) -> tuple[float, float]:
    """Clusters, and images in them."""
    return float(labels.max(initial=-1) + 1), float((labels >= 0).sum())


def _extrapolated(half: float, whole: float, doublings: float) -> float:
    """A number that grew from `half` to `whole` by one doubling of the sample, after more."""
    if half <= 0 or whole <= 0:
        return whole * float(2**doublings)
    growth = min(2.0, whole / half)  # nothing grows faster than the folder
    return whole * float(growth**doublings)

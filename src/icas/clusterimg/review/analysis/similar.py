"""Similarities between the images of a review: naming order, names spread, questions."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.clusterimg.data.images import sampled
from icas.clusterimg.editing.compared_images import ComparedImages
from icas.clusterimg.editing.result_images import ResultImages
from icas.clusterimg.linking.tiles import similarities
from icas.clusterimg.questions.naming import (
    NEIGHBOURS,
    NamingTree,
    Neighbours,
    Spread,
    nearest,
    spread_names,
)
from icas.clusterimg.results.saved import earlier_run
from icas.parallel.executors import start_workers

MOST = 3000
"""Images of which all pairs are compared; of more, a sample."""
MOST_NEIGHBOURS = 10_000
"""Images among which neighbours are looked for; of more, a sample."""
MOST_AT_ONCE = 500_000
"""Images times classes up to which names are spread while the page waits: about a second."""
MOST_SECONDS = 60.0
"""CPU time that comparing images may take."""


@dataclass(frozen=True)
class SimilarImages:
    """Similarities of n images of a result, by the method of its run.

    images: number of each of the k images that could be read; rows: those of them of which all
    pairs were compared; matrix: their similarities; neighbours: of all k, without a full matrix.
    """

    count: int
    images: NDArray[np.int64]
    rows: NDArray[np.int64]
    matrix: NDArray[np.float32]
    neighbours: Neighbours

    @classmethod
    def read(cls, root: Path, console: Console) -> SimilarImages:
        """Compare the images of the result in `root`, with features from the cache."""
        images = ResultImages.read(root)
        jobs = earlier_run(root)["settings"].get("jobs")
        with start_workers("threads", jobs) as workers:
            compared = ComparedImages.read(images, workers, console)
            numbers = {file: number for number, file in enumerate(images.clusters)}
            known = np.array([numbers[file] for file in compared.features.files], np.int64)
            pair = max(compared.method.extractor.seconds_per_pair, 1e-9)
            most = max(100, min(MOST, int((MOST_SECONDS / pair) ** 0.5)))
            rows = np.array(sampled(range(len(known)), most, 0), np.int64)
            features = compared.features[rows]
            matrix = similarities(compared.method, features, features, workers)
            if len(rows) == len(known):
                near = nearest(matrix, rows, 0, NEIGHBOURS) if len(rows) > 1 else _none(len(rows))
            else:
                near = compared.neighbours(MOST_SECONDS, MOST_NEIGHBOURS)
        return cls(len(numbers), known, rows, matrix, near)

    @property
    def is_whole(self) -> bool:
        """Whether all pairs of all images were compared."""
        return len(self.rows) == self.count

    def near(self, images: Collection[int]) -> list[tuple[int, float]]:
        """Other images by falling similarity to the nearest one of `images`."""
        rows = np.flatnonzero(np.isin(self.images, list(images)))
        best = np.full(len(self.images), -np.inf, np.float32)
        near = self.neighbours
        np.maximum.at(best, near.images[rows].ravel(), near.similarity[rows].ravel())
        compared = np.isin(self.rows, rows)
        if compared.any():
            best[self.rows] = np.maximum(best[self.rows], self.matrix[compared].max(axis=0))
        best[rows] = -np.inf
        order = np.argsort(-best, kind="stable")[: np.count_nonzero(np.isfinite(best))]
        return list(zip(self.images[order].tolist(), best[order].tolist(), strict=True))

    @cached_property
    def _tree(self) -> NamingTree:
        return NamingTree(self.matrix)

    def naming_order(self, named: Mapping[int, str], count: int) -> list[int]:
        """Images to name next, those that settle most others first; `named` by image."""
        numbers = self.images[self.rows]
        given = [place for place, image in enumerate(numbers.tolist()) if image in named]
        return [int(numbers[place]) for place in self._tree.order(count, given)]

    def spread(self, named: Mapping[int, str]) -> dict[int, tuple[str, float]]:
        """Name and confidence of the images without a name."""
        places = {int(image): row for row, image in enumerate(self.images)}
        given = {places[image]: name for image, name in named.items() if image in places}
        if not given or len(given) == len(self.images):
            return {}
        whole: Spread = spread_names(self._with_named(sorted(given)), given)
        return {
            image: (str(whole.names[row]), float(whole.confidence[row]))
            for image, row in places.items()
            if row not in given
        }

    def _with_named(self, named: list[int]) -> Neighbours:
        """The neighbours, and the most similar named image where all pairs were compared."""
        near = self.neighbours
        if len(self.rows) != len(self.images):
            return near
        columns = np.array(named, np.int64)
        own = nearest(self.matrix[:, columns], columns, 0, 1)
        own.similarity[(near.images == own.images).any(axis=1)] = -np.inf
        return Neighbours(
            np.hstack([near.images, own.images]), np.hstack([near.similarity, own.similarity])
        )


class LatestSpread:
    """Names of similar images for the latest names of a person.

    For many images and classes they are computed in the background: meanwhile there are those for
    earlier names.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._named: dict[int, str] = {}
        self._spread: dict[int, tuple[str, float]] = {}
        self._running = False

    def get(
        self, similar: SimilarImages, named: Mapping[int, str]
    ) -> tuple[dict[int, tuple[str, float]], bool]:
        """Name and confidence of the images without a name, and whether names are missing."""
        with self._lock:
            if self._named == named:
                return self._spread, False
            small = similar.count * len(set(named.values())) <= MOST_AT_ONCE
            if not small:
                if not self._running:
                    self._running = True
                    task = threading.Thread(
                        target=self._update, args=(similar, dict(named)), daemon=True
                    )
                    task.start()
                spread = {i: one for i, one in self._spread.items() if i not in named}
                return spread, True
        return self._update(similar, dict(named)), False

    def _update(
        self, similar: SimilarImages, named: dict[int, str]
    ) -> dict[int, tuple[str, float]]:
        try:
            spread = similar.spread(named)
            with self._lock:
                self._named, self._spread = named, spread
        finally:
            self._running = False
        return spread


def _none(count: int) -> Neighbours:
    return Neighbours(np.empty((count, 0), np.int64), np.empty((count, 0), np.float32))

"""Features and similarities of the images of a finished result, by the method of its run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.clusterimg.cache.cache import open_cache
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.images import ImageRef, sampled
from icas.clusterimg.editing.result_images import ResultImages
from icas.clusterimg.features.extraction import Reading
from icas.clusterimg.linking.tiles import similarities
from icas.clusterimg.methods.base import Method, linking
from icas.clusterimg.questions.naming import (
    NEIGHBOURS,
    Neighbours,
    Spread,
    naming_order,
    nearest,
    spread_names,
)
from icas.clusterimg.results.saved import earlier_run, method_of_run
from icas.io.reading import MAX_PIXELS
from icas.parallel.executors import Workers

MOST_COMPARED = 3000
"""Images of which all pairs are compared for suggestions; of more, a sample."""
MOST_SECONDS = 60
"""CPU time that comparing these pairs may take."""
MOST_SECONDS_SPREAD = 300
"""CPU time that comparing images may take to spread names; else a part of the pairs is used."""
PART = 10_000
"""Images that are read at a time."""
CELLS = 2_000_000
"""Similarities that are in memory at a time."""


@dataclass(frozen=True)
class ComparedImages:
    """The images of a result with their features; a row is an image that could be read.

    features: their ``files`` are the names of the images; paths: of all images, by name.
    """

    method: Method
    features: FeatureSet
    paths: Mapping[str, Path]
    workers: Workers
    console: Console

    @classmethod
    def read(cls, images: ResultImages, workers: Workers, console: Console) -> ComparedImages:
        """Features from the cache, or computed: of all images that can be read."""
        run = earlier_run(images.root)
        settings, method = run["settings"], linking(method_of_run(run))
        paths = {file: _existing(images, file) for file in images.clusters}
        refs = [ImageRef.found(path, file) for file, path in paths.items()]
        with (
            open_cache(settings.get("cache")) as cache,
            console.bar(len(refs), "features", "images") as bar,
        ):
            most = int(settings.get("max_pixels") or MAX_PIXELS)
            reading = Reading(method, workers, most, settings.get("scale"), bar, cache=cache)
            folder = reading.scan_features(refs, method.seed)
            parts = (refs[start : start + PART] for start in range(0, max(1, len(refs)), PART))
            features = concatenate([folder.features(part) for part in parts])
        return cls(method, features, paths, workers, console)

    def similarity(self) -> NDArray[np.float32]:
        """(n, n) similarities of all pairs."""
        return similarities(self.method, self.features, self.features, self.workers)

    def suggestions(self, count: int | None, named: Collection[int]) -> list[int]:
        """Rows of the images to name next; `named` are the rows that have a name."""
        total, most = len(self.features), _most_compared(self.method)
        rows = np.arange(total)
        if total > most:
            chosen = {*sampled(range(total), most, 0), *sampled(list(named), most, 0)}
            rows = np.array(sorted(chosen), np.int64)
            self.console.warn(
                f"suggestions are chosen from {len(rows)} of {total} images, drawn at random"
            )
        features, given = self.features[rows], set(named)
        similarity = similarities(self.method, features, features, self.workers)
        known = [place for place, row in enumerate(rows.tolist()) if row in given]
        return [int(rows[place]) for place in naming_order(similarity, count, known)]

    def spread(self, named: Mapping[int, str]) -> Spread:
        """The names of all images, with confidence; `named` by row."""
        return spread_names(self.near_named(self.neighbours(), np.array(sorted(named))), named)

    def neighbours(
        self, seconds: float = MOST_SECONDS_SPREAD, largest: int | None = None
    ) -> Neighbours:
        """The most similar images of each image.

        Where comparing all pairs would take more than `seconds`, they are of a sample; so they are
        of more than `largest` images.
        """
        total = len(self.features)
        pair = max(self.method.extractor.seconds_per_pair, 1e-9)
        most = max(100, int(seconds / pair / max(total, 1)))
        most = most if largest is None else min(most, largest)
        others = np.array(sampled(range(total), most, 0), np.int64)
        if len(others) < total:
            self.console.warn(
                f"names spread along similarities to {len(others)} of {total} images, because"
                " comparing all pairs takes too long"
            )
        return self._nearest(others, NEIGHBOURS)

    def near_named(self, neighbours: Neighbours, named: NDArray[np.int64]) -> Neighbours:
        """`neighbours`, and the most similar one of the images `named` for each image."""
        own = self._nearest(named.astype(np.int64), 1)
        own.similarity[(neighbours.images == own.images).any(axis=1)] = -np.inf
        return Neighbours(
            np.hstack([neighbours.images, own.images]),
            np.hstack([neighbours.similarity, own.similarity]),
        )

    def _nearest(self, columns: NDArray[np.int64], count: int) -> Neighbours:
        """The `count` most similar ones of the images `columns` for each image."""
        chosen = self.features[columns]
        parts = []
        step = max(1, CELLS // max(1, len(columns)))
        for start in range(0, len(self.features), step):
            rows = self.features[start : start + step]
            values = similarities(self.method, rows, chosen, self.workers)
            parts.append(nearest(values, columns, start, count))
        return Neighbours(
            np.vstack([part.images for part in parts]),
            np.vstack([part.similarity for part in parts]),
        )


def _existing(images: ResultImages, file: str) -> Path:
    """The source of an image, whose features are cached; else its path in the result."""
    source = images.sources[file]
    return source if source.exists() else images.path(file)


def _most_compared(method: Method) -> int:
    """Images of which all pairs can be compared in `MOST_SECONDS`."""
    pairs = MOST_SECONDS / max(method.extractor.seconds_per_pair, 1e-9)
    return max(100, min(MOST_COMPARED, int(pairs**0.5)))

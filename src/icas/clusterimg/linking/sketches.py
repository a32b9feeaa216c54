"""Sketches: short byte vectors of features, close to each other for similar images.

A method's features become vectors of some hundred numbers or more, whose distances go along with
the method's similarity; the directions in which a folder's vectors vary most (principal
components) are kept, and each is rounded to a byte.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console, counted
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.methods.base import Describe, Method
from icas.common.errors import UsageError
from icas.parallel.executors import Workers

FITTED_TO = 1000
"""Images from which the directions are learned."""
DIRECTIONS = 192
"""Directions that are kept: 192 products of bytes, halved squares beside them, fit float32."""
VECTOR_UNIT = 1 << 12
"""Parts of 1 to which vectors are rounded, ..."""
DIRECTION_UNIT = 1 << 14
"""... and the directions: products of whole numbers that float64 adds up exactly."""
LIMIT = 127
SPREAD = 4
"""Standard deviations that correspond to `LIMIT`."""

Sketches = NDArray[np.int8]


@dataclass(frozen=True)
class Sketcher:
    """Makes sketches of images; the same for the same features, whatever is beside them.

    describe: features -> (n, v) float32 vectors; mean: (v,) float64; directions: (v, d) float64,
    both of whole numbers, in parts of `VECTOR_UNIT` and `DIRECTION_UNIT`; d may be 0; gain: steps
    of a sketch for each of these parts, or for a length of 1; by_angle: only the direction of a
    vector counts, within what is kept of it.
    """

    describe: Describe
    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    gain: float
    by_angle: bool

    @classmethod
    def fitted(cls, method: Method, features: FeatureSet, seed: int) -> Sketcher:
        """For a folder of which `features` are a sample.

        Raises UsageError: the method has no sketches.
        """
        describe = method.sketch(features, seed)
        if describe is None:
            raise UsageError(f"method {method.name!r} does not support candidates")
        vectors = _whole(describe(features))
        mean = np.rint(vectors.mean(axis=0)) if len(vectors) else np.zeros(vectors.shape[1])
        vectors -= mean
        bare = cls(describe, mean, _principal(vectors), 1.0, method.extractor.sketch_by_angle)
        places = bare._places(features)
        spread = float(np.sqrt(np.mean(np.square(places)))) if places.size else 0.0
        return replace(bare, gain=LIMIT / SPREAD / spread if spread else 0.0)

    def sketches(self, features: FeatureSet) -> Sketches:
        """(n, d) int8, in [-`LIMIT`, `LIMIT`]."""
        steps = np.rint(self._places(features) * self.gain)
        return np.clip(steps, -LIMIT, LIMIT).astype(np.int8)

    def _places(self, features: FeatureSet) -> NDArray[np.float64]:
        """Coordinates of the images along the directions, (n, d)."""
        vectors = _whole(self.describe(features)) - self.mean
        places: NDArray[np.float64] = vectors @ self.directions
        if self.by_angle:
            length = np.sqrt(np.square(places).sum(axis=1, keepdims=True))
            places /= np.maximum(length, 1)
        return places


def _whole(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.rint(vectors.astype(np.float64) * VECTOR_UNIT)


def _principal(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Directions in which the `vectors` of mean 0 vary most, (v, d), of length `DIRECTION_UNIT`."""
    values, weights = np.linalg.eigh(vectors @ vectors.T)
    kept = values > max(1e-9 * values.max(initial=0), 1)
    kept[: max(0, len(kept) - DIRECTIONS)] = False
    directions = vectors.T @ (weights[:, kept] / np.sqrt(values[kept]))
    return np.asarray(np.rint(directions * DIRECTION_UNIT), np.float64)


def fingerprints(features: FeatureSet) -> NDArray[np.uint64]:
    """(n,) a number for each image's features, the same for the same features."""
    arrays = [np.ascontiguousarray(array) for array in features.arrays.values()]
    result = np.empty(len(features), np.uint64)
    for row in range(len(features)):
        state = hashlib.blake2b(digest_size=8)
        for array in arrays:
            state.update(array[row : row + 1].tobytes())
        result[row] = int.from_bytes(state.digest(), "little")
    return result


ROWS = 1024
"""Sketches whose neighbors are found in a task."""
COLUMNS = 2048
"""Sketches that these are compared with at a time."""
NO_NEIGHBOR = -1
"""Fills up rows with fewer neighbors."""

Numbers = NDArray[np.int64]


def nearest(
    sketches: Sketches,
    parts: Numbers,
    most: int,
    workers: Workers,
    console: Console,
    rows: int = ROWS,
) -> Numbers:
    """For each sketch the `most` nearest ones of other parts, (n, most) int64.

    Nearest first, then lowest number first; filled up with `NO_NEIGHBOR`.
    Distances are whole numbers: the result does not depend on the tasks.

    sketches: (n, d) int8; parts: (n,) int64, the part that each belongs to, ascending.
    """
    shared = workers.share((sketches, parts))
    try:
        spans = range(0, len(sketches), rows)
        tasks = ((shared, start, start + rows, most) for start in spans)
        with console.bar(len(spans), "candidates", "tasks") as bar:
            result = list(counted(workers.ordered(_nearest_of_some, tasks), bar))
    finally:
        shared.release()
    return np.concatenate([np.empty((0, most), np.int64), *result])


def _nearest_of_some(shared: tuple[Sketches, Numbers], start: int, end: int, most: int) -> Numbers:
    """The nearest ones of sketches `start` to `end`."""
    sketches, parts = shared
    rows, row_parts = sketches[start:end].astype(np.float32), parts[start:end]
    kept = np.full((len(rows), most), NO_NEIGHBOR, np.int64)
    closeness = np.full((len(rows), most), -np.inf, np.float32)
    left = 0
    while left < len(sketches):
        # Not many more columns at first than there are already, or most would be kept for a while.
        right = min(len(sketches), left + min(COLUMNS, max(4 * most, left)))
        scores = _closeness(rows, sketches[left:right])
        column_parts = parts[left:right]
        if column_parts[0] <= row_parts[-1] and row_parts[0] <= column_parts[-1]:
            scores[row_parts[:, None] == column_parts] = -np.inf
        _keep(scores, left, kept, closeness)
        left = right
    return kept


def _closeness(rows: NDArray[np.float32], columns: Sketches) -> NDArray[np.float32]:
    """Half the squared distances off a number a row, (r, c): whole numbers and halves, exact."""
    others = columns.astype(np.float32)
    scores: NDArray[np.float32] = rows @ others.T
    scores -= np.square(others).sum(axis=1) / 2
    return scores


def _keep(
    scores: NDArray[np.float32], left: int, kept: Numbers, closeness: NDArray[np.float32]
) -> None:
    """Merge columns, numbered from `left`, into the best so far of each row.

    They come after all earlier columns: an equal score does not replace what is kept.
    """
    most = kept.shape[1]
    places = np.flatnonzero(scores > closeness[:, -1:])
    if not len(places):
        return
    row, column = np.divmod(places, scores.shape[1])
    rows, row = np.unique(row, return_inverse=True)
    all_rows = np.concatenate([np.repeat(np.arange(len(rows)), most), row])
    all_scores = np.concatenate([closeness[rows].ravel(), scores.ravel()[places]])
    numbers = np.concatenate([kept[rows].ravel(), column + left])
    # Stable: what is there comes first, by score and number, then the new ones by number.
    order = np.lexsort((-all_scores, all_rows))
    starts = np.searchsorted(all_rows[order], np.arange(len(rows)))
    best = order[starts[:, None] + np.arange(most)]
    kept[rows], closeness[rows] = numbers[best], all_scores[best]

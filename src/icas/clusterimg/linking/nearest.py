"""Exact nearest neighbors of sketches, by products of blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console, counted
from icas.clusterimg.linking.sketches import Sketches
from icas.parallel.executors import Workers

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

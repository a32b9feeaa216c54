"""The nearest sketches of each sketch, exactly, by products of blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console, counted
from icas.clusterimg.linking.sketches import Sketches
from icas.parallel.executors import Workers

ROWS = 1024
"""Sketches whose nearest are looked for in a task."""
COLUMNS = 2048
"""Sketches that these are compared with at a time."""
NONE = -1
"""Stands where there is no nearest one any more."""

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

    The nearest first, the lowest number first among equally near; `NONE` where there are fewer.
    Distances are whole numbers: the answer is the same however the work is shared out.

    sketches: (n, d) int8; parts: (n,) int64, the part that each belongs to, ascending.
    """
    shared = workers.share((sketches, parts))
    try:
        spans = range(0, len(sketches), rows)
        tasks = ((shared, start, start + rows, most) for start in spans)
        with console.bar(len(spans), "candidates", "tasks") as bar:
            found = list(counted(workers.ordered(_nearest_of_some, tasks), bar))
    finally:
        shared.release()
    return np.concatenate([np.empty((0, most), np.int64), *found])


def _nearest_of_some(shared: tuple[Sketches, Numbers], start: int, end: int, most: int) -> Numbers:
    """The nearest ones of sketches `start` to `end`."""
    sketches, parts = shared
    ours, our_parts = sketches[start:end].astype(np.float32), parts[start:end]
    kept = np.full((len(ours), most), NONE, np.int64)
    closeness = np.full((len(ours), most), -np.inf, np.float32)
    left = 0
    while left < len(sketches):
        # Not many more columns at first than there are already, or most would be kept for a while.
        right = min(len(sketches), left + min(COLUMNS, max(4 * most, left)))
        scores = _closeness(ours, sketches[left:right])
        their_parts = parts[left:right]
        if their_parts[0] <= our_parts[-1] and our_parts[0] <= their_parts[-1]:
            scores[our_parts[:, None] == their_parts] = -np.inf
        _keep(scores, left, kept, closeness)
        left = right
    return kept


def _closeness(ours: NDArray[np.float32], theirs: Sketches) -> NDArray[np.float32]:
    """Half the squared distances off a number a row, (r, c): whole numbers and halves, exact."""
    others = theirs.astype(np.float32)
    scores: NDArray[np.float32] = ours @ others.T
    scores -= np.square(others).sum(axis=1) / 2
    return scores


def _keep(
    scores: NDArray[np.float32], left: int, kept: Numbers, closeness: NDArray[np.float32]
) -> None:
    """Take columns, numbered from `left`, into the best so far of each row.

    They come after all that was seen: an equal score does not drive out what is there.
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

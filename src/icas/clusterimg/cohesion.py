"""How clusters hang together inside: the medoid and the least similar pair of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.graph import Labels, members_of
from icas.clusterimg.links import Links
from icas.clusterimg.methods.base import Method
from icas.clusterimg.similarity import ALONE, upper_tiles
from icas.common.executors import Workers

WHOLE = float(1 << 30)
"""Similarities are added up in whole parts of 1: so no order of adding changes a sum."""
TASK_PAIRS = 1 << 16
"""Pairs of small clusters that make a task."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Cohesion:
    """How one cluster hangs together.

    Attributes
    ----------
    medoid : int
        The member most similar to the others (greatest sum), the first of equals.
    least_similar_pair : float
        Similarity of the two members that are least alike.
    """

    medoid: int
    least_similar_pair: float


def cohesion(method: Method, features: FeatureSet, members: Rows) -> Cohesion:
    """Medoid and least similar pair of the images `members` (two or more) of `features`."""
    labels = np.full(len(features), -1, np.int64)
    labels[members] = 0
    return cohesions_of(method, features, labels)[0]


def cohesions_of(
    method: Method,
    features: FeatureSet,
    labels: Labels,
    links: Links | None = None,
    workers: Workers = ALONE,
) -> tuple[Cohesion, ...]:
    """Medoid and least similar pair of every cluster.

    Parameters
    ----------
    method : Method
    features : FeatureSet
        Of n images.
    labels : (n,) int64 ndarray
        Clusters, -1 = outlier.
    links : Links, optional
        Similarities of pairs that are known: a cluster all of whose pairs are among them is not
        compared again. Pairs of different clusters are passed over.
    workers : Workers
    """
    members = members_of(labels)
    sums = np.zeros(len(labels), np.int64)
    least = np.full(len(members), np.inf, np.float32)
    known = np.zeros(len(members), bool)
    if links is not None:
        known = _told_by(links, labels, members, sums, least)
    tasks = (
        _task(method, features, some, workers)
        for some in _together(_pieces(members, known, method.tile))
    )
    for found in workers.ordered(_compared, tasks):
        for part in found:
            sums[part.rows] += part.row_sums
            sums[part.columns] += part.column_sums
            least[part.cluster] = min(least[part.cluster], part.least)
    return tuple(
        Cohesion(int(inside[np.argmax(sums[inside])]), float(lowest))
        for inside, lowest in zip(members, least, strict=True)
    )


class _Piece(NamedTuple):
    """Images of a cluster to be compared with others of it; with themselves where they are one."""

    cluster: int
    rows: Rows
    columns: Rows


class _Part(NamedTuple):
    """What a piece adds to its cluster."""

    cluster: int
    rows: Rows
    columns: Rows
    row_sums: NDArray[np.int64]
    column_sums: NDArray[np.int64]
    least: float


def _told_by(
    links: Links,
    labels: Labels,
    members: Sequence[Rows],
    sums: NDArray[np.int64],
    least: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Which clusters have all of their pairs in `links`; their `sums` and `least` are filled in."""
    sizes = np.array([len(inside) for inside in members], np.int64)
    inside = (labels[links.a] == labels[links.b]) & (labels[links.a] >= 0)
    pairs = np.bincount(labels[links.a[inside]], minlength=len(members))
    complete: NDArray[np.bool_] = pairs == sizes * (sizes - 1) // 2
    inside[inside] = complete[labels[links.a[inside]]]
    a, b, similarity = links.a[inside], links.b[inside], links.similarity[inside]
    whole = _in_parts(similarity)
    np.add.at(sums, a, whole)
    np.add.at(sums, b, whole)
    np.minimum.at(least, labels[a], similarity)
    return complete


def _pieces(members: Sequence[Rows], known: NDArray[np.bool_], side: int) -> Iterator[_Piece]:
    """All pairs of the clusters that are not known, by the tile."""
    for cluster, inside in enumerate(members):
        if known[cluster]:
            continue
        for rows, columns in upper_tiles(len(inside), side):
            yield _Piece(cluster, inside[rows], inside[columns])


def _together(pieces: Iterator[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces in tasks of some size: a folder may hold a hundred thousand clusters of three."""
    some: list[_Piece] = []
    pairs = 0
    for piece in pieces:
        some.append(piece)
        pairs += len(piece.rows) * len(piece.columns)
        if pairs >= TASK_PAIRS:
            yield some
            some, pairs = [], 0
    if some:
        yield some


def _task(
    method: Method, features: FeatureSet, pieces: list[_Piece], workers: Workers
) -> tuple[Method, FeatureSet, list[_Piece], Rows | None]:
    """What a worker needs; another process is sent the images it compares and no others."""
    if not workers.remote:
        return method, features, pieces, None
    used = np.unique(np.concatenate([np.concatenate([one.rows, one.columns]) for one in pieces]))
    return method, features[used], pieces, used


def _compared(
    method: Method, features: FeatureSet, pieces: list[_Piece], used: Rows | None
) -> list[_Part]:
    return [_part(method, features, piece, used) for piece in pieces]


def _part(method: Method, features: FeatureSet, piece: _Piece, used: Rows | None) -> _Part:
    rows = piece.rows if used is None else np.searchsorted(used, piece.rows)
    columns = piece.columns if used is None else np.searchsorted(used, piece.columns)
    ours = features[rows]
    if np.array_equal(piece.rows, piece.columns):
        values = method.similarity(ours, ours)
        whole = _in_parts(values).sum(axis=1)
        pairs = values[~np.eye(len(values), dtype=bool)]
        none = np.zeros(len(columns), np.int64)
        return _Part(*piece, whole, none, float(pairs.min(initial=np.inf)))
    values = method.similarity(ours, features[columns])
    whole = _in_parts(values)
    return _Part(*piece, whole.sum(axis=1), whole.sum(axis=0), float(values.min()))


def _in_parts(similarity: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.rint(similarity.astype(np.float64) * WHOLE).astype(np.int64)

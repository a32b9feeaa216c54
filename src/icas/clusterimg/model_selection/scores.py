"""Which model of a grid is best: three indexes, the mean of their ranks, and the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.model_selection.estimators import Labels, means_of

BLOCK = 1 << 22
"""Distances of centres that are held at once."""
SILHOUETTE_MB = 128
"""Megabytes that scikit-learn may take for the distances of one block of images."""
INDEXES = ("silhouette", "davies_bouldin", "calinski_harabasz")


@dataclass(frozen=True)
class Tried:
    """One model of the grid and what became of it.

    Attributes
    ----------
    kind : str
    parameters : mapping of str to int or float
    clusters : int
        Clusters that it gave, noise not among them.
    outliers : int
        Images that it left as noise.
    silhouette : float
        In [-1, 1], more is better; NaN like the next two where it is not defined.
    davies_bouldin : float
        At least 0, less is better.
    calinski_harabasz : float
        At least 0, more is better.
    rank : float
        Mean of its three ranks among the models in question, 1 the best; NaN if out of it.
    seconds : float
        What fit and indexes took; building a tree is shared among its cuts.
    note : str
        Why it failed or is out of the question, or what else to know; mostly empty.
    """

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    clusters: int = 0
    outliers: int = 0
    silhouette: float = np.nan
    davies_bouldin: float = np.nan
    calinski_harabasz: float = np.nan
    rank: float = np.nan
    seconds: float = 0.0
    note: str = ""

    @property
    def eligible(self) -> bool:
        """Whether it may be chosen: two clusters or more, and not every image alone."""
        return self.clusters >= 2 and not np.isnan(self.silhouette)

    def as_dict(self) -> dict[str, Any]:
        """Kind, parameters, what was found and how it was judged, as JSON knows it."""
        values = {name: getattr(self, name) for name in ("clusters", "outliers", *INDEXES, "rank")}
        values = {name: None if value != value else value for name, value in values.items()}
        return {"kind": self.kind, "parameters": dict(self.parameters), **values}

    def words(self) -> str:
        """Kind and parameters as text: ``kmeans (clusters 20, max iter 300)``."""
        values = ", ".join(
            f"{name.replace('_', ' ')} {value}" for name, value in self.parameters.items()
        )
        return f"{self.kind} ({values})" if values else self.kind


def evaluate(space: NDArray[np.float64], labels: Labels) -> tuple[float, float, float]:
    """Silhouette, Davies-Bouldin and Calinski-Harabasz index; the noise counts as one more group.

    A model that throws away all but the easy images so gets a large group of images that lie far
    apart, which all three punish. Of six ways to treat noise this led to the best choices: leaving
    noise out makes the model win that leaves out most, and with each noise image as a cluster of
    one Davies-Bouldin favours dbscan with nine tenths noise.

    Parameters
    ----------
    space : (n, d) float64 ndarray
    labels : (n,) int64 ndarray
        -1 = noise.

    Returns
    -------
    three floats, all NaN with fewer than two clusters or with every image alone
    """
    groups = numbered(labels)
    count = int(groups.max()) + 1
    clusters = len(np.unique(labels[labels >= 0]))
    if clusters < 2 or count >= len(groups):
        return np.nan, np.nan, np.nan
    return _silhouette(space, groups), *_spread_indexes(space, groups, count)


def numbered(labels: Labels) -> Labels:
    """Numbers 0, 1, … in the order of the first image; noise is a group like the others.

    The same partition always gives the same numbers, hence exactly the same indexes: no rank
    hangs on rounding.
    """
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return np.asarray(place[inverse], np.int64)


def _silhouette(space: NDArray[np.float64], groups: Labels) -> float:
    from sklearn import config_context
    from sklearn.metrics import silhouette_score

    with config_context(working_memory=SILHOUETTE_MB):
        return float(silhouette_score(space, groups))


def _spread_indexes(space: NDArray[np.float64], groups: Labels, count: int) -> tuple[float, float]:
    """Davies-Bouldin and Calinski-Harabasz as scikit-learn defines them, in bounded memory.

    scikit-learn's holds several matrices of all pairs of clusters. One thing differs: without any
    distance inside clusters (all are exact copies) Calinski-Harabasz is infinite here, not 1,
    which would make the best of all groupings the worst.
    """
    sizes = np.bincount(groups, minlength=count)
    centres = means_of(space, groups)
    away = np.linalg.norm(space - centres[groups], axis=1)
    inside = float((away**2).sum())
    between = float((sizes * ((centres - space.mean(axis=0)) ** 2).sum(axis=1)).sum())
    ratio = between * (len(space) - count) / (inside * (count - 1)) if inside > 0 else np.inf
    scatter = np.bincount(groups, away, count) / sizes
    return _davies_bouldin(centres, scatter), ratio


def _davies_bouldin(centres: NDArray[np.float64], scatter: NDArray[np.float64]) -> float:
    """Mean over the clusters of the greatest (own + other scatter) / distance of the centres."""
    from scipy.spatial.distance import cdist

    worst = np.empty(len(centres))
    rows = max(1, BLOCK // len(centres))
    for start in range(0, len(centres), rows):
        block = slice(start, start + rows)
        distances = cdist(centres[block], centres)
        # centres at one place say nothing, as in scikit-learn; that leaves out the cluster itself
        distances[distances == 0] = np.inf
        worst[block] = ((scatter[block, None] + scatter) / distances).max(axis=1)
    return float(worst.mean())


def ranked(tried: Sequence[Tried]) -> tuple[Tried, ...]:
    """`tried` with `Tried.rank` filled in for all that may be chosen.

    Equal values share the mean of their ranks; an index that is NaN ranks last.
    """
    places = [place for place, one in enumerate(tried) if one.eligible]
    if not places:
        return tuple(tried)
    running = [tried[place] for place in places]
    ranks = (
        _ranks([-one.silhouette for one in running])
        + _ranks([one.davies_bouldin for one in running])
        + _ranks([-one.calinski_harabasz for one in running])
    ) / 3
    found = list(tried)
    for place, rank in zip(places, ranks, strict=True):
        found[place] = replace(tried[place], rank=float(rank))
    return tuple(found)


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Rank of each value, 1 the least; NaN counts as the greatest."""
    from scipy.stats import rankdata

    numbers = np.array(values, np.float64)
    return np.asarray(rankdata(np.where(np.isnan(numbers), np.inf, numbers)), np.float64)


def choose(tried: Sequence[Tried]) -> int | None:
    """Place of the model to take; None if none could be fitted.

    The least mean rank wins; among equals the greatest silhouette, then the fewest clusters, then
    the first in the order of the grid. If none is in question (fewer than two clusters, all noise,
    every image alone), the first with a cluster at all is taken, else the first that was fitted.
    """
    running = [place for place, one in enumerate(tried) if one.eligible]
    if running:
        return min(running, key=lambda place: _order(tried[place]))
    fitted = [place for place, one in enumerate(tried) if one.clusters or one.outliers]
    return min(fitted, key=lambda place: tried[place].clusters == 0, default=None)


def _order(one: Tried) -> tuple[float, float, int]:
    return round(one.rank, 9), -one.silhouette, one.clusters

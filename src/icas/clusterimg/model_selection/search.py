"""Vectors -> clusters: every model of the grid is fitted and judged, the best one is taken."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.clusterimg.model_selection.estimators import (
    LINKAGES,
    Labels,
    Tree,
    build_tree,
    default_eps,
    fit_model,
    grouping_space,
    judging_space,
    means_of,
    obstacle,
)
from icas.clusterimg.model_selection.grid import KINDS, Grid, Parameters
from icas.common.errors import UsageError
from icas.parallel.executors import Workers, start_workers

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

    The same partition always gives the same numbers, hence exactly the same indexes: ranks do not
    depend on rounding.
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


ROUNDING = 1e-5
"""Difference of coordinates up to which vectors of length 1 count as equal."""


@dataclass(frozen=True)
class ModelGroups:
    """What the best model of a grid says, and what was tried.

    Attributes
    ----------
    labels : (n,) int64 ndarray
        Cluster of each image as the model numbers them; -1 = noise.
    chosen : Tried
        One of `tried`.
    tried : tuple of Tried
        Every model of the grid, in its order.
    """

    labels: Labels
    chosen: Tried
    tried: tuple[Tried, ...]


@dataclass(frozen=True)
class _Task:
    """A model to fit, and what it looks at.

    Attributes
    ----------
    vectors : (n, d) float32 ndarray
    judged : (n, e) float64 ndarray
    """

    kind: str
    parameters: Parameters
    vectors: NDArray[np.float32]
    judged: NDArray[np.float64]
    seed: int
    tree: Tree | None


def group(
    vectors: NDArray[np.float32],
    grid: Grid,
    seed: int = 0,
    console: Console | None = None,
    workers: Workers | None = None,
    *,
    whiten: bool = True,
) -> ModelGroups:
    """Cluster vectors with every model of `grid` and take the best.

    Models look for clusters in `grouping_space`; the three indexes are computed in
    `judging_space`. The best is the one with the least mean of its ranks by silhouette,
    Davies-Bouldin and Calinski-Harabasz index (`choose`). The answer depends on `vectors`, `grid`
    and `seed` alone. A single image is an outlier, and vectors that are all equal are one cluster:
    no model is fitted then.

    Parameters
    ----------
    vectors : (n, d) float32 ndarray
        With length 1, so that Euclidean distances order as cosine similarities do.
    seed : int
        Random seed of kmeans and gaussian.
    console : Console, optional
        Shows the progress.
    workers : Workers, optional
        How many models are fitted at a time; threads of this process fit them whatever the
        executor is, for they share the vectors.
    whiten : bool
        False: the models get `vectors` as they are.
    """
    _check(vectors)
    trivial = _without_model(vectors)
    if trivial is not None:
        return trivial
    with _quiet_and_alone():
        started = start_workers("threads", workers.jobs if workers is not None else 1)
        with started as threads:
            labels, tried = _try_all(vectors, grid, seed, console or Console(), threads, whiten)
    tried = ranked(tried)
    best = choose(tried)
    if best is None:
        raise UsageError(
            f"no clustering model fits {len(vectors)} images ({tried[0].kind}: {tried[0].note})"
        )
    found = labels[best]
    assert found is not None
    return ModelGroups(found, tried[best], tried)


def _check(vectors: NDArray[np.float32]) -> None:
    if vectors.ndim != 2 or len(vectors) == 0 or vectors.shape[1] == 0:
        raise UsageError(f"vectors of shape {vectors.shape}: expected (images, dimensions)")
    if not np.isfinite(vectors).all():
        image = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise UsageError(
            f"the features of image {image} are NaN or infinite: check the weights of the network"
        )


def _without_model(vectors: NDArray[np.float32]) -> ModelGroups | None:
    """The answer where there is nothing to choose from: one image, or all images equal."""
    if len(vectors) == 1:
        alone = Tried("none", outliers=1, note="a single image is an outlier")
        return ModelGroups(np.array([-1], np.int64), alone, (alone,))
    # Equal images give equal vectors up to rounding in the network.
    if np.abs(vectors - vectors[0]).max() <= ROUNDING:
        equal = Tried("none", clusters=1, note="all images are identical: one cluster")
        return ModelGroups(np.zeros(len(vectors), np.int64), equal, (equal,))
    return None


def _try_all(
    vectors: NDArray[np.float32],
    grid: Grid,
    seed: int,
    console: Console,
    threads: Workers,
    whiten: bool,
) -> tuple[list[Labels | None], tuple[Tried, ...]]:
    """Labels and record of every model, in the order of the grid."""
    space = grouping_space(vectors) if whiten else vectors
    judged = judging_space(vectors)
    trees, building = _trees(grid, space)
    planned = list(_planned(grid, space))
    counts = Counter(kind for kind, _ in planned)
    make = partial(_Task, vectors=space, judged=judged, seed=seed)
    labels: list[Labels | None] = []
    tried: list[Tried] = []
    with console.bar(len(planned), "models", "models") as bar:
        tasks = ((make(kind, given, tree=trees.get(kind)),) for kind, given in planned)
        for found, one in threads.ordered(_try_one, tasks):
            share = building.get(one.kind, 0.0) / counts[one.kind]
            labels.append(found)
            tried.append(replace(one, seconds=one.seconds + share))
            bar.update(1)
    return labels, tuple(tried)


def _trees(grid: Grid, space: NDArray[np.float32]) -> tuple[dict[str, Tree], dict[str, float]]:
    """The trees that kinds of the grid need, and the seconds it took to build them."""
    trees, seconds = {}, {}
    for kind in grid.kinds:
        if kind in LINKAGES:
            start = perf_counter()
            trees[kind] = build_tree(space, LINKAGES[kind])
            seconds[kind] = perf_counter() - start
    return trees, seconds


def _planned(grid: Grid, vectors: NDArray[np.float32]) -> Iterator[tuple[str, Parameters]]:
    """Kind and parameters of every model of the grid."""
    for kind in grid.kinds:
        for parameters in grid.of_kind(kind, len(vectors)):
            if "eps" in KINDS[kind] and "eps" not in parameters:
                for eps in default_eps(vectors, parameters["min_samples"]):
                    yield kind, {"eps": eps, **parameters}
            else:
                yield kind, parameters


def _try_one(task: _Task) -> tuple[Labels | None, Tried]:
    from threadpoolctl import threadpool_limits

    start = perf_counter()
    why = obstacle(task.kind, task.parameters, len(task.vectors))
    if why:
        return None, Tried(task.kind, task.parameters, note=why)
    # OpenMP's limit holds for the thread that sets it: it cannot be set once for all.
    with threadpool_limits(1, "openmp"):
        fit = fit_model(task.kind, task.vectors, task.parameters, task.seed, task.tree)
        indexes = evaluate(task.judged, fit.labels)
    clusters = len(np.unique(fit.labels[fit.labels >= 0]))
    one = Tried(
        task.kind,
        task.parameters,
        clusters,
        int((fit.labels < 0).sum()),
        *indexes,
        seconds=perf_counter() - start,
    )
    notes = (fit.note, _why_out(one), _fewer_note(one))
    return fit.labels, replace(one, note="; ".join(filter(None, notes)))


def _why_out(one: Tried) -> str:
    """Why a model is out of the question; empty if it is in it."""
    if one.eligible:
        return ""
    if one.clusters == 0:
        return "all noise"
    return "one cluster" if one.clusters == 1 else "only outliers"


def _fewer_note(one: Tried) -> str:
    requested = one.parameters.get("clusters", one.clusters)
    return f"{one.clusters} clusters instead of {requested}" if one.clusters < requested else ""


@contextmanager
def _quiet_and_alone() -> Iterator[None]:
    """No convergence warnings (notes report them), and sums in one order: one BLAS thread.

    Both settings are the process's; here no other thread of it changes them.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield

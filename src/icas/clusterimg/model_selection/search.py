"""Vectors -> clusters: every model of the grid is fitted and judged, the best one is taken."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

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
    obstacle,
)
from icas.clusterimg.model_selection.grid import KINDS, Grid, Parameters
from icas.clusterimg.model_selection.scores import Tried, choose, evaluate, ranked
from icas.clusterimg.model_selection.spaces import grouping_space, judging_space
from icas.common.errors import UsageError
from icas.parallel.executors import Workers, start_workers

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
        raise UsageError(f"no model fits {len(vectors)} images: {tried[0].kind}: {tried[0].note}")
    found = labels[best]
    assert found is not None
    return ModelGroups(found, tried[best], tried)


def _check(vectors: NDArray[np.float32]) -> None:
    if vectors.ndim != 2 or len(vectors) == 0 or vectors.shape[1] == 0:
        raise UsageError(f"vectors of shape {vectors.shape}: (images, dimensions) is needed")
    if not np.isfinite(vectors).all():
        image = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise UsageError(f"the features of image {image} are not finite; see the network's weights")


def _without_model(vectors: NDArray[np.float32]) -> ModelGroups | None:
    """The answer where there is nothing to choose from: one image, or all images equal."""
    if len(vectors) == 1:
        alone = Tried("none", outliers=1, note="one image: an outlier")
        return ModelGroups(np.array([-1], np.int64), alone, (alone,))
    # Equal pictures give equal vectors but for the rounding of a network's sums.
    if np.abs(vectors - vectors[0]).max() <= ROUNDING:
        equal = Tried("none", clusters=1, note="all images are equal: one cluster")
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
    return "one cluster" if one.clusters == 1 else "every image alone"


def _fewer_note(one: Tried) -> str:
    requested = one.parameters.get("clusters", one.clusters)
    return f"{one.clusters} clusters of {requested} asked for" if one.clusters < requested else ""


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

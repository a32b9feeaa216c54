"""The kinds of models: scikit-learn estimators, each with what it needs to do well on vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.model_selection.grid import Parameters
from icas.parallel.child_processes import one_thread_each

GROUPED_DIMS = 64
"""Principal components in which models look for clusters."""
JUDGED_DIMS = 16
"""Principal components in which the three indexes are computed."""


def grouping_space(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half-whitened principal components with length 1: where models look for clusters.

    Each component is divided by the square root of its standard deviation: what many images share
    (light, background) loses weight, and noise of the small components does not rise to the level
    of the rest as it does with full whitening. No more than half as many components as images are
    kept: a few images span too few directions to estimate their spread.

    Parameters
    ----------
    vectors : (n, d) float32 ndarray
    """
    components = principal_components(vectors, min(GROUPED_DIMS, max(2, len(vectors) // 2)))
    spread = np.sqrt((components**2).mean(axis=0))
    halved = components / np.sqrt(spread)
    lengths = np.linalg.norm(halved, axis=1, keepdims=True)
    directions: NDArray[np.float64] = halved / np.where(lengths > 0, lengths, 1)
    return directions.astype(np.float32)


def judging_space(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """The first 16 principal components as they are: where the indexes are computed.

    In many dimensions all distances are about equal, and the indexes then favour the fewest or the
    most clusters whatever the images are; in few they have their best values near the true number.
    """
    return principal_components(vectors, JUDGED_DIMS)


def principal_components(vectors: NDArray[Any], dims: int) -> NDArray[np.float64]:
    """Coordinates of `vectors` along the directions of their greatest variance.

    Parameters
    ----------
    vectors : (n, d) ndarray
        Vectors that are not all equal.
    dims : int
        Most components; those without variance are left out.

    Returns
    -------
    (n, r) float64 ndarray, 1 <= r <= dims
        Column means 0, columns orthogonal, the one with the greatest variance first.
    """
    mean, _, axes = principal_axes(vectors, dims)
    return np.asarray((vectors.astype(np.float64) - mean) @ axes)


def principal_axes(
    vectors: NDArray[Any], dims: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, variances and directions of the greatest variance.

    Parameters
    ----------
    vectors : (n, d) ndarray
    dims : int
        Most directions; those without variance are left out.

    Returns
    -------
    mean : (d,) float64 ndarray
    variances : (r,) float64 ndarray, r <= dims
        Descending; none where all vectors are equal.
    axes : (d, r) float64 ndarray
        Orthogonal columns of length 1.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    centred = vectors - mean
    lengths = float(np.square(vectors, dtype=np.float64).sum())
    # The eigenvectors of the smaller of the two products: d x d, or n x n for fewer images.
    wide = centred.shape[1] > len(centred)
    with one_thread_each():
        product = centred @ centred.T if wide else centred.T @ centred
        values, directions = np.linalg.eigh(product)
        rounding = max(1e-10 * values[-1], 1e-14 * lengths)
        keep = np.flatnonzero(values > rounding)[::-1][:dims]
        axes = directions[:, keep]
        if wide:
            axes = centred.T @ axes / np.sqrt(values[keep])
    return mean, values[keep] / len(vectors), axes


Labels = NDArray[np.int64]
Vectors = NDArray[np.float32]

EPS_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Shares of the images that are to be cores of clusters, where no `eps` is given."""
STARTS = 10
"""Most starts of k-means; the one with the least inertia counts."""
START_WORK = 5_000_000
"""Images times clusters of all starts together, beyond which there are fewer, but two at least."""
LINKAGES: Mapping[str, str] = MappingProxyType({"hierarchy": "average", "kmeans": "ward"})
"""Kinds that need an agglomerative tree, and its linkage.

Average linkage keeps its quality better than Ward's when the number of clusters is not the true
one. Ward's looks for what k-means looks for, the least squares, so its cuts are good starts.
"""
GAUSSIAN_DIMS = 16
"""Principal components for mixtures: variances of more cannot be estimated from few images."""
GAUSSIAN_FLOOR = 0.1
"""Least variance of a mixture's component, of the mean variance of all images."""


@dataclass(frozen=True)
class Fit:
    """What one model gives.

    Attributes
    ----------
    labels : (n,) int64 ndarray
        Cluster of each image; -1 = noise.
    note : str
        What to know of the fit; empty if nothing.
    """

    labels: Labels
    note: str = ""


@dataclass(frozen=True)
class Tree:
    """Agglomerative tree: merge i joins two nodes into node n + i; nodes below n are images.

    Attributes
    ----------
    merges : (n - 1, 2) int64 ndarray
        In the order of their distance.
    """

    images: int
    merges: NDArray[np.int64]

    def cut(self, clusters: int) -> Labels:
        """The clusters that are left when so many remain; the same as a fit with that number."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        merges = self.merges[: self.images - clusters]
        nodes = self.images + len(merges)
        joined = np.repeat(np.arange(self.images, nodes), 2)
        edges = csr_array((np.ones(2 * len(merges)), (joined, merges.ravel())), (nodes, nodes))
        _, labels = connected_components(edges, directed=False)
        return np.asarray(labels[: self.images], np.int64)


def build_tree(vectors: Vectors, linkage: str) -> Tree:
    """The whole agglomerative tree; cuts of it are the clusters for every number."""
    from sklearn.cluster import AgglomerativeClustering

    model = AgglomerativeClustering(n_clusters=1, linkage=linkage, compute_full_tree=True)
    merges = model.fit(vectors).children_
    return Tree(len(vectors), np.asarray(merges, np.int64).reshape(-1, 2))


def fit_model(
    kind: str, vectors: Vectors, parameters: Parameters, seed: int, tree: Tree | None
) -> Fit:
    """Fit one model.

    Parameters
    ----------
    kind : str
        A kind of `icas.clusterimg.model_selection.grid.KINDS`.
    vectors : (n, d) float32 ndarray
    parameters : mapping
        The parameters of `kind`, all that have no default of scikit-learn.
    seed : int
        Random seed.
    tree : Tree or None
        That of `LINKAGES`; needed for the kinds named there.
    """
    if kind not in LINKAGES:
        return _FITS[kind](vectors, parameters, seed)
    if tree is None:
        raise ValueError(f"{kind} needs the tree")
    cut = tree.cut(parameters["clusters"])
    return Fit(cut) if kind == "hierarchy" else _kmeans(vectors, parameters, seed, cut)


def _kmeans(vectors: Vectors, parameters: Parameters, seed: int, cut: Labels) -> Fit:
    """Lloyd's k-means; of all starts the one with the least inertia counts.

    They are the cut of Ward's tree and several of k-means++, fewer of these where images and
    clusters are many.
    """
    from sklearn.cluster import KMeans

    clusters, rounds = parameters["clusters"], parameters["max_iter"]
    starts = int(np.clip(START_WORK // (len(vectors) * clusters), 2, STARTS))
    centres = means_of(vectors, cut).astype(np.float32)
    best = min(
        KMeans(clusters, init=centres, n_init=1, max_iter=rounds).fit(vectors),
        KMeans(clusters, n_init=starts, max_iter=rounds, random_state=seed).fit(vectors),
        key=lambda model: float(model.inertia_),
    )
    return Fit(np.asarray(best.labels_, np.int64), _rounds_note(best.n_iter_ < rounds, rounds))


def means_of(vectors: NDArray[Any], labels: Labels) -> NDArray[np.float64]:
    """Mean vector of each of the labels 0, 1, …, none of which is without a vector."""
    sums = np.zeros((int(labels.max()) + 1, vectors.shape[1]))
    np.add.at(sums, labels, vectors)
    return sums / np.bincount(labels)[:, None]


def _gaussian(vectors: Vectors, parameters: Parameters, seed: int) -> Fit:
    """A mixture with diagonal covariances in the first 16 principal components.

    A full covariance of d dimensions needs more than d images a cluster, which folders of images
    hardly have; and without a floor the variances of small clusters collapse.
    """
    from sklearn.mixture import GaussianMixture

    reduced = principal_components(vectors, GAUSSIAN_DIMS)
    rounds = parameters["max_iter"]
    model = GaussianMixture(
        parameters["clusters"],
        covariance_type="diag",
        reg_covar=GAUSSIAN_FLOOR * float(reduced.var(axis=0).mean()),
        max_iter=rounds,
        random_state=seed,
    )
    labels = np.asarray(model.fit_predict(reduced), np.int64)
    return Fit(labels, _rounds_note(model.converged_, rounds))


def _dbscan(vectors: Vectors, parameters: Parameters, seed: int) -> Fit:
    from sklearn.cluster import DBSCAN

    model = DBSCAN(eps=parameters["eps"], min_samples=parameters["min_samples"])
    return Fit(np.asarray(model.fit_predict(vectors), np.int64))


def _hdbscan(vectors: Vectors, parameters: Parameters, seed: int) -> Fit:
    from sklearn.cluster import HDBSCAN

    model = HDBSCAN(**parameters, copy=True)
    return Fit(np.asarray(model.fit_predict(vectors), np.int64))


_FITS: Mapping[str, Callable[[Vectors, Parameters, int], Fit]] = MappingProxyType(
    {"gaussian": _gaussian, "dbscan": _dbscan, "hdbscan": _hdbscan}
)


def _rounds_note(converged: bool, rounds: int) -> str:
    return "" if converged else f"not converged after {rounds} rounds"


def core_distances(vectors: Vectors, neighbours: int) -> NDArray[np.float64]:
    """Distance within which each image has so many neighbours, itself among them, (n,) float64."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=min(neighbours, len(vectors)), algorithm="brute")
    distances, _ = index.fit(vectors).kneighbors(vectors)
    return np.asarray(distances[:, -1], np.float64)


def default_eps(vectors: Vectors, min_samples: int) -> tuple[float, ...]:
    """Quantiles of the core distance, rounded up to four places so that tables can be typed in."""
    quantiles = np.quantile(core_distances(vectors, min_samples), EPS_QUANTILES)
    rounded = (np.ceil(quantiles * 1e4) / 1e4).clip(1e-4, 2.0)
    return tuple(dict.fromkeys(float(value) for value in rounded))


def obstacle(kind: str, parameters: Mapping[str, Any], images: int) -> str:
    """Why the model cannot be fitted to so many images; empty if it can."""
    for name in ("clusters", "min_samples", "min_cluster_size"):
        number = parameters.get(name, 0)
        if number > images and not (kind == "dbscan" and name == "min_samples"):
            what = "clusters" if name == "clusters" else name.replace("_", " ")
            return f"{number} {what}, but only {images} images"
    least, most = parameters.get("min_cluster_size", 0), parameters.get("max_cluster_size")
    if most is not None and least > most:
        return f"min cluster size {least} exceeds max cluster size {most}"
    return ""

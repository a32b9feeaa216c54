"""ImageClusterer: clustering in memory as a scikit-learn estimator."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.api.functions import checked_options, make_method_from
from icas.clusterimg.cache.cache import open_cache
from icas.clusterimg.clustering.base import Clusterer
from icas.clusterimg.clustering.batches import (
    batch_size_for,
    cluster_batches,
    default_batch_size,
    split,
)
from icas.clusterimg.clustering.linkages import make_clusterer
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.features.embeddings import Vectors, embeddings_in, features_of_embeddings
from icas.clusterimg.features.inputs import Inputs, features_of, image_items
from icas.clusterimg.graph.forest import Labels, spanning_forest
from icas.clusterimg.methods import AUTO, is_auto, make_method
from icas.clusterimg.methods.base import Method, linking
from icas.clusterimg.pipeline.steps import candidates_for
from icas.clusterimg.settings import DEFAULT_METHOD, MERGES, check_scale, threshold_of
from icas.clusterimg.thresholds.auto import auto, sample_of
from icas.common.errors import UsageError
from icas.io.reading import MAX_PIXELS
from icas.parallel.executors import Workers, start_workers


class ImageClusterer:
    """Cluster similar images: links at or above a threshold, connected components as clusters.

    Works on paths, arrays or embeddings and writes no files. Follows the conventions of
    scikit-learn (``get_params``, ``set_params``, ``clone``, ``fit_predict``) without requiring it;
    passes ``check_estimator``.

    Parameters
    ----------
    method : str, default "auto"
        As for `icas.cluster`. Embeddings need ``deep`` or ``auto``.
    threshold : float or {"auto"}, default "auto"
        Minimum similarity of linked images, at most 1. ``auto`` estimates it from the images.
    batch_size : int, default as many as fit 2 GB of features, at most 10,000
        Images per batch; all pairs of a batch are compared. At least 2.
    merge : {"representatives", "exact"}
        How batches are merged: compare the representatives of clusters, or all pairs.
    linkage : {"single", "complete", "average"}, default "single"
        ``single`` makes each connected component a cluster. ``complete`` and ``average`` split
        components so that in each cluster every pair, or the mean of all pairs, reaches the
        threshold.
    candidates : int, default all
        Number of most promising images that each image is compared with (orb, ssim, tm). Default
        with ``method="auto"``: 50 where comparing all pairs takes over a minute.
    scale : float, optional
        Factor by which images are resized, 0.001 to 100.
    recursive : bool, default False
        Include sub-folders of a folder.
    max_pixels : int, default 178,956,970
        Larger images are not read; they are listed as unreadable.
    jobs : int, default all cores
        Number of workers. The result does not depend on it.
    executor : {"threads", "processes", "dask"}
        Kind of workers.
    scheduler : str, default a local Dask cluster
        Address of a Dask scheduler.
    cache : str or Path or bool, default False
        Folder for features that later fits reuse; True: the cache folder of the user.
    **options
        Options of the method, such as ``hash_size=16`` or ``size="96x96"``; see `icas.cluster`.

    Attributes
    ----------
    labels_ : (n,) int64 ndarray
        Cluster of each image, 0 = largest cluster, -1 = outlier. A list has one label per item:
        files that cannot be read are outliers, with a warning.
    links_ : (m,) structured ndarray
        Links: ``a``, ``b`` (int64) and ``similarity`` (float32). With complete or average linkage
        only links within clusters.
    forest_ : Forest
        Spanning forest of the links, for `icas.labels_at`: clusters of single linkage at any
        higher threshold.
    medoids_ : (clusters,) int64 ndarray
        Index of the medoid of each cluster: the image most similar to the others.
    method_ : str
        Method used: that of `method`, or the one that ``auto`` chose.
    threshold_ : float
        Threshold used; NaN with clustering models.
    models_ : tuple of ModelGroups
        Clustering models tried, one entry per batch; empty with links.
    files_ : tuple of str
        Files of the n images; empty for arrays. Unreadable files of a folder are not included.
    unreadable_ : tuple of Unreadable
        Unreadable files (``.file``) and the reasons (``.reason``).
    n_clusters_ : int
        Number of clusters.
    n_features_in_ : int
        Length of the embeddings; only if embeddings were given.
    feature_names_in_ : ndarray of str
        Names of their columns; only if a data frame was given.

    See Also
    --------
    icas.cluster : The same for a folder, with the result on disk.

    Notes
    -----
    A table of numbers, (n, d), holds embeddings of n images. They are compared by cosine
    similarity. Options of ``deep`` apply: ``dims=128`` whitens them, ``cluster_model`` fits models.

    Single linkage gives the clusters of ``scipy.cluster.hierarchy`` at the same distance. The
    references of the methods are in `icas.cluster`.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> pictures = [data.coffee(), data.coffee()[::2, ::2], data.camera()]
    >>> model = icas.ImageClusterer(method="tm", threshold=0.95).fit(pictures)
    >>> model.labels_, model.labels_.dtype
    (array([ 0,  0, -1]), dtype('int64'))
    >>> model.links_[["a", "b"]].tolist(), model.medoids_, model.n_clusters_
    ([(0, 1)], array([0]), 1)
    >>> icas.labels_at(model.forest_, 1.0)
    array([-1, -1, -1])

    Embeddings of another program:

    >>> vectors = [[0.9, 0.1, 0.0], [0.8, 0.1, 0.1], [0.0, 0.2, 0.9]]
    >>> icas.ImageClusterer(threshold=0.9).fit_predict(vectors)
    array([ 0,  0, -1])
    """

    _estimator_type = "clusterer"

    def __init__(
        self,
        method: str = DEFAULT_METHOD,
        threshold: float | str = "auto",
        *,
        batch_size: int | None = None,
        merge: str = "representatives",
        linkage: str = "single",
        candidates: int | None = None,
        scale: float | None = None,
        recursive: bool = False,
        max_pixels: int = MAX_PIXELS,
        jobs: int | None = None,
        executor: str = "threads",
        scheduler: str | None = None,
        cache: str | Path | bool = False,
        **options: Any,
    ) -> None:
        self.method = method
        self.threshold = threshold
        self.batch_size = batch_size
        self.merge = merge
        self.linkage = linkage
        self.candidates = candidates
        self.scale = scale
        self.recursive = recursive
        self.max_pixels = max_pixels
        self.jobs = jobs
        self.executor = executor
        self.scheduler = scheduler
        self.cache = cache
        self._options = options

    _own = tuple(name for name in inspect.signature(__init__).parameters if name != "self")[:-1]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return all parameters by name, including the options of the method.

        Parameters
        ----------
        deep : bool, default True
            Without effect: no parameter is an estimator.

        Returns
        -------
        dict

        Examples
        --------
        >>> import icas
        >>> icas.ImageClusterer(hash_size=16).get_params()["hash_size"]
        16
        """
        return {**{name: getattr(self, name) for name in self._own}, **self._options}

    def set_params(self, **params: Any) -> ImageClusterer:
        """Set parameters by name; None resets an option of the method to its default.

        Parameters
        ----------
        **params
            Parameters of the class; `fit` checks them.

        Returns
        -------
        ImageClusterer
            This object.

        Examples
        --------
        >>> import icas
        >>> icas.ImageClusterer().set_params(method="orb", keypoints=100).get_params()["method"]
        'orb'
        """
        for name, value in params.items():
            if name in self._own:
                setattr(self, name, value)
            else:
                self._options[name] = value
        return self

    def fit(self, X: str | Path | Iterable[Any], y: Any = None) -> ImageClusterer:
        """Cluster the images `X`.

        Parameters
        ----------
        X : str or Path, or iterable of paths, arrays or PIL images, or (n, d) array_like
            A folder, files, or images of shape (h, w) or (h, w, 1|3|4), uint8 or floats in [0, 1];
            or one embedding per row.
        y : ignored
            For compatibility with scikit-learn.

        Returns
        -------
        ImageClusterer
            This object, with the attributes that end in ``_``.

        Raises
        ------
        UsageError
            An invalid parameter, a missing folder, or arrays that are neither images nor
            embeddings.
        MissingExtraError
            The method or executor needs an extra that is not installed.
        """
        threshold = threshold_of(self.threshold)
        if threshold == "pick":
            raise UsageError(
                "threshold 'pick' opens a window, which an estimator cannot do: give a number"
                " or 'auto', or call icas.pick_threshold first"
            )
        if self.merge not in MERGES:
            raise UsageError(f"unknown merge {self.merge!r}: choose from {', '.join(MERGES)}")
        if self.scale is not None:
            check_scale(self.scale)
        source, vectors = _images_or_embeddings(X)
        method = self._method() if vectors is None else self._method_of_embeddings()
        method = self._clusterer(method, threshold, self.candidates).method
        with start_workers(self.executor, self.jobs, self.scheduler) as workers:
            features = self._features(method, source, vectors, workers)
            most = self.candidates
            if most is None and is_auto(self.method):
                most = candidates_for(method, len(features) * (len(features) - 1) // 2)
            clusterer = self._clusterer(method, threshold, most)
            if isinstance(threshold, str) and clusterer.threshold is not None:
                number = auto(sample_of(method, features, None, workers), method).threshold
                clusterer = self._clusterer(method, number, most)
            size = self._batch_size(clusterer, features, embedded=vectors is not None)
            parts = split(len(features), size)
            batches = ((features[part], None) for part in parts)
            found = cluster_batches(clusterer, batches, merge=self.merge, workers=workers)
        inputs = Inputs.of(source, found.files, features.unreadable)
        if inputs.lost:
            warnings.warn(inputs.warning(), stacklevel=2)
        links = inputs.links(found.links())
        forest = spanning_forest(found.count, [found.trees()], clusterer.floor)
        self.labels_: Labels = inputs.labels(found.labels)
        self.method_ = method.name
        self.threshold_ = np.nan if clusterer.threshold is None else clusterer.threshold
        self.models_ = tuple(clusterer.models)
        self.links_: NDArray[Any] = links.structured()
        self.forest_ = inputs.forest(forest)
        self.medoids_ = inputs.rows[
            np.array([cluster.medoid for cluster in found.cohesions], np.int64)
        ]
        self.files_ = inputs.files
        self.unreadable_ = features.unreadable
        self.n_clusters_ = len(found.cohesions)
        self._note_columns(X, vectors)
        return self

    def fit_predict(self, X: str | Path | Iterable[Any], y: Any = None) -> Labels:
        """Cluster the images `X` and return `labels_`.

        Parameters
        ----------
        X : str or Path, or iterable of paths, arrays or PIL images, or (n, d) array_like
            As for `fit`.
        y : ignored
            For compatibility with scikit-learn.

        Returns
        -------
        (n,) int64 ndarray
            Cluster of each image, 0 = largest cluster, -1 = outlier.

        Raises
        ------
        UsageError
            As for `fit`.

        Examples
        --------
        >>> import icas
        >>> from skimage import data
        >>> pictures = [data.coffee(), data.coffee()[::2, ::2], data.camera()]
        >>> icas.ImageClusterer().fit_predict(pictures)
        array([ 0,  0, -1])
        """
        self.fit(X, y)
        return self.labels_

    def _method(self) -> Method:
        given = {name: value for name, value in self._options.items() if value is not None}
        return make_method_from(self.method, given)

    def _method_of_embeddings(self) -> Method:
        """deep without a network and, unless requested, without whitening."""
        if str(self.method).casefold() not in ("deep", AUTO):
            raise UsageError(
                f"method {self.method!r} compares images, not embeddings: use method='deep', or"
                " give images as a list of arrays of shape (h, w) or (h, w, 3)"
            )
        given = {name: value for name, value in self._options.items() if value is not None}
        method = linking(make_method("deep", **{"dims": 0, **checked_options("deep", given)}))
        of_images = [*(given.keys() - method.only_compared), *["scale"] * (self.scale is not None)]
        if of_images:
            raise UsageError(f"{of_images[0]} is for images, not for embeddings: leave it out")
        return method

    def _features(
        self,
        method: Method,
        source: str | Path | list[Any],
        vectors: Vectors | None,
        workers: Workers,
    ) -> FeatureSet:
        if vectors is not None:
            return features_of_embeddings(method, vectors)
        with open_cache(self.cache) as cache:
            return features_of(
                method,
                source,
                workers,
                recursive=self.recursive,
                max_pixels=self.max_pixels,
                scale=self.scale,
                cache=cache,
            )

    def _note_columns(self, X: Any, vectors: Vectors | None) -> None:
        """Set the attributes that scikit-learn expects of a table, and only then."""
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
        if vectors is None:
            return
        self.n_features_in_ = vectors.shape[1]
        names = np.asarray(getattr(X, "columns", ()), object)
        if len(names) and all(isinstance(name, str) for name in names):
            self.feature_names_in_ = names

    def _clusterer(
        self, method: Method, threshold: float | str, candidates: int | None
    ) -> Clusterer:
        return make_clusterer(method, threshold, self.linkage, candidates=candidates)

    def _batch_size(self, clusterer: Clusterer, features: FeatureSet, *, embedded: bool) -> int:
        size = self.batch_size
        if self.merge == "exact" and not clusterer.merges_exactly:
            size = max(2, len(features))
        if size is None and embedded:
            size = batch_size_for(features[:1])
        elif size is None:
            size = default_batch_size(clusterer.method)
        if not np.issubdtype(type(size), np.integer):
            raise UsageError(f"batch_size {size!r}: expected an integer")
        if size < 2:
            raise UsageError(f"batch_size {size}: must be at least 2")
        return size

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"ImageClusterer({given})"

    def __sklearn_tags__(self) -> Any:
        """Tags that scikit-learn reads from version 1.6 on."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type="clusterer",
            target_tags=TargetTags(required=False),
            input_tags=InputTags(two_d_array=True, string=True),
        )


def _images_or_embeddings(given: Any) -> tuple[str | Path | list[Any], Vectors | None]:
    """A folder or a list of images; and, if they are embeddings, all of them in one array."""
    if isinstance(given, (str, Path)):
        return given, None
    vectors = embeddings_in(given)
    if vectors is None:
        given = image_items(given)
        vectors = embeddings_in(given)
    source = given if vectors is None else list(vectors)
    if not source:
        raise UsageError("no images: the list is empty")
    return source, vectors

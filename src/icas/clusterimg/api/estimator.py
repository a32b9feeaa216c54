"""ImageClusterer: clustering in memory as a scikit-learn estimator."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.api.functions import make_method_from
from icas.clusterimg.cache.cache import open_cache
from icas.clusterimg.clustering.base import Clusterer
from icas.clusterimg.clustering.batches import (
    cluster_batches,
    default_batch_size,
    split,
)
from icas.clusterimg.clustering.linkages import make_clusterer
from icas.clusterimg.features.inputs import Inputs, features_of, image_items
from icas.clusterimg.graph.forest import Labels, spanning_forest
from icas.clusterimg.methods.base import Method
from icas.clusterimg.settings import MERGES, check_scale, threshold_of
from icas.clusterimg.thresholds.auto import auto, sample_of
from icas.common.errors import UsageError
from icas.io.reading import MAX_PIXELS
from icas.parallel.executors import start_workers


class ImageClusterer:
    """Cluster similar images: links at or above a threshold, connected components as clusters.

    Works on paths or arrays and writes no files. Follows the conventions of scikit-learn
    (``get_params``, ``set_params``, ``clone``, ``fit_predict``) without requiring it.

    Parameters
    ----------
    method : str, default "imagehash"
        As for `icas.cluster`.
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
        Number of most promising images that each image is compared with (orb, ssim, tm).
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

    See Also
    --------
    icas.cluster : The same for a folder, with the result on disk.

    Notes
    -----
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
    """

    _estimator_type = "clusterer"

    def __init__(
        self,
        method: str = "imagehash",
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
        X : str or Path, or iterable of paths, arrays or PIL images
            A folder, files, or images of shape (h, w) or (h, w, 1|3|4), uint8 or floats in [0, 1].
        y : ignored
            For compatibility with scikit-learn.

        Returns
        -------
        ImageClusterer
            This object, with the attributes that end in ``_``.

        Raises
        ------
        UsageError
            An invalid parameter, a missing folder, or arrays that are not images.
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
        source = X if isinstance(X, (str, Path)) else image_items(X)
        if not isinstance(source, (str, Path)) and not source:
            raise UsageError("no images: the list is empty")
        given = {name: value for name, value in self._options.items() if value is not None}
        method = self._clusterer(make_method_from(self.method, given), threshold).method
        with (
            open_cache(self.cache) as cache,
            start_workers(self.executor, self.jobs, self.scheduler) as workers,
        ):
            features = features_of(
                method,
                source,
                workers,
                recursive=self.recursive,
                max_pixels=self.max_pixels,
                scale=self.scale,
                cache=cache,
            )
            clusterer = self._clusterer(method, threshold)
            if isinstance(threshold, str) and clusterer.threshold is not None:
                number = auto(sample_of(method, features, None, workers), method).threshold
                clusterer = self._clusterer(method, number)
            parts = split(len(features), self._batch_size(clusterer, len(features)))
            batches = ((features[part], None) for part in parts)
            found = cluster_batches(clusterer, batches, merge=self.merge, workers=workers)
        inputs = Inputs.of(source, found.files, features.unreadable)
        if inputs.lost:
            warnings.warn(inputs.warning(), stacklevel=2)
        links = inputs.links(found.links())
        forest = spanning_forest(found.count, [found.trees()], clusterer.floor)
        self.labels_: Labels = inputs.labels(found.labels)
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
        return self

    def fit_predict(self, X: str | Path | Iterable[Any], y: Any = None) -> Labels:
        """Cluster the images `X` and return `labels_`.

        Parameters
        ----------
        X : str or Path, or iterable of paths, arrays or PIL images
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
        >>> icas.ImageClusterer(threshold=0.9).fit_predict(pictures)
        array([ 0,  0, -1])
        """
        self.fit(X, y)
        return self.labels_

    def _clusterer(self, method: Method, threshold: float | str) -> Clusterer:
        return make_clusterer(method, threshold, self.linkage, candidates=self.candidates)

    def _batch_size(self, clusterer: Clusterer, images: int) -> int:
        size = self.batch_size
        if self.merge == "exact" and not clusterer.merges_exactly:
            size = max(2, images)
        if size is None:
            size = default_batch_size(clusterer.method)
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
            input_tags=InputTags(two_d_array=False),
        )

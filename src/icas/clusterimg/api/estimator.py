"""ImageClusterer: clustering as a scikit-learn estimator, in memory."""

from __future__ import annotations

import inspect
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
from icas.clusterimg.features.inputs import features_of
from icas.clusterimg.graph.forest import Labels, spanning_forest
from icas.clusterimg.methods.base import Method
from icas.clusterimg.settings import MERGES, threshold_of
from icas.clusterimg.thresholds.auto import auto, sample_of
from icas.common.errors import UsageError
from icas.io.reading import MAX_PIXELS
from icas.parallel.executors import start_workers


class ImageClusterer:
    """Groups similar images: links above a threshold, connected components as clusters.

    Works on paths or arrays, and writes nothing. Follows scikit-learn's conventions
    (``get_params``, ``set_params``, ``clone``, ``fit_predict``) without needing it.

    Parameters
    ----------
    method : str, default "imagehash"
        ``imagehash``, ``ssim``, ``minhash``, ``orb``, ``tm`` or ``deep``.
    threshold : float or {"auto"}, default "auto"
        Two images with a similarity at or above it are linked; at most 1. ``auto`` finds it.
    batch_size : int, default as many as fit 2 GB of features, at most 10,000
        Images that are all compared with one another; at least 2.
    merge : {"representatives", "exact"}
        How batches come together: by one image a cluster, or by all pairs.
    linkage : {"single", "complete", "average"}
        What becomes of images that links join: one cluster (single); or they are parted where not
        all of their pairs, or not their pairs in the mean, reach the threshold.
    candidates : int, default all
        Others that each image is compared with (orb, ssim, tm).
    scale : float, optional
        Bring images to this share of their size.
    recursive : bool, default False
        Where a folder is given: its sub-folders too.
    max_pixels : int, default 178,956,970
        Pictures that claim more pixels are not read.
    jobs : int, default all cores
        Workers. The answer does not depend on it.
    executor : {"threads", "processes", "dask"}
        What the workers are.
    scheduler : str, default a local Dask cluster
        Address of a Dask scheduler.
    cache : str or Path or bool, default False
        Folder in which features of files are kept between fits; True: the user's cache folder.
    **options
        The method's own options, such as ``hash_size=16`` or ``size="96x96"``; see `icas.cluster`.

    Attributes
    ----------
    labels_ : (n,) int64 ndarray
        Cluster of each image, 0 the largest; -1 = outlier.
    links_ : (m,) structured ndarray
        ``a``, ``b`` (int64), ``similarity`` (float32): the links found; with another linkage than
        single those inside clusters.
    forest_ : Forest
        For `icas.labels_at`: clusters at any higher threshold, without a new comparison. These are
        what remains of the clusters by links alone, whatever the linkage.
    medoids_ : (clusters,) int64 ndarray
        The image of each cluster that is most similar to the others.
    threshold_ : float
        The number that was used; NaN where models grouped the images.
    models_ : tuple of ModelGroups
        Models that were tried, batch by batch; empty with links.
    files_ : tuple of str
        The images' files, empty with arrays; an image that cannot be read is left out here and is
        in `unreadable_`.
    unreadable_ : tuple of Unreadable
        Files that could not be read (``.file``), and why (``.reason``).
    n_clusters_ : int
        How many clusters.

    See Also
    --------
    icas.cluster : the same for a folder, with the result on disk.

    Notes
    -----
    Single linkage: clusters are the connected components of the links, those of
    ``scipy.cluster.hierarchy`` at the same cut. `linkage` names what else can become of them. The
    sources of the methods are in `icas.cluster`.

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
        """All parameters by name, the method's own options among them.

        Parameters
        ----------
        deep : bool, default True
            Without effect: no parameter is an estimator itself.

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
        """Set parameters by name; an option of the method that is None goes back to its default.

        Parameters
        ----------
        **params
            Any of those of the class; they are checked by `fit`.

        Returns
        -------
        ImageClusterer
            Itself.

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
        X : str or Path, sequence of paths, or sequence of uint8 ndarray
            A folder; or files; or pictures of shape (h, w, 3), RGB, or (h, w), gray.
        y : ignored
            There for scikit-learn.

        Returns
        -------
        ImageClusterer
            Itself, with the attributes that end in ``_``.

        Raises
        ------
        UsageError
            A parameter is wrong, or `X` holds no images.
        MissingExtraError
            The method or executor needs an extra that is not installed.
        """
        threshold = threshold_of(self.threshold)
        if threshold == "pick":
            raise UsageError(
                "threshold 'pick' is chosen in a window (icas.pick_threshold): give a number or"
                " 'auto'"
            )
        if self.merge not in MERGES:
            raise UsageError(f"no merge {self.merge!r}; choose from {', '.join(MERGES)}")
        given = {name: value for name, value in self._options.items() if value is not None}
        method = self._clusterer(make_method_from(self.method, given), threshold).method
        with (
            open_cache(self.cache) as cache,
            start_workers(self.executor, self.jobs, self.scheduler) as workers,
        ):
            features = features_of(
                method,
                X,
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
        self.labels_: Labels = found.labels
        self.threshold_ = np.nan if clusterer.threshold is None else clusterer.threshold
        self.models_ = tuple(clusterer.models)
        self.links_: NDArray[Any] = found.links().structured()
        self.forest_ = spanning_forest(found.count, [found.trees()], clusterer.floor)
        self.medoids_ = np.array([cluster.medoid for cluster in found.cohesions], np.int64)
        self.files_ = found.files
        self.unreadable_ = features.unreadable
        self.n_clusters_ = len(found.cohesions)
        return self

    def fit_predict(self, X: str | Path | Iterable[Any], y: Any = None) -> Labels:
        """Cluster the images `X` and give `labels_`.

        Parameters
        ----------
        X : str or Path, sequence of paths, or sequence of uint8 ndarray
            As for `fit`.
        y : ignored
            There for scikit-learn.

        Returns
        -------
        (n,) int64 ndarray
            Cluster of each image, 0 the largest; -1 = outlier.

        Raises
        ------
        UsageError
            As `fit`.

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

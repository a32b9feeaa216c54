"""clusterimg from Python: a folder in one call, or step by step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg import pipeline
from icas.clusterimg.cache import open_cache
from icas.clusterimg.deep.train_report import TrainReport
from icas.clusterimg.deep.train_settings import TrainSettings
from icas.clusterimg.extract import features_of, fitted_together, raw_features_of
from icas.clusterimg.features import FeatureSet
from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.base import GroupedByModels, Method
from icas.clusterimg.outcome import ClusterReport
from icas.clusterimg.settings import ClusterSettings, threshold_of
from icas.clusterimg.similarity import all_links, tiles
from icas.common.errors import UsageError
from icas.common.executors import start_workers
from icas.common.images import MAX_PIXELS
from icas.common.options import Size, construct, parse_size
from icas.common.progress import Console


def cluster(
    src: str | Path,
    *,
    dst: str | Path | None = None,
    method: str | None = None,
    threshold: float | str | None = None,
    progress: bool = False,
    **settings: Any,
) -> ClusterReport:
    """Sort a folder of images into folders of similar images, as ``clusterimg`` does.

    Parameters
    ----------
    src : path
        The folder.
    dst : path, optional
        Result folder; default ``<src>_clustered`` beside the source.
    method : str, optional
        ``imagehash`` (default), ``ssim``, ``minhash``, ``orb``, ``tm`` or ``deep``.
    threshold : float or "auto", optional
        Two images with a similarity at or above it are linked.
    progress : bool
        Show progress bars and warnings on stderr.
    **settings
        Every other flag of the command, dashes as underscores: ``transfer="move"``,
        ``batch_size=5000``, ``hash_size=16``.

    Returns
    -------
    ClusterReport

    Raises
    ------
    UsageError
        A setting that does not exist or is outside its limits; no such folder.
    ConflictError
        The result folder is in use.
    IcasError
        There is nothing to cluster, or the disk fails.
    """
    given = make_settings(dst=dst, method=method, threshold=threshold, **settings)
    return pipeline.cluster(src, given, Console(warnings=progress, bars=progress))


def train(src: str | Path, *, progress: bool = False, **settings: Any) -> TrainReport:
    """Train an autoencoder on a folder of images, as ``clusterimg train`` does.

    Parameters
    ----------
    src : path
        The folder.
    progress : bool
        Show progress bars and warnings on stderr.
    **settings
        The flags of the command, dashes as underscores: ``out="photos.pt"``, ``loss="mae"``.

    Returns
    -------
    TrainReport

    Raises
    ------
    MissingExtraError
        torch is not installed.
    UsageError, ConflictError, IcasError
        As `icas.clusterimg.deep.training.train`.
    """
    from icas.clusterimg.deep import training

    given = construct(TrainSettings, "train", settings)
    return training.train(src, given, Console(warnings=progress, bars=progress))


def make_settings(**given: Any) -> ClusterSettings:
    """Settings from keywords as users type them; those not known to a run are the method's."""
    known = {field.name for field in dataclasses.fields(ClusterSettings)} - {"options"}
    own = {name: value for name, value in given.items() if name in known and value is not None}
    if "dst" in own:
        own["dst"] = Path(own["dst"])
    if "threshold" in own:
        own["threshold"] = threshold_of(own["threshold"])
    if "size" in own:
        own["size"] = size_of(own["size"])
    options = {name: value for name, value in given.items() if name not in known}
    settings = ClusterSettings(**own, options=options)
    if options or settings.stage != "merge":
        settings.make_method()  # an option that the method does not have is told before any work
    return settings


def size_of(given: Any) -> Size:
    """A size as users type it: ``"64x48"`` or ``(64, 48)``, width and height.

    Raises
    ------
    UsageError
        Something else.
    """
    try:
        return parse_size(given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"size {given!r}: needed is {error}") from None


def make_method_from(method: str, options: dict[str, Any]) -> Method:
    """The method with options as users type them (``size="64x48"``)."""
    if options.get("size") is not None:
        options = {**options, "size": size_of(options["size"])}
    return make_method(method, **options)


def linking(method: Method) -> Method:
    """`method` as it is compared by links, if it is not said to be grouped by models."""
    if not isinstance(method, GroupedByModels):
        return method
    try:
        return method.by_links()
    except UsageError:
        return method


def features(
    images: str | Path | Iterable[Any],
    method: str = "imagehash",
    *,
    recursive: bool = False,
    scale: float | None = None,
    max_pixels: int = MAX_PIXELS,
    jobs: int | None = None,
    executor: str = "threads",
    scheduler: str | None = None,
    cache: str | Path | bool = False,
    **options: Any,
) -> FeatureSet:
    """Features of a folder, of a list of paths, or of a list of arrays.

    Parameters
    ----------
    images : path, or iterable of paths, or iterable of uint8 ndarray
        A folder; or files; or pictures of shape (h, w, 3), RGB, or (h, w), gray.
    method : str
    cache : path or bool
        Folder in which features of files are kept between calls; True: the user's cache folder.
    **options
        The method's own options.

    Returns
    -------
    FeatureSet
        With ``.array``, ``.files`` and ``.unreadable``.

    Raises
    ------
    UsageError
        No such folder, method or option; arrays that are no images.
    """
    chosen = linking(make_method_from(method, options))
    with open_cache(cache) as kept, start_workers(executor, jobs, scheduler) as workers:
        return features_of(
            chosen,
            images,
            workers,
            recursive=recursive,
            max_pixels=max_pixels,
            scale=scale,
            cache=kept,
        )


def method_of(features: FeatureSet) -> Method:
    """The method that made `features`, with the settings that it had."""
    return make_method(features.method, **features.settings)


def links(
    features: FeatureSet,
    threshold: float,
    *,
    jobs: int | None = None,
    executor: str = "threads",
    scheduler: str | None = None,
) -> NDArray[Any]:
    """Every pair of images at or above a threshold.

    Returns
    -------
    (m,) structured ndarray
        Fields ``a`` and ``b`` (int64, a < b) and ``similarity`` (float32), sorted by a, then b.
    """
    with start_workers(executor, jobs, scheduler) as workers:
        return all_links(method_of(features), features, threshold, workers).structured()


def similarity_matrix(
    a: FeatureSet | str | Path | Iterable[Any],
    b: FeatureSet | str | Path | Iterable[Any] | None = None,
    method: str = "imagehash",
    *,
    jobs: int | None = None,
    **options: Any,
) -> NDArray[np.float32]:
    """Similarity of each image of `a` with each of `b`.

    Parameters
    ----------
    a, b : FeatureSet, or what `features` takes
        `b` not given: `a` with itself.
    method : str
    **options
        The method's own options.

    Returns
    -------
    (n, m) float32 ndarray
        In the method's unit; 1 = same.

    Raises
    ------
    UsageError
        Features of different methods, or what `features` raises.
    """
    first, second = _two_sides(a, b, method, jobs, options)
    if first.method != second.method or dict(first.settings) != dict(second.settings):
        raise UsageError(f"features of {first.method} and of {second.method} cannot be compared")
    chosen = method_of(first)
    matrix = np.empty((len(first), len(second)), np.float32)
    blocks = list(tiles(len(first), len(second), chosen.tile))
    with start_workers("threads", jobs) as workers:
        tasks = ((first[rows], second[columns]) for rows, columns in blocks)
        for (rows, columns), values in zip(
            blocks, workers.ordered(chosen.similarity, tasks), strict=True
        ):
            matrix[rows, columns] = values
    return matrix


def _two_sides(
    a: Any, b: Any, method: str, jobs: int | None, options: dict[str, Any]
) -> tuple[FeatureSet, FeatureSet]:
    """Features of both sides; images of both are looked at together by a method that looks."""
    given = [side for side in (a, b) if side is not None]
    images = [side for side in given if not isinstance(side, FeatureSet)]
    made: list[FeatureSet] = []
    if images:
        chosen = linking(make_method_from(method, options))
        with start_workers("threads", jobs) as workers:
            raw = [raw_features_of(chosen, side, workers) for side in images]
        made = fitted_together(chosen, raw)
    fresh = iter(made)
    sides = [side if isinstance(side, FeatureSet) else next(fresh) for side in given]
    return sides[0], sides[-1]

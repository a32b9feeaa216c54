"""Python function of clusterimg for features on disk: cluster shard by shard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.cli.options import check_keywords, options_of
from icas.clusterimg.api.functions import make_settings
from icas.clusterimg.methods import METHODS, is_auto, method_class
from icas.clusterimg.shards.report import ShardReport
from icas.clusterimg.shards.run import cluster_in_shards
from icas.clusterimg.shards.settings import SHARED, ShardSettings
from icas.io.files import path_of


def cluster_shards(
    src: str | Path,
    dst: str | Path | None = None,
    *,
    threshold: float | str | None = None,
    shard_size: int | None = None,
    cells: int | None = None,
    column: str | None = None,
    progress: bool = False,
    **settings: Any,
) -> ShardReport:
    """Cluster more images than fit memory, like the command ``clusterimg shards``.

    Features are stored in shards on disk. Each two shards are compared in a task, whose links are
    reduced to a spanning forest. The forests are merged, so no process ever holds all links. The
    clusters are those of one comparison of all pairs. Images are not transferred.

    Parameters
    ----------
    src : str or Path
        A Parquet file of features, a folder of such files, or a folder of images. Columns are as
        for `icas.FeatureSet.from_parquet`.
    dst : str or Path, optional
        Result folder; with several machines a folder that they share. Default: ``<src>_shards``
        beside the source.
    threshold : float or "auto", default "auto"
        Minimum similarity of linked images, at most 1; ``auto`` estimates it from a sample.
    shard_size : int, default as many as fit `memory`, at most 1,000,000
        Images per shard. The clusters do not depend on it.
    cells : int, default all pairs are compared
        Number of k-means cells. Only images that share one of their two nearest cells are compared,
        and the share of links that this finds is measured. For deep, orb, ssim, tm.
    column : str, optional
        Column of hash codes or embeddings in Parquet files. Default: the only such column.
    progress : bool, default False
        Show progress bars and warnings on stderr.
    **settings
        Of `icas.cluster`: `sample`, `jobs`, `executor`, `scheduler`, `memory`, `seed`, `resume`;
        for folders of images also `method` and its options, `size`, `scale`, `recursive`,
        `max_pixels`, `isolate`, `decode_timeout`, `cache`, `cache_size`.

    Returns
    -------
    ShardReport
        Counts and times; reads the clusters and the forest from `dst`.

    Raises
    ------
    UsageError
        Unknown setting, value out of range, missing source, or features of different kinds.
    ConflictError
        `dst` is in use or not empty, or `resume` with other images or settings.
    MissingExtraError
        pyarrow, or an extra of the method or executor, is not installed.
    IcasError
        No images, or a disk error.

    See Also
    --------
    icas.cluster : Sort a folder of images.
    icas.FeatureSet.to_parquet : Write features as a Parquet file.

    Notes
    -----
    `dst` contains ``clusters/part-*.parquet`` (``file`` if the images have names, ``image``,
    ``cluster``), ``forest.parquet`` (``a``, ``b``, ``similarity``), ``certificate.parquet``,
    ``thresholds.csv``, ``unreadable.csv`` and ``run.json``.

    Examples
    --------
    A million codes, in a file per machine that computed them; here two files of five codes:

    >>> import icas
    >>> import numpy as np
    >>> from pathlib import Path
    >>> Path("codes").mkdir()
    >>> codes = np.repeat(np.arange(5, dtype=np.uint8)[:, None] * 51, 8, axis=1)
    >>> for part in range(2):
    ...     icas.FeatureSet.from_bits(codes).to_parquet(f"codes/{part}.parquet")
    >>> report = icas.cluster_shards("codes", "out", threshold=0.9, shard_size=4, jobs=1)
    >>> report.images, report.shards, report.clusters
    (10, 3, 5)
    >>> report.labels().tolist()
    [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    """
    method = settings.get("method")
    names = METHODS if method is None or is_auto(method) else (method,)
    options = {field for name in names for field in options_of(method_class(name))}
    check_keywords(settings, {*SHARED, *options}, "icas.cluster_shards")
    target = None if dst is None else path_of(dst, "dst")
    shared = make_settings(dst=target, threshold=threshold, **settings)
    own = ShardSettings(shard_size, cells, column, shared)
    console = Console(warnings=progress, bars=progress)
    return cluster_in_shards(path_of(src, "src"), own, console)

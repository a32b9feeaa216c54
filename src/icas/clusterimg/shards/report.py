"""ShardReport: the outcome of a run in shards, and its tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas._version import __version__
from icas.clusterimg.data.parquet import need_pyarrow
from icas.clusterimg.graph.forest import Forest
from icas.common.errors import UsageError
from icas.notebook.html import counted

CLUSTERS, FOREST, CERTIFICATE = "clusters", "forest.parquet", "certificate.parquet"
THRESHOLDS, UNREADABLE, RUN = "thresholds.csv", "unreadable.csv", "run.json"


@dataclass(frozen=True)
class ShardReport:
    """Result of `icas.cluster_shards`.

    Attributes
    ----------
    dst : Path
        Result folder.
    method : str
        Method of comparison.
    threshold : float
        Minimum similarity of linked images.
    threshold_reason : str
        How the threshold was chosen.
    images, clusters, outliers, unreadable, shards : int
        Counts.
    comparisons : mapping
        ``possible``: number of all pairs; ``made``: pairs decided, all of them unless cells were
        used; ``skipped``: the others.
    cells : mapping or None
        With cells their number (``count``), the share of links within them (``recall``) and the
        share of links within clusters (``joined``), both measured on a sample; else None.
    seconds : mapping of str to float
        Time of each stage: ``shards``, ``forests``, ``merge``, ``certificate``, ``tables``.
    peak_memory_mb, worker_memory_mb : float
        Peak memory of this process, and of the largest worker, in MB; 0 where unknown.
    settings : mapping
        Settings of the run.

    See Also
    --------
    icas.cluster_shards : Run and return a report.

    Examples
    --------
    >>> import icas
    >>> import numpy as np
    >>> codes = np.array([[1] * 8, [1] * 8, [200] * 8], np.uint8)
    >>> icas.FeatureSet.from_bits(codes).to_parquet("codes.parquet")
    >>> report = icas.cluster_shards("codes.parquet", "out", threshold=0.9, jobs=1)
    >>> report.images, report.clusters, report.outliers
    (3, 1, 1)
    >>> report.labels().tolist()
    [0, 0, -1]
    >>> icas.labels_at(report.forest(), 0.95).tolist()
    [0, 0, -1]
    >>> report.summary()
    '3 images, 1 cluster, 1 outlier, 0 unreadable -> out'
    >>> report.as_dict()["comparisons"]
    {'possible': 3, 'made': 3, 'skipped': 0}
    """

    dst: Path
    method: str
    threshold: float
    threshold_reason: str
    images: int
    clusters: int
    outliers: int
    unreadable: int
    shards: int
    comparisons: Mapping[str, int]
    cells: Mapping[str, Any] | None
    seconds: Mapping[str, float]
    peak_memory_mb: float
    worker_memory_mb: float
    settings: Mapping[str, Any]

    def summary(self) -> str:
        """Return the last line that the command prints.

        Returns
        -------
        str
        """
        return (
            f"{counted(self.images, 'image')}, {counted(self.clusters, 'cluster')}, "
            f"{counted(self.outliers, 'outlier')}, {self.unreadable} unreadable -> {self.dst}"
        )

    def labels(self) -> NDArray[np.int64]:
        """Return the cluster of each image.

        Returns
        -------
        (n,) int64 ndarray
            0 = largest cluster, -1 = outlier; in the order of the source.
        """
        need_pyarrow()
        import pyarrow.parquet as pq

        parts = sorted((self.dst / CLUSTERS).glob("part-*.parquet"))
        columns = [pq.read_table(part, columns=["cluster"]).column(0).to_numpy() for part in parts]
        return np.concatenate([np.empty(0, np.int64), *columns])

    def forest(self) -> Forest:
        """Return the maximum spanning forest, for clusters at higher thresholds.

        Returns
        -------
        Forest
            For `icas.labels_at`; `floor` is the threshold of the run.
        """
        return Forest.from_parquet(self.dst / FOREST, self.images)

    def as_dict(self) -> dict[str, Any]:
        """Return the content of ``run.json``.

        Returns
        -------
        dict
            JSON-compatible values.
        """
        values = {name: value for name, value in vars(self).items() if name != "cells"}
        cells = {"cells": dict(self.cells)} if self.cells else {}
        return {"icas": __version__, **values, **cells, "dst": str(self.dst)}


def finished_report(dst: Path) -> ShardReport:
    """The report of a finished run."""
    path = dst / RUN
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        run.pop("icas")
        return ShardReport(**{"cells": None, **run, "dst": dst})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} is not from clusterimg shards: choose another --dst") from error

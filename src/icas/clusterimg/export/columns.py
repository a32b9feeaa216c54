"""Links and clusters of a finished result as Parquet files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from icas.cli.console import Console
from icas.clusterimg.data import parquet
from icas.clusterimg.editing.constrained_run import links_of
from icas.clusterimg.results.saved import FinishedRun
from icas.common.errors import IcasError
from icas.dataset.image_labels import read_image_labels
from icas.io.files import path_of, write_whole
from icas.notebook.html import counted

LINKS, CLUSTERS = "links.parquet", "clusters.parquet"


def to_parquet(dst: str | Path, out: str | Path) -> tuple[Path, Path]:
    """Write the links and clusters of a result as Parquet files.

    Parameters
    ----------
    dst : str or Path
        Result folder of a finished run.
    out : str or Path
        Folder for ``links.parquet`` and ``clusters.parquet``; it is created if it does not exist.

    Returns
    -------
    tuple of Path
        ``links.parquet``: one row per link, ``a`` and ``b`` (int64, a < b) and ``similarity``
        (float32), sorted by a, then b. ``clusters.parquet``: row i is image i of the links, with
        ``file``, ``cluster`` (-1 = outlier), ``batch`` (int64), ``representative`` (bool) and
        ``label`` (empty without a name).

    Raises
    ------
    UsageError
        `dst` is no finished result, or a file exists in `out`.
    IcasError
        A file cannot be written.
    MissingExtraError
        pyarrow is not installed.

    See Also
    --------
    icas.Forest.from_parquet : Clusters at any threshold from links in Parquet.
    icas.FeatureSet.to_parquet : Features as a Parquet file.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimage import data
    >>> Path("photos").mkdir()
    >>> for name in ("coffee", "rocket"):
    ...     Image.fromarray(getattr(data, name)()).save(f"photos/{name}.jpg")
    >>> report = icas.cluster("photos", method="imagehash", threshold=0.8, dst="sorted", jobs=1)
    >>> links, clusters = icas.to_parquet("sorted", "tables")
    >>> links.name, clusters.name
    ('links.parquet', 'clusters.parquet')
    """
    return write_parquet(path_of(dst, "dst"), path_of(out, "out"), Console())


def write_parquet(dst: Path, out: Path, console: Console) -> tuple[Path, Path]:
    """`to_parquet`, with a line about each file."""
    parquet.need_pyarrow()
    targets = out / LINKS, out / CLUSTERS
    for target in targets:
        parquet.check_new(target)
    finished = FinishedRun.read(dst)
    links, tables = links_of(finished), finished.tables
    names = read_image_labels(dst)
    columns: dict[str, Any] = {
        "file": tables.files,
        "cluster": tables.labels,
        "batch": tables.batch,
        "representative": tables.representative,
        "label": [names[file].label if file in names else "" for file in tables.files],
    }
    contents = parquet.links_file(links, finished.state.forest.floor), parquet.table_file(columns)
    counts = counted(len(links), "link"), counted(len(np.asarray(tables.labels)), "image")
    for target, content, count in zip(targets, contents, counts, strict=True):
        _write(target, content)
        console.line(f"{count} -> {target}")
    return targets


def _write(target: Path, content: Iterable[bytes]) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content)
    except OSError as error:
        raise IcasError(f"cannot write {target}: {error.strerror or error}") from error

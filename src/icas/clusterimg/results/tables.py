"""The tables of a run: clusters.csv, certificate.csv, similarities, unreadable.csv, run.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.clustering.cohesion import Certificate
from icas.clusterimg.data.links import Links
from icas.clusterimg.model_selection.grid import PARAMETERS
from icas.clusterimg.model_selection.search import INDEXES, Tried
from icas.common.errors import UsageError
from icas.io.tables import csv_cells, shown, table


def earlier_run(root: Path) -> dict[str, Any]:
    """Content of ``run.json`` in `root`; empty where there is none.

    Raises
    ------
    UsageError
        The file is there and cannot be read.
    """
    path = root / "run.json"
    if not path.is_file():
        return {}
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    return run if isinstance(run, dict) else {}


_LINES = 1 << 18
"""Links written at a time."""


def links_table(links: Links, files: Sequence[str], start: int = 0) -> Iterator[bytes]:
    """``a,b,similarity``: one line a link, some lines at a time.

    Image i of `links` is ``files[start + i]``.
    """
    names = csv_cells(files)[start:]
    yield from _pairs_table(("a", "b"), links, names, names)


def reference_table(
    links: Links, files: Sequence[str], references: Sequence[str]
) -> Iterator[bytes]:
    """``reference.csv``: ``file,reference,similarity``, one line a link, some lines at a time.

    A link's a is an index of `files`, b one of `references`.
    """
    yield from _pairs_table(("file", "reference"), links, csv_cells(files), csv_cells(references))


def _pairs_table(
    columns: tuple[str, str], links: Links, a_names: NDArray[Any], b_names: NDArray[Any]
) -> Iterator[bytes]:
    """Two names and a similarity for each link."""
    yield table((*columns, "similarity"), ())
    for part in links.parts(_LINES):
        values, places = np.unique(part.similarity, return_inverse=True)
        ends = np.array([shown(value) for value in values], object)[places]
        sides = (a_names[part.a], b_names[part.b], ends)
        text = "\n".join(map(",".join, zip(*(side.tolist() for side in sides), strict=True)))
        yield f"{text}\n".encode("utf-8", "surrogateescape")


def clusters_table(
    files: Sequence[str],
    labels: NDArray[np.int64],
    batch: NDArray[np.int64],
    representative: NDArray[np.bool_],
) -> bytes:
    """``clusters.csv``: one line an image."""
    columns = (files, labels, batch, representative.astype(np.int64))
    return table(("file", "cluster", "batch", "representative"), zip(*columns, strict=True))


def certificates_table(certificates: Iterable[Certificate]) -> bytes:
    """``certificate.csv``: one line a cluster."""
    rows = (
        (it.cluster, it.images, shown(it.weakest_link), shown(it.least_similar_pair), it.medoid)
        for it in certificates
    )
    columns = ("cluster", "images", "weakest_link", "least_similar_pair", "medoid")
    return table(columns, rows)


COLUMNS = ("batch", "kind", *PARAMETERS, "found", "outliers", *INDEXES, "rank", "chosen", "note")


def models_table(batches: Sequence[tuple[Sequence[Tried], Tried | None]]) -> bytes:
    """``models.csv``: a line for every model tried.

    Parameters
    ----------
    batches : sequence of (sequence of Tried, Tried or None)
        For each batch all models and the one that was chosen.
    """
    rows = (
        _row(batch, model, model is chosen)
        for batch, (tried, chosen) in enumerate(batches)
        for model in tried
    )
    return table(COLUMNS, rows)


def _row(batch: int, model: Tried, chosen: bool) -> tuple[Any, ...]:
    return (
        batch,
        model.kind,
        *(model.parameters.get(name, "") for name in PARAMETERS),
        model.clusters,
        model.outliers,
        *map(_shown, (model.silhouette, model.davies_bouldin, model.calinski_harabasz, model.rank)),
        int(chosen),
        model.note,
    )


def _shown(value: float) -> str:
    """Six digits; empty where there is no value."""
    return "" if np.isnan(value) else f"{value:.6g}"

"""The tables of a run: clusters.csv, certificate.csv, similarities, unreadable.csv, run.json."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.links import Links

if TYPE_CHECKING:
    from icas.clusterimg.outcome import Certificate


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV file: UTF-8, one heading, Unix line ends; names that are no text keep their bytes."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue().encode("utf-8", "surrogateescape")


def links_table(links: Links, files: Sequence[str]) -> bytes:
    """``a,b,similarity``: one line a link."""
    rows = zip(links.a.tolist(), links.b.tolist(), links.similarity, strict=True)
    return table(
        ("a", "b", "similarity"),
        ((files[a], files[b], shown(similarity)) for a, b, similarity in rows),
    )


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
    return table(
        ("cluster", "images", "weakest_link", "least_similar_pair", "medoid"),
        (
            (
                one.cluster,
                one.images,
                shown(one.weakest_link),
                shown(one.least_similar_pair),
                one.medoid,
            )
            for one in certificates
        ),
    )


def shown(value: float) -> str:
    """A similarity as the shortest text that gives the same float32; empty for NaN."""
    return "" if np.isnan(value) else str(np.float32(value))


def run_json(summary: Mapping[str, Any]) -> bytes:
    """``run.json``."""
    return (json.dumps(summary, indent=2, ensure_ascii=True) + "\n").encode()

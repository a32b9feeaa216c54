"""The tables of a run: clusters.csv, certificate.csv, similarities, unreadable.csv, run.json."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from icas.clusterimg.similarity import Links


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


def shown(value: float) -> str:
    """A similarity as the shortest text that gives the same float32; empty for NaN."""
    return "" if np.isnan(value) else str(np.float32(value))


def run_json(summary: Mapping[str, Any]) -> bytes:
    """``run.json``."""
    return (json.dumps(summary, indent=2, ensure_ascii=True) + "\n").encode()

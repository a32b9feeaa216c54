"""The tables of a run: clusters.csv, certificate.csv, similarities, unreadable.csv, run.json."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.certificate import Certificate
from icas.clusterimg.links import Links

_LINES = 1 << 18
"""Links written at a time."""


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV file: UTF-8, one heading, Unix line ends; names that are no text keep their bytes."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return "".join(lines).encode("utf-8", "surrogateescape")


class _Lines(list[str]):
    """Takes the lines of a CSV writer, whose line ends are Windows', and gives them Unix' ends.

    Only so does the writer put quotation marks around names that hold either character.
    """

    def write(self, line: str) -> None:
        """One line with its end."""
        self.append(line[:-2] + "\n")


def links_table(links: Links, files: Sequence[str], start: int = 0) -> Iterator[bytes]:
    """``a,b,similarity``: one line a link, some lines at a time.

    Image i of `links` is ``files[start + i]``.
    """
    names = _cells(files)[start:]
    yield from _pairs_table(("a", "b"), links, names, names)


def reference_table(
    links: Links, files: Sequence[str], references: Sequence[str]
) -> Iterator[bytes]:
    """``reference.csv``: ``file,reference,similarity``, one line a link, some lines at a time.

    A link's a is the place of its image in `files`, b that in `references`.
    """
    yield from _pairs_table(("file", "reference"), links, _cells(files), _cells(references))


def _pairs_table(
    columns: tuple[str, str], links: Links, ours: NDArray[Any], theirs: NDArray[Any]
) -> Iterator[bytes]:
    """Two names and a similarity: image a of a link is ``ours[a]``, image b ``theirs[b]``."""
    yield table((*columns, "similarity"), ())
    for part in links.parts(_LINES):
        values, places = np.unique(part.similarity, return_inverse=True)
        ends = np.array([shown(value) for value in values], object)[places]
        sides = (ours[part.a], theirs[part.b], ends)
        text = "\n".join(map(",".join, zip(*(side.tolist() for side in sides), strict=True)))
        yield f"{text}\n".encode("utf-8", "surrogateescape")


def _cells(names: Sequence[str]) -> NDArray[Any]:
    return np.array([_cell(name) for name in names], object)


def _cell(text: str) -> str:
    """`text` as a CSV file holds it before a comma."""
    lines = _Lines()
    csv.writer(lines, lineterminator="\r\n").writerow((text, ""))
    return lines[0][:-2]


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

"""."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def peak_memory_mb() -> float | None:
    """Most memory in MB that this process held so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1)


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


def _cells(names: Sequence[str]) -> NDArray[Any]:
    return np.array([_cell(name) for name in names], object)


def _cell(text: str) -> str:
    """`text` as a CSV file holds it before a comma."""
    lines = _Lines()
    csv.writer(lines, lineterminator="\r\n").writerow((text, ""))
    return lines[0][:-2]


def shown(value: float) -> str:
    """A similarity as the shortest text that gives the same float32; empty for NaN."""
    return "" if np.isnan(value) else str(np.float32(value))


def run_json(summary: Mapping[str, Any]) -> bytes:
    """``run.json``."""
    return (json.dumps(summary, indent=2, ensure_ascii=True) + "\n").encode()

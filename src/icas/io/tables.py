"""Tables as CSV files, and ``run.json``."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def peak_memory_mb() -> float | None:
    """Peak memory of this process in MB; None where the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV file: UTF-8, a header, Unix line ends; undecodable names keep their bytes."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return "".join(lines).encode("utf-8", "surrogateescape")


class _Lines(list[str]):
    """Converts the line ends of a CSV writer from Windows to Unix.

    With those of Windows, the writer quotes names that hold either character.
    """

    def write(self, line: str) -> None:
        self.append(line[:-2] + "\n")


def csv_cells(names: Iterable[str]) -> NDArray[Any]:
    """Names as cells of a CSV file, quoted where needed."""
    lines = _Lines()
    csv.writer(lines, lineterminator="\r\n").writerows((name, "") for name in names)
    return np.array([line[:-2] for line in lines], object)


def shown(value: float) -> str:
    """A similarity as the shortest text that gives the same float32; empty for NaN."""
    return "" if np.isnan(value) else str(np.float32(value))


def run_json(summary: Mapping[str, Any]) -> bytes:
    """``run.json``."""
    return (json.dumps(summary, indent=2, ensure_ascii=True) + "\n").encode()

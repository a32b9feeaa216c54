"""Class names of images, and their table ``labels.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from icas.common.errors import UsageError
from icas.io.files import table

CLUSTER, IMAGE, SPREAD = SOURCES = ("cluster", "image", "spread")
LABELS = "labels.csv"
COLUMNS = ("file", "label", "source", "confidence")


@dataclass(frozen=True)
class ImageLabel:
    """The class name of an image.

    Attributes
    ----------
    label : str
        Class name, not empty.
    source : {"cluster", "image", "spread"}
        Where it is from: its cluster was named, a person named the image, or a similar image has
        the name.
    confidence : float
        0 to 1; 1 where a person named the cluster or the image.
    """

    label: str
    source: str = IMAGE
    confidence: float = 1.0


def labels_table(labels: Mapping[str, ImageLabel]) -> bytes:
    """``labels.csv``: one line an image, by its name in ``clusters.csv``."""
    rows = ((file, one.label, one.source, f"{one.confidence:.4g}") for file, one in labels.items())
    return table(COLUMNS, rows)


def read_image_labels(root: Path) -> dict[str, ImageLabel]:
    """The labels in ``root/labels.csv``; empty where there is no such file."""
    path = root / LABELS
    if not path.is_file():
        return {}
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        return {
            row["file"]: ImageLabel(row["label"], row["source"], float(row["confidence"]))
            for row in rows
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error

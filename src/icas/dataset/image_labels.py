"""Class names of images, and their table ``labels.csv``."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
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


def class_name(text: str) -> str:
    """`text` as a class name, without spaces around it; UsageError where it cannot be one."""
    name = text.strip()
    if not name:
        raise UsageError("a class name is empty: give a name, such as cat")
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        raise UsageError(f"class name {name!r} has control characters: give a name in one line")
    return name


def similar_names(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of names that differ only by case, spaces or Unicode form, in order."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
        groups.setdefault("".join(plain.split()), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def count_names(labels: Iterable[ImageLabel]) -> dict[str, int]:
    """Images of each class, the largest class first."""
    counts = Counter(one.label for one in labels)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


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

"""Formats of data sets of labelled images: the registry."""

from __future__ import annotations

from icas.common.registry import Entry, Registry, lookup
from icas.dataset.formats.base import DatasetFormat

_PACKAGE = "icas.dataset.formats."
FORMATS = Registry(
    "icas.dataset_formats",
    {
        "csv": Entry(_PACKAGE + "csv_table:CsvTable", "a table; images are not copied"),
        "imagefolder": Entry(_PACKAGE + "imagefolder:ImageFolder", "a folder per split and class"),
        "coco": Entry(_PACKAGE + "coco:Coco", "a JSON file per split with image categories"),
        "yolo": Entry(_PACKAGE + "yolo:Yolo", "folders for YOLO classification"),
        "hf": Entry(_PACKAGE + "huggingface:HuggingFace", "a folder per split with metadata.jsonl"),
        "fiftyone": Entry(_PACKAGE + "fiftyone:FiftyOne", "a JSON list of samples"),
    },
    member="tables",
)


def make_format(name: str) -> DatasetFormat:
    """The format called `name`."""
    made: DatasetFormat = lookup(FORMATS, name, "data set format")[1].load()()
    return made

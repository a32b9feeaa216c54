"""Hugging Face datasets: ``SPLIT/image`` and ``SPLIT/metadata.jsonl``, with a dataset card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from icas.dataset.formats.base import Dataset, DatasetFormat, DatasetImage

_NAMES = {"val": "validation"}
"""Names of splits in the card, where they differ."""


class HuggingFace(DatasetFormat):
    """Read by ``load_dataset("DIR")``, also as ``load_dataset("imagefolder", data_dir="DIR")``.

    Images are in no class folders: the name of one may be that of a split, which the loader would
    use. The card ``README.md`` lists the files of each split.
    """

    def folder(self, image: DatasetImage, dataset: Dataset) -> str | None:
        return image.split

    def tables(self, dataset: Dataset, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        lines: dict[str, list[str]] = {split: [] for split in dataset.splits}
        for image, path in zip(dataset.images, paths, strict=True):
            row = {
                "file_name": PurePosixPath(path).name,
                "label": image.label,
                "cluster": image.cluster,
                "confidence": round(image.confidence, 4),
            }
            lines[image.split].append(json.dumps(row) + "\n")
        for split, rows in lines.items():
            yield f"{split}/metadata.jsonl", "".join(rows).encode()
        yield "README.md", _card([split for split, rows in lines.items() if rows])


def _card(splits: Sequence[str]) -> bytes:
    """A dataset card with the files of each split, as YAML."""
    lines = ["---", "configs:", "- config_name: default", "  data_files:"]
    for split in splits:
        lines += [f"  - split: {_NAMES.get(split, split)}", f'    path: "{split}/**"']
    return "\n".join([*lines, "---", "", "# Labelled images", ""]).encode()

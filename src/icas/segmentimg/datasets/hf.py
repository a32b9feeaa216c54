"""Hugging Face image folders: ``metadata.jsonl`` beside the images."""

from __future__ import annotations

import json
from typing import Any

from icas.segmentimg.datasets import DatasetWriter
from icas.segmentimg.datasets.coco import segmentation_of
from icas.segmentimg.datasets.objects import InstanceImage

METADATA = "metadata.jsonl"


class HfWriter(DatasetWriter):
    """One line per image: ``file_name``, ``width``, ``height``, ``objects``."""

    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        self._lines: dict[str, list[str]] = {split: [] for split in self.splits}

    def image_path(self, split: str, name: str) -> str:
        return "/".join(filter(None, (split, name)))

    def add(self, split: str, image: InstanceImage) -> dict[str, bytes]:
        polygons, segmentations = self.options.polygons, []
        for one in image.objects:
            self.number(one.name)
            segmentation, holes = segmentation_of(one, image.size, polygons)
            self.keyholes += holes
            segmentations.append(segmentation)
        objects = {
            "bbox": [one.bbox for one in image.objects],
            "category": [one.name for one in image.objects],
            "area": [one.area for one in image.objects],
            "iscrowd": [one.crowd for one in image.objects],
            "segmentation": segmentations,
        }
        height, width = image.size
        content = {"file_name": image.name, "width": width, "height": height, "objects": objects}
        self._lines[split].append(json.dumps(content) + "\n")
        return {}

    def finish(self) -> dict[str, bytes]:
        return {
            self.image_path(split, METADATA): "".join(lines).encode()
            for split, lines in self._lines.items()
        }

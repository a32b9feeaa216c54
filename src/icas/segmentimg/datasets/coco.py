"""COCO instances: one annotation per object, as run lengths or polygons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from icas._version import __version__
from icas.common.errors import UsageError
from icas.segmentimg.datasets import DatasetReader, DatasetWriter, Page, ReadObjects
from icas.segmentimg.datasets.objects import InstanceImage, InstanceObject, Size
from icas.segmentimg.formats.coco import Rle, compressed, encode_rle
from icas.segmentimg.formats.coco_dataset import CocoDataset, read_dataset
from icas.segmentimg.formats.inputs import parse_json
from icas.segmentimg.formats.outlines import bridged, outlines

_EXTRAS = ("score", "attributes", "group_id", "flags", "description")
"""Entries of an annotation that are kept."""


def segmentation_of(one: InstanceObject, size: Size, polygons: bool) -> tuple[Any, bool]:
    """The mask as COCO has it, and whether a polygon needs bridges around holes."""
    if not polygons:
        return rle_of(one, size), False
    parts = outlines(one.crop, one.box[2], one.box[0])
    rings = [bridged([part]).round(2).ravel().tolist() for part in parts]
    return rings, any(part.holes for part in parts)


def rle_of(one: InstanceObject, size: Size) -> Rle:
    """The mask as compressed run lengths."""
    top, _, left, _ = one.box
    return compressed(encode_rle(one.crop, (top, left), size))


class CocoWriter(DatasetWriter):
    """``annotations/instances.json`` and ``images/``; with splits, one file and folder each."""

    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        self._images: dict[str, list[dict[str, Any]]] = {split: [] for split in self.splits}
        self._annotations: dict[str, list[dict[str, Any]]] = {split: [] for split in self.splits}
        self._annotation_count = 0

    def image_path(self, split: str, name: str) -> str:
        return "/".join(filter(None, ("images", split, name)))

    def add(self, split: str, image: InstanceImage) -> dict[str, bytes]:
        number = sum(map(len, self._images.values())) + 1
        height, width = image.size
        self._images[split].append(
            {"id": number, "file_name": image.name, "width": width, "height": height, "license": 1}
        )
        for one in image.objects:
            segmentation, holes = segmentation_of(
                one, image.size, self.options.polygons and not one.crowd
            )
            self.keyholes += holes
            self._annotation_count += 1
            kept = {name: one.extras[name] for name in _EXTRAS if name in one.extras}
            annotation = {
                "id": self._annotation_count,
                "image_id": number,
                "category_id": self.number(one.name) + 1,
                "segmentation": segmentation,
                "area": one.area,
                "bbox": one.bbox,
                "iscrowd": int(one.crowd),
            }
            self._annotations[split].append({**annotation, **kept})
        return {}

    def finish(self) -> dict[str, bytes]:
        info = {
            "description": "exported by segmentimg",
            "version": "1.0",
            "year": date.today().year,
            "date_created": date.today().isoformat(),
            "icas": __version__,
        }
        categories = [
            {"id": number, "name": name, "supercategory": "", **self._color(name)}
            for number, name in enumerate(self.names, start=1)
        ]
        files = {}
        for split in self.splits:
            content = {
                "info": info,
                "licenses": [{"id": 1, "name": "unknown", "url": ""}],
                "images": self._images[split],
                "annotations": self._annotations[split],
                "categories": categories,
            }
            path = f"annotations/instances{'_' * bool(split)}{split}.json"
            files[path] = (json.dumps(content) + "\n").encode()
        return files

    def _color(self, name: str) -> dict[str, list[int]]:
        return {"color": list(self.colors[name])} if name in self.colors else {}


class CocoReader(DatasetReader):
    """A COCO file, or all those in a folder and its folder ``annotations``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._datasets: list[CocoDataset] = []
        files = _json_files(path) if path.is_dir() else [path]
        for file in files:
            dataset = read_dataset(file)
            if dataset is None:
                raise UsageError(f"{file} is not a COCO file: choose another --format")
            self._datasets.append(dataset)
        if not files:
            raise UsageError(f"no COCO file in {path}: give the .json file itself")
        for dataset in self._datasets:
            self.left_out += dataset.of_no_image()
            self.colors = {**dataset.colors, **self.colors}

    @classmethod
    def accepts(cls, path: Path) -> bool:
        return bool(_json_files(path)) if path.is_dir() else _is_coco(path)

    def names(self) -> list[str]:
        return list(
            dict.fromkeys(name for one in self._datasets for name in one.categories.values())
        )

    def pages(self) -> Iterator[Page]:
        for dataset in self._datasets:
            for entry in dataset.images:
                name = entry.get("file_name")
                if not isinstance(name, str) or not name:
                    text = f"{dataset.path}: image {str(entry.get('id'))[:40]} has no file_name"
                    self.left_out.append(text)
                    continue
                yield Page(name, str(dataset.path), (dataset, entry), dataset.size(entry))

    def read(self, page: Page, size: Size) -> ReadObjects:
        dataset, entry = page.content
        read = ReadObjects()
        for item in dataset.objects(entry, size):
            text = f"{page.where}: annotation {item.name_of} of {page.file} left out"
            read.left_out += [f"{text}: {reason}" for reason in dict.fromkeys(item.reasons)]
            if not item.masks:
                continue
            kept = {name: item.entry[name] for name in _EXTRAS if item.entry.get(name)}
            mask = np.logical_or.reduce(item.masks)
            read.objects.append(InstanceObject.of_mask(item.category, 1, mask, item.is_crowd, kept))
        return read


def _json_files(folder: Path) -> list[Path]:
    files = [*folder.glob("*.json"), *folder.glob("annotations/*.json")]
    return [path for path in sorted(files) if _is_coco(path)]


def _is_coco(path: Path) -> bool:
    if path.suffix.lower() != ".json":
        return False
    try:
        content = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return False
    lists = ("images", "annotations")
    return isinstance(content, dict) and all(isinstance(content.get(name), list) for name in lists)

"""labelme: a JSON file beside each image, with the objects as mask or polygon shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from icas.common.errors import ConflictError, UsageError
from icas.io.find import natural_key
from icas.segmentimg.datasets import DatasetReader, DatasetWriter, Page, ReadObjects
from icas.segmentimg.datasets.objects import InstanceImage, InstanceObject, Size, regions_of
from icas.segmentimg.formats.inputs import has_labelme_keys, read_json
from icas.segmentimg.formats.labelme import (
    VERSION,
    is_labelme,
    json_or_none,
    kept_entries,
    mask_shape,
    read_shapes,
)
from icas.segmentimg.formats.outlines import bridged, pixel_outlines


class LabelmeWriter(DatasetWriter):
    """``NAME.json`` beside the image; shapes of one object have one ``group_id``."""

    by_stem: ClassVar[bool] = True

    def image_path(self, split: str, name: str) -> str:
        return "/".join(filter(None, (split, name)))

    def add(self, split: str, image: InstanceImage) -> dict[str, bytes]:
        shapes = [shape for one in image.objects for shape in self._shapes(one, image.size)]
        height, width = image.size
        content: dict[str, Any] = {
            "version": VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": image.name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        path = self.image_path(split, f"{Path(image.name).stem}.json")
        return {path: (json.dumps(content, indent=2) + "\n").encode()}

    def finish(self) -> dict[str, bytes]:
        return {}

    def _shapes(self, one: InstanceObject, size: Size) -> Iterator[dict[str, Any]]:
        self.number(one.name)
        kept = {"group_id": one.number, **kept_entries(dict(one.extras))}
        if not self.options.polygons:
            yield mask_shape(one.name, one.mask(size), kept)
            return
        parts = pixel_outlines(one.crop, one.box[2], one.box[0])
        self.keyholes += any(part.holes for part in parts)
        for part in parts:
            yield {
                "label": one.name,
                "points": bridged([part]).tolist(),
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
                **kept,
            }


class LabelmeReader(DatasetReader):
    """A labelme or X-AnyLabeling file, or those of a folder and its sub-folders."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        names = path.rglob("*.json") if path.is_dir() else [path]
        self._files = sorted(names, key=lambda file: natural_key(str(file)))
        if not self._files:
            raise UsageError(f"no labelme file in {path}")

    @classmethod
    def accepts(cls, path: Path) -> bool:
        files = path.rglob("*.json") if path.is_dir() else [path]
        return any(is_labelme(json_or_none(file)) for file in files)

    def names(self) -> list[str]:
        return []

    def pages(self) -> Iterator[Page]:
        for file in self._files:
            try:
                content = read_json(file, ConflictError)
            except ConflictError as error:
                self.left_out.append(error.message)
                continue
            if not has_labelme_keys(content):
                if not (isinstance(content, dict) and "icas" in content):
                    self.left_out.append(f"{file} is not a labelme file")
                continue
            given = content.get("imagePath")
            named = isinstance(given, str) and given
            beside = file.with_suffix("").relative_to(self._root()).as_posix()
            yield Page(given if named else beside, str(file), file, None, bool(named), beside)

    def read(self, page: Page, size: Size) -> ReadObjects:
        shapes = read_shapes(page.content, size)
        groups: dict[tuple[str, int], list[int]] = {}  # places of shapes
        for place, key in enumerate(zip(shapes.names, shapes.numbers, strict=True), start=1):
            groups.setdefault(key, []).append(place)
        read = ReadObjects([], shapes.left_out, shapes.notes)
        group_of = np.zeros(len(shapes.names) + 1, np.int32)
        for number, places in enumerate(groups.values(), start=1):
            group_of[places] = number
        regions = regions_of(group_of[shapes.owner])
        visible = {number: (box, crop) for number, box, crop in regions}
        for number, ((name, _), places) in enumerate(groups.items(), start=1):
            if number not in visible:
                listed = ", ".join(map(str, places))
                text = f"{page.where}: shape {listed} left out: covered by later shapes"
                read.left_out.append(text)
                continue
            kept: dict[str, Any] = {}
            for place in places:
                with suppress(KeyError):
                    kept = {**kept_entries(shapes.entries[place - 1]), **kept}
            kept = {key: kept[key] for key in _EXTRAS if key in kept}
            box, crop = visible[number]
            read.objects.append(InstanceObject(name, 1, box, crop, False, kept))
        return read

    def _root(self) -> Path:
        return self.path if self.path.is_dir() else self.path.parent


_EXTRAS = ("group_id", "flags", "description", "score")

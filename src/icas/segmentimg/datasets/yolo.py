"""Ultralytics' segmentation data sets: ``data.yaml``, ``images/`` and ``labels/``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from icas.common.errors import IcasError, UsageError
from icas.dataset.class_lists import yaml_value
from icas.io.find import natural_key
from icas.io.formats import os_reason
from icas.io.text import decode_text
from icas.segmentimg.datasets import DatasetReader, DatasetWriter, Page, ReadObjects
from icas.segmentimg.datasets.objects import InstanceImage, InstanceObject, Size
from icas.segmentimg.document.palette import class_name
from icas.segmentimg.formats.outlines import bridged, outlines
from icas.segmentimg.formats.polygons import polygon_mask

YAML = "data.yaml"
ALL = "train"
"""Folder of the images of a data set that is not split."""


class YoloWriter(DatasetWriter):
    """One line ``class x y x y …`` per object, in shares of width and height."""

    by_stem: ClassVar[bool] = True

    def image_path(self, split: str, name: str) -> str:
        return f"images/{split or ALL}/{name}"

    def add(self, split: str, image: InstanceImage) -> dict[str, bytes]:
        height, width = image.size
        lines = []
        for one in image.objects:
            parts = outlines(one.crop, one.box[2], one.box[0])
            self.keyholes += len(parts) > 1 or any(part.holes for part in parts)
            shares = bridged(parts) / (width, height)
            numbers = " ".join(f"{share:.6f}".rstrip("0").rstrip(".") for share in shares.ravel())
            lines.append(f"{self.number(one.name)} {numbers}\n")
        name = Path(image.name).stem
        return {f"labels/{split or ALL}/{name}.txt": "".join(lines).encode()}

    def finish(self) -> dict[str, bytes]:
        folders = {split or ALL: f"images/{split or ALL}" for split in self.splits}
        folders.setdefault("train", next(iter(folders.values())))
        # Ultralytics demands a folder for validation
        folders.setdefault("val", folders.get("test", folders["train"]))
        lines = [] if self.splits != ("",) else ["# not split: validation on the same images"]
        lines += [f"{name}: {folder}" for name, folder in folders.items()]
        lines += [f"nc: {len(self.names)}", "names:" + " {}" * (not self.names)]
        lines += [
            f"  {number}: {json.dumps(name, ensure_ascii=False)}"
            for number, name in enumerate(self.names)
        ]
        return {YAML: ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")}


class YoloReader(DatasetReader):
    """A folder with ``data.yaml``, or with label files only; or one ``data.yaml``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._root = path if path.is_dir() else path.parent
        yaml = _yaml_of(path)
        self._names = {} if yaml is None else _class_names(yaml)
        labels = self._root / "labels"
        self._labels = labels if labels.is_dir() else self._root
        if yaml is None and not any(self._labels.rglob("*.txt")):
            raise UsageError(f"{path} has neither {YAML} nor label files: choose another --format")

    @classmethod
    def accepts(cls, path: Path) -> bool:
        return _yaml_of(path) is not None

    def names(self) -> list[str]:
        return [name for _, name in sorted(self._names.items())]

    def pages(self) -> Iterator[Page]:
        names = (path.relative_to(self._labels).as_posix() for path in self._labels.rglob("*.txt"))
        for name in sorted(names, key=natural_key):
            path = self._labels / name
            if path.is_file() and path.name not in ("classes.txt", "README.txt"):
                yield Page(name.removesuffix(".txt"), str(path), path, has_suffix=False)

    def read(self, page: Page, size: Size) -> ReadObjects:
        read = ReadObjects()
        try:
            text = decode_text(page.content.read_bytes())
        except OSError as error:
            raise UsageError(f"cannot read {page.where}: {os_reason(error)}") from None
        except ValueError:
            raise UsageError(f"{page.where} is not a text file: repair it") from None
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                read.objects.append(self._object(line, size))
            except (IcasError, ValueError, OverflowError, MemoryError) as error:
                reason = error if isinstance(error, IcasError) else "not a line of numbers"
                read.left_out.append(f"{page.where}: line {number} left out: {reason}")
        return read

    def _object(self, line: str, size: Size) -> InstanceObject:
        words = line.split()
        number = int(words[0])
        numbers = np.array([float(word) for word in words[1:]])
        if len(numbers) == 4:  # a box: center, width, height
            (x, y), (width, height) = numbers[:2], numbers[2:] / 2
            sides = (x - width, y - height, x + width, y - height)
            numbers = np.array([*sides, x + width, y + height, x - width, y + height])
        if number < 0 or len(numbers) < 6 or len(numbers) % 2:
            raise UsageError(f"{len(numbers)} coordinates")
        if not np.isfinite(numbers).all() or np.abs(numbers).max() > 2:
            raise UsageError("coordinates are not shares of width and height")
        mask = polygon_mask(numbers * np.tile(size[::-1], len(numbers) // 2), size)
        if not mask.any():
            raise UsageError("no pixels in the image")
        name = self._names.setdefault(number, f"class {number}")
        return InstanceObject.of_mask(name, 1, mask)


def _yaml_of(path: Path) -> Path | None:
    """The YAML file of a data set."""
    if path.is_file():
        return path if path.suffix.lower() in (".yaml", ".yml") else None
    files = [path / YAML, *sorted(path.glob("*.yaml")), *sorted(path.glob("*.yml"))]
    return next((file for file in files if file.is_file()), None)


def _class_names(path: Path) -> dict[int, str]:
    """The classes of ``data.yaml``: a list or a mapping, in lines or in brackets."""
    try:
        text = decode_text(path.read_bytes())
    except (OSError, ValueError):
        raise UsageError(f"cannot read {path}") from None
    try:
        listed = yaml_value(text, ["names"])
        if listed is None:
            raise UsageError(f"{path} lists no names of classes: add a line like names: [car, dog]")
        numbered = listed.items() if isinstance(listed, dict) else enumerate(listed)
        return {int(number): class_name(str(name)) for number, name in numbered}
    except (ValueError, TypeError) as error:
        if isinstance(error, UsageError):
            raise
        reason = " ".join(str(error).split())[:80]
        raise UsageError(f"{path}: the names of classes cannot be read ({reason})") from None

"""PASCAL VOC: a PNG of classes, a PNG of objects and an XML file per image."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError, UsageError
from icas.io.find import natural_key
from icas.io.formats import os_reason
from icas.io.text import decode_text
from icas.segmentimg.datasets import DatasetReader, DatasetWriter, Page, ReadObjects
from icas.segmentimg.datasets.objects import (
    InstanceImage,
    InstanceObject,
    Size,
    instance_map,
    regions_of,
)
from icas.segmentimg.document.palette import class_name
from icas.segmentimg.formats.inputs import read_xml
from icas.segmentimg.labels.labels import border_band, rows_of

IMAGES, ANNOTATIONS = "JPEGImages", "Annotations"
CLASS_MAPS, OBJECT_MAPS = "SegmentationClass", "SegmentationObject"
SETS = "ImageSets/Segmentation"
CLASS_NAMES = "class_names.txt"
BORDER = 255
MOST = 254
"""Classes in a data set, and objects in an image."""
REACH = 2
"""Pixels on either side of a border that `borders` marks."""
_VOC_NAMES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
)
"""Classes of the original data set, 1…20."""


class VocWriter(DatasetWriter):
    """The folders of VOC2012, and the names of the classes in ``class_names.txt``."""

    by_stem: ClassVar[bool] = True

    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        self._images: dict[str, list[str]] = {split: [] for split in self.splits}

    def image_path(self, split: str, name: str) -> str:
        return f"{IMAGES}/{name}"

    def add(self, split: str, image: InstanceImage) -> dict[str, bytes]:
        numbers = [self.number(one.name) + 1 for one in image.objects]
        for what, count in (("classes", len(self.names)), ("objects", len(numbers))):
            if count > MOST:
                raise UsageError(f"{count} {what}, VOC has at most {MOST}: use --format coco")
        stem = Path(image.name).stem
        if not stem.isprintable() or stem != stem.strip():
            raise UsageError("VOC cannot list a file of this name: rename it")
        objects = instance_map(image.objects, image.size)
        classes = np.array([0, *numbers])[objects]
        if self.options.borders:
            band = border_band(objects, REACH) & (objects > 0)
            objects[band] = classes[band] = BORDER
        self._images[split].append(stem)
        return {
            f"{CLASS_MAPS}/{stem}.png": _palette_png(classes),
            f"{OBJECT_MAPS}/{stem}.png": _palette_png(objects),
            f"{ANNOTATIONS}/{stem}.xml": _xml(image),
        }

    def finish(self) -> dict[str, bytes]:
        names = ["_background_", *self.names]
        files = {CLASS_NAMES: "".join(f"{name}\n" for name in names).encode()}
        sets = {split or "train": images for split, images in self._images.items()}
        sets["trainval"] = [
            name for split, images in sets.items() if split != "test" for name in images
        ]
        for split, images in sets.items():
            files[f"{SETS}/{split}.txt"] = "".join(f"{name}\n" for name in images).encode()
        return files


def _xml(image: InstanceImage) -> bytes:
    root = ET.Element("annotation")
    for tag, text in (("folder", IMAGES), ("filename", image.name)):
        ET.SubElement(root, tag).text = text
    size = ET.SubElement(root, "size")
    for tag, number in (("width", image.size[1]), ("height", image.size[0]), ("depth", 3)):
        ET.SubElement(size, tag).text = str(number)
    ET.SubElement(root, "segmented").text = "1"
    for one in image.objects:
        element = ET.SubElement(root, "object")
        texts = {"name": one.name, "pose": "Unspecified", "truncated": "0", "difficult": "0"}
        for tag, text in texts.items():
            ET.SubElement(element, tag).text = text
        top, bottom, left, right = one.box  # from 1, the last pixel included
        corners = {"xmin": left + 1, "ymin": top + 1, "xmax": right, "ymax": bottom}
        box = ET.SubElement(element, "bndbox")
        for tag, number in corners.items():
            ET.SubElement(box, tag).text = str(number)
    ET.indent(root)
    return f"{ET.tostring(root, 'unicode')}\n".encode()


@cache
def voc_colors() -> NDArray[np.uint8]:
    """(256, 3): the color table of VOC, in which bits of the number are spread over the colors."""
    numbers = np.arange(256)
    table = np.zeros((256, 3), np.uint8)
    for channel in range(3):
        for place in range(3):
            bits = (numbers >> (3 * place + channel)) & 1
            table[:, channel] |= (bits << (7 - place)).astype(np.uint8)
    return table


def _palette_png(numbers: NDArray[np.integer[Any]]) -> bytes:
    from PIL import Image

    image = Image.fromarray(numbers.astype(np.uint8))
    image.putpalette(voc_colors().tobytes())  # changes the mode to P
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


class VocReader(DatasetReader):
    """A folder with ``SegmentationObject`` or ``SegmentationClass``, or with boxes only."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._root = _root_of(path)
        if self._root is None:
            raise UsageError(
                f"{path} has none of {CLASS_MAPS}, {OBJECT_MAPS} and {ANNOTATIONS}: give the"
                " folder that holds them"
            )
        self._numbers, self._colors = _class_table(self._root)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        return _root_of(path) is not None

    def names(self) -> list[str]:
        listed = self._root is not None and (self._root / CLASS_NAMES).is_file()
        return [name for _, name in sorted(self._numbers.items())] if listed else []

    def pages(self) -> Iterator[Page]:
        assert self._root is not None
        folders = [(CLASS_MAPS, "*.png"), (OBJECT_MAPS, "*.png"), (ANNOTATIONS, "*.xml")]
        stems = {path.stem for folder, kind in folders for path in (self._root / folder).glob(kind)}
        for stem in sorted(stems, key=natural_key):
            yield Page(stem, str(self._root / OBJECT_MAPS / f"{stem}.png"), stem, has_suffix=False)

    def read(self, page: Page, size: Size) -> ReadObjects:
        assert self._root is not None
        files = [self._root / name / f"{page.content}.png" for name in (CLASS_MAPS, OBJECT_MAPS)]
        xml = self._root / ANNOTATIONS / f"{page.content}.xml"
        boxes = _boxes(xml) if xml.is_file() else []
        if not any(file.is_file() for file in files):
            return _of_boxes(xml, boxes, size)
        classes, objects = (self._map(file, size) if file.is_file() else None for file in files)
        if objects is None:
            objects = classes
        assert objects is not None
        read = ReadObjects()
        for number, box, crop in regions_of(np.where(objects == BORDER, 0, objects)):
            if classes is not None:
                inside = classes[rows_of(box)][crop]
                inside = inside[(inside > 0) & (inside != BORDER)]
                name = self._name(int(np.bincount(inside).argmax())) if len(inside) else None
            else:
                name = boxes[number - 1][0] if number <= len(boxes) else None
            if name is None:
                read.left_out.append(f"{page.where}: object {number} left out: it has no class")
            else:
                read.objects.append(InstanceObject(name, 1, box, crop))
        return read

    def _name(self, number: int) -> str:
        return self._numbers.setdefault(number, f"class {number}")

    def _map(self, path: Path, size: Size) -> NDArray[np.int64]:
        """The numbers in a PNG; colors of ``labelmap.txt`` or of VOC become their numbers."""
        pixels = _pixels(path, size)
        if pixels.ndim == 2:
            return pixels.astype(np.int64)
        codes = pixels[..., :3].astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
        if path.parent.name == OBJECT_MAPS:
            values, inverse = np.unique(codes, return_inverse=True)
            table = np.where(values == 0, 0, np.arange(len(values)) + (values[0] != 0))
            if BORDER in table:
                raise UsageError(f"{path} has too many colors: it is no map of objects")
            table[values == 0xE0E0C0] = BORDER
            return np.asarray(table[inverse.reshape(codes.shape)], np.int64)
        numbers = np.full(codes.shape, -1, np.int64)
        for number, (red, green, blue) in self._colors.items():
            numbers[codes == (red << 16 | green << 8 | blue)] = number
        if (numbers < 0).any():
            raise UsageError(f"{path} has colors that are of no class: list them in labelmap.txt")
        return numbers


def _root_of(path: Path) -> Path | None:
    if not path.is_dir():
        return None
    for folder in (path, *sorted(path.glob("VOC*")), *sorted(path.glob("VOCdevkit/VOC*"))):
        if (folder / CLASS_MAPS).is_dir() or (folder / OBJECT_MAPS).is_dir():
            return folder
        if any((folder / ANNOTATIONS).glob("*.xml")):
            return folder
    return None


def _class_table(root: Path) -> tuple[dict[int, str], dict[int, tuple[int, int, int]]]:
    """Names and colors of the classes, by number."""
    colors = {number: (int(c[0]), int(c[1]), int(c[2])) for number, c in enumerate(voc_colors())}
    names_file, map_file = root / CLASS_NAMES, root / "labelmap.txt"
    try:
        if names_file.is_file():
            lines = decode_text(names_file.read_bytes()).splitlines()
            names = {number: name for number, name in enumerate(lines) if number and name.strip()}
            return {number: class_name(name) for number, name in names.items()}, colors
        if map_file.is_file():  # of CVAT: label:r,g,b:parts:actions
            text = decode_text(map_file.read_bytes())
            rows = re.findall(r"^([^#\n][^\n]*?):(\d+),(\d+),(\d+):", text, re.MULTILINE)
            colors = {n: (int(r), int(g), int(b)) for n, (_, r, g, b) in enumerate(rows)}
            return {n: class_name(row[0]) for n, row in enumerate(rows) if n}, colors
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the classes of {root}: {error}") from None
    return dict(enumerate(_VOC_NAMES.split(), start=1)), colors


def _pixels(path: Path, size: Size) -> NDArray[Any]:
    from PIL import PngImagePlugin

    try:
        png = PngImagePlugin.PngImageFile(io.BytesIO(path.read_bytes()))
        if png.size[::-1] != size:
            raise UsageError(
                f"{path} is {png.size[0]}x{png.size[1]} pixels, the image {size[1]}x{size[0]}"
            )
        return np.asarray(png)
    except IcasError:
        raise
    except OSError as error:
        if error.errno:
            raise UsageError(f"cannot read {path}: {os_reason(error)}") from None
        raise UsageError(f"{path} is not a valid PNG: repair it or move it away") from None
    except Exception:  # Pillow raises almost any exception for broken files
        raise UsageError(f"{path} is not a valid PNG: repair it or move it away") from None


def _boxes(path: Path) -> list[tuple[str, list[float]]]:
    """Class and corners of each object in an XML file."""
    try:
        boxes = []
        for element in read_xml(path).iter("object"):
            corners = [element.findtext(f"bndbox/{tag}", "nan") for tag in _CORNERS]
            boxes.append((class_name(element.findtext("name")), list(map(float, corners))))
        return boxes
    except ValueError as error:
        reason = " ".join(str(error).split())
        text = reason if str(path) in reason else f"{path}: {reason[:80]}"
        raise UsageError(text) from None


_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def _of_boxes(path: Path, boxes: list[tuple[str, list[float]]], size: Size) -> ReadObjects:
    """Rectangles, where there are no maps."""
    read = ReadObjects()
    for place, (name, corners) in enumerate(boxes, start=1):
        mask = np.zeros(size, bool)
        if np.isfinite(corners).all() and min(corners) >= 0 and max(corners) < 1e6:
            left, top, right, bottom = (round(corner) for corner in corners)
            mask[rows_of((max(0, top - 1), bottom, max(0, left - 1), right))] = True
        if mask.any():
            read.objects.append(InstanceObject.of_mask(name, 1, mask))
        else:
            read.left_out.append(f"{path}: object {place} left out: box without pixels")
    return read

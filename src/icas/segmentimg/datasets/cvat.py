"""CVAT for images 1.1, an XML file; CVAT's export to COCO is read as COCO."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError, UsageError
from icas.segmentimg.datasets import DatasetReader, Page, ReadObjects
from icas.segmentimg.datasets.coco import CocoReader
from icas.segmentimg.datasets.objects import InstanceObject, Size
from icas.segmentimg.document.palette import Color, class_name
from icas.segmentimg.formats.inputs import read_xml
from icas.segmentimg.formats.polygons import polygon_mask

Mask = NDArray[np.bool_]
NAME = "annotations.xml"
NO_AREA = ("polyline", "points", "skeleton", "tag")
_INVALID = (IcasError, ValueError, TypeError, KeyError, OverflowError, MemoryError)


class CvatReader(DatasetReader):
    """An XML file, or a folder with ``annotations.xml``; or a COCO file."""

    def __new__(cls, path: Path) -> Any:
        if _xml_of(path) is None and CocoReader.accepts(path):
            return CocoReader(path)
        return super().__new__(cls)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        file = _xml_of(path)
        if file is None:
            raise UsageError(f"{path} is neither an XML file nor a folder with {NAME}")
        self._file = file
        self._tree = read_xml(file)
        if self._tree.tag != "annotations":
            raise UsageError(f"{file} is not of CVAT: it has no annotations: choose --format")
        for track in self._tree.iter("track"):
            text = f"{file}: track {track.get('id')} left out: of a video, export images"
            self.left_out.append(text)
        self.colors = dict(_colors(self._tree))

    @classmethod
    def accepts(cls, path: Path) -> bool:
        return _xml_of(path) is not None

    def names(self) -> list[str]:
        found = []
        for label in self._tree.findall("meta//labels/label"):
            name = label.findtext("name")
            if name and label.findtext("type") not in NO_AREA:
                found.append(class_name(name))
        return list(dict.fromkeys(found))

    def pages(self) -> Iterator[Page]:
        for place, image in enumerate(self._tree.iter("image"), start=1):
            name, sides = image.get("name"), (image.get("height"), image.get("width"))
            if not name:
                self.left_out.append(f"{self._file}: image {place} has no name")
                continue
            try:
                size = (int(sides[0] or ""), int(sides[1] or ""))
            except ValueError:
                yield Page(name, str(self._file), image)
            else:
                yield Page(name, str(self._file), image, size)

    def read(self, page: Page, size: Size) -> ReadObjects:
        read = ReadObjects()
        groups: dict[tuple[str, Any], tuple[Mask, dict[str, Any]]] = {}
        for order, (place, shape) in enumerate(_by_depth(page.content)):
            where = f"{page.where}: {page.file}: shape {place}, {shape.tag}"
            if shape.tag in NO_AREA:
                read.notes.append(f"{where} {shape.get('label')!r}, has no area: ignored")
                continue
            try:
                name, mask = class_name(shape.get("label")), _mask_of(shape, size)
            except _INVALID as error:
                reason = f"no {error}" if isinstance(error, KeyError) else str(error)
                read.left_out.append(f"{where}, left out: {' '.join(reason.split())[:120]}")
                continue
            group = shape.get("group_id")
            key = name, order if group in (None, "", "0") else group
            before, extras = groups.get(key, (np.zeros(size, bool), _extras(shape)))
            groups[key] = before | mask, extras
        for (name, _), (mask, extras) in groups.items():
            read.objects.append(InstanceObject.of_mask(name, 1, mask, False, extras))
        return read


def _xml_of(path: Path) -> Path | None:
    if path.is_dir():
        path = path / NAME
    return path if path.is_file() and path.suffix.lower() == ".xml" else None


def _colors(tree: ET.Element) -> Iterator[tuple[str, Color]]:
    for label in tree.findall("meta//labels/label"):
        code = (label.findtext("color") or "").lstrip("#")
        try:
            red, green, blue = bytes.fromhex(code)
            yield class_name(label.findtext("name")), (red, green, blue)
        except (ValueError, UsageError):
            continue


def _by_depth(image: ET.Element) -> list[tuple[int, ET.Element]]:
    """Shapes with their places, those below first."""

    def depth(item: tuple[int, ET.Element]) -> int:
        try:
            return int(item[1].get("z_order") or 0)
        except ValueError:
            return 0

    return sorted(enumerate(image, start=1), key=depth)


def _extras(shape: ET.Element) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    group = shape.get("group_id") or ""
    if group.isdecimal() and int(group):
        extras["group_id"] = int(group)
    attributes = {str(one.get("name")): one.text or "" for one in shape.findall("attribute")}
    if attributes:
        extras["attributes"] = attributes
    return extras


def _mask_of(shape: ET.Element, size: Size) -> Mask:
    if shape.tag not in _SHAPES:
        raise UsageError("unknown type")
    mask = _SHAPES[shape.tag](shape, size)
    if not mask.any():
        raise UsageError("no pixels in the image")
    return mask


def _numbers(shape: ET.Element, *names: str) -> list[float]:
    return [float(shape.attrib[name]) for name in names]


def _polygon(shape: ET.Element, size: Size) -> Mask:
    pairs = (pair.split(",") for pair in shape.attrib["points"].split(";"))
    return polygon_mask([float(part) for x, y in pairs for part in (x, y)], size)


def _box(shape: ET.Element, size: Size) -> Mask:
    left, top, right, bottom = _numbers(shape, "xtl", "ytl", "xbr", "ybr")
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    return polygon_mask(_turned(corners, shape).ravel().tolist(), size)


def _ellipse(shape: ET.Element, size: Size) -> Mask:
    x, y, across, down = _numbers(shape, "cx", "cy", "rx", "ry")
    angles = np.linspace(0, 2 * math.pi, 360, endpoint=False)
    rim = np.stack([x + across * np.cos(angles), y + down * np.sin(angles)], axis=1)
    return polygon_mask(_turned(rim, shape).ravel().tolist(), size)


def _turned(corners: NDArray[np.float64], shape: ET.Element) -> NDArray[np.float64]:
    """Turned clockwise about the center by the degrees in ``rotation``."""
    angle = math.radians(float(shape.get("rotation") or 0))
    centre = (corners.max(axis=0) + corners.min(axis=0)) / 2
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = np.array([(cosine, sine), (-sine, cosine)])
    return np.asarray((corners - centre) @ turn + centre)


def _cuboid(shape: ET.Element, size: Size) -> Mask:
    """Its front."""
    names = ("xtl1", "ytl1", "xtr1", "ytr1", "xbr1", "ybr1", "xbl1", "ybl1")
    return polygon_mask(_numbers(shape, *names), size)


def _rle(shape: ET.Element, size: Size) -> Mask:
    """Runs by rows within a box, the first one not painted."""
    left, top, width, height = (
        int(number) for number in _numbers(shape, "left", "top", "width", "height")
    )
    runs = np.array([int(part) for part in shape.attrib["rle"].split(",")], np.int64)
    bottom, right = top + height, left + width
    if left < 0 or top < 0 or bottom > size[0] or right > size[1]:
        raise UsageError("the mask extends beyond the image")
    if (runs < 0).any() or int(runs.sum()) != width * height:
        raise UsageError(f"run lengths do not sum to {width}x{height} pixels")
    mask = np.zeros(size, bool)
    crop = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    mask[top:bottom, left:right] = crop
    return mask


_SHAPES: dict[str, Callable[[ET.Element, Size], Mask]] = {
    "polygon": _polygon,
    "box": _box,
    "ellipse": _ellipse,
    "cuboid": _cuboid,
    "mask": _rle,
}

"""COCO files of other programs, or of icas without the records: annotations of one image."""

from __future__ import annotations

import functools
import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError, UsageError
from icas.io.formats import os_reason
from icas.segmentimg.document.palette import Color, Painting, Palette, class_name
from icas.segmentimg.formats.coco import decode_rle
from icas.segmentimg.formats.inputs import has_labelme_keys, parse_json
from icas.segmentimg.formats.polygons import polygon_mask

Size = tuple[int, int]
_INVALID = (IcasError, KeyError, IndexError, TypeError, ValueError, OverflowError, MemoryError)
_LOCK = threading.Lock()


class CocoPainting(NamedTuple):
    """Annotations of one image as a painting."""

    painting: Painting
    left_out: list[str]
    """Lines about annotations that are not in it."""


class CocoDataset:
    """A parsed COCO file."""

    def __init__(self, path: Path, content: Any) -> None:
        lists = [content.get(name) for name in ("images", "annotations")]
        if not all(isinstance(entries, list) for entries in lists):
            raise UsageError(
                f"{path} is not a COCO file: it has no lists of images and annotations: move it"
                " away"
            )
        self.path = path
        info = content.get("info")
        self.own = isinstance(info, dict) and "icas" in info
        self.images = [entry for entry in lists[0] if isinstance(entry, dict)]
        self._annotations: dict[str, list[tuple[Any, Any]]] = {}
        for place, entry in enumerate(lists[1], start=1):
            image = entry.get("image_id") if isinstance(entry, dict) else None
            self._annotations.setdefault(str(image), []).append((place, entry))
        known = {str(entry["id"]) for entry in self.images if entry.get("id") is not None}
        self._orphans = [
            _name_of(entry, place)
            for image, entries in self._annotations.items()
            for place, entry in entries
            if image not in known
        ]
        self.categories, self._colors = _categories(content.get("categories"))

    def image(self, file: Path) -> dict[str, Any] | None:
        """The entry of an image file, by its name and, where that is ambiguous, its folders."""
        parts = _parts(file.as_posix())
        same = [entry for entry in self.images if _parts(entry.get("file_name"))[-1:] == parts[-1:]]
        if len(same) > 1:
            ends = [_parts(entry["file_name"]) for entry in same]
            same = [
                entry
                for entry, end in zip(same, ends, strict=True)
                if parts[-len(end) :] == end and len(end) == max(map(len, ends))
            ] or same
        if len({str(entry.get("id")) for entry in same}) > 1:
            raise UsageError(f"{self.path} lists several images named {file.name}: rename them")
        return same[0] if same else None

    def painting(self, file: Path, shape: Size, palette: Palette) -> CocoPainting | None:
        """The painting of an image file of `shape` (h, w); None if the image is not listed.

        Each annotation is an object of its class, numbered in the order of the file.
        UsageError for another size. Classes begin with those of `palette`.
        """
        image = self.image(file)
        if image is None:
            return None
        size = (_whole(image.get("height")), _whole(image.get("width")))
        if None not in size and size != tuple(shape):
            raise UsageError(
                f"{self.path} lists {file.name} as {size[1]}x{size[0]} pixels, the image is"
                f" {shape[1]}x{shape[0]}: resize it or move the file away"
            )
        if image.get("id") is None:
            raise UsageError(f"{self.path}: the entry of {file.name} has no id: correct it")
        entries = self._annotations.get(str(image["id"]), [])
        entries = sorted(entries, key=lambda item: not _is_crowd(item[1]))
        names = {**self.categories, **_unlisted(entries, self.categories)}
        taken = palette.numbers()
        colors = {
            name: color for name, color in self._colors.items() if self.own or color not in taken
        }
        classes, numbers = palette.with_names(names.values(), colors)
        class_map, reasons = np.zeros(shape, np.int16), dict[str, list[str]]()
        instance_map, counts = np.zeros(shape, np.uint16), Counter[int]()
        for place, entry in entries:
            try:
                number = numbers[names[str(entry["category_id"])]]
                masks = _masks(entry, shape)
                counts[number] += 1
                for mask in masks:
                    class_map[mask], instance_map[mask] = number, counts[number]
            except _INVALID as error:
                reasons.setdefault(_reason(error), []).append(_name_of(entry, place))
        left_out = [
            f"{self.path}: {_listed(items)} of {file.name} left out: {reason}"
            for reason, items in reasons.items()
        ]
        if not entries and self._orphans:
            left_out.append(f"{self.path}: {_listed(self._orphans)} of no listed image left out")
        return CocoPainting(Painting(class_map, classes, instance_map), left_out)


def read_dataset(path: Path) -> CocoDataset | None:
    """The COCO file at `path`; None where there is no file, or one of an image named coco.

    UsageError for a broken file and for other JSON.
    """
    try:
        stat = path.stat()
        with _LOCK:
            return _parsed(path, stat.st_size, stat.st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {os_reason(error)}") from None


@functools.lru_cache(maxsize=2)
def _parsed(path: Path, _size: int, _time: int) -> CocoDataset | None:
    try:
        content = parse_json(path.read_bytes())
    except ValueError:
        raise UsageError(f"{path} is not valid JSON: repair it or move it away") from None
    if isinstance(content, dict) and ("icas" in content or has_labelme_keys(content)):
        return None
    return CocoDataset(path, content if isinstance(content, dict) else {})


def _categories(entries: Any) -> tuple[dict[str, str], dict[str, Color]]:
    """Class name of each category id, and the colors that classes have."""
    names: dict[str, str] = {}
    colors: dict[str, Color] = {}
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or "id" not in entry:
            continue
        try:
            name = class_name(entry.get("name"))
        except UsageError:
            name = f"category {entry['id']}"[:60]
        names[str(entry["id"])] = name
        color = entry.get("color")
        if isinstance(color, list) and len(color) == 3:
            red, green, blue = (_whole(part) for part in color)
            if all(part is not None and 0 <= part <= 255 for part in (red, green, blue)):
                colors.setdefault(name, (red or 0, green or 0, blue or 0))
    return names, colors


def _unlisted(entries: list[tuple[Any, Any]], listed: dict[str, str]) -> dict[str, str]:
    """Class names of categories that the file does not list."""
    keys = [str(entry["category_id"]) for _, entry in entries if "category_id" in entry]
    return {key: class_name(f"category {key[:40]}") for key in keys if key not in listed}


def _masks(entry: dict[str, Any], shape: Size) -> Iterable[NDArray[np.bool_]]:
    """The masks of an annotation: of each polygon, or of run lengths.

    All are decoded before any is returned: an annotation is painted whole or not at all.
    """
    segmentation = entry.get("segmentation")
    if not segmentation:
        raise UsageError("no segmentation")
    if isinstance(segmentation, dict):
        size = tuple(_whole(side) for side in segmentation["size"])
        if size != tuple(shape):
            raise UsageError(f"run lengths for {size[-1]}x{size[0]} pixels")
        return [decode_rle(segmentation)]
    if not isinstance(segmentation, list):
        raise UsageError("segmentation of unknown type")
    flat = not isinstance(segmentation[0], (list, dict))
    return [_polygon(ring, shape) for ring in ([segmentation] if flat else segmentation)]


def _polygon(ring: Any, shape: Size) -> NDArray[np.bool_]:
    pairs = isinstance(ring, list) and ring and isinstance(ring[0], list)
    numbers = [part for point in ring for part in point] if pairs else ring
    if not all(isinstance(part, (int, float)) for part in numbers):
        raise UsageError("polygon with coordinates that are not numbers")
    return polygon_mask(numbers, shape)


def _is_crowd(entry: Any) -> bool:
    return isinstance(entry, dict) and bool(entry.get("iscrowd"))


def _parts(name: object) -> list[str]:
    """Folders and name of a path of any system."""
    if not isinstance(name, str):
        return []
    return re.split(r"[/\\]+", unicodedata.normalize("NFC", name).removeprefix("./"))


def _whole(value: Any) -> int | None:
    """The value as a whole number; None where it is none."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _reason(error: BaseException) -> str:
    if isinstance(error, IcasError):
        return str(error)
    if isinstance(error, KeyError):
        return f"no {error}"
    return " ".join(str(error).split())[:120] or type(error).__name__


def _name_of(entry: Any, place: int) -> str:
    number = entry.get("id") if isinstance(entry, dict) else None
    return str(place if number is None else number)[:40]


def _listed(items: list[str]) -> str:
    """``annotation 3``; ``annotations 1, 2, 3 and 9 more``."""
    if len(items) == 1:
        return f"annotation {items[0]}"
    more = f" and {len(items) - 8} more" if len(items) > 8 else ""
    return f"annotations {', '.join(items[:8])}{more}"

"""COCO files of other programs, or of icas without the records: annotations of one image."""

from __future__ import annotations

import functools
import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError, UsageError
from icas.io.formats import os_reason
from icas.segmentimg.document.palette import Color, Painting, Palette, class_name
from icas.segmentimg.formats.coco import COCO_NAME, decode_rle
from icas.segmentimg.formats.inputs import has_labelme_keys, parse_json
from icas.segmentimg.formats.polygons import polygon_mask

DATASET_NAMES = (COCO_NAME, "_annotations.coco.json")
"""Names of COCO files beside images or results: usual, and of Roboflow."""
Size = tuple[int, int]
_INVALID = (IcasError, KeyError, IndexError, TypeError, ValueError, OverflowError, MemoryError)
_LOCK = threading.Lock()


class CocoPainting(NamedTuple):
    """Annotations of one image as a painting."""

    painting: Painting
    left_out: list[str]
    """Lines about annotations that are not in it."""


@dataclass(frozen=True)
class CocoObject:
    """An annotation of an image."""

    entry: Any
    name_of: str
    """Its id, or its place in the file; and whether only parts of it are left out."""
    category: str = ""
    masks: list[NDArray[np.bool_]] = field(default_factory=list)
    """Of each polygon, or of run lengths; empty where it cannot be used."""
    reasons: list[str] = field(default_factory=list)
    """Why it, or parts of it, cannot be used."""

    @property
    def is_crowd(self) -> bool:
        """Whether it holds several objects."""
        return _is_crowd(self.entry)


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
            self._annotations.setdefault(_key(image), []).append((place, entry))
        known = {_key(entry["id"]) for entry in self.images if entry.get("id") is not None}
        self._orphans = [
            _name_of(entry, place)
            for image, entries in self._annotations.items()
            for place, entry in entries
            if image not in known
        ]
        self.categories, self.colors = _categories(content.get("categories"))

    def image(self, file: Path) -> dict[str, Any] | None:
        """The entry of an image file, by its name and, where that is ambiguous, its folders.

        The case of letters matters only if a name differs from another one by it.
        """
        parts = _parts(file.as_posix())
        ends = [(entry, _parts(entry.get("file_name"))[-1:]) for entry in self.images]
        same = [entry for entry, end in ends if end == parts[-1:]]
        if not same:
            name = parts[-1].casefold()
            same = [entry for entry, end in ends if end and end[0].casefold() == name]
        if len(same) > 1:
            paths = [_parts(entry["file_name"]) for entry in same]
            same = [
                entry
                for entry, path in zip(same, paths, strict=True)
                if parts[-len(path) :] == path and len(path) == max(map(len, paths))
            ] or same
        if len({_key(entry.get("id")) for entry in same}) > 1:
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
        size = self.size(image)
        if size is not None and size != tuple(shape):
            raise UsageError(
                f"{self.path} lists {file.name} as {size[1]}x{size[0]} pixels, the image is"
                f" {shape[1]}x{shape[0]}: resize it or move the file away"
            )
        entries = self._entries(image)
        names = {**self.categories, **_unlisted(entries, self.categories)}
        taken = palette.numbers()
        colors = {
            name: color for name, color in self.colors.items() if self.own or color not in taken
        }
        classes, numbers = palette.with_names(names.values(), colors)
        class_map, reasons = np.zeros(shape, np.int16), dict[str, list[str]]()
        instance_map, counts = np.zeros(shape, np.uint16), Counter[int]()
        for one in self.objects(image, shape):
            for reason in one.reasons:
                reasons.setdefault(reason, []).append(one.name_of)
            if one.masks:
                number = numbers[one.category]
                counts[number] += 1
                for mask in one.masks:
                    class_map[mask], instance_map[mask] = number, counts[number]
        left_out = [
            f"{self.path}: {_listed(items)} of {file.name} left out: {reason}"
            for reason, items in reasons.items()
        ]
        if not entries:
            left_out += self.of_no_image()
        return CocoPainting(Painting(class_map, classes, instance_map), left_out)

    def size(self, image: dict[str, Any]) -> Size | None:
        """Height and width of an image entry; None where it has none."""
        height, width = _whole(image.get("height")) or 0, _whole(image.get("width")) or 0
        return (height, width) if min(height, width) > 0 else None

    def objects(self, image: dict[str, Any], shape: Size) -> Iterator[CocoObject]:
        """The annotations of an image entry, crowds first, then in the order of the file."""
        entries = sorted(self._entries(image), key=lambda item: not _is_crowd(item[1]))
        names = {**self.categories, **_unlisted(entries, self.categories)}
        for place, entry in entries:
            try:
                category = names[_key(entry["category_id"])]
                masks, missing = _masks(entry, shape)
                name = f"{_name_of(entry, place)}{' (in part)' if missing else ''}"
                yield CocoObject(entry, name, category, masks, missing)
            except _INVALID as error:
                yield CocoObject(entry, _name_of(entry, place), reasons=[_reason(error)])

    def of_no_image(self) -> list[str]:
        """A line about annotations of images that are not listed."""
        if not self._orphans:
            return []
        return [f"{self.path}: {_listed(self._orphans)} of no listed image left out"]

    def _entries(self, image: dict[str, Any]) -> list[tuple[Any, Any]]:
        if image.get("id") is None:
            name = image.get("file_name")
            raise UsageError(f"{self.path}: the entry of {name} has no id: correct it")
        return self._annotations.get(_key(image["id"]), [])


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
        names[_key(entry["id"])] = name
        color = entry.get("color")
        if isinstance(color, list) and len(color) == 3:
            red, green, blue = (_whole(part) for part in color)
            if all(part is not None and 0 <= part <= 255 for part in (red, green, blue)):
                colors.setdefault(name, (red or 0, green or 0, blue or 0))
    return names, colors


def _unlisted(entries: list[tuple[Any, Any]], listed: dict[str, str]) -> dict[str, str]:
    """Class names of categories that the file does not list."""
    keys = [_key(entry["category_id"]) for _, entry in entries if "category_id" in entry]
    return {key: class_name(f"category {key[:40]}") for key in keys if key not in listed}


def _masks(entry: dict[str, Any], shape: Size) -> tuple[list[NDArray[np.bool_]], list[str]]:
    """The masks of an annotation, one per part, and why parts of it have none.

    The error of the first part is raised if no part has pixels.
    """
    segmentation = entry.get("segmentation")
    if not segmentation:
        raise UsageError("no segmentation")
    if isinstance(segmentation, dict):
        return [_part(segmentation, shape)], []
    if not isinstance(segmentation, list):
        raise UsageError("segmentation of unknown type")
    flat = not isinstance(segmentation[0], (list, dict))
    masks, errors = list[NDArray[np.bool_]](), list[BaseException]()
    for part in [segmentation] if flat else segmentation:
        try:
            masks.append(_part(part, shape))
        except _INVALID as error:
            errors.append(error)
    if not masks:
        raise errors[0]
    return masks, list(dict.fromkeys(map(_reason, errors)))


def _part(part: Any, shape: Size) -> NDArray[np.bool_]:
    """The pixels of a polygon or of run lengths."""
    if isinstance(part, dict):
        size = tuple(_whole(side) for side in part["size"])
        if size != tuple(shape):
            raise UsageError(f"run lengths for {size[-1]}x{size[0]} pixels")
        mask = decode_rle(part)
    else:
        mask = _polygon(part, shape)
    if not mask.any():
        raise UsageError("no pixels in the image")
    return mask


def _polygon(ring: Any, shape: Size) -> NDArray[np.bool_]:
    pairs = isinstance(ring, list) and ring and isinstance(ring[0], list)
    numbers = [part for point in ring for part in point] if pairs else ring
    if not all(isinstance(part, (int, float)) for part in numbers):
        raise UsageError("polygon with coordinates that are not numbers")
    return polygon_mask(numbers, shape)


def _key(number: object) -> str:
    """An id as text; 1, 1.0 and "1" are the same."""
    whole = isinstance(number, float) and number.is_integer()
    return str(int(number) if whole else number)  # type: ignore[call-overload]


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

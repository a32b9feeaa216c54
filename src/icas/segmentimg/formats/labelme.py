"""Paintings as labelme files, and shapes of labelme files as paintings."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import ConflictError, IcasError, UsageError
from icas.segmentimg.document.objects import objects_in
from icas.segmentimg.document.palette import (
    MAX_OBJECTS,
    PaintClass,
    Painting,
    Palette,
    class_name,
)
from icas.segmentimg.formats import Contents, PaintFormat
from icas.segmentimg.formats.inputs import (
    ImageFile,
    has_labelme_keys,
    parse_json,
    read_json,
)
from icas.segmentimg.formats.shapes import NO_AREA, Mask, shape_of
from icas.segmentimg.labels.labels import bounding_box, rows_of

VERSION = "5.5.0"
"""The release of labelme whose format this is."""
LABELME_ENDING = "_labelme.json"
_WRITTEN_OF_FILE = {"version", "flags", "shapes", "imagePath", "imageData"}
_WRITTEN_OF_FILE |= {"imageHeight", "imageWidth"}
"""Keys of a file that a save replaces; the others are kept."""
_WRITTEN = {"label", "points", "shape_type", "mask"}
"""Keys of a shape that a save replaces; the others are kept."""


@dataclass
class LabelmeShapes:
    """Shapes of a labelme file."""

    owner: NDArray[np.int32]
    """(h, w): 0 = no shape, n = ``entries[n - 1]``; where shapes overlap, the later wins."""
    names: list[str] = field(default_factory=list)
    """Class of each usable shape."""
    entries: list[dict[str, Any]] = field(default_factory=list)
    """The usable shapes, as in the file."""
    numbers: list[int] = field(default_factory=list)
    """Object number of each usable shape within its class."""
    no_area: list[dict[str, Any]] = field(default_factory=list)
    """Lines and points."""
    notes: list[str] = field(default_factory=list)
    """A line for each line or point."""
    left_out: list[str] = field(default_factory=list)
    """A line for each shape that cannot be used, or only in part."""
    flags: dict[str, Any] = field(default_factory=dict)
    """Flags of the image."""
    others: dict[str, Any] = field(default_factory=dict)
    """Entries of other programs about the image."""

    def of_object(self, name: str, instance: int | None) -> list[int]:
        """Owner numbers of the shapes of a class, or of one object of it."""
        return [
            n
            for n, (own, number) in enumerate(zip(self.names, self.numbers, strict=True), start=1)
            if own == name and instance in (None, number)
        ]


class LabelmePainting(NamedTuple):
    """The painting of a labelme file, and lines about shapes that are not in it."""

    painting: Painting
    notes: list[str]
    """Shapes without an area."""
    left_out: list[str]
    """Invalid shapes."""


def labelme_bytes(
    painting: Painting, image_path: str, earlier: LabelmeShapes | None = None
) -> bytes:
    """A labelme file with a mask shape per object; the image's path relative to it.

    The group of a shape is its object number, unless object 1 is the only one of its class.
    Shapes of `earlier` that have a group, flags, a description or other entries keep them, each
    in a mask shape of its own. Lines and points of `earlier` are kept as they are.
    """
    height, width = painting.class_map.shape
    shapes = []
    if painting.instance_map is None:
        for number in painting.painted():
            name, mask = painting.classes[number - 1].name, painting.class_map == number
            shapes += _mask_shapes(name, mask, earlier)
    else:
        objects = objects_in(painting)
        several = {one.class_number for one in objects if one.number > 1}
        for one in objects:
            name, mask = painting.classes[one.class_number - 1].name, one.full_mask((height, width))
            shapes += _mask_shapes(name, mask, earlier, one.number, one.class_number in several)
    content = {
        "version": VERSION,
        "flags": {} if earlier is None else earlier.flags,
        "shapes": shapes + ([] if earlier is None else earlier.no_area),
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
        **({} if earlier is None else earlier.others),
    }
    try:
        return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # halves of characters in kept entries
        return (json.dumps(content, indent=2) + "\n").encode()


def _mask_shapes(
    name: str,
    mask: Mask,
    earlier: LabelmeShapes | None,
    instance: int | None = None,
    grouped: bool = False,
) -> list[dict[str, Any]]:
    """Mask shapes of a class or an object of it, those of earlier shapes first.

    `grouped`: shapes of the object get its number as group, unless they had another one.
    """
    numbers = [] if earlier is None else earlier.of_object(name, instance)
    every_kept = [] if earlier is None else [kept_entries(earlier.entries[n - 1]) for n in numbers]
    group: dict[str, Any] = {}
    if instance is not None:
        groups = (kept["group_id"] for kept in every_kept if "group_id" in kept)
        found = next(groups, instance if grouped else None)
        group = {} if found is None else {"group_id": found}
    if earlier is None or not any(every_kept):
        return [mask_shape(name, mask, group)]
    if len(numbers) == 1:
        return [mask_shape(name, mask, {**every_kept[0], **group})]
    shapes, rest = [], mask.copy()
    for number, kept in zip(numbers, every_kept, strict=True):
        part = mask & (earlier.owner == number)
        if kept and part.any():
            shapes.append(mask_shape(name, part, {**kept, **group}))
            rest &= ~part
    return [*shapes, mask_shape(name, rest, group)] if rest.any() else shapes


def kept_entries(entry: dict[str, Any]) -> dict[str, Any]:
    """Entries of a shape that a save keeps, of the types that labelme reads."""
    kept = {key: value for key, value in entry.items() if key not in _WRITTEN and value}
    group = entry.get("group_id")
    if isinstance(group, int) and not isinstance(group, bool):
        kept["group_id"] = group
    else:
        kept.pop("group_id", None)
    flags = kept.get("flags", {})
    if not isinstance(flags, dict) or not all(isinstance(flag, bool) for flag in flags.values()):
        del kept["flags"]
    if not isinstance(kept.get("description", ""), str):
        del kept["description"]
    return kept


class Labelme(PaintFormat):
    """``NAME_labelme.json``, with a mask shape for each object."""

    keeps_objects = True

    def check(self, image: ImageFile) -> None:
        path = image.file(LABELME_ENDING)
        if path.exists() and not is_labelme(json_or_none(path)):
            raise ConflictError(
                f"{path} is not a labelme file: move it away, or leave labelme out of --save"
            )

    def files(self, image: ImageFile, painting: Painting, portable: bool) -> Contents:
        source = image.path.resolve()
        with suppress(ValueError):  # raised for another drive
            source = Path(os.path.relpath(source, image.out.resolve()))
        path = source.as_posix()
        return {
            f"{image.name}{LABELME_ENDING}": lambda: labelme_bytes(
                painting, path, _earlier_shapes(image, painting.class_map.shape)
            )
        }


def _earlier_shapes(image: ImageFile, size: tuple[int, ...]) -> LabelmeShapes | None:
    """Shapes of the file to be replaced, or else of labelme's own file, if there is any."""
    path = image.file(LABELME_ENDING)
    if not path.exists():
        path = labelme_file(image.path)
        if not is_labelme_of(path, image.path):
            return None
    try:
        return read_shapes(path, (size[0], size[1]))
    except IcasError:
        return None


def json_or_none(path: Path) -> Any:
    """The JSON in a file; None where there is none."""
    try:
        return read_json(path, ConflictError)
    except ConflictError:
        return None


def mask_shape(label: str, mask: Mask, kept: dict[str, Any] | None = None) -> dict[str, Any]:
    """A mask shape: corner pixels of its bounding box, and the mask in it as a PNG of 0 and 1."""
    import cv2

    top, bottom, left, right = box = bounding_box(mask)
    _, png = cv2.imencode(".png", mask[rows_of(box)].astype(np.uint8))
    return {
        "label": label,
        "points": [[float(left), float(top)], [float(right - 1), float(bottom - 1)]],
        "group_id": None,
        "description": "",
        "shape_type": "mask",
        "flags": {},
        **(kept or {}),
        "mask": base64.b64encode(png.tobytes()).decode("ascii"),
    }


def is_labelme(content: object) -> bool:
    """Whether parsed JSON is of a labelme file."""
    shapes = content.get("shapes") if isinstance(content, dict) else None
    return isinstance(shapes, list) and has_labelme_keys(content)


def labelme_file(image: Path) -> Path:
    """The file in which labelme saves the shapes of an image."""
    usual, upper = (image.with_name(f"{image.stem}{ending}") for ending in (".json", ".JSON"))
    return upper if upper.is_file() and not usual.exists() else usual


def is_labelme_of(path: Path, image: Path) -> bool:
    """Whether a file beside an image is a labelme file of it, not of another of its name.

    A damaged file counts too, for `read_shapes` to report it.
    """
    try:
        content = parse_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
    except (OSError, ValueError):
        return True
    return _is_of(content, image)


def namesake(path: Path, image: Path) -> str | None:
    """The other image that a labelme file beside an image is of, unless it has the same stem.

    labelme names a file after its image, but copies and renamed files keep the path of the old one.
    """
    try:
        content = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not has_labelme_keys(content) or _is_of(content, image):
        return None
    name = _name_of_image(content)
    return None if Path(name).stem.casefold() == image.stem.casefold() else name


def _name_of_image(content: dict[str, Any]) -> str:
    return re.split(r"[/\\]", str(content.get("imagePath")))[-1]


def _is_of(content: Any, image: Path) -> bool:
    if not has_labelme_keys(content):
        return False
    name = _name_of_image(content)
    try:
        return name == image.name or not (image.parent / name).is_file()
    except (OSError, ValueError):
        return True


def read_labelme(
    path: Path, shape: tuple[int, int], palette: Sequence[PaintClass] = ()
) -> LabelmePainting:
    """The painting of a labelme file.

    `shape`: (h, w) of the image. A label becomes the class of its name; a new one gets the next
    free color. Shapes with the same label and group are one object. UsageError for a broken file,
    one of another program, or one of an image of another size. Invalid shapes are left out.
    """
    shapes = read_shapes(path, shape)
    classes, numbers = Palette(palette).with_names(shapes.names)
    table = np.array([0, *(numbers[name] for name in shapes.names)])
    instances = np.array([0, *shapes.numbers])[shapes.owner]
    painting = Painting(table[shapes.owner], classes, instances)
    return LabelmePainting(painting, shapes.notes, shapes.left_out)


def read_shapes(path: Path, shape: tuple[int, int]) -> LabelmeShapes:
    """The shapes of a labelme file of an image of `shape` (h, w); errors as `read_labelme`."""
    content = _content(path, shape)
    shapes = LabelmeShapes(np.zeros(shape, np.int32))
    flags = content.get("flags")
    shapes.flags = flags if isinstance(flags, dict) else {}
    shapes.others = {key: own for key, own in content.items() if key not in _WRITTEN_OF_FILE}
    for number, entry in enumerate(content["shapes"], start=1):
        try:
            if not isinstance(entry, dict):
                raise UsageError("not an object")
            kind = str(entry.get("shape_type") or "polygon").lower()
            if kind in NO_AREA:
                text = (
                    f"{path}: shape {number}, {kind} {entry.get('label')!r}, has no area: ignored"
                )
                shapes.notes.append(text)
                shapes.no_area.append(entry)
                continue
            name = class_name(entry.get("label"))
            mask, clipped = shape_of(kind, entry, shape)
        except _INVALID as error:
            text = f"{path}: shape {number} is left out: {_reason(error)}"
            shapes.left_out.append(text)
            continue
        shapes.names.append(name)
        shapes.entries.append(entry)
        shapes.owner[mask] = len(shapes.names)
        if clipped:
            text = f"{path}: shape {number} is clipped: the mask extends beyond the image"
            shapes.left_out.append(text)
    shapes.numbers = _object_numbers(shapes)
    return shapes


def _object_numbers(shapes: LabelmeShapes) -> list[int]:
    """Object number of each shape: its group if that can be one, else the next free number."""
    groups = [kept_entries(entry).get("group_id") for entry in shapes.entries]
    keys = list(zip(shapes.names, groups, strict=True))
    numbers = {(name, group): group for name, group in keys if group and 1 <= group <= MAX_OBJECTS}
    used, highest = set(numbers), dict[str, int]()
    found = []
    for name, group in keys:
        number = None if group is None else numbers.get((name, group))
        if number is None:
            start = highest.get(name, 0) + 1
            number = next(n for n in itertools.count(start) if (name, n) not in used)
            highest[name] = number
            if group is not None:
                numbers[name, group] = number
        found.append(number)
    return found


_INVALID = (
    IcasError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    OverflowError,
    AttributeError,
    MemoryError,
)


def _reason(error: BaseException) -> str:
    if isinstance(error, IcasError):
        return str(error)
    if isinstance(error, KeyError):
        return f"no {error}"
    return " ".join(str(error).split())[:120] or type(error).__name__


def label_names(image: Path) -> list[str]:
    """Classes of the shapes in labelme's own file of an image; none where it cannot be read."""
    content = json_or_none(labelme_file(image))
    if not (is_labelme(content) and _is_of(content, image)):
        return []
    names: dict[str, None] = {}
    for entry in content["shapes"]:
        with suppress(*_INVALID):
            if str(entry.get("shape_type") or "polygon").lower() not in NO_AREA:
                names[class_name(entry.get("label"))] = None
    return list(names)


def _content(path: Path, shape: tuple[int, int]) -> dict[str, Any]:
    content = read_json(path, UsageError)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise UsageError(f"{path} is not a labelme file: it has no list of shapes")
    size = tuple(map(_number, (content.get("imageHeight"), content.get("imageWidth"))))
    if None not in size and size != tuple(shape):
        raise UsageError(
            f"{path} is for an image of {size[1]}x{size[0]} pixels, this one is"
            f" {shape[1]}x{shape[0]}: move the file away, or resize the image"
        )
    return content


def _number(value: Any) -> int | None:
    """The value as a whole number; None where it is none."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None

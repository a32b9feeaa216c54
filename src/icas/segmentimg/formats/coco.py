"""The paintings of a folder as one COCO file: an annotation a class and picture, masks as RLE."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas._version import __version__
from icas.common.errors import ConflictError, UsageError
from icas.io.files import write_whole
from icas.io.formats import os_reason
from icas.segmentimg.document.palette import PaintClass, Painting, Palette
from icas.segmentimg.formats import Contents, PaintFormat
from icas.segmentimg.formats.inputs import Picture

COCO_NAME = "coco.json"
LISTS = ("images", "annotations", "categories")
Rle = dict[str, Any]
"""``{"size": [h, w], "counts": …}``: runs by columns, the first one not painted."""


class Coco(PaintFormat):
    """The file ``coco.json`` of the output folder, shared by all its images."""

    def check(self, image: Picture) -> None:
        if image.file(".json").name.casefold() == COCO_NAME:
            raise ConflictError(
                f"{image.path} has {COCO_NAME} for its own file: rename the picture, or save no"
                " coco"
            )

    def files(self, image: Picture, painting: Painting, portable: bool) -> Contents:
        path = image.out / COCO_NAME
        return {COCO_NAME: lambda: coco_bytes(path, image.path.name, painting)}


def encode_rle(mask: NDArray[np.bool_]) -> Rle:
    """A mask as COCO's uncompressed run-length code."""
    flat = np.ascontiguousarray(mask.T, dtype=bool).ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    start = [0, 0] if flat.size and flat[0] else [0]
    counts = np.diff(np.concatenate([start, changes, [flat.size]]))
    return {"size": [int(side) for side in mask.shape], "counts": counts.tolist()}


def decode_rle(rle: Rle) -> NDArray[np.bool_]:
    """The (h, w) bool mask of a run-length code, compressed or not."""
    height, width = (int(side) for side in rle["size"])
    counts = rle["counts"]
    runs = np.array(list(_run_lengths(counts)) if isinstance(counts, str) else counts, np.int64)
    if (runs < 0).any() or int(runs.sum()) != height * width:
        raise UsageError(f"run lengths do not add up to {width}x{height} pixels")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(flat.reshape(width, height).T)


def _run_lengths(text: str) -> Iterator[int]:
    """Numbers of COCO's compressed code.

    A letter carries five bits (above 48), the lowest first, and whether more follow; from the
    fourth on, a number is the difference to the one two before.
    """
    before: list[int] = []
    value = shift = 0
    for letter in text.encode("ascii"):
        bits = letter - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        before.append(value + (before[-2] if len(before) > 2 else 0))
        yield before[-1]
        value = shift = 0


def update_coco(path: Path, file_name: str, painting: Painting) -> None:
    """Put a picture's painting into the COCO file of its folder; what else is in it stays."""
    write_whole(path, coco_bytes(path, file_name, painting))


def coco_bytes(path: Path, file_name: str, painting: Painting) -> bytes:
    """What `update_coco` writes.

    Pictures, annotations and categories keep their ids. A category goes by its name; its id is
    the number of its class, where no other name has that.
    """
    told = _read(path) or {"info": {"description": "painted with segmentimg"}}
    told["info"] = {**told["info"], "icas": __version__}
    told = {**{name: [] for name in LISTS}, **told}
    image_id = _image_id(told, file_name)
    height, width = painting.class_map.shape
    entry = {"id": image_id, "file_name": file_name, "width": width, "height": height}
    told["images"] = _replaced(told["images"], entry)
    category_ids = _add_categories(told["categories"], painting.classes)
    mine = [one for one in told["annotations"] if one.get("image_id") == image_id]
    old_ids = {one["category_id"]: one["id"] for one in mine if "category_id" in one}
    free = _free_id(told["annotations"])
    told["annotations"] = [one for one in told["annotations"] if one.get("image_id") != image_id]
    for number, pixels in painting.painted().items():
        category = category_ids[number - 1]
        if category not in old_ids:
            old_ids[category], free = free, free + 1
        ids = {"id": old_ids[category], "image_id": image_id, "category_id": category}
        told["annotations"].append({**ids, **_annotation(painting.class_map == number, pixels)})
    return (json.dumps({"info": told.pop("info"), **told}) + "\n").encode()


def read_coco(path: Path, file_name: str, classes: Palette) -> Painting | None:
    """The painting of a picture out of this program's COCO file; None where there is none."""
    told = _read(path)
    images = [] if told is None else told["images"]
    image = next((one for one in images if one.get("file_name") == file_name), None)
    if told is None or image is None:
        return None
    try:
        class_map = np.zeros((int(image["height"]), int(image["width"])), np.int16)
        categories = {one["id"]: one for one in told["categories"]}
        for one in told["annotations"]:
            if one.get("image_id") == image["id"]:
                classes, number = _class_number(categories[one["category_id"]], classes)
                class_map[decode_rle(one["segmentation"])] = number
        return Painting(class_map, classes)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ConflictError(
            f"{path} is damaged where it tells of {file_name} ({error}): mend it or move it away"
        ) from None


def _class_number(category: dict[str, Any], classes: Palette) -> tuple[Palette, int]:
    """The number of a category's class, and the classes, of which it may be a new one."""
    for number, one in enumerate(classes, start=1):
        if one.name == category["name"]:
            return classes, number
    red, green, blue = category["color"]
    new = PaintClass(category["name"], (red, green, blue))
    whole = classes.joined([new])
    return whole, whole.numbers()[new.color]


def _read(path: Path) -> dict[str, Any] | None:
    """A COCO file of ours; None where there is no file."""
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConflictError(f"{path} cannot be read: {os_reason(error)}") from None
    except ValueError:
        raise ConflictError(f"{path} is no whole JSON: mend it or move it away") from None
    info = told.get("info") if isinstance(told, dict) else None
    if not isinstance(info, dict) or "icas" not in info:
        raise ConflictError(f"{path} is not segmentimg's: move it away, or choose another --out")
    if not all(_has_ids(told.get(name)) for name in LISTS):
        raise ConflictError(f"{path} is damaged: mend it or move it away")
    return dict(told)


def _has_ids(entries: object) -> bool:
    return isinstance(entries, list) and all(
        isinstance(one, dict) and isinstance(one.get("id"), int) for one in entries
    )


def _image_id(told: dict[str, Any], file_name: str) -> int:
    ids = (one["id"] for one in told["images"] if one.get("file_name") == file_name)
    return next(ids, _free_id(told["images"]))


def _free_id(entries: list[dict[str, Any]]) -> int:
    return max((int(one["id"]) for one in entries), default=0) + 1


def _replaced(entries: list[dict[str, Any]], entry: dict[str, Any]) -> list[dict[str, Any]]:
    others = [one for one in entries if one["id"] != entry["id"]]
    return sorted([*others, entry], key=lambda one: int(one["id"]))


def _add_categories(categories: list[dict[str, Any]], classes: tuple[PaintClass, ...]) -> list[int]:
    """The category of each class; those that are missing are added."""
    by_name = {one.get("name"): int(one["id"]) for one in categories}
    for number, one in enumerate(classes, start=1):
        if one.name not in by_name:
            taken = number in by_name.values()
            by_name[one.name] = _free_id(categories) if taken else number
            entry = {"id": by_name[one.name], "name": one.name, "supercategory": ""}
            categories.append({**entry, "color": list(one.color)})
    return [by_name[one.name] for one in classes]


def _annotation(mask: NDArray[np.bool_], pixels: int) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    box = [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
    return {"segmentation": _packed(mask), "area": pixels, "bbox": box, "iscrowd": 0}


def _packed(mask: NDArray[np.bool_]) -> Rle:
    """Run lengths, compressed where pycocotools is installed."""
    if importlib.util.find_spec("pycocotools") is None:
        return encode_rle(mask)
    coder: Any = importlib.import_module("pycocotools.mask")
    packed = coder.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(packed["size"]), "counts": packed["counts"].decode("ascii")}

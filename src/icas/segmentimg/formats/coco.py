"""Paintings of a folder as one COCO file: an annotation per object, masks as RLE."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas._version import __version__
from icas.common.errors import ConflictError, UsageError
from icas.segmentimg.document.objects import PaintObject, objects_in
from icas.segmentimg.document.palette import Color, PaintClass, Painting, Palette
from icas.segmentimg.formats import Contents, PaintFormat
from icas.segmentimg.formats.inputs import ImageFile, read_json
from icas.segmentimg.formats.outlines import bridged, outlines
from icas.segmentimg.formats.polygons import polygon_mask

COCO_NAME = "coco.json"
LISTS = ("images", "annotations", "categories")
OBJECT = "object"
"""Key of an annotation: its object number within the category, from 1."""
MAX_SHIFT = 60
"""Bits of a number in compressed run lengths."""
Rle = dict[str, Any]
"""``{"size": [h, w], "counts": …}``: runs by columns, the first one not painted."""


class Coco(PaintFormat):
    """The file ``coco.json`` of the output folder, shared by all its images."""

    keeps_objects = True

    def check(self, image: ImageFile) -> None:
        if image.record_file.name.casefold() == COCO_NAME:
            raise ConflictError(
                f"{image.path}: its record would overwrite {COCO_NAME}: rename the image, or leave"
                " coco out of --save"
            )

    def files(self, image: ImageFile, painting: Painting, portable: bool) -> Contents:
        path = image.out / COCO_NAME
        name = image.path.name
        return {COCO_NAME: lambda: coco_bytes(path, name, painting, self.polygons)}


def encode_rle(
    mask: NDArray[np.bool_],
    at: tuple[int, int] = (0, 0),
    size: tuple[int, int] | None = None,
) -> Rle:
    """A bool mask as COCO's uncompressed run-length code.

    A mask of a part of an image begins at the pixel `at` of that image of `size` (h, w).
    """
    height, width = (mask.shape[0], mask.shape[1]) if size is None else size
    columns = np.zeros((mask.shape[1], mask.shape[0] + 2), np.int8)
    columns[:, 1:-1] = mask.T
    steps = np.diff(columns, axis=1)
    ends = []
    for sign in (1, -1):
        column, row = np.nonzero(steps == sign)
        ends.append((column + at[1]) * height + row + at[0])
    starts, stops = ends
    apart = starts[1:] != stops[:-1]  # not a run that continues in the next column
    starts = starts[np.concatenate([[True], apart])[: len(starts)]]
    stops = stops[np.concatenate([apart, [True]])[-len(stops) :]] if len(stops) else stops
    changes = np.stack([starts, stops], axis=1).ravel()
    total = height * width
    last = [total] if len(changes) == 0 or changes[-1] < total else []
    counts = np.diff(np.concatenate([[0], changes, last]).astype(np.int64))
    return {"size": [height, width], "counts": counts.tolist()}


def decode_rle(rle: Rle) -> NDArray[np.bool_]:
    """The (h, w) bool mask of a run-length code, compressed or not."""
    height, width = (int(side) for side in rle["size"])
    runs = _runs(rle)
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(flat.reshape(width, height).T)


def _runs(rle: Rle) -> NDArray[np.int64]:
    """The numbers of a run-length code; UsageError if they do not sum to its size."""
    height, width = (int(side) for side in rle["size"])
    counts = rle["counts"]
    runs = np.array(list(_run_lengths(counts)) if isinstance(counts, str) else counts, np.int64)
    if (runs < 0).any() or int(runs.sum()) != height * width:
        raise UsageError(f"run lengths do not sum to {width}x{height} pixels")
    return runs


def _pixels_of(segmentation: Any, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Places of the pixels of run lengths or polygons, counted down the columns."""
    if isinstance(segmentation, list):
        mask = np.zeros(shape, bool)
        for ring in segmentation:
            mask |= polygon_mask(ring, shape)
        return np.flatnonzero(mask.T)
    if tuple(segmentation["size"]) != shape:
        raise UsageError(f"run lengths of another size than {shape[1]}x{shape[0]} pixels")
    runs = _runs(segmentation)
    starts, lengths = np.cumsum(runs)[:-1:2], runs[1::2]
    before = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


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
            if shift > MAX_SHIFT:
                raise UsageError("run lengths are damaged")
            continue
        if bits & 16:
            value -= 1 << shift
        before.append(value + (before[-2] if len(before) > 2 else 0))
        yield before[-1]
        value = shift = 0


def compressed(rle: Rle) -> Rle:
    """Run lengths in COCO's compressed code; see `_run_lengths`."""
    counts, letters = rle["counts"], bytearray()
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        while True:
            bits = value & 31
            value >>= 5
            done = value == (-1 if bits & 16 else 0)
            letters.append(bits + (0 if done else 32) + 48)
            if done:
                break
    return {"size": rle["size"], "counts": letters.decode("ascii")}


def coco_bytes(path: Path, file_name: str, painting: Painting, polygons: bool = False) -> bytes:
    """The COCO file `path` with the painting of the image `file_name`; other entries are kept.

    Images, annotations and categories keep their ids. A category is identified by its name; its
    id is the number of its class, unless another name has that.
    """
    content = _read(path) or {"info": {"description": "painted with segmentimg"}}
    content["info"] = {**content["info"], "icas": __version__}
    content = {**{name: [] for name in LISTS}, **content}
    images = content["images"]
    ids = (entry["id"] for entry in images if entry.get("file_name") == file_name)
    image_id = next(ids, _free_id(images))
    height, width = painting.class_map.shape
    image = {"id": image_id, "file_name": file_name, "width": width, "height": height}
    rest = [entry for entry in images if entry["id"] != image_id]
    content["images"] = sorted([*rest, image], key=lambda entry: int(entry["id"]))
    category_ids = _add_categories(content["categories"], painting.classes)
    annotations = content["annotations"]
    before = [entry for entry in annotations if entry.get("image_id") == image_id]
    old_ids = {
        (entry["category_id"], number): entry["id"]
        for entry, number in _numbered(entry for entry in before if "category_id" in entry)
    }
    free = _free_id(annotations)
    annotations = [entry for entry in annotations if entry.get("image_id") != image_id]
    for one in objects_in(painting):
        category = category_ids[one.class_number - 1]
        if (category, one.number) not in old_ids:
            old_ids[category, one.number], free = free, free + 1
        numbers = {
            "id": old_ids[category, one.number],
            "image_id": image_id,
            "category_id": category,
            **({} if painting.instance_map is None else {OBJECT: one.number}),
        }
        annotations.append({**numbers, **_annotation(one, (height, width), polygons)})
    content["annotations"] = annotations
    return (json.dumps({"info": content.pop("info"), **content}) + "\n").encode()


def read_coco(path: Path, file_name: str, classes: Palette) -> Painting | None:
    """The painting of an image in a COCO file of icas; None where there is none.

    Annotations without an object number are numbered in their order. Categories are matched with
    `classes` by name; new ones are added.
    """
    content = _read(path)
    images = [] if content is None else content["images"]
    image = next((entry for entry in images if entry.get("file_name") == file_name), None)
    if content is None or image is None:
        return None
    try:
        height, width = int(image["height"]), int(image["width"])
        class_map = np.zeros(width * height, np.int16)
        names = {entry["id"]: entry.get("name") for entry in content["categories"]}
        colors = {
            entry.get("name"): _color(entry) for entry in content["categories"] if "color" in entry
        }
        instance_map = np.zeros(class_map.shape, np.int64)
        own = (entry for entry in content["annotations"] if entry.get("image_id") == image["id"])
        for entry, number in _numbered(own):
            name = names[entry["category_id"]]
            classes, numbers = classes.with_names([name], colors)
            places = _pixels_of(entry["segmentation"], (height, width))
            class_map[places], instance_map[places] = numbers[name], number
        whole = np.ascontiguousarray(class_map.reshape(width, height).T)
        instances = instance_map.astype(np.uint16).reshape(width, height).T
        return Painting(whole, classes, np.ascontiguousarray(instances))
    except (KeyError, TypeError, ValueError, IndexError, MemoryError, OverflowError) as error:
        raise ConflictError(
            f"{path}: entry of {file_name} is damaged ({error}): repair the file or move it away"
        ) from None


def _numbered(entries: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], int]]:
    """Each annotation and its object number, without one the next of its category."""
    highest: dict[Any, int] = {}
    for entry in entries:
        category = entry["category_id"]
        number = int(entry.get(OBJECT) or highest.get(category, 0) + 1)
        highest[category] = max(number, highest.get(category, 0))
        yield entry, number


def _color(category: dict[str, Any]) -> Color:
    red, green, blue = category["color"]
    return red, green, blue


def _read(path: Path) -> dict[str, Any] | None:
    """A COCO file of icas; None where there is no file."""
    content = read_json(path, ConflictError)
    if content is None:
        return None
    info = content.get("info") if isinstance(content, dict) else None
    if not isinstance(info, dict) or "icas" not in info:
        raise ConflictError(
            f"{path} is from another program: move it away, or choose another --out"
        )
    if not all(_has_ids(content.get(name)) for name in LISTS):
        raise ConflictError(f"{path} is damaged: repair it or move it away")
    return dict(content)


def _has_ids(entries: object) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and isinstance(entry.get("id"), int) for entry in entries
    )


def _free_id(entries: list[dict[str, Any]]) -> int:
    return max((int(entry["id"]) for entry in entries), default=0) + 1


def _add_categories(categories: list[dict[str, Any]], classes: tuple[PaintClass, ...]) -> list[int]:
    """The category of each class; those that are missing are added."""
    by_name = {entry.get("name"): int(entry["id"]) for entry in categories}
    for number, paint in enumerate(classes, start=1):
        if paint.name not in by_name:
            taken = number in by_name.values()
            by_name[paint.name] = _free_id(categories) if taken else number
            entry = {"id": by_name[paint.name], "name": paint.name, "supercategory": ""}
            categories.append({**entry, "color": list(paint.color)})
    return [by_name[paint.name] for paint in classes]


def _annotation(one: PaintObject, shape: tuple[int, int], polygons: bool) -> dict[str, Any]:
    top, bottom, left, right = one.box
    box = [left, top, right - left, bottom - top]
    segmentation: Any
    if polygons:
        parts = outlines(one.mask, left, top)
        segmentation = [bridged([part]).round(2).ravel().tolist() for part in parts]
    else:
        segmentation = compressed(encode_rle(one.mask, (top, left), shape))
    return {"segmentation": segmentation, "area": one.area, "bbox": box, "iscrowd": 0}

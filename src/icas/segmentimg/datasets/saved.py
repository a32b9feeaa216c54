"""Saved paintings as objects, and objects as saved paintings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from icas._version import __version__
from icas.common.errors import IcasError, UsageError
from icas.segmentimg.datasets.objects import InstanceObject, Size, instance_map
from icas.segmentimg.document.objects import objects_in
from icas.segmentimg.document.palette import MAX_OBJECTS, PaintClass, Painting, Palette
from icas.segmentimg.formats.autosave import autosave_path, read_autosave
from icas.segmentimg.formats.inputs import ImageFile, digest_of, saved_record
from icas.segmentimg.formats.load import load_painting
from icas.segmentimg.formats.masks import is_paint, names_in, save_painting

EXTRAS = "annotations"
"""Key of NAME.json: entries of imported annotations, by class name and object number."""


class SavedObjects(NamedTuple):
    """The saved objects of an image, and the classes of its painting in their order."""

    objects: tuple[InstanceObject, ...]
    classes: tuple[PaintClass, ...]
    lines: tuple[str, ...]
    """About annotations that cannot be read."""


def saved_objects(picture: ImageFile, size: Size) -> SavedObjects | None:
    """The objects saved for an image; None where nothing was ever saved for it.

    Raises what `load_painting` does.
    """
    if not is_painted(picture):
        return None
    loaded = load_painting(picture, size)
    if loaded is None:
        return None
    painting = loaded.painting
    extras = _extras_of(saved_record(picture) or {})
    objects = []
    for one in objects_in(painting):
        name = painting.classes[one.class_number - 1].name
        kept = dict(extras.get((name, one.number), {}))
        crowd = bool(kept.pop("crowd", False))
        objects.append(InstanceObject(name, one.number, one.box, one.mask, crowd, kept))
    return SavedObjects(tuple(objects), painting.classes, loaded.left_out)


def is_painted(picture: ImageFile) -> bool:
    """Whether a painting of an image was saved, be it empty."""
    if any(is_paint(name, picture.name) for name in names_in(picture.out)):
        return True
    return "painted_files" in recorded(picture)


def has_unsaved_paint(picture: ImageFile) -> bool:
    """Whether an autosave file has painting that is not saved."""
    try:
        kept = read_autosave(autosave_path(picture))
    except IcasError:
        return True
    return kept is not None and not kept.saved


def recorded(picture: ImageFile) -> dict[str, Any]:
    """NAME.json of an image; empty where there is none of icas."""
    with suppress(IcasError):
        return saved_record(picture) or {}
    return {}


def listed_classes(record: Mapping[str, Any]) -> list[PaintClass]:
    """The classes in NAME.json, by number; none where the list is damaged."""
    with suppress(IcasError, KeyError, TypeError, ValueError, AttributeError):
        rows = sorted(record.get("classes", ()), key=lambda row: int(row["number"]))
        return [PaintClass(row["name"], tuple(row["color"])) for row in rows]
    return []


def _extras_of(record: Mapping[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    extras = {}
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        for row in record.get(EXTRAS, ()):
            entries = {key: row[key] for key in row if key not in ("class", "object")}
            extras[str(row["class"]), int(row["object"])] = entries
    return extras


class Painted(NamedTuple):
    """How many objects were saved of an image."""

    saved: int
    overlapping: int
    """Objects that lost pixels to later ones."""
    covered: tuple[InstanceObject, ...]
    """Objects of which nothing is left."""


def save_objects(
    picture: ImageFile,
    objects: Sequence[InstanceObject],
    size: Size,
    palette: Palette,
    saves: Sequence[str],
) -> Painted:
    """Save objects as the painting of an image, numbered from 1 in each class.

    A pixel has one object: where they overlap, the later wins.
    """
    owner = instance_map(objects, size)
    areas = np.bincount(owner.ravel(), minlength=len(objects) + 1)[1:]
    _, numbers = palette.with_names(one.name for one in objects)
    classes = np.zeros(len(objects) + 1, np.int16)
    within = np.zeros(len(objects) + 1, np.int64)
    counts: dict[str, int] = {}
    rows, covered, overlapping = [], [], 0
    for place, one in enumerate(objects, start=1):
        left = int(areas[place - 1])
        if not left:
            covered.append(one)
            continue
        overlapping += left < one.area
        counts[one.name] = number = counts.get(one.name, 0) + 1
        classes[place], within[place] = numbers[one.name], number
        kept = {**({"crowd": True} if one.crowd else {}), **one.extras}
        if kept:
            rows.append({"class": one.name, "object": number, **kept})
    if max(counts.values(), default=0) > MAX_OBJECTS:
        raise UsageError(f"more than {MAX_OBJECTS:,} objects of one class")
    painting = Painting(classes[owner], palette, within.astype(np.uint16)[owner])
    about = {
        "icas": __version__,
        "image": picture.path.name,
        "width": size[1],
        "height": size[0],
        "sha256": digest_of(picture.path),
        EXTRAS: rows,
    }
    save_painting(picture, painting, about, saves)
    return Painted(len(objects) - len(covered), overlapping, tuple(covered))

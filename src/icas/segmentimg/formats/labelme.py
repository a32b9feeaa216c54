"""Paintings as labelme files, and shapes of labelme files as paintings."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import ConflictError, IcasError, UnreadableImageError, UsageError
from icas.segmentimg.document.palette import Color, PaintClass, Painting, Palette, default_palette
from icas.segmentimg.formats import Contents, PaintFormat
from icas.segmentimg.formats.inputs import ImageFile, read_json
from icas.segmentimg.labels.labels import bounding_box, rows_of

VERSION = "5.5.0"
"""The release of labelme whose format this is."""
LABELME_ENDING = "_labelme.json"
NOT_AREAS = ("line", "linestrip", "point", "points")
Mask = NDArray[np.bool_]


def labelme_bytes(painting: Painting, image_path: str) -> bytes:
    """A labelme file with a mask shape per painted class; the image's path relative to it."""
    height, width = painting.class_map.shape
    shapes = [
        _mask_shape(painting.classes[number - 1].name, painting.class_map == number)
        for number in painting.painted()
    ]
    content = {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


class Labelme(PaintFormat):
    """``NAME_labelme.json``, with a mask shape for each class."""

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
        return {f"{image.name}{LABELME_ENDING}": lambda: labelme_bytes(painting, path)}


def json_or_none(path: Path) -> Any:
    """The JSON in a file; None where there is none."""
    try:
        return read_json(path, ConflictError)
    except ConflictError:
        return None


def _mask_shape(label: str, mask: Mask) -> dict[str, Any]:
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
        "mask": base64.b64encode(png.tobytes()).decode("ascii"),
    }


def is_labelme(content: object) -> bool:
    """Whether parsed JSON is of a labelme file."""
    if not isinstance(content, dict):
        return False
    return isinstance(content.get("shapes"), list) and "imagePath" in content


def is_labelme_of(path: Path, image: Path) -> bool:
    """Whether a file beside an image is a labelme file of it, not of another of its name.

    A truncated file that seems to be one counts, too: `read_labelme` reports it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False
    try:
        content = json.loads(text)
    except ValueError:
        return '"shapes"' in text and '"imagePath"' in text
    if not is_labelme(content):
        return False
    name = re.split(r"[/\\]", str(content["imagePath"]))[-1]
    return name == image.name or not (image.parent / name).is_file()


def read_labelme(
    path: Path, shape: tuple[int, int], palette: Sequence[PaintClass] = ()
) -> tuple[Painting, list[str]]:
    """The painting of a labelme file, and a line for each ignored shape (without an area).

    `shape`: (h, w) of the image. Where shapes overlap, the later wins. A label becomes the class
    of its name; a new one gets the next free color of `default_palette`. UsageError for a broken
    file, one of another program, or one of an image of another size.
    """
    class_map, classes, notes = np.zeros(shape, np.int16), Palette(palette), []
    for number, entry in enumerate(_shapes(path, shape), start=1):
        try:
            kind, label = str(entry.get("shape_type") or "polygon"), _label(entry)
            mask = None if kind in NOT_AREAS else _shape_mask(kind, entry, shape)
        except (IcasError, KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise UsageError(
                f"{path}: shape {number} is invalid ({reason}): correct it in labelme"
            ) from None
        if mask is None:
            notes.append(f"{path}: shape {number}, {kind} {label!r}, has no area: ignored")
            continue
        classes, class_number = classes.with_name(label, partial(_free_color, classes, path))
        class_map[mask] = class_number
    return Painting(class_map, classes), notes


def _shapes(path: Path, shape: tuple[int, int]) -> Iterable[dict[str, Any]]:
    content = read_json(path, UsageError)
    if not is_labelme(content):
        raise UsageError(f"{path} is not a labelme file: it has no shapes or no imagePath")
    size = (content.get("imageHeight"), content.get("imageWidth"))
    if None not in size and size != tuple(shape):
        raise UsageError(
            f"{path} is for an image of {size[1]}x{size[0]} pixels, this one is"
            f" {shape[1]}x{shape[0]}: move the file away, or resize the image"
        )
    return list(content["shapes"])


def _label(entry: dict[str, Any]) -> str:
    label = entry["label"]
    if not isinstance(label, str):
        raise UsageError(f"label {label!r} is not text")
    return PaintClass(label, (0, 0, 0)).name  # checked


def _free_color(classes: Palette, path: Path) -> Color:
    taken = classes.numbers()
    for entry in default_palette():
        if entry.color not in taken:
            return entry.color
    raise UsageError(
        f"{path} has more labels than the default palette has colours: list them in a --palette"
        " file, in lines like car,#cc0000"
    )


def _shape_mask(kind: str, entry: dict[str, Any], shape: tuple[int, int]) -> Mask:
    """(h, w) bool: the pixels of a shape that has an area."""
    points = [(float(x), float(y)) for x, y in entry["points"]]
    if not all(math.isfinite(part) and abs(part) < 1e6 for point in points for part in point):
        raise UsageError("points far outside the image")
    if kind == "mask":
        return _decoded_mask(entry["mask"], points, shape)
    needed = {"polygon": 3, "oriented_rectangle": 4, "rectangle": 2, "circle": 2}
    if kind not in needed:
        raise UsageError(f"unknown type {kind!r}; known: mask, {', '.join(needed)}")
    if len(points) < needed[kind] or (kind != "polygon" and len(points) > needed[kind]):
        raise UsageError(f"{kind} with {len(points)} points")
    return _filled(kind, points, shape)


def _filled(kind: str, points: list[tuple[float, float]], shape: tuple[int, int]) -> Mask:
    from PIL import Image as Pictures, ImageDraw

    canvas = Pictures.new("L", (shape[1], shape[0]), 0)
    draw = ImageDraw.Draw(canvas)
    if kind in ("polygon", "oriented_rectangle"):
        draw.polygon(points, fill=1, outline=1)
    elif kind == "rectangle":
        (x0, y0), (x1, y1) = points
        draw.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), fill=1, outline=1)
    else:
        (x, y), rim = points
        reach = math.dist((x, y), rim)
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=1, outline=1)
    return np.asarray(canvas) > 0


def _decoded_mask(text: str, points: list[tuple[float, float]], shape: tuple[int, int]) -> Mask:
    """The mask in `text`, a PNG in base64, with its first pixel at the first point."""
    from PIL import PngImagePlugin

    try:
        png = PngImagePlugin.PngImageFile(io.BytesIO(base64.b64decode(text)))
        if png.size[0] > shape[1] or png.size[1] > shape[0]:
            raise UsageError("mask larger than the image")
        pixels = np.asarray(png)
    except IcasError:
        raise
    except Exception as error:  # Pillow raises almost any exception for a broken PNG
        raise UnreadableImageError(f"mask is damaged: {error}") from None
    crop = pixels.reshape(*pixels.shape[:2], -1).any(axis=2)
    left, top = (round(part) for part in points[0])
    bottom, right = top + crop.shape[0], left + crop.shape[1]
    if left < 0 or top < 0 or bottom > shape[0] or right > shape[1]:
        raise UsageError("mask extends beyond the image")
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = crop
    return mask

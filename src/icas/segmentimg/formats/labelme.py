"""Paintings as labelme's JSON, and labelme's shapes as paintings."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import ConflictError, IcasError, UnreadableImageError, UsageError
from icas.io.formats import os_reason
from icas.segmentimg.document.palette import PaintClass, Painting, Palette, default_palette
from icas.segmentimg.formats import Contents, PaintFormat
from icas.segmentimg.formats.inputs import Picture

VERSION = "5.5.0"
"""The release of labelme whose format this is."""
LABELME_ENDING = "_labelme.json"
NOT_AREAS = ("line", "linestrip", "point", "points")
Mask = NDArray[np.bool_]


def labelme_bytes(painting: Painting, image_path: str) -> bytes:
    """A labelme file: a shape of type mask for each class that is painted."""
    height, width = painting.class_map.shape
    shapes = [
        _mask_shape(painting.classes[number - 1].name, painting.class_map == number)
        for number in painting.painted()
    ]
    told = {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    return (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode()


class Labelme(PaintFormat):
    """``NAME_labelme.json``, with a mask shape for each class."""

    def check(self, image: Picture) -> None:
        path = image.file(LABELME_ENDING)
        if path.exists() and not is_labelme(parsed_json(path)):
            raise ConflictError(f"{path} is not labelme's: move it away, or save no labelme")

    def files(self, image: Picture, painting: Painting, portable: bool) -> Contents:
        place = _seen_from(image.out, image.path)
        return {f"{image.name}{LABELME_ENDING}": lambda: labelme_bytes(painting, place)}


def _seen_from(folder: Path, file: Path) -> str:
    """`file` relative to `folder`, with ``/`` between."""
    try:
        return Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()
    except ValueError:  # on another drive
        return file.resolve().as_posix()


def parsed_json(path: Path) -> Any:
    """The JSON in a file; None where it holds none."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return None


def _mask_shape(label: str, mask: Mask) -> dict[str, Any]:
    """The rectangle around a mask, its corners within, and in it the mask as a PNG of 0 and 1."""
    import cv2

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1], columns[0], columns[-1]
    _, png = cv2.imencode(".png", mask[top : bottom + 1, left : right + 1].astype(np.uint8))
    return {
        "label": label,
        "points": [[float(left), float(top)], [float(right), float(bottom)]],
        "group_id": None,
        "description": "",
        "shape_type": "mask",
        "flags": {},
        "mask": base64.b64encode(png.tobytes()).decode("ascii"),
    }


def is_labelme(told: object) -> bool:
    """Whether parsed JSON is labelme's."""
    return isinstance(told, dict) and isinstance(told.get("shapes"), list) and "imagePath" in told


def is_labelme_of(path: Path, image: Path) -> bool:
    """Whether a file beside a picture is labelme's and of this picture, not of a namesake.

    One that seems to be labelme's, but is cut short, counts too: `read_labelme` tells of it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False
    try:
        told = json.loads(text)
    except ValueError:
        return '"shapes"' in text and '"imagePath"' in text
    if not is_labelme(told):
        return False
    named = re.split(r"[/\\]", str(told["imagePath"]))[-1]
    return named == image.name or not (image.parent / named).is_file()


def read_labelme(
    path: Path, shape: tuple[int, int], palette: Sequence[PaintClass] = ()
) -> tuple[Painting, list[str]]:
    """The painting that the shapes of a labelme file give; of overlapping ones the later wins."""
    shapes = _shapes(path, shape)
    class_map, classes, notes = np.zeros(shape, np.int16), Palette(palette), []
    for number, one in enumerate(shapes, start=1):
        try:
            kind, label = str(one.get("shape_type") or "polygon"), _label(one)
            mask = None if kind in NOT_AREAS else _drawn(kind, one, shape)
        except (IcasError, KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise UsageError(
                f"{path}: shape {number} is wrong ({_words(error)}): mend it in labelme"
            ) from None
        if mask is None:
            notes.append(f"{path}: shape {number}, {kind} {label!r}, has no area: left out")
            continue
        classes, class_number = _numbered(label, classes, path)
        class_map[mask] = class_number
    return Painting(class_map, classes), notes


def _words(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def _shapes(path: Path, shape: tuple[int, int]) -> Iterable[dict[str, Any]]:
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {os_reason(error)}") from None
    except ValueError:
        raise UsageError(f"{path} is no whole JSON: mend it or move it away") from None
    if not is_labelme(told):
        raise UsageError(f"{path} is not labelme's: it needs shapes and imagePath")
    claimed = (told.get("imageHeight"), told.get("imageWidth"))
    if None not in claimed and claimed != tuple(shape):
        raise UsageError(
            f"{path} is of a picture of {claimed[1]}x{claimed[0]} pixels, this one has"
            f" {shape[1]}x{shape[0]}: move the file away, or bring the picture back to its size"
        )
    return list(told["shapes"])


def _label(one: dict[str, Any]) -> str:
    label = one["label"]
    if not isinstance(label, str):
        raise UsageError(f"its label is {label!r}, not text")
    return PaintClass(label, (0, 0, 0)).name  # checked


def _numbered(label: str, classes: Palette, path: Path) -> tuple[Palette, int]:
    """The number of a label's class, and the classes, of which it may be a new one."""
    for number, one in enumerate(classes, start=1):
        if one.name == label:
            return classes, number
    taken = classes.numbers()
    free = next((one.color for one in default_palette() if one.color not in taken), None)
    if free is None:
        raise UsageError(
            f"{path} has more labels than there are colours: name them with --palette, a line"
            " each like car,#cc0000"
        )
    return classes.joined([PaintClass(label, free)]), len(classes) + 1


def _drawn(kind: str, one: dict[str, Any], shape: tuple[int, int]) -> Mask:
    """(h, w) bool: the pixels of a shape that has an area."""
    points = [(float(x), float(y)) for x, y in one["points"]]
    if not all(math.isfinite(part) and abs(part) < 1e6 for point in points for part in point):
        raise UsageError("points that lie nowhere near the picture")
    if kind == "mask":
        return _pasted(one["mask"], points, shape)
    needed = {"polygon": 3, "oriented_rectangle": 4, "rectangle": 2, "circle": 2}
    if kind not in needed:
        raise UsageError(f"of type {kind!r}; known are mask, {', '.join(needed)}")
    if len(points) < needed[kind] or (kind != "polygon" and len(points) > needed[kind]):
        raise UsageError(f"a {kind} of {len(points)} points")
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
        (x, y), on_it = points
        reach = math.dist((x, y), on_it)
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=1, outline=1)
    return np.asarray(canvas) > 0


def _pasted(text: str, points: list[tuple[float, float]], shape: tuple[int, int]) -> Mask:
    """The mask in `text`, a PNG in base64, with its first pixel at the first point."""
    from PIL import PngImagePlugin

    try:
        png = PngImagePlugin.PngImageFile(io.BytesIO(base64.b64decode(text)))
        if png.size[0] > shape[1] or png.size[1] > shape[0]:
            raise UsageError("a mask larger than the picture")
        pixels = np.asarray(png)
    except IcasError:
        raise
    except Exception as error:  # a broken PNG makes Pillow raise nearly anything
        raise UnreadableImageError(f"its mask is damaged: {error}") from None
    crop = pixels.reshape(*pixels.shape[:2], -1).any(axis=2)
    left, top = (round(part) for part in points[0])
    bottom, right = top + crop.shape[0], left + crop.shape[1]
    if left < 0 or top < 0 or bottom > shape[0] or right > shape[1]:
        raise UsageError("a mask that reaches beyond the picture")
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = crop
    return mask

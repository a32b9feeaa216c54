"""What a picture was painted with before: masks, labels, labelme's shapes, COCO."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError, UnreadableImageError, UsageError
from icas.io.formats import os_reason, require_file
from icas.segmentimg.document.palette import (
    Color,
    PaintClass,
    Painting,
    Palette,
    class_of,
    default_palette,
)
from icas.segmentimg.formats.coco import COCO_NAME, read_coco
from icas.segmentimg.formats.inputs import Picture
from icas.segmentimg.formats.labelme import LABELME_ENDING, is_labelme_of, parsed_json, read_labelme
from icas.segmentimg.formats.masks import (
    ASIDE,
    LABELS_ENDING,
    is_paint,
    mask_color,
    names_in,
    parts_of,
    pending_of,
    saved_json,
    strings,
)

HALF = 128
"""Value of 8 bits from which a pixel of a mask is painted."""
Shape = tuple[int, int]


class Loaded(NamedTuple):
    """A painting from before."""

    painting: Painting
    files: list[Path]
    notes: list[str]


def load_painting(
    picture: Picture, shape: Shape, palette: Sequence[PaintClass] = ()
) -> Loaded | None:
    """The painting that a picture has from before; None where it has none.

    Looked for in this order: masks, the label map, our labelme file and the folder's COCO file in
    ``picture.out``; where nothing was ever saved there, labelme's own file beside the picture.
    Masks may have been edited since: what is half white or more is painted, and where two overlap
    the later by name wins.
    """
    before = _before(picture, shape, palette)
    for find in (_from_masks, _from_labels, _from_labelme, _from_coco, _without_files):
        found = find(before)
        if found is not None:
            return found._replace(notes=[*before.notes(), *found.notes])
    return None


@dataclass(frozen=True)
class _Before:
    """What a picture has from before."""

    picture: Picture
    shape: Shape
    told: dict[str, Any]
    known: dict[int, PaintClass]
    files: dict[str, Path]
    classes: Palette

    def notes(self) -> list[str]:
        """A line for each file that the last save found there and left aside."""
        paths = [self.picture.out / name for name in strings(self.told.get(ASIDE))]
        why = "not part of what was saved last: left out"
        return [f"{path}: {why}" for path in paths if path.exists()]


def _before(picture: Picture, shape: Shape, palette: Sequence[PaintClass]) -> _Before:
    told = parsed_json(picture.file(".json"))
    another = isinstance(told, dict) and "icas" not in told  # labelme's, perhaps
    told = {} if another else saved_json(picture) or {}
    known = _told_classes(picture, told)
    try:
        files = _files_of(picture, told)
    except OSError as error:
        raise IcasError(f"cannot read the folder {picture.out}: {os_reason(error)}") from error
    classes = Palette(palette).joined(known.values())
    return _Before(picture, shape, told, known, files, classes)


def _told_classes(picture: Picture, told: dict[str, Any]) -> dict[int, PaintClass]:
    found = {}
    try:
        for one in sorted(told.get("classes", []), key=lambda one: int(one["number"])):
            red, green, blue = one["color"]
            found[int(one["number"])] = PaintClass(one["name"], (red, green, blue))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{picture.file('.json')} is damaged where it lists classes ({error}): mend it or"
            " move it away"
        ) from None
    return found


def _files_of(picture: Picture, told: dict[str, Any]) -> dict[str, Path]:
    pending, listing = pending_of(told), names_in(picture.out)
    passed = {*strings(told.get(ASIDE)), *strings(pending.get("stale"))}
    ours = {name for name in listing if is_paint(name, picture.name)} - passed
    if COCO_NAME in strings(told.get("painted_files")):
        ours |= listing & {COCO_NAME}
    found = {name: picture.out / name for name in ours}
    for name, part in parts_of(pending).items():
        if part in listing and (name == COCO_NAME or is_paint(name, picture.name)):
            found[name] = picture.out / part
    return dict(sorted(found.items()))


def _from_masks(before: _Before) -> Loaded | None:
    colors = {name: mask_color(name, before.picture.name) for name in before.files}
    found = [(before.files[name], color) for name, color in colors.items() if color is not None]
    if not found:
        return None
    paths = [before.picture.out / name for name, color in colors.items() if color is not None]
    classes = before.classes.joined(_mask_class(path, color) for path, color in found)
    numbers = classes.numbers()
    class_map = np.zeros(before.shape, np.int16)
    for path, color in found:
        class_map[_read_mask(path, before.shape)] = numbers[color]
    return Loaded(Painting(class_map, classes), paths, [])


def _mask_class(path: Path, color: Color) -> PaintClass:
    try:
        return class_of(color)
    except UsageError as error:
        raise UsageError(f"{path}: {error}: rename it or move it away") from None


def _from_labels(before: _Before) -> Loaded | None:
    path = before.files.get(f"{before.picture.name}{LABELS_ENDING}")
    if path is None:
        return None
    labels = _read_labels(path, before.shape)
    counts = np.bincount(labels.ravel())
    present = [int(number) for number in np.flatnonzero(counts) if number]
    known = _numbered(path, present, before)
    classes = before.classes.joined(known[number] for number in present)
    numbers = classes.numbers()
    table = np.zeros(len(counts), np.int16)
    for number in present:
        table[number] = numbers[known[number].color]
    return Loaded(Painting(table[labels], classes), [path], [])


def _numbered(path: Path, present: list[int], before: _Before) -> dict[int, PaintClass]:
    """The class of each number of a label map.

    As NAME.json lists them; without it, as the palette does and then ours. A number that is new
    to the list gets the next colour that is free.
    """
    listed = {one.color for one in before.known.values()}
    whole = before.classes.joined(default_palette())
    free = [one for one in whole if one.color not in listed]
    new = [number for number in present if number not in before.known]
    if before.known:
        numbered = {**before.known, **dict(zip(new, free, strict=False))}
    else:
        numbered = dict(enumerate(free, start=1))
    missing = [number for number in present if number not in numbered]
    if missing:
        raise UsageError(
            f"{path} holds class {missing[0]}, which has no colour: name the classes with"
            " --palette, a line each like car,#cc0000"
        )
    return numbered


def _from_labelme(before: _Before) -> Loaded | None:
    path = before.files.get(f"{before.picture.name}{LABELME_ENDING}")
    return None if path is None else _labelme_loaded(path, before)


def _labelme_loaded(path: Path, before: _Before) -> Loaded:
    painting, notes = read_labelme(path, before.shape, before.classes)
    return Loaded(painting, [path], notes)


def _from_coco(before: _Before) -> Loaded | None:
    path = before.files.get(COCO_NAME)
    if path is None:
        return None
    painting = read_coco(path, before.picture.path.name, before.classes)
    if painting is None:
        return None
    _check_size(path, painting.class_map.shape, before.shape)
    return Loaded(painting, [path], [])


def _without_files(before: _Before) -> Loaded | None:
    """A picture saved with nothing painted, or one that labelme alone knows."""
    image = before.picture.path
    if "painted_files" in before.told:
        if before.told.get("classes"):
            return None  # somebody has taken the files away
        nothing = Painting(np.zeros(before.shape, np.int16), before.classes)
        return Loaded(nothing, [before.picture.file(".json")], [])
    path = image.with_name(f"{image.stem}.json")
    return _labelme_loaded(path, before) if is_labelme_of(path, image) else None


def _read_mask(path: Path, shape: Shape) -> NDArray[np.bool_]:
    """(h, w) bool: where a mask is half white or more, and half opaque or more."""
    pixels = _pixels(path, shape, flat=True)
    if pixels.dtype == bool:
        return pixels
    half = HALF if pixels.dtype == np.uint8 else HALF << 8
    if pixels.ndim == 2:
        return np.asarray(pixels >= half)
    light = (pixels[..., :3] >= half).any(axis=2)
    return np.asarray(light & (pixels[..., 3] >= half) if pixels.shape[2] == 4 else light)


def _read_labels(path: Path, shape: Shape) -> NDArray[np.int64]:
    pixels = _pixels(path, shape, flat=False)
    if pixels.ndim != 2:
        raise UsageError(f"{path} is no label map: a gray PNG of class numbers is needed")
    return pixels.astype(np.int64)


def _pixels(path: Path, shape: Shape, *, flat: bool) -> NDArray[Any]:
    """What a PNG of a picture's size holds; `flat`: colours in place of a palette's indices."""
    from PIL import PngImagePlugin

    try:
        require_file(path)
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImageError(f"{path} cannot be read: {os_reason(error)}") from None
    try:
        png = PngImagePlugin.PngImageFile(io.BytesIO(data))
        _check_size(path, png.size[::-1], shape)
        png.verify()  # check sums, which reading passes over; it can't be read from then on
        png = PngImagePlugin.PngImageFile(io.BytesIO(data))
        png.load()
        rgba = flat and (png.mode == "P" or png.has_transparency_data)
        return np.asarray(png.convert("RGBA") if rgba else png)
    except UsageError:
        raise
    # Broken files make Pillow's reader raise nearly anything; to the user it is one file.
    except Exception:
        raise UnreadableImageError(f"{path} is no whole PNG: mend it or move it away") from None


def _check_size(path: Path, found: tuple[int, ...], shape: Shape) -> None:
    if tuple(found) != tuple(shape):
        raise UsageError(
            f"{path} has {found[1]}x{found[0]} pixels, the picture {shape[1]}x{shape[0]}: bring it"
            " to the picture's size or move it away"
        )

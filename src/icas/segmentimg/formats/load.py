"""Loading the saved painting of an image: masks, label map, labelme shapes, COCO."""

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
    MAX_OBJECTS,
    Color,
    PaintClass,
    Painting,
    Palette,
    class_of,
    default_palette,
)
from icas.segmentimg.formats import masks
from icas.segmentimg.formats.coco import COCO_NAME, read_coco
from icas.segmentimg.formats.coco_dataset import DATASET_NAMES, read_dataset
from icas.segmentimg.formats.inputs import ImageFile, saved_record
from icas.segmentimg.formats.labelme import (
    LABELME_ENDING,
    is_labelme_of,
    json_or_none,
    labelme_file,
    namesake,
    read_labelme,
)

HALF = 128
"""Value of 8 bits from which a pixel of a mask is painted."""
Shape = tuple[int, int]


class Loaded(NamedTuple):
    """A saved painting, and the files it was read from.

    After an interrupted save, the files have the names that they will get. `notes`: lines about
    what is ignored; `left_out`: about annotations that cannot be read.
    """

    painting: Painting
    files: list[Path]
    notes: list[str]
    left_out: tuple[str, ...] = ()
    unlisted: tuple[Path, ...] = ()
    """COCO files of other programs that do not list the image."""


def load_painting(
    picture: ImageFile, shape: Shape, palette: Sequence[PaintClass] = ()
) -> Loaded | None:
    """The saved painting of an image of `shape` (h, w); None where there is none.

    Searched in this order: masks, the label map, the labelme file and the COCO file in
    ``picture.out``; where nothing was ever saved there, labelme's own file beside the image, and a
    COCO file of another program in ``picture.out`` or beside the image.
    Masks may have been edited since: pixels half white or more are painted, and where two overlap
    the later by name wins. Classes begin with those of `palette`. Files that are damaged or of
    another size raise errors that name them.
    """
    saved = _read_saved(picture, shape, palette)
    for load in (_from_masks, _from_labels, _from_labelme, _from_coco, _without_files):
        loaded = load(saved)
        if loaded is not None:
            loaded = _newer_of_others(saved, _with_objects(saved, loaded))
            return loaded._replace(notes=[*saved.notes(), *loaded.notes])
    return None


@dataclass(frozen=True)
class _Saved:
    """What an earlier save left: files and NAME.json."""

    picture: ImageFile
    shape: Shape
    record: dict[str, Any]
    """NAME.json; empty where there is none of icas."""
    known: dict[int, PaintClass]
    """Classes listed in NAME.json, by number, as those of `classes` that they are now."""
    by_color: dict[Color, PaintClass]
    """The same, by the color in NAME.json and in the names of masks."""
    files: dict[str, Path]
    """Files of the painting, by the names that they have or will get, sorted."""
    classes: Palette
    """The palette, then those classes of NAME.json that are not in it."""

    def notes(self) -> list[str]:
        """A line for each file of another program that the last save recorded."""
        paths = [self.picture.out / name for name in masks.strings(self.record.get(masks.ASIDE))]
        why = "not written by the last save: ignored"
        return [f"{path}: {why}" for path in paths if path.exists()]


def _read_saved(picture: ImageFile, shape: Shape, palette: Sequence[PaintClass]) -> _Saved:
    content = json_or_none(picture.record_file)
    foreign = isinstance(content, dict) and "icas" not in content  # of labelme, perhaps
    record = {} if foreign else saved_record(picture) or {}
    known = _listed_classes(picture, record)
    try:
        files = _files_of(picture, record)
    except OSError as error:
        raise IcasError(f"cannot read folder {picture.out}: {os_reason(error)}") from error
    classes, mapped = Palette(palette).adopted(list(known.values()))
    by_color = {entry.color: now for entry, now in zip(known.values(), mapped, strict=True)}
    known = dict(zip(known, mapped, strict=True))
    return _Saved(picture, shape, record, known, by_color, files, classes)


def _listed_classes(picture: ImageFile, record: dict[str, Any]) -> dict[int, PaintClass]:
    classes = {}
    try:
        for entry in sorted(record.get("classes", []), key=lambda entry: int(entry["number"])):
            red, green, blue = entry["color"]
            classes[int(entry["number"])] = PaintClass(entry["name"], (red, green, blue))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{picture.file('.json')}: the list of classes is damaged ({error}): repair the file or"
            " move it away"
        ) from None
    return classes


def _files_of(picture: ImageFile, record: dict[str, Any]) -> dict[str, Path]:
    pending, listing = masks.pending_of(record), masks.names_in(picture.out)
    ignored = {*masks.strings(record.get(masks.ASIDE)), *masks.strings(pending.get("stale"))}
    names = {name for name in listing if masks.is_paint(name, picture.name)} - ignored
    if COCO_NAME in masks.strings(record.get("painted_files")):
        names |= listing & {COCO_NAME}
    files = {name: picture.out / name for name in names}
    for name, part in masks.parts_of(pending).items():
        if part in listing and (name == COCO_NAME or masks.is_paint(name, picture.name)):
            files[name] = picture.out / part
    return dict(sorted(files.items()))


def _from_masks(saved: _Saved) -> Loaded | None:
    colors = {name: masks.mask_color(name, saved.picture.name) for name in saved.files}
    files = [(saved.files[name], color) for name, color in colors.items() if color is not None]
    if not files:
        return None
    paths = [saved.picture.out / name for name, color in colors.items() if color is not None]
    new = [_mask_class(path, color) for path, color in files if color not in saved.by_color]
    classes = saved.classes.joined(new)
    numbers = classes.numbers()
    class_map = np.zeros(saved.shape, np.int16)
    for path, color in files:
        entry = saved.by_color.get(color)
        class_map[_read_mask(path, saved.shape)] = numbers[color if entry is None else entry.color]
    return Loaded(Painting(class_map, classes), paths, [])


def _mask_class(path: Path, color: Color) -> PaintClass:
    try:
        return class_of(color)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}: rename it or move it away") from None


def _from_labels(saved: _Saved) -> Loaded | None:
    path = saved.files.get(f"{saved.picture.name}{masks.LABELS_ENDING}")
    if path is None:
        return None
    pixels = _pixels(path, saved.shape, flat=False)
    if pixels.ndim != 2:
        raise UsageError(f"{path} is not a label map: expected a gray PNG of class numbers")
    labels = pixels.astype(np.int64)
    counts = np.bincount(labels.ravel())
    present = [int(number) for number in np.flatnonzero(counts) if number]
    known = _classes_by_number(path, present, saved)
    classes = saved.classes.joined(known[number] for number in present)
    numbers = classes.numbers()
    table = np.zeros(len(counts), np.int16)
    for number in present:
        table[number] = numbers[known[number].color]
    return Loaded(Painting(table[labels], classes), [path], [])


def _with_objects(saved: _Saved, loaded: Loaded) -> Loaded:
    """The painting with the object numbers of NAME_instances.png, if there is one."""
    path = saved.files.get(f"{saved.picture.name}{masks.INSTANCES_ENDING}")
    painting = loaded.painting
    if path is None or painting.instance_map is not None:
        return loaded
    pixels = _pixels(path, saved.shape, flat=False)
    if pixels.ndim != 2 or int(pixels.max(initial=0)) > MAX_OBJECTS:
        raise UsageError(
            f"{path} is not a map of object numbers: expected a gray PNG of 0 to {MAX_OBJECTS:,}"
        )
    numbers = _completed(painting.class_map, pixels.astype(np.uint16))
    return loaded._replace(
        painting=Painting(painting.class_map, painting.classes, numbers),
        files=[*loaded.files, saved.picture.file(masks.INSTANCES_ENDING)],
    )


def _completed(class_map: NDArray[np.int16], numbers: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Object numbers of all painted pixels; one without a number gets the nearest of its class.

    Such pixels are of masks that were edited in another program.
    """
    from scipy.ndimage import distance_transform_edt

    missing = (class_map > 0) & (numbers == 0)
    for number in np.unique(class_map[missing]):
        own = class_map == number
        known = own & (numbers > 0)
        if known.any():
            nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
            numbers = np.where(own & missing, numbers[tuple(nearest)], numbers)
        else:
            numbers = np.where(own, np.uint16(1), numbers)
    return numbers


def _classes_by_number(path: Path, present: list[int], saved: _Saved) -> dict[int, PaintClass]:
    """The class of each number of a label map.

    As listed in NAME.json; without it, in the order of the palette and the default palette. A
    number that is not listed gets the next free color.
    """
    listed = {entry.color for entry in saved.known.values()}
    joined = saved.classes.joined(default_palette())
    free = [entry for entry in joined if entry.color not in listed]
    new = [number for number in present if number not in saved.known]
    if saved.known:
        numbered = {**saved.known, **dict(zip(new, free, strict=False))}
    else:
        numbered = dict(enumerate(free, start=1))
    missing = [number for number in present if number not in numbered]
    if missing:
        raise UsageError(
            f"{path}: class {missing[0]} has no colour: list the classes in a --palette file,"
            " in lines like car,#cc0000"
        )
    return numbered


def _from_labelme(saved: _Saved) -> Loaded | None:
    path = saved.files.get(f"{saved.picture.name}{LABELME_ENDING}")
    return None if path is None else _load_labelme(path, saved)


def _load_labelme(path: Path, saved: _Saved) -> Loaded:
    painting, notes, left_out = read_labelme(path, saved.shape, saved.classes)
    return Loaded(painting, [path], notes, tuple(left_out))


def _from_coco(saved: _Saved) -> Loaded | None:
    path = saved.files.get(COCO_NAME)
    if path is None:
        return None
    painting = read_coco(path, saved.picture.path.name, saved.classes)
    if painting is None:
        return None
    _check_size(path, painting.class_map.shape, saved.shape)
    return Loaded(painting, [path], [])


def _without_files(saved: _Saved) -> Loaded | None:
    """An image saved with nothing painted, or only annotated with another program."""
    record = saved.picture.record_file
    if "painted_files" not in saved.record:
        return _from_others(saved)
    if saved.record.get("classes"):
        return None  # the files were moved away
    empty = Painting(np.zeros(saved.shape, np.int16), saved.classes)
    return Loaded(empty, [record], [])


def _newer_of_others(saved: _Saved, loaded: Loaded) -> Loaded:
    """Annotations made with another program after a save of nothing; else `loaded`."""
    if "painted_files" not in saved.record or loaded.painting.class_map.any():
        return loaded
    record = saved.picture.record_file
    newer = any(_is_newer(path, record) for path in _files_of_others(saved.picture))
    return (_from_others(saved) if newer else None) or loaded


def _files_of_others(picture: ImageFile) -> list[Path]:
    """Files in which other programs may have annotated an image."""
    places = (picture.out, picture.path.parent)
    datasets = (folder / name for folder in places for name in DATASET_NAMES)
    return [labelme_file(picture.path), *dict.fromkeys(datasets)]


def _from_others(saved: _Saved) -> Loaded | None:
    labelme, *datasets = _files_of_others(saved.picture)
    image, unlisted = saved.picture.path, list[Path]()
    if is_labelme_of(labelme, image):
        return _load_labelme(labelme, saved)
    other = namesake(labelme, image)
    notes = [] if other is None else [f"{labelme}: of {other}, by its imagePath: ignored"]
    for path in datasets:
        dataset = read_dataset(path)
        if dataset is None:
            continue
        read = dataset.painting(image, saved.shape, saved.classes)
        if read is not None:
            return Loaded(read.painting, [path], notes, tuple(read.left_out))
        if not dataset.own:
            unlisted.append(path)
    empty = Painting(np.zeros(saved.shape, np.int16), saved.classes)
    return Loaded(empty, [], notes, unlisted=tuple(unlisted)) if unlisted or notes else None


def _is_newer(path: Path, record: Path) -> bool:
    try:
        return path.stat().st_mtime_ns > record.stat().st_mtime_ns
    except OSError:
        return False


def _read_mask(path: Path, shape: Shape) -> NDArray[np.bool_]:
    """(h, w) bool: pixels of a mask that are half white and half opaque, or more."""
    pixels = _pixels(path, shape, flat=True)
    if pixels.dtype == bool:
        return pixels
    half = HALF if pixels.dtype == np.uint8 else HALF << 8
    if pixels.ndim == 2 and pixels.max() == 1:  # of programs that write 0 and 1
        half = 1
    if pixels.ndim == 2:
        return np.asarray(pixels >= half)
    light = (pixels[..., :3] >= half).any(axis=2)
    return np.asarray(light & (pixels[..., 3] >= half) if pixels.shape[2] == 4 else light)


def _pixels(path: Path, shape: Shape, *, flat: bool) -> NDArray[Any]:
    """Pixels of a PNG of this size; `flat`: colors in place of palette indices."""
    from PIL import PngImagePlugin

    try:
        require_file(path)
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImageError(f"cannot read {path}: {os_reason(error)}") from None
    try:
        png = PngImagePlugin.PngImageFile(io.BytesIO(data))
        _check_size(path, png.size[::-1], shape)
        png.verify()  # check sums, which reading ignores; it cannot be read after that
        png = PngImagePlugin.PngImageFile(io.BytesIO(data))
        png.load()
        rgba = flat and (png.mode == "P" or png.has_transparency_data)
        return np.asarray(png.convert("RGBA") if rgba else png)
    except UsageError:
        raise
    except Exception:  # Pillow raises almost any exception for broken files
        raise UnreadableImageError(
            f"{path} is not a valid PNG: repair it or move it away"
        ) from None


def _check_size(path: Path, size: tuple[int, ...], shape: Shape) -> None:
    if tuple(size) != tuple(shape):
        raise UsageError(
            f"{path} is {size[1]}x{size[0]} pixels, the image {shape[1]}x{shape[0]}: resize it or"
            " move it away"
        )

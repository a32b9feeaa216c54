"""Saving a painting: masks, maps of class and object numbers, and its record in NAME.json.

A save is all or nothing. Every file is first written under a hidden name; then NAME.json records
the hidden names (`PENDING`), and from then on the new painting is the one that is loaded; only
then the files are renamed and those they replace removed. Killed at any instruction, a save leaves
the previous painting or the new one, never a mixture.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas._version import __version__
from icas.common.errors import IcasError, UsageError
from icas.io.files import write_whole
from icas.io.formats import os_reason
from icas.segmentimg.document.objects import objects_in
from icas.segmentimg.document.palette import Color, Painting
from icas.segmentimg.formats import FORMATS, Contents, PaintFormat
from icas.segmentimg.formats.inputs import ImageFile, saved_record
from icas.segmentimg.formats.labelme import LABELME_ENDING
from icas.segmentimg.labels.labels import Box

LABELS_ENDING = "_labels.png"
INSTANCES_ENDING = "_instances.png"
PENDING = "unfinished_save"
"""Key of NAME.json: hidden names of the files of an unfinished save."""
ASIDE = "set_aside"
"""Key of NAME.json: masks of another program, not to be loaded."""
_MASK = re.compile(r"_mask_\(R([:=])([0-9]+),G\1([0-9]+),B\1([0-9]+)\)\.png", re.IGNORECASE)
_PART = re.compile(r"\.icas-[0-9a-f]{12}\.part")
_PART_BYTES = re.compile(_PART.pattern.encode())
ORPHAN_AGE = 3600.0
"""Seconds after which a hidden file that no NAME.json names is removed."""


def mask_name(name: str, color: Color, portable: bool = False) -> str:
    """``NAME_mask_(R:204,G:0,B:0).png``; portable with ``=`` for ``:``."""
    sign = "=" if portable else ":"
    parts = (f"{letter}{sign}{part}" for letter, part in zip("RGB", color, strict=True))
    return f"{name}_mask_({','.join(parts)}).png"


def names_in(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in folder.iterdir()}
    except FileNotFoundError:
        return set()


def mask_color(file_name: str, name: str) -> Color | None:
    """The color in the name of a mask of the image `name`; None for any other file."""
    rest = file_name.removeprefix(name)
    match = _MASK.fullmatch(rest) if rest != file_name else None
    return (int(match[2]), int(match[3]), int(match[4])) if match else None


def is_paint(file_name: str, name: str) -> bool:
    """Whether a file of this name is loaded as a painting of the image `name`."""
    endings = (LABELS_ENDING, INSTANCES_ENDING, LABELME_ENDING)
    return (
        file_name in [name + ending for ending in endings]
        or mask_color(file_name, name) is not None
    )


def pending_of(record: dict[str, Any]) -> dict[str, Any]:
    pending = record.get(PENDING)
    return pending if isinstance(pending, dict) else {}


def parts_of(pending: dict[str, Any]) -> dict[str, str]:
    """Hidden names of files not yet renamed; no name that could be of another program."""
    parts = pending.get("parts")
    return {
        str(name): part
        for name, part in (parts.items() if isinstance(parts, dict) else ())
        if isinstance(part, str) and _PART.fullmatch(part)
    }


def strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def save_painting(
    picture: ImageFile,
    painting: Painting,
    about: dict[str, Any],
    saves: Sequence[str] = ("masks", "labels"),
    portable: bool = False,
    polygons: bool = False,
) -> list[Path]:
    """Write a painting into ``picture.out``, all of it or nothing; returns its files.

    `about`: entries of NAME.json, whose other entries are kept; `saves`: names of `FORMATS`;
    `portable`: mask names with ``=``; `polygons`: outlines in coco.json. So that everything can be
    read back, object numbers other than 1 are written in any case, and ``instances`` alone comes
    with ``labels``. Files of earlier saves of this image are replaced or removed. Files of other
    programs are kept, unless they have the name of a written one; where they would be loaded as
    masks, NAME.json records that they are to be ignored.
    """
    wrong = [name for name in saves if name not in FORMATS]
    if wrong or not saves:
        known = ", ".join(FORMATS)
        raise UsageError(f"--save {','.join(saves)}: choose from {known}, separated by commas")
    formats = _formats(saves, painting)
    for paint_format in formats:
        paint_format.polygons = polygons
    before = saved_record(picture)
    for paint_format in formats:
        paint_format.check(picture)
    portable = portable or os.name == "nt"
    masks = _mask_files(picture, painting, portable)
    try:
        files = _encoded(formats, picture, painting, portable)
        listing = names_in(picture.out)
        picture.out.mkdir(parents=True, exist_ok=True)
        stale, aside = _old_files(picture, files, before or {}, listing)
        entries = {**(before or {}), **about, **_record_of(painting, masks, files)}
        record = {"icas": __version__, **entries, ASIDE: aside}
        _execute(picture, files, stale, record, before)
    except OSError as error:
        raise _disk_error(picture.out, error) from error
    return [*(picture.out / name for name in files), picture.record_file]


def update_record(picture: ImageFile, entries: dict[str, Any]) -> None:
    """Change entries of NAME.json, which exists; its other entries are kept."""
    record = {**(saved_record(picture) or {}), **entries}
    try:
        write_whole(picture.record_file, _json_bytes(record))
    except OSError as error:
        raise _disk_error(picture.out, error) from error


def remove_painting(picture: ImageFile, before: dict[str, Any] | None) -> None:
    """Remove the saved files of a painting, and put the record `before` in place of NAME.json.

    None: there was none. Killed at any instruction, it can be called again; until it ends, the
    image counts as painted with nothing. COCO files are not changed.
    """
    record = saved_record(picture) or {}
    recorded = {*strings(record.get("painted_files")), *strings(pending_of(record).get("stale"))}
    stale = sorted(name for name in recorded if is_paint(name, picture.name))
    parts = list(parts_of(pending_of(record)).values())
    emptied = {**record, "classes": [], "painted_files": []}
    try:
        write_whole(
            picture.record_file, _json_bytes({**emptied, PENDING: {"parts": {}, "stale": stale}})
        )
        _remove(picture.out / name for name in [*stale, *parts])
        if before is None:
            picture.record_file.unlink(missing_ok=True)
        else:
            write_whole(picture.record_file, _json_bytes(before))
    except OSError as error:
        raise _disk_error(picture.out, error) from error


def _formats(saves: Iterable[str], painting: Painting) -> list[PaintFormat]:
    names = list(dict.fromkeys(saves))
    formats: list[PaintFormat] = [FORMATS[name].load()() for name in names]
    if not any(one.keeps_classes for one in formats):
        formats.append(LabelMap())
    if painting.several_objects and not all(one.keeps_objects for one in formats):
        formats.append(InstanceMap())  # masks and label maps are read before other files
    return formats


def _mask_files(picture: ImageFile, painting: Painting, portable: bool) -> dict[int, str]:
    """Name of the mask of each painted class."""
    return {
        number: mask_name(picture.name, painting.classes[number - 1].color, portable)
        for number in painting.painted()
    }


class MaskFiles(PaintFormat):
    """A PNG per class, white on black: ``NAME_mask_(R:204,G:0,B:0).png``."""

    def files(self, image: ImageFile, painting: Painting, portable: bool) -> Contents:
        names = _mask_files(image, painting, portable)
        return {
            name: partial(_mask_png, painting.class_map, number) for number, name in names.items()
        }


class LabelMap(PaintFormat):
    """The class of each pixel, 0 = not painted: ``NAME_labels.png``."""

    def files(self, image: ImageFile, painting: Painting, portable: bool) -> Contents:
        class_map = painting.class_map
        return {f"{image.name}{LABELS_ENDING}": lambda: _png(class_map.astype(np.uint16))}


class InstanceMap(PaintFormat):
    """The object number of each pixel, 0 = not painted: ``NAME_instances.png``."""

    keeps_classes = False
    keeps_objects = True

    def files(self, image: ImageFile, painting: Painting, portable: bool) -> Contents:
        numbers = painting.instance_map
        if numbers is None:
            numbers = (painting.class_map > 0).astype(np.uint16)
        return {f"{image.name}{INSTANCES_ENDING}": lambda: _png(numbers)}


def _encoded(
    formats: Iterable[PaintFormat], picture: ImageFile, painting: Painting, portable: bool
) -> dict[str, bytes]:
    """Name and content of each file but NAME.json."""
    contents: dict[str, Callable[[], bytes]] = {}
    for paint_format in formats:
        contents |= paint_format.files(picture, painting, portable)
    with ThreadPoolExecutor() as pool:
        encoded = pool.map(lambda content: content(), contents.values())
        return dict(zip(contents, encoded, strict=True))


def _mask_png(class_map: NDArray[np.int16], number: int) -> bytes:
    return _png((class_map == number).view(np.uint8) * np.uint8(255))


def _png(image: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    import cv2

    _, png = cv2.imencode(".png", image)
    return png.tobytes()


def _old_files(
    picture: ImageFile, files: Iterable[str], record: dict[str, Any], listing: set[str]
) -> tuple[list[str], list[str]]:
    """Old files that a save removes, and those of other programs, which it keeps."""
    pending = pending_of(record)
    recorded = {*strings(record.get("painted_files")), *strings(pending.get("stale"))}
    present = {name for name in listing if is_paint(name, picture.name)} - set(files)
    # hidden files of an interrupted save
    parts = {part for part in parts_of(pending).values() if part in listing}
    return sorted((present & recorded) | parts), sorted(present - recorded)


def _record_of(
    painting: Painting, masks: dict[int, str], files: dict[str, bytes]
) -> dict[str, Any]:
    """Entries of NAME.json about a painting."""
    objects: dict[int, list[dict[str, Any]]] = {}
    if painting.several_objects:
        for one in objects_in(painting):
            entry = {"number": one.number, "pixels": one.area, "box": _xywh(one.box)}
            objects.setdefault(one.class_number, []).append(entry)
    classes = [
        {
            "number": number,
            "name": painting.classes[number - 1].name,
            "color": list(painting.classes[number - 1].color),
            "pixels": pixels,
            "mask": masks[number] if masks[number] in files else None,
            **({"objects": objects[number]} if objects else {}),
        }
        for number, pixels in painting.painted().items()
    ]
    return {"classes": classes, "painted_files": sorted(files)}


def _xywh(box: Box) -> list[int]:
    """Left, top, width, height, as in COCO files."""
    top, bottom, left, right = box
    return [left, top, right - left, bottom - top]


def _execute(
    picture: ImageFile,
    files: dict[str, bytes],
    stale: list[str],
    record: dict[str, Any],
    before: dict[str, Any] | None,
) -> None:
    """Write hidden files, record them in one step, rename them, remove the old ones."""
    out, journal = picture.out, picture.record_file
    record = {key: value for key, value in record.items() if key != PENDING}
    if not record[ASIDE]:
        del record[ASIDE]
    final = _json_bytes(record)  # raises before anything is written
    parts = {name: _part(out) for name in sorted(files, key=len, reverse=True)}
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(write_whole, parts.values(), (files[name] for name in parts)))
        names = {name: part.name for name, part in parts.items()}
        pending = {"parts": names, "stale": stale}
        write_whole(journal, _json_bytes({**record, PENDING: pending}))
    except Exception:  # not after Ctrl+C: NAME.json may name the files by then
        _remove(parts.values())
        raise
    for done, (name, part) in enumerate(parts.items()):
        try:
            part.replace(out / name)
        except OSError:
            if done == 0:  # no name is possible (too long, ``:`` on some disks): undo all
                if before is None:
                    journal.unlink(missing_ok=True)
                else:
                    write_whole(journal, _json_bytes(before))
                _remove(parts.values())
            raise
    _remove(out / name for name in stale)
    write_whole(journal, final)


def _part(folder: Path) -> Path:
    return folder / f".icas-{secrets.token_hex(6)}.part"


def remove_orphans(out: Path) -> None:
    """Remove hidden files of saves that were killed before they were recorded in a NAME.json.

    Those of the last hour stay: a process without a lock on the folder may be writing them.
    """
    with suppress(OSError):
        latest = time.time() - ORPHAN_AGE
        parts = {name for name in names_in(out) if _PART.fullmatch(name)}
        parts = {name for name in parts if (out / name).lstat().st_mtime < latest}
        for path in out.glob("*.json") if parts else ():
            parts -= {name.decode() for name in _PART_BYTES.findall(path.read_bytes())}
        _remove(out / name for name in parts)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _json_bytes(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, indent=2) + "\n").encode()


def _disk_error(folder: Path, error: OSError) -> IcasError:
    if isinstance(error, IcasError):
        return error
    hint = ""
    if error.errno in (errno.EINVAL, errno.ENAMETOOLONG):
        hint = ": the disk does not accept the names of masks (try --portable-names)"
    return IcasError(f"cannot write to {folder}: {os_reason(error)}{hint}")

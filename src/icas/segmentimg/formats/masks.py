"""Paintings to files and back: a mask a colour, a map of the classes, and what tells of them.

A save is all or nothing. Every file is first written whole under a hidden name; then NAME.json
takes in which of them stand for which (`PENDING`), and from that moment on the new painting is
the one that loads; only then the files get their names, and what they replace goes. Killed at any
instruction, a save leaves the painting from before or the new one, never a mixture.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas._version import __version__
from icas.common.errors import ConflictError, IcasError, UsageError
from icas.io.files import unfinished, write_whole
from icas.io.formats import os_reason
from icas.segmentimg.document.palette import Color, Painting
from icas.segmentimg.formats import FORMATS, Contents, PaintFormat
from icas.segmentimg.formats.inputs import Picture
from icas.segmentimg.formats.labelme import LABELME_ENDING

LABELS_ENDING = "_labels.png"
PENDING = "unfinished_save"
"""Key of NAME.json under which a save that is not finished yet names its files."""
ASIDE = "set_aside"
"""Key of NAME.json for masks that somebody else made and that are not to be loaded."""
_MASK = re.compile(r"_mask_\(R([:=])([0-9]+),G\1([0-9]+),B\1([0-9]+)\)\.png", re.IGNORECASE)
_PART = re.compile(r"\.icas-[0-9a-f]{12}\.part")


def mask_name(name: str, color: Color, portable: bool = False) -> str:
    """``NAME_mask_(R:204,G:0,B:0).png``; with ``=`` for ``:`` where file names must not hold it."""
    sign = "=" if portable else ":"
    parts = (f"{letter}{sign}{part}" for letter, part in zip("RGB", color, strict=True))
    return f"{name}_mask_({','.join(parts)}).png"


def saved_json(picture: Picture) -> dict[str, Any] | None:
    """What NAME.json tells; None where there is none."""
    path = picture.file(".json")
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConflictError(f"{path} cannot be read: {os_reason(error)}") from None
    except ValueError:
        raise ConflictError(f"{path} is no whole JSON: mend it or move it away") from None
    if not isinstance(told, dict) or "icas" not in told:
        raise ConflictError(
            f"{path} is another program's: move it away, or give another folder with --out"
        )
    return told


def names_in(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in folder.iterdir()}
    except FileNotFoundError:
        return set()


def mask_color(file_name: str, name: str) -> Color | None:
    """The colour in the name of a mask of the picture `name`; None for any other file."""
    rest = file_name.removeprefix(name)
    found = _MASK.fullmatch(rest) if rest != file_name else None
    return (int(found[2]), int(found[3]), int(found[4])) if found else None


def is_paint(file_name: str, name: str) -> bool:
    """Whether a file of this name is loaded as paint of the picture `name`."""
    fixed = (f"{name}{LABELS_ENDING}", f"{name}{LABELME_ENDING}")
    return file_name in fixed or mask_color(file_name, name) is not None


def pending_of(told: dict[str, Any]) -> dict[str, Any]:
    pending = told.get(PENDING)
    return pending if isinstance(pending, dict) else {}


def parts_of(pending: dict[str, Any]) -> dict[str, str]:
    """Hidden name of each file that has not got its own yet; nothing that could be another's."""
    parts = pending.get("parts")
    return {
        str(name): part
        for name, part in (parts.items() if isinstance(parts, dict) else ())
        if isinstance(part, str) and _PART.fullmatch(part)
    }


def strings(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def save_painting(
    picture: Picture,
    painting: Painting,
    about: dict[str, Any],
    saves: Sequence[str] = ("masks", "labels"),
    portable: bool = False,
) -> list[Path]:
    """Write a painting into ``picture.out``, all of it or nothing.

    Replaces what an earlier save wrote for this picture: masks of colours that are painted no
    more go, and so do a label map and a labelme file that are not asked for now. A file that no
    save of ours wrote stays, unless it has the very name of one that is written; where it would
    be loaded as paint, NAME.json remembers to leave it aside.
    """
    wrong = [name for name in saves if name not in FORMATS]
    if wrong or not saves:
        known = ", ".join(FORMATS)
        raise UsageError(f"--save {','.join(saves)}: some of {known}, with commas, are needed")
    formats: list[PaintFormat] = [FORMATS[name].load()() for name in saves]
    before = saved_json(picture)
    for paint_format in formats:
        paint_format.check(picture)
    portable = portable or os.name == "nt"
    masks = _mask_files(picture, painting, portable)
    try:
        files = _encoded(formats, picture, painting, portable)
        listing = names_in(picture.out)
        picture.out.mkdir(parents=True, exist_ok=True)
        plan = _planned(picture, files, before, listing)
        told = {**(before or {}), **about, **_told(painting, masks, files, plan)}
        _carry_out(picture, plan, {"icas": __version__, **told}, before)
    except OSError as error:
        raise _disk_error(picture.out, error) from error
    return [*(picture.out / name for name in files), picture.file(".json")]


def _mask_files(picture: Picture, painting: Painting, portable: bool) -> dict[int, str]:
    """Name of the mask of each class that is painted."""
    return {
        number: mask_name(picture.name, painting.classes[number - 1].color, portable)
        for number in painting.painted()
    }


class MaskFiles(PaintFormat):
    """A PNG per class, white on black: ``NAME_mask_(R:204,G:0,B:0).png``."""

    def files(self, image: Picture, painting: Painting, portable: bool) -> Contents:
        names = _mask_files(image, painting, portable)
        return {
            name: partial(_mask_png, painting.class_map, number) for number, name in names.items()
        }


class LabelMap(PaintFormat):
    """The class of each pixel, 0 = not painted: ``NAME_labels.png``."""

    def files(self, image: Picture, painting: Painting, portable: bool) -> Contents:
        class_map = painting.class_map
        return {f"{image.name}{LABELS_ENDING}": lambda: _png(class_map.astype(np.uint16))}


def _encoded(
    formats: Iterable[PaintFormat], picture: Picture, painting: Painting, portable: bool
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


@dataclass(frozen=True)
class _Plan:
    """What a save does: `files` are written, `stale` ones removed, those set `aside` stay."""

    files: dict[str, bytes]
    stale: list[str]
    aside: list[str]


def _planned(
    picture: Picture, files: dict[str, bytes], before: dict[str, Any] | None, listing: set[str]
) -> _Plan:
    told = before or {}
    pending = pending_of(told)
    recorded = {*strings(told.get("painted_files")), *strings(pending.get("stale"))}
    ours = {name for name in listing if is_paint(name, picture.name)} - set(files)
    # After a save that was cut short its hidden files may still be there.
    parts = {part for part in parts_of(pending).values() if part in listing}
    return _Plan(files, sorted((ours & recorded) | parts), sorted(ours - recorded))


def _told(
    painting: Painting, masks: dict[int, str], files: dict[str, bytes], plan: _Plan
) -> dict[str, Any]:
    """The part of NAME.json that tells of the painting."""
    classes = [
        {
            "number": number,
            "name": painting.classes[number - 1].name,
            "color": list(painting.classes[number - 1].color),
            "pixels": pixels,
            "mask": masks[number] if masks[number] in files else None,
        }
        for number, pixels in painting.painted().items()
    ]
    return {"classes": classes, "painted_files": sorted(files), ASIDE: plan.aside}


def _carry_out(
    picture: Picture, plan: _Plan, told: dict[str, Any], before: dict[str, Any] | None
) -> None:
    """Write everything beside, switch over in one step, give the names, clean up."""
    out, journal = picture.out, picture.file(".json")
    told = {key: value for key, value in told.items() if key != PENDING}
    if not told[ASIDE]:
        del told[ASIDE]
    last = _json_bytes(told)  # nothing is written of what JSON cannot hold
    parts = {name: unfinished(out / name) for name in sorted(plan.files, key=len, reverse=True)}
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(write_whole, parts.values(), (plan.files[name] for name in parts)))
        names = {name: part.name for name, part in parts.items()}
        pending = {"parts": names, "stale": plan.stale}
        write_whole(journal, _json_bytes({**told, PENDING: pending}))
    except Exception:  # not after Ctrl+C: NAME.json may name them by then
        _remove(parts.values())
        raise
    _give_names(out, parts, lambda: _take_back(journal, before))
    _remove(out / name for name in plan.stale)
    write_whole(journal, last)


def _give_names(out: Path, parts: dict[str, Path], take_back: Callable[[], None]) -> None:
    """Rename; where the very first name cannot be had (too long, ``:`` on some disks), undo all."""
    for done, (name, part) in enumerate(parts.items()):
        try:
            part.replace(out / name)
        except OSError:
            if done == 0:
                take_back()
                _remove(parts.values())
            raise


def _take_back(journal: Path, before: dict[str, Any] | None) -> None:
    if before is None:
        journal.unlink(missing_ok=True)
    else:
        write_whole(journal, _json_bytes(before))


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _json_bytes(told: dict[str, Any]) -> bytes:
    return (json.dumps(told, indent=2) + "\n").encode()


def _disk_error(folder: Path, error: OSError) -> IcasError:
    if isinstance(error, IcasError):
        return error
    hint = ""
    if error.errno in (errno.EINVAL, errno.ENAMETOOLONG):
        hint = ": the names of masks do not fit this disk (try --portable-names)"
    return IcasError(f"cannot write into {folder}: {os_reason(error)}{hint}")

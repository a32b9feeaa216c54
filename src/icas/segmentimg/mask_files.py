"""The files that a painting is saved in: their names, and what NAME.json records of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from icas.common.errors import ConflictError
from icas.common.kinds import os_reason
from icas.segmentimg.inputs import Picture
from icas.segmentimg.layers import Color

PAINT_SAVES = ("masks", "labels", "coco", "labelme")
"""What a painting can be saved as."""
LABELS_ENDING, LABELME_ENDING = "_labels.png", "_labelme.json"
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
    """What NAME.json tells; None where there is none.

    Raises
    ------
    ConflictError
        It is broken, or another program's.
    """
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


def parsed_json(path: Path) -> Any:
    """The JSON in a file; None where it holds none."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return None


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

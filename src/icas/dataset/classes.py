"""Classes of a data set: their numbers, and folder names that every system allows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from icas.io.files import folded

_LONGEST = 100
"""Bytes of a folder name: room for files in it where paths have 260 characters."""
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
"""Names of devices on Windows."""


@dataclass(frozen=True)
class DatasetClass:
    """One class: its number, its name as given, and its folder."""

    number: int
    name: str
    folder: str


def dataset_classes(names: Iterable[str]) -> dict[str, DatasetClass]:
    """The classes by name, in the order of their folders.

    Readers such as torchvision number classes by the sorted names of their folders; the numbers
    here are the same. Folder names are unique also without regard to case and Unicode form.
    """
    folders: dict[str, str] = {}
    taken: set[str] = set()
    # A name that needs no change keeps it, whatever other names become.
    for name in sorted(set(names), key=lambda one: (safe_folder(one) != one, one)):
        safe = candidate = safe_folder(name)
        number = 1
        while folded(candidate) in taken:
            number += 1
            candidate = f"{_shortened(safe, _LONGEST - len(str(number)) - 1)}_{number}"
        taken.add(folded(candidate))
        folders[name] = candidate
    ordered = sorted(folders, key=lambda name: folders[name])
    return {name: DatasetClass(number, name, folders[name]) for number, name in enumerate(ordered)}


def safe_folder(name: str) -> str:
    """`name` as a folder name that Linux, macOS and Windows allow; not unique."""
    safe = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name))
    safe = "".join(letter if letter.isprintable() else "_" for letter in safe)
    safe = _shortened(safe, _LONGEST).strip(" ").rstrip(". ")
    if safe.startswith("."):  # a hidden folder, which readers skip
        safe = f"_{safe[1:]}"
    if _RESERVED.fullmatch(safe):
        stem, dot, rest = safe.partition(".")
        safe = f"{stem}_{dot}{rest}"
    return safe or "_"


def _shortened(name: str, most: int) -> str:
    return name.encode()[:most].decode(errors="ignore")

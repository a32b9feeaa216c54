"""Autosave file of a document, in the folder of its masks."""

from __future__ import annotations

import io
import itertools
import json
import re
import zipfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError
from icas.io.files import write_whole
from icas.io.find import RESULT_MARK
from icas.segmentimg.document.document import NO_OVERRIDE, PaintState
from icas.segmentimg.document.objects import joined_codes
from icas.segmentimg.formats.inputs import ImageFile

SUFFIX = ".paint"
FORMAT = 1

Stamps = Mapping[str, tuple[int, int]]
"""Size and modification time (ns) of files, by name."""
_PAINT = re.compile(r"_mask_\(.*\)\.png|_labels\.png|_instances\.png|_labelme\.json", re.IGNORECASE)


@dataclass(frozen=True)
class Autosave:
    """Content of an autosave file."""

    state: PaintState
    names: tuple[str, ...]
    """Names of the classes, as many as colors."""
    about: Mapping[str, Any]
    """Content of ``NAME.json``."""
    saved: bool
    """Whether the masks on disk hold all of it."""
    files: Stamps = field(default_factory=dict)
    """The saved files, to detect later changes."""
    base: str = ""
    """Name by which the commands in the log of a server refer to this file; none if empty."""
    rev: int = 0
    """Revision of the last of those commands that is in the state."""


def autosave_path(picture: ImageFile) -> Path:
    """The autosave file of an image."""
    return picture.out / RESULT_MARK / f"{picture.name}{SUFFIX}"


def write_autosave(path: Path, kept: Autosave) -> None:
    """Write an autosave file, atomically; OSError where that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _packed(kept))


def read_autosave(path: Path) -> Autosave | None:
    """Read an autosave file; None where there is none, IcasError for a damaged or newer one."""
    try:
        return _unpacked(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # ZIP and array readers raise almost any exception
        reason = " ".join(str(error).split()) or type(error).__name__
        raise IcasError(
            f"cannot read autosave {path} ({reason}): move it away to start over"
        ) from error


def set_aside(path: Path) -> Path:
    """Rename an autosave file to the first free name of ``NAME.paint.old``, ``….old2``, …"""
    ends = itertools.chain([""], itertools.count(2))
    names = (path.with_name(f"{path.name}.old{end}") for end in ends)
    free = next(name for name in names if not name.exists())
    return path.replace(free)


def painting_stamps(picture: ImageFile) -> dict[str, tuple[int, int]]:
    """Stamps of all files that are loaded as the painting of an image."""
    try:
        files = [
            entry
            for entry in picture.out.iterdir()
            if entry.name.startswith(picture.name)
            and _PAINT.fullmatch(entry.name, len(picture.name))
        ]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    stats = {file.name: file.stat() for file in files}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def saved_since(picture: ImageFile, kept: Autosave) -> bool:
    """Whether the masks were saved after the last autosave.

    This happens if the process died or the disk failed right after a save.
    """
    try:
        later = picture.record_file.stat().st_mtime_ns > autosave_path(picture).stat().st_mtime_ns
    except OSError:
        return False
    return later and painting_stamps(picture) != dict(kept.files)


class AutosaveWriter:
    """Writes autosave files in a thread of its own, one after another."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="icas-keep")

    def submit(self, path: Path, kept: Autosave) -> Future[None]:
        """Write a file in the background; the future raises what `write_autosave` does."""
        return self._pool.submit(write_autosave, path, kept)

    def close(self) -> None:
        """Wait until all files are written."""
        self._pool.shutdown(wait=True)


def _packed(kept: Autosave) -> bytes:
    state = kept.state
    arrays: dict[str, NDArray[Any]] = {"first": _small(state.first), "classes": state.classes}
    if state.labels is not state.first:
        arrays["labels"] = _small(state.labels)
    if state.overrides is not None:
        arrays["overrides"] = state.overrides
    if state.numbers is not None:
        arrays["numbers"] = state.numbers
    if state.override_numbers is not None:
        arrays["override_numbers"] = state.override_numbers
    content = {
        "format": FORMAT,
        "colors": state.colors,
        "names": kept.names,
        "about": dict(kept.about),
        "saved": kept.saved,
        "files": dict(kept.files),
        "base": kept.base,
        "rev": kept.rev,
        "arrays": sorted(arrays),
    }
    target = io.BytesIO()
    # the fastest level: label maps shrink to a hundredth with any
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as box:
        box.writestr("document.json", json.dumps(content))
        for name, array in arrays.items():
            with box.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    return target.getvalue()


def _small(labels: NDArray[np.int32]) -> NDArray[Any]:
    return labels.astype(np.uint16) if labels.max(initial=0) < 1 << 16 else labels


def _unpacked(data: bytes) -> Autosave:
    with zipfile.ZipFile(io.BytesIO(data)) as box:
        content = json.loads(box.read("document.json"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, this version reads {FORMAT}")
        # by the listed names, to detect a missing one
        arrays = {
            name: np.lib.format.read_array(io.BytesIO(box.read(f"{name}.npy")), allow_pickle=False)
            for name in content["arrays"]
        }
    first = arrays["first"].astype(np.int32)
    labels = arrays["labels"].astype(np.int32) if "labels" in arrays else first
    colors = tuple((int(red), int(green), int(blue)) for red, green, blue in content["colors"])
    state = PaintState(
        first,
        labels,
        arrays["classes"],
        arrays.get("overrides"),
        colors,
        arrays.get("numbers"),
        arrays.get("override_numbers"),
    )
    _check(state, content["names"])
    files = {name: (int(size), int(time)) for name, (size, time) in content["files"].items()}
    return Autosave(
        state,
        tuple(content["names"]),
        content["about"],
        bool(content["saved"]),
        files,
        str(content.get("base", "")),
        int(content.get("rev", 0)),
    )


def _check(state: PaintState, names: list[str]) -> None:
    """Raise ValueError for parts that do not fit together, rather than fail while painting."""
    maps: list[NDArray[Any]] = [state.first, state.labels]
    maps += [] if state.overrides is None else [state.overrides]
    top = max(int(state.first.max(initial=0)), int(state.labels.max(initial=0)))
    least = min(int(state.first.min(initial=0)), int(state.labels.min(initial=0)))
    fit = len({array.shape for array in maps}) == 1 and 0 <= least <= top < len(state.classes)
    if not fit or len(names) != len(state.colors):
        raise ValueError("inconsistent content")
    overrides = NO_OVERRIDE if state.overrides is None else state.overrides
    low = min(int(state.classes.min(initial=0)), int(np.min(overrides, initial=0)) - NO_OVERRIDE)
    high = max(int(state.classes.max(initial=0)), int(np.max(overrides, initial=0)))
    if low < 0 or high > len(state.colors):
        raise ValueError("class without a colour")
    for classes, numbers in (
        (state.classes, state.numbers),
        (state.overrides, state.override_numbers),
    ):
        if numbers is None:
            continue
        if classes is None or numbers.shape != classes.shape:
            raise ValueError("inconsistent content")
        joined_codes(classes, numbers)  # raises UsageError, a ValueError

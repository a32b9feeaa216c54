"""The document between runs: a file beside the masks, so that no painting is lost."""

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
from icas.segmentimg.formats.inputs import Picture

SUFFIX = ".paint"
FORMAT = 1

Stamps = Mapping[str, tuple[int, int]]
"""Size and time of change (ns) of files, by name."""
_PAINT = re.compile(r"_mask_\(.*\)\.png|_labels\.png|_labelme\.json", re.IGNORECASE)


@dataclass(frozen=True)
class Kept:
    """A document as it was kept."""

    state: PaintState
    names: tuple[str, ...]
    about: Mapping[str, Any]
    saved: bool
    files: Stamps = field(default_factory=dict)


def place_of(picture: Picture) -> Path:
    """Where the document of a picture is kept."""
    return picture.out / RESULT_MARK / f"{picture.name}{SUFFIX}"


def keep(path: Path, kept: Kept) -> None:
    """Write a document, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _packed(kept))


def read_kept(path: Path) -> Kept | None:
    """A document that was kept; None where there is none."""
    try:
        return _unpacked(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Broken files make the readers of ZIP and of arrays raise nearly anything.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise IcasError(f"{path} cannot be read ({reason}): move it away to begin anew") from error


def set_aside(path: Path) -> Path:
    """Give a document that was kept another name, ``NAME.paint.old``; no older one goes for it."""
    ends = itertools.chain([""], itertools.count(2))
    names = (path.with_name(f"{path.name}.old{end}") for end in ends)
    free = next(name for name in names if not name.exists())
    return path.replace(free)


def paint_stamps(picture: Picture) -> dict[str, tuple[int, int]]:
    """Size and time of change of all files that are loaded as paint of a picture.

    Those of a painting that was saved, until somebody changes, takes away or adds one.
    """
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


def saved_since(picture: Picture, kept: Kept) -> bool:
    """Whether a painting was saved after a document was kept, which does not know of it.

    So it is where a process died, or the disk failed, right after a save.
    """
    try:
        later = picture.file(".json").stat().st_mtime_ns > place_of(picture).stat().st_mtime_ns
    except OSError:
        return False
    return later and paint_stamps(picture) != dict(kept.files)


class Keeper:
    """Writes documents in a thread of its own, one after the other."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="icas-keep")

    def submit(self, path: Path, kept: Kept) -> Future[None]:
        """Have a document written; the future raises what `keep` does."""
        return self._pool.submit(keep, path, kept)

    def close(self) -> None:
        """Wait until all is written."""
        self._pool.shutdown(wait=True)


def _packed(kept: Kept) -> bytes:
    state = kept.state
    arrays: dict[str, NDArray[Any]] = {"first": _small(state.first), "classes": state.classes}
    if state.labels is not state.first:
        arrays["labels"] = _small(state.labels)
    if state.overrides is not None:
        arrays["overrides"] = state.overrides
    told = {
        "format": FORMAT,
        "colors": state.colors,
        "names": kept.names,
        "about": dict(kept.about),
        "saved": kept.saved,
        "files": dict(kept.files),
        "arrays": sorted(arrays),
    }
    target = io.BytesIO()
    # the fastest level: label maps shrink to a hundredth with any
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as box:
        box.writestr("document.json", json.dumps(told))
        for name, array in arrays.items():
            with box.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    return target.getvalue()


def _small(labels: NDArray[np.int32]) -> NDArray[Any]:
    return labels.astype(np.uint16) if labels.max(initial=0) < 1 << 16 else labels


def _unpacked(data: bytes) -> Kept:
    with zipfile.ZipFile(io.BytesIO(data)) as box:
        told = json.loads(box.read("document.json"))
        if told["format"] != FORMAT:
            raise ValueError(f"its format is {told['format']}, this version knows {FORMAT}")
        # by the names that the document lists: one that is missing must not go unnoticed
        arrays = {
            name: np.lib.format.read_array(io.BytesIO(box.read(f"{name}.npy")), allow_pickle=False)
            for name in told["arrays"]
        }
    first = arrays["first"].astype(np.int32)
    labels = arrays["labels"].astype(np.int32) if "labels" in arrays else first
    colors = tuple((int(red), int(green), int(blue)) for red, green, blue in told["colors"])
    state = PaintState(first, labels, arrays["classes"], arrays.get("overrides"), colors)
    _check(state, told["names"])
    files = {name: (int(size), int(time)) for name, (size, time) in told["files"].items()}
    return Kept(state, tuple(told["names"]), told["about"], bool(told["saved"]), files)


def _check(state: PaintState, names: list[str]) -> None:
    """Refuse what does not fit together, rather than fail while someone paints."""
    maps: list[NDArray[Any]] = [state.first, state.labels]
    maps += [] if state.overrides is None else [state.overrides]
    top = max(int(state.first.max(initial=0)), int(state.labels.max(initial=0)))
    least = min(int(state.first.min(initial=0)), int(state.labels.min(initial=0)))
    fit = len({array.shape for array in maps}) == 1 and 0 <= least <= top < len(state.classes)
    if not fit or len(names) != len(state.colors):
        raise ValueError("its parts do not fit together")
    by_hand = NO_OVERRIDE if state.overrides is None else state.overrides
    low = min(int(state.classes.min(initial=0)), int(np.min(by_hand, initial=0)) - NO_OVERRIDE)
    high = max(int(state.classes.max(initial=0)), int(np.max(by_hand, initial=0)))
    if low < 0 or high > len(state.colors):
        raise ValueError("it has classes without a colour")

"""Classes of a folder: those listed in ``classes.txt``, and those of its annotations."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from icas.common.errors import ConflictError, IcasError
from icas.io.files import write_whole
from icas.io.formats import os_reason
from icas.segmentimg.document.palette import (
    Color,
    Palette,
    class_line,
    default_palette,
    read_palette,
)
from icas.segmentimg.formats.coco_dataset import DATASET_NAMES, read_dataset
from icas.segmentimg.formats.inputs import ImageFile, saved_record
from icas.segmentimg.formats.labelme import label_names

LISTED_NAME = "classes.txt"
"""File in the output folder with the classes that were edited in the windows."""
_HEADER = "# classes of segmentimg"


def write_listed_classes(out: Path, palette: Palette) -> None:
    """List the classes of a folder, a line each; IcasError where that fails."""
    path = out / LISTED_NAME
    lines = [_HEADER, *map(class_line, palette)]
    try:
        if path.exists() and not _is_listing(path):
            raise ConflictError(f"{path} is from another program: move it away")
        out.mkdir(parents=True, exist_ok=True)
        write_whole(path, ("\n".join(lines) + "\n").encode())
    except OSError as error:
        if isinstance(error, IcasError):
            raise
        raise IcasError(f"cannot write {path}: {os_reason(error)}") from error


def _is_listing(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER.encode()


def _with_listed(pictures: Iterable[ImageFile], palette: Palette) -> Palette:
    """The palette, or the listed classes where it is the default one, and all other listed ones."""
    for out in dict.fromkeys(picture.out for picture in pictures):
        path = out / LISTED_NAME
        if path.is_file() and _is_listing(path):
            listed = read_palette(path)
            palette = listed if palette == default_palette() else palette.adopted(listed)[0]
    return palette


def folder_classes(pictures: Sequence[ImageFile], palette: Palette) -> Palette:
    """The palette with the classes listed in output folders or annotated by other programs.

    A class that an earlier run has saved keeps its color. Files that cannot be read are ignored
    here; loading them reports why.
    """
    palette = _with_listed(pictures, palette)
    names = [name for name in _annotated(pictures) if name not in palette.names()]
    if not names:
        return palette
    colors, taken = _saved_colors(pictures)
    kept = {name: color for name, color in colors.items() if color not in palette.numbers()}
    return palette.with_names(names, kept, avoid=taken)[0]


def _annotated(pictures: Iterable[ImageFile]) -> list[str]:
    """Labels of labelme files and categories of COCO files, in order of the images."""
    names: dict[str, None] = {}
    folders = {}
    beside = dict[Path, set[str] | None]()
    for picture in pictures:
        folder = picture.path.parent
        if folder not in beside:
            beside[folder] = _json_stems(folder)
        stems = beside[folder]
        if stems is None or picture.path.stem.casefold() in stems:
            names.update(dict.fromkeys(label_names(picture.path)))
        folders.update(dict.fromkeys([picture.out, picture.path.parent]))
    for path in (folder / name for folder in folders for name in DATASET_NAMES):
        with suppress(IcasError):
            dataset = read_dataset(path)
            if dataset is not None and not dataset.own:
                names.update(dict.fromkeys(dataset.categories.values()))
    return list(names)


def _json_stems(folder: Path) -> set[str] | None:
    """Stems of the JSON files of a folder, in lower case; None where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name.casefold() for entry in entries]
    except OSError:
        return None
    return {name[:-5] for name in names if name.endswith(".json")}


def _saved_colors(pictures: Iterable[ImageFile]) -> tuple[dict[str, Color], set[Color]]:
    """Colors of classes that NAME.json files list, one class each, and all listed colors."""
    names: dict[Color, set[str]] = {}
    for picture in pictures:
        with suppress(IcasError, KeyError, TypeError, ValueError, AttributeError):
            for entry in (saved_record(picture) or {}).get("classes", ()):
                red, green, blue = entry["color"]
                names.setdefault((red, green, blue), set()).add(str(entry["name"]))
    single = [(min(own), color) for color, own in names.items() if len(own) == 1]
    return dict(reversed(single)), set(names)

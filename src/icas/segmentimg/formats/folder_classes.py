"""Classes of the annotations of a folder, so that a label has one color in all its images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from icas.common.errors import IcasError
from icas.segmentimg.document.palette import Color, Palette
from icas.segmentimg.formats.coco_dataset import DATASET_NAMES, read_dataset
from icas.segmentimg.formats.inputs import ImageFile, saved_record
from icas.segmentimg.formats.labelme import label_names


def folder_classes(pictures: Sequence[ImageFile], palette: Palette) -> Palette:
    """The palette with the classes that other programs have annotated in images.

    A class that an earlier run has saved keeps its color. Files that cannot be read are ignored
    here; loading them reports why.
    """
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
    for picture in pictures:
        names.update(dict.fromkeys(label_names(picture.path)))
        folders.update(dict.fromkeys([picture.out, picture.path.parent]))
    for path in (folder / name for folder in folders for name in DATASET_NAMES):
        with suppress(IcasError):
            dataset = read_dataset(path)
            if dataset is not None and not dataset.own:
                names.update(dict.fromkeys(dataset.categories.values()))
    return list(names)


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

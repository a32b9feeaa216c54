"""The images of a run: painted, carried, or blank, with the marks of earlier runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from icas.common.errors import IcasError
from icas.io.reading import image_size
from icas.segmentimg.datasets.saved import has_unsaved_paint, listed_classes, recorded
from icas.segmentimg.document.objects import objects_in
from icas.segmentimg.document.palette import (
    Color,
    PaintClass,
    Painting,
    Palette,
    default_palette,
    free_color,
)
from icas.segmentimg.formats.inputs import ImageFile, saved_record
from icas.segmentimg.formats.load import load_painting
from icas.segmentimg.formats.masks import pending_of
from icas.segmentimg.propagation.carry import Key

MARK = "propagated"
"""Key of NAME.json: what a run has written there, a `Mark`."""
CARRIED, ACCEPTED, FIXED, REJECTED = "carried", "accepted", "fixed", "rejected"
"""States of images with a mark."""
BLANK, PAINTED, UNSAVED, UNREADABLE = "blank", "painted", "unsaved", "unreadable"
"""States of images without one."""
LEVEL, PERSON = "level", "person"
"""What accepted a mask: the level of ``--accept``, or a person."""


@dataclass(frozen=True)
class CarriedObject:
    """One object of an image, or a class that is judged absent from it."""

    name: str
    """Of the class; "" where nothing at all was found."""
    instance: int
    source: str
    route: str
    confidence: float


@dataclass(frozen=True)
class Mark:
    """What a run has written for an image; an entry of NAME.json."""

    run: int
    state: str
    by: str
    """`LEVEL` or `PERSON`, where the state is a decision."""
    confidence: float
    objects: tuple[CarriedObject, ...]
    origin: str
    """Digest of the sources and the settings."""
    painting: str
    """Digest of the painting, to detect later changes."""
    before: dict[str, Any] | None = field(compare=False)
    """NAME.json before the first run; None: there was none."""

    def entry(self) -> dict[str, Any]:
        """The entry of NAME.json."""
        return {MARK: asdict(self)}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Mark | None:
        """The mark in a record; None where there is none or it is damaged."""
        try:
            entry = dict(record[MARK])
            entry["objects"] = tuple(CarriedObject(**row) for row in entry["objects"])
            return cls(**entry)
        except (KeyError, TypeError, ValueError):
            return None


@dataclass(frozen=True)
class ImageState:
    """An image and its saved painting, as of now."""

    picture: ImageFile
    file: str
    """Path relative to the folder of all images, with ``/``."""
    state: str
    digest: str = ""
    """Digest of the saved painting."""
    mark: Mark | None = None
    classes: tuple[PaintClass, ...] = ()
    """Painted classes."""
    reason: str = ""
    """Why the image cannot be read."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    interrupted: bool = False
    """The last save was interrupted, and some files still have hidden names."""

    @property
    def is_source(self) -> bool:
        """Whether a person painted or fixed it, and something is painted."""
        return bool(self.classes) and self.state in (PAINTED, FIXED)

    def is_target(self, origin: str) -> bool:
        """Whether it is to be carried from sources with the digest `origin`."""
        if self.state == BLANK:
            return True
        return self.state == CARRIED and self.mark is not None and self.mark.origin != origin


def read_states(pictures: Sequence[ImageFile], max_pixels: int) -> list[ImageState]:
    """The state of each image, sorted by file."""
    from concurrent.futures import ThreadPoolExecutor

    root = common_folder(pictures)

    def read(picture: ImageFile) -> ImageState:
        return read_state(picture, file_name(picture, root), max_pixels)

    with ThreadPoolExecutor() as pool:
        return sorted(pool.map(read, pictures), key=lambda state: state.file)


def common_folder(pictures: Sequence[ImageFile]) -> Path:
    """The deepest folder that contains all images."""
    folders = {Path(os.path.abspath(picture.path.parent)) for picture in pictures}  # noqa: PTH100
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # on several drives
        return Path()


def file_name(picture: ImageFile, root: Path) -> str:
    """Path of an image relative to `root`, with ``/``."""
    whole = Path(os.path.abspath(picture.path))  # noqa: PTH100 - links stay links
    return (whole.relative_to(root) if whole.is_relative_to(root) else whole).as_posix()


def read_state(picture: ImageFile, file: str, max_pixels: int) -> ImageState:
    """The state of an image; `UNREADABLE` for one whose painting cannot be read either."""
    try:
        width, height = image_size(picture.path, max_pixels=max_pixels)
        record = saved_record(picture) or {}
        mark = Mark.of(record)
        unsaved = has_unsaved_paint(picture)
        loaded = load_painting(picture, (height, width))
    except IcasError as error:
        return ImageState(picture, file, UNREADABLE, reason=error.message)
    if loaded is None or not loaded.files:
        return ImageState(picture, file, UNSAVED if unsaved else BLANK, mark=mark)
    painting = loaded.painting
    digest = painting_digest(painting)
    classes = tuple(painting.classes[number - 1] for number in painting.painted())
    state = PAINTED
    if mark is not None:
        state = mark.state
        if digest != mark.painting:
            state = FIXED if classes else REJECTED
    if unsaved and state == CARRIED:
        state = UNSAVED
    lines = (*loaded.notes, *loaded.left_out)
    interrupted = mark is not None and bool(pending_of(record))
    return ImageState(
        picture, file, state, digest, mark, classes, notes=lines, interrupted=interrupted
    )


def saved_painting(state: ImageState, max_pixels: int) -> Painting:
    """The saved painting of an image."""
    width, height = image_size(state.picture.path, max_pixels=max_pixels)
    loaded = load_painting(state.picture, (height, width))
    if loaded is None:
        raise IcasError(f"{state.picture.path}: its painting was removed meanwhile")
    return loaded.painting


def painting_digest(painting: Painting) -> str:
    """SHA-256 of the painted classes and objects, as hex digits; not of unused classes."""
    painted = sorted(
        (painting.classes[number - 1].color, painting.classes[number - 1].name, number)
        for number in painting.painted()
    )
    table = np.zeros(len(painting.classes) + 1, np.int16)
    for place, (_, _, number) in enumerate(painted, start=1):
        table[number] = place
    digest = hashlib.sha256(repr([row[:2] for row in painted]).encode())
    digest.update(table[painting.class_map].tobytes())
    if painting.several_objects and painting.instance_map is not None:
        digest.update(np.where(painting.class_map > 0, painting.instance_map, 0).tobytes())
    return digest.hexdigest()


def joint_palette(states: Iterable[ImageState]) -> Palette:
    """All classes painted in the images, under the numbers that the images have recorded.

    Gaps have the default classes, so that label maps of all images agree.
    """
    wanted: dict[int, PaintClass] = {}
    later: list[PaintClass] = []
    known: set[PaintClass] = set()
    for state in states:
        record = recorded(state.picture)
        numbers = _recorded_numbers(record)
        for entry in state.classes:
            if entry in known:
                continue
            known.add(entry)
            number = numbers.get(entry)
            taken = {other.name for other in wanted.values()}
            colors = {other.color for other in wanted.values()}
            if number in wanted or number is None or entry.name in taken or entry.color in colors:
                later.append(entry)
            else:
                wanted[number] = entry
    names = {entry.name for entry in (*wanted.values(), *later)}
    used = {entry.color for entry in (*wanted.values(), *later)}
    spare = [e for e in default_palette() if e.name not in names and e.color not in used]
    classes: list[PaintClass] = []
    for number in range(1, max(wanted, default=0) + 1):
        entry = wanted.get(number) or _filler(number, spare, used)
        used.add(entry.color)
        classes.append(entry)
    return Palette(classes).adopted(later)[0]


def _recorded_numbers(record: Mapping[str, Any]) -> dict[PaintClass, int]:
    classes = listed_classes(record)  # by number; none where the list is damaged
    numbers = sorted(int(row["number"]) for row in record["classes"]) if classes else []
    return dict(zip(classes, numbers, strict=True))


def _filler(number: int, spare: list[PaintClass], used: set[Color]) -> PaintClass:
    """A class for a number that no image uses."""
    if spare:
        return spare.pop(0)
    return PaintClass(f"class {number}", free_color(used))


def keyed_masks(painting: Painting) -> dict[Key, Any]:
    """(h, w) bool masks by class name and object number."""
    shape = painting.class_map.shape
    return {
        (painting.classes[one.class_number - 1].name, one.number): one.full_mask(shape)
        for one in objects_in(painting)
    }


def decided(mark: Mark, state: str, painting: Painting) -> Mark:
    """The mark after a decision of a person about the present painting."""
    return replace(mark, state=state, by=PERSON, painting=painting_digest(painting))

"""Classes to paint with, each a name and a color: defaults, or from an image or a text file."""

from __future__ import annotations

import functools
import itertools
import operator
import re
import unicodedata
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UnreadableImageError, UsageError
from icas.dataset.class_lists import read_class_list
from icas.io.formats import image_kind, os_reason, read_head
from icas.io.reading import Image, read_image
from icas.io.text import decode_text

Color = tuple[int, int, int]
"""Red, green, blue, 0-255."""
MAX_CLASSES = 32_767
"""Numbers that a class map can hold."""
MAX_OBJECTS = 32_767
"""Objects of one class."""
MAX_FLAT_COLORS = 64
"""Images with more colors than this are reduced to their dominant colors."""
MAX_DOMINANT_COLORS = 32
MIN_SHARE = 0.002
"""Share of the pixels below which a color is a border or noise, not a dominant color."""
MIN_DISTANCE = 32.0
"""Distance, in gray levels, below which two dominant colors count as the same."""
JPEG_NOISE = 16
"""Gray levels by which JPEG may change a flat color."""
SAMPLE_PIXELS = 1 << 20
"""Pixels of a photo that are searched for dominant colors."""
_NUMBERED = re.compile(r"color [0-9]+")
"""Names of colors of an image."""
_HEX_COLOR = re.compile(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", re.IGNORECASE)

# From a grid of sRGB in steps of 51; after red, black and white always the color with the greatest
# CIELAB distance to those before (at least 35). Black and white are last: hard to see on images.
_DEFAULTS = (
    "red,#cc0000; blue,#0000ff; green,#00ff00; plum,#cc0099; yellow,#ffcc00; dark green,#006600; "
    "sky blue,#0099ff; turquoise,#00ffcc; navy,#000066; brown,#996633; violet,#9966ff; "
    "teal,#339999; maroon,#660033; lime,#ccff66; pink,#ff99cc; magenta,#ff00ff; "
    "raspberry,#ff0066; petrol,#003366; peach,#ffcc99; olive,#999900; light blue,#99ccff; "
    "dark olive,#333300; black,#000000; white,#ffffff"
)


@dataclass(frozen=True)
class PaintClass:
    """A class that pixels can be painted as: a name on one line and a color."""

    name: str
    color: Color

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable():
            raise UsageError(f"class name {self.name!r}: must be one line of text, not blank")
        parts = [operator.index(part) for part in self.color]
        if len(parts) != 3 or not all(0 <= part <= 255 for part in parts):
            raise UsageError(
                f"colour {tuple(parts)} of class {self.name!r}: red, green and blue must be 0 to"
                " 255"
            )
        object.__setattr__(self, "color", tuple(parts))


class Palette(tuple[PaintClass, ...]):
    """Classes with different names and colors; class n is ``[n - 1]``."""

    __slots__ = ()

    def __new__(cls, classes: Iterable[PaintClass] = ()) -> Palette:
        """Check the classes against each other."""
        palette = super().__new__(cls, classes)
        names: set[str] = set()
        colors: dict[Color, str] = {}
        for entry in palette:
            if entry.name in names:
                raise UsageError(f"two classes have the name {entry.name!r}: rename one of them")
            if entry.color in colors:
                raise UsageError(
                    f"classes {colors[entry.color]!r} and {entry.name!r} have the same colour"
                    f" {hex_code(entry.color)}: change one of them"
                )
            names.add(entry.name)
            colors[entry.color] = entry.name
        return palette

    def joined(self, added: Iterable[PaintClass]) -> Palette:
        """These classes, then those of `added` with a new color; ``(2)`` makes a name unique."""
        classes = list(self)
        names, colors = {entry.name for entry in self}, {entry.color for entry in self}
        for entry in added:
            if entry.color in colors:
                continue
            count, name = 1, entry.name
            while name in names:
                count += 1
                name = f"{entry.name} ({count})"
            classes.append(PaintClass(name, entry.color))
            names.add(name)
            colors.add(entry.color)
        return Palette(classes)

    def adopted(self, saved: Sequence[PaintClass]) -> tuple[Palette, list[PaintClass]]:
        """These classes and saved ones, and the class that each of the different saved ones is.

        That is the class of the same name, or else that of the same color. Others are added, with
        another name or color where theirs is taken. No two saved classes become one.
        """
        by_name = {entry.name: entry for entry in self if not _NUMBERED.fullmatch(entry.name)}
        by_color = {entry.color: entry for entry in self}
        found = [by_name.get(entry.name) for entry in saved]
        claimed = {entry for entry in found if entry is not None}
        for place, entry in enumerate(saved):
            same = by_color.get(entry.color)
            if found[place] is None and same is not None and same not in claimed:
                found[place] = same
                claimed.add(same)
        classes, mapped = self, []
        for entry, known in zip(saved, found, strict=True):
            if known is None:
                color = entry.color
                if color in classes.numbers():
                    color = free_color({*classes.numbers(), *(other.color for other in saved)})
                classes = classes.joined([PaintClass(entry.name, color)])
                known = classes[-1]
            mapped.append(known)
        return classes, mapped

    def names(self) -> set[str]:
        """Names of the classes."""
        return {entry.name for entry in self}

    def with_names(
        self,
        names: Iterable[str],
        colors: Mapping[str, Color] | None = None,
        avoid: Collection[Color] = (),
    ) -> tuple[Palette, dict[str, int]]:
        """These classes and new ones for unknown `names`; and the class number of each name.

        A new class has its color of `colors`, or else the next one that is free and not in `avoid`.
        Where another class has the color of `colors`, the name stands for that class.
        """
        classes = list(self)
        by_name = {entry.name: number for number, entry in enumerate(self, start=1)}
        by_color = self.numbers()
        for name in names:
            if name in by_name:
                continue
            if len(classes) == MAX_CLASSES:
                raise UsageError(f"more than {MAX_CLASSES:,} classes")
            color = (colors or {}).get(name) or free_color({*by_color, *avoid})
            if color not in by_color:
                classes.append(PaintClass(name, color))
                by_color[color] = len(classes)
            by_name[name] = by_color[color]
        return Palette(classes), by_name

    def numbers(self) -> dict[Color, int]:
        """Class number of each color."""
        return {entry.color: number for number, entry in enumerate(self, start=1)}


@dataclass(frozen=True)
class Painting:
    """A class map (h, w) and its classes, painted or not; given as any integers and sequence.

    `instance_map` None: the objects are not known, and count as one of each class.
    """

    class_map: NDArray[np.int16]
    """0 = not painted, n = ``classes[n - 1]``."""
    classes: tuple[PaintClass, ...]
    instance_map: NDArray[np.uint16] | None = None
    """(h, w) object numbers, from 1 within each class; 0 = not painted."""

    def __post_init__(self) -> None:
        given = np.asarray(self.class_map)
        if given.ndim != 2 or given.size == 0 or not np.issubdtype(given.dtype, np.integer):
            raise UsageError(
                f"class map must be an (h, w) int array, got {given.dtype} of shape {given.shape}"
            )
        classes = Palette(self.classes)
        least, most = int(given.min()), int(given.max())
        if least < 0 or most > min(len(classes), np.iinfo(np.int16).max):
            raise UsageError(f"class map values must be 0 to {len(classes)}, got {least} to {most}")
        object.__setattr__(self, "class_map", given.astype(np.int16, copy=False))
        object.__setattr__(self, "classes", classes)
        if self.instance_map is not None:
            object.__setattr__(self, "instance_map", self._numbers(self.instance_map))

    def _numbers(self, given: NDArray[Any]) -> NDArray[np.uint16]:
        """Checked object numbers, 0 where nothing is painted."""
        if given.shape != self.class_map.shape or not np.issubdtype(given.dtype, np.integer):
            raise UsageError(
                f"instance map must be an {self.class_map.shape} int array, got {given.dtype} of"
                f" shape {given.shape}"
            )
        painted = self.class_map > 0
        least, most = int(given.min(initial=1, where=painted)), int(given.max(initial=0))
        if least < 1 or most > MAX_OBJECTS:
            raise UsageError(
                f"instance map values of painted pixels must be 1 to {MAX_OBJECTS:,}, got"
                f" {min(least, most)} to {most}"
            )
        return np.where(painted, given, 0).astype(np.uint16)

    @property
    def several_objects(self) -> bool:
        """Whether a painted pixel has an object number other than 1."""
        return self.instance_map is not None and bool((self.instance_map > 1).any())

    def painted(self) -> dict[int, int]:
        """Number of pixels of each painted class."""
        counts = np.bincount(self.class_map.ravel(), minlength=1)
        return {int(number): int(counts[number]) for number in np.flatnonzero(counts) if number}


def class_name(label: object) -> str:
    """A label of another program as the name of a class: one line of printable text, in NFC.

    Numbers become text. UsageError for a label that is blank or has another type.
    """
    if not isinstance(label, (str, int, float)):
        raise UsageError("no label" if label is None else f"label {str(label)[:40]!r} is not text")
    text = unicodedata.normalize("NFC", str(label))
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    name = text if text == printable else " ".join(printable.split())
    if not name.strip():
        raise UsageError("label is blank")
    return name


@functools.cache
def default_palette() -> Palette:
    """24 colors that are easy to distinguish; the first is red, (204, 0, 0)."""
    return Palette(map(_parse_class, _DEFAULTS.split(";")))


def free_color(taken: Container[Color]) -> Color:
    """The first color of the default palette, or else beyond it, that is not in `taken`."""
    return next(color for color in _all_colors() if color not in taken)


def _all_colors() -> Iterator[Color]:
    """The default palette, then RGB grids of 6, 16 and 32 levels, without repetition."""
    yield from (entry.color for entry in default_palette())
    yield from _distinct_colors(6)
    yield from _distinct_colors(16)
    side = range(4, 256, 8)
    yield from itertools.product(side, side, side)


@functools.cache
def _distinct_colors(levels: int) -> tuple[Color, ...]:
    """Colors of a grid; always the one with the greatest CIELAB distance to those before."""
    before = [entry.color for entry in default_palette()]
    before += _distinct_colors(6) if levels > 6 else ()
    side = np.linspace(0, 255, levels).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    lab, distances = _lab(grid), np.full(len(grid), np.inf)
    for color in _lab(np.array(before, np.uint8)):
        np.minimum(distances, np.linalg.norm(lab - color, axis=1), out=distances)
    chosen: list[Color] = []
    while distances[farthest := int(distances.argmax())] > 0:
        red, green, blue = grid[farthest].tolist()
        chosen.append((red, green, blue))
        np.minimum(distances, np.linalg.norm(lab - lab[farthest], axis=1), out=distances)
    return tuple(chosen)


def _lab(colors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 3): sRGB colors in CIELAB."""
    import cv2

    pixels = colors.reshape(1, -1, 3).astype(np.float32) / np.float32(255)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)[0], np.float32)


def hex_code(color: Color) -> str:
    """``#cc0000``."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def class_of(color: Color) -> PaintClass:
    """A class for a color without a name: the default one if there is one, else ``#rrggbb``."""
    defaults = {entry.color: entry for entry in default_palette()}
    return defaults.get(color) or PaintClass(hex_code(color), color)


def read_palette(path: str | Path) -> Palette:
    """Read classes from a file.

    The colors of an image in reading order, or of one with more than 64, such as a photo or a
    JPEG, up to 32 dominant ones; of a text file, a class a line, ``name,#rrggbb``, without empty
    lines and those that begin with ``# ``.
    """
    file = Path(path)
    try:
        if image_kind(read_head(file)) is not None:
            return _image_palette(read_image(file))
        return _text_palette(decode_text(file.read_bytes()), str(file))
    except UnreadableImageError as error:
        raise UsageError(f"cannot read palette {file}: {error.message}") from None
    except UnicodeDecodeError:
        raise UsageError(f"palette {file} is neither an image nor a text file") from None
    except OSError as error:
        raise UsageError(f"cannot read palette {file}: {os_reason(error)}") from None


def palette_of_classes(path: str | Path) -> Palette:
    """Read classes from a list of another program; those without a color get the next free one."""
    file = Path(path)
    listed = read_class_list(file)
    try:
        named = [(class_name(entry.name), entry.color) for entry in listed]
        colors = {name: color for name, color in named if color is not None}
        taken = set(colors.values())
        classes = []
        for name, color in named:
            color = color or free_color(taken)
            taken.add(color)
            classes.append(PaintClass(name, color))
        return Palette(classes)
    except UsageError as error:
        raise UsageError(f"classes {file}: {error.message}") from None


def _text_palette(text: str, name: str) -> Palette:
    lines: dict[int, PaintClass] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() in ("", "#") or line.lstrip().startswith("# "):
            continue
        try:
            new = _parse_class(line)
            for other, known in lines.items():
                if new.name == known.name:
                    raise UsageError(f"name {new.name!r} is already used in line {other}")
                if new.color == known.color:
                    color = hex_code(new.color)
                    raise UsageError(f"colour {color} is already used in line {other}")
        except UsageError as error:
            raise UsageError(f"palette {name}, line {number}: {error.message}") from None
        lines[number] = new
    if not lines:
        raise UsageError(f"palette {name} has no classes: add lines like car,#cc0000")
    return Palette(lines.values())


def parse_class(text: str, color: Color) -> PaintClass:
    """A class as typed: ``car``, ``car,#cc0000`` or ``car,cc0000``; `color` where none is typed."""
    name, comma, code = (part.strip() for part in text.rpartition(","))
    match = _HEX_COLOR.fullmatch(f"#{code.removeprefix('#')}") if comma else None
    if match is None:
        return PaintClass(text.strip(), color)
    return _parse_class(f"{name},{match.group()}")


def class_line(entry: PaintClass) -> str:
    """``car,#cc0000``, as in the text files that `read_palette` reads."""
    return f"{entry.name},{hex_code(entry.color)}"


def _parse_class(line: str) -> PaintClass:
    name, comma, color = (part.strip() for part in line.rpartition(","))
    if not comma or not name:
        raise UsageError(f"{line.strip()!r}: expected name,#rrggbb, like car,#cc0000")
    match = _HEX_COLOR.fullmatch(color)
    if match is None:
        raise UsageError(f"colour {color!r}: expected #rrggbb, like #cc0000")
    red, green, blue = (int(part, 16) for part in match.groups())
    return PaintClass(name, (red, green, blue))


def _image_palette(image: Image) -> Palette:
    step = int(np.ceil((image.shape[0] * image.shape[1] / SAMPLE_PIXELS) ** 0.5))
    sample = image[::step, ::step]
    codes = _unique_in_order(_codes(sample))
    if len(codes) <= MAX_FLAT_COLORS:
        codes = _unique_in_order(_codes(image))
    if len(codes) > MAX_FLAT_COLORS:
        codes = _dominant(sample)
    colors = [(int(code) >> 16, int(code) >> 8 & 255, int(code) & 255) for code in codes]
    defaults = {entry.color: entry for entry in default_palette()}
    return Palette(
        defaults.get(color) or PaintClass(f"color {number}", color)
        for number, color in enumerate(colors, start=1)
    )


def _codes(image: Image) -> NDArray[np.int32]:
    """(h * w,): colors as single numbers."""
    red, green, blue = (image[..., channel].ravel().astype(np.int32) for channel in range(3))
    return (red << 16) | (green << 8) | blue


def _unique_in_order(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Unique values, in order of first occurrence."""
    unique, first = np.unique(values, return_index=True)
    return unique[np.argsort(first)]


def _dominant(image: Image) -> NDArray[np.int32]:
    """The most frequent color of each large cluster of colors, in reading order."""
    import cv2

    from icas.segmentimg.segmenters.kmeans import kmeans_colors

    codes = _codes(image)
    pixels = image.reshape(1, -1, 3)
    _, counts = np.unique(codes, return_counts=True)
    # few colors cover half of the pixels: a palette saved as JPEG, which mixes colors at borders
    if np.sort(counts)[-MAX_FLAT_COLORS:].sum() >= len(codes) / 2:
        square = np.ones((5, 5), np.uint8)
        spread = np.asarray(cv2.dilate(image, square) - cv2.erode(image, square))
        flat = (spread <= JPEG_NOISE).all(axis=2).ravel()
        if flat.any():
            codes, pixels = codes[flat], pixels[:, flat]
    clusters = kmeans_colors(np.ascontiguousarray(pixels), MAX_DOMINANT_COLORS)
    labels = clusters.labels.ravel()
    kept: list[int] = []
    for number, centre in enumerate(clusters.centres):
        distances = np.linalg.norm(clusters.centres[kept] - centre, axis=1)
        large = np.count_nonzero(labels == number) >= MIN_SHARE * labels.size
        if not kept or (large and (distances >= MIN_DISTANCE).all()):
            kept.append(number)
    dominant = []
    for number in sorted(kept, key=lambda number: int(np.argmax(labels == number))):
        unique, counts = np.unique(codes[labels == number], return_counts=True)
        dominant.append(unique[np.argmax(counts)])
    return np.array(dominant, np.int32)

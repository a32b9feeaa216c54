"""Classes to paint with, each a name and a colour: ours, or from a picture or a text file."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UnreadableImageError, UsageError
from icas.io.formats import os_reason, picture_kind, read_head
from icas.io.reading import Image, read_image
from icas.segmentimg.document.layers import Color

MOST_FLAT = 64
"""Colours up to which a picture is a palette as it stands; one of more is brought down."""
MOST_DOMINANT = 32
LEAST_SHARE = 0.002
"""Part of a picture below which a colour is no dominant one, but a border or noise."""
LEAST_APART = 32.0
"""Distance, in gray levels, below which two dominant colours are one."""
NOISE = 16
"""Gray levels by which JPEG may change a flat colour."""
LOOKED_AT = 1 << 20
"""Pixels of a photo that are looked at for its dominant colours."""
_COLOR = re.compile(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", re.IGNORECASE)

# A grid of sRGB in steps of 51; after red, black and white always the colour whose distance in
# CIELAB to the nearest one already there is greatest. No two are nearer than 35. Black and white
# come last: they are hard to see on many a picture.
_OURS = (
    ("red", (204, 0, 0)),
    ("blue", (0, 0, 255)),
    ("green", (0, 255, 0)),
    ("plum", (204, 0, 153)),
    ("yellow", (255, 204, 0)),
    ("dark green", (0, 102, 0)),
    ("sky blue", (0, 153, 255)),
    ("turquoise", (0, 255, 204)),
    ("navy", (0, 0, 102)),
    ("brown", (153, 102, 51)),
    ("violet", (153, 102, 255)),
    ("teal", (51, 153, 153)),
    ("maroon", (102, 0, 51)),
    ("lime", (204, 255, 102)),
    ("pink", (255, 153, 204)),
    ("magenta", (255, 0, 255)),
    ("raspberry", (255, 0, 102)),
    ("petrol", (0, 51, 102)),
    ("peach", (255, 204, 153)),
    ("olive", (153, 153, 0)),
    ("light blue", (153, 204, 255)),
    ("dark olive", (51, 51, 0)),
    ("black", (0, 0, 0)),
    ("white", (255, 255, 255)),
)


@dataclass(frozen=True)
class PaintClass:
    """What a pixel can be painted as.

    Attributes
    ----------
    name : str
        Not empty, on one line.
    color : (red, green, blue)
        0-255 each.

    Raises
    ------
    UsageError
        The name or the colour is none.
    """

    name: str
    color: Color

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable():
            raise UsageError(f"class name {self.name!r}: needs letters, on one line")
        parts = [operator.index(part) for part in self.color]
        if len(parts) != 3 or not all(0 <= part <= 255 for part in parts):
            raise UsageError(
                f"colour {tuple(parts)} of class {self.name!r}: red, green and blue, each"
                " between 0 and 255, are needed"
            )
        object.__setattr__(self, "color", tuple(parts))

    @property
    def hex(self) -> str:
        """``#cc0000``."""
        return "#{:02x}{:02x}{:02x}".format(*self.color)


class Palette(tuple[PaintClass, ...]):
    """Classes in their order, all names and all colours different; number n is ``[n - 1]``.

    Raises
    ------
    UsageError
        Two classes share a name or a colour.
    """

    __slots__ = ()

    def __new__(cls, classes: Iterable[PaintClass] = ()) -> Palette:
        """Check the classes against each other."""
        made = super().__new__(cls, classes)
        names: set[str] = set()
        colors: dict[Color, str] = {}
        for one in made:
            if one.name in names:
                raise UsageError(f"two classes are called {one.name!r}: each needs its own name")
            if one.color in colors:
                raise UsageError(
                    f"classes {colors[one.color]!r} and {one.name!r} share the colour {one.hex}:"
                    " each needs its own"
                )
            names.add(one.name)
            colors[one.color] = one.name
        return made

    def joined(self, others: Iterable[PaintClass]) -> Palette:
        """These classes, then those of `others` whose colour is new.

        One whose name is taken gets ``(2)`` behind it.
        """
        classes = list(self)
        names, colors = {one.name for one in self}, {one.color for one in self}
        for other in others:
            if other.color not in colors:
                name = _free_name(other.name, names)
                classes.append(PaintClass(name, other.color))
                names.add(name)
                colors.add(other.color)
        return Palette(classes)

    def numbers(self) -> dict[Color, int]:
        """Number of the class of each colour."""
        return {one.color: number for number, one in enumerate(self, start=1)}


def _free_name(name: str, taken: set[str]) -> str:
    count, free = 1, name
    while free in taken:
        count += 1
        free = f"{name} ({count})"
    return free


@dataclass(frozen=True)
class Painting:
    """What is painted on a picture.

    Attributes
    ----------
    class_map : (h, w) int16 ndarray
        0 = not painted, n = ``classes[n - 1]``. Any integers are taken.
    classes : Palette
        All classes there are, painted or not. Any sequence of classes is taken.

    Raises
    ------
    UsageError
        The map has another shape, no pixels, or numbers of no class; or two classes share a name
        or a colour.
    """

    class_map: NDArray[np.int16]
    classes: tuple[PaintClass, ...]

    def __post_init__(self) -> None:
        given = np.asarray(self.class_map)
        if given.ndim != 2 or given.size == 0 or not np.issubdtype(given.dtype, np.integer):
            raise UsageError(
                f"class map is {given.dtype} of shape {given.shape}; needed: (h, w) int"
            )
        classes = Palette(self.classes)
        least, most = int(given.min()), int(given.max())
        if least < 0 or most > min(len(classes), np.iinfo(np.int16).max):
            raise UsageError(
                f"class map holds {least}…{most}, but there are {len(classes)} classes"
            )
        object.__setattr__(self, "class_map", given.astype(np.int16, copy=False))
        object.__setattr__(self, "classes", classes)

    def painted(self) -> dict[int, int]:
        """Pixels of each class that has any, by number."""
        counts = np.bincount(self.class_map.ravel(), minlength=1)
        return {int(number): int(counts[number]) for number in np.flatnonzero(counts) if number}


def default_palette() -> Palette:
    """24 colours that are easy to tell apart; the first is red, (204, 0, 0)."""
    return Palette(PaintClass(name, color) for name, color in _OURS)


def class_of(color: Color) -> PaintClass:
    """A class of a colour that nobody named: ours where we have it, else ``#rrggbb``."""
    name = next((name for name, ours in _OURS if ours == color), "")
    return PaintClass(name or "#{:02x}{:02x}{:02x}".format(*color), color)


def read_palette(path: str | Path) -> Palette:
    """The classes that a file gives.

    A picture gives its colours, in the order in which one reads; one of more than 64, such as a
    photo or a JPEG, gives at most 32 that dominate in it. A text gives a class a line,
    ``name,#rrggbb``; empty lines and those that begin with ``# `` are passed over.

    Raises
    ------
    UsageError
        The file cannot be read, or a line is wrong; the message names both.
    """
    file = Path(path)
    try:
        if picture_kind(read_head(file)) is not None:
            return _picture_palette(read_image(file))
        return _text_palette(file.read_bytes().decode("utf-8-sig"), str(file))
    except UnreadableImageError as error:
        raise UsageError(f"palette {file} cannot be read: {error}") from None
    except UnicodeDecodeError:
        raise UsageError(
            f"palette {file} is neither a picture nor text in UTF-8: give one of the two"
        ) from None
    except OSError as error:
        raise UsageError(f"palette {file} cannot be read: {os_reason(error)}") from None


def _text_palette(text: str, name: str) -> Palette:
    lines: dict[int, PaintClass] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() in ("", "#") or line.lstrip().startswith("# "):
            continue
        try:
            new = _line_class(line)
            for other, there in lines.items():
                if new.name == there.name:
                    raise UsageError(f"the name {new.name!r} stands in line {other} already")
                if new.color == there.color:
                    raise UsageError(f"the colour {new.hex} stands in line {other} already")
        except UsageError as error:
            raise UsageError(f"palette {name}, line {number}: {error}") from None
        lines[number] = new
    if not lines:
        raise UsageError(f"palette {name} holds no class: lines like car,#cc0000 are needed")
    return Palette(lines.values())


def _line_class(line: str) -> PaintClass:
    name, comma, color = (part.strip() for part in line.rpartition(","))
    if not comma or not name:
        raise UsageError(f"{line.strip()!r} is not like car,#cc0000")
    found = _COLOR.fullmatch(color)
    if found is None:
        raise UsageError(f"colour {color!r} is not like #cc0000")
    red, green, blue = (int(part, 16) for part in found.groups())
    return PaintClass(name, (red, green, blue))


def _picture_palette(image: Image) -> Palette:
    step = int(np.ceil((image.shape[0] * image.shape[1] / LOOKED_AT) ** 0.5))
    few = image[::step, ::step]
    codes = _in_order(_coded(few))
    if len(codes) <= MOST_FLAT:
        codes = _in_order(_coded(image))
    if len(codes) > MOST_FLAT:
        codes = _dominant(few)
    colors = [(int(code) >> 16, int(code) >> 8 & 255, int(code) & 255) for code in codes]
    ours = {color: name for name, color in _OURS}
    return Palette(
        PaintClass(ours.get(color, f"color {number}"), color)
        for number, color in enumerate(colors, start=1)
    )


def _coded(image: Image) -> NDArray[np.int32]:
    red, green, blue = (image[..., channel].ravel().astype(np.int32) for channel in range(3))
    return (red << 16) | (green << 8) | blue


def _in_order(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """The different values, in the order of their first place."""
    found, first = np.unique(values, return_index=True)
    return found[np.argsort(first)]


def _dominant(image: Image) -> NDArray[np.int32]:
    """The colour that is most frequent in each large cluster of colours, in reading order."""
    from icas.segmentimg.segmenters.kmeans import kmeans_colors

    codes = _coded(image)
    pixels = image.reshape(1, -1, 3)
    if _is_flat(codes) and (inner := _away_from_borders(image)).any():
        codes, pixels = codes[inner], pixels[:, inner]
    clusters = kmeans_colors(np.ascontiguousarray(pixels), MOST_DOMINANT)
    labels = clusters.labels.ravel()
    kept: list[int] = []
    for number, centre in enumerate(clusters.centres):
        apart = np.linalg.norm(clusters.centres[kept] - centre, axis=1)
        large = np.count_nonzero(labels == number) >= LEAST_SHARE * labels.size
        if not kept or (large and (apart >= LEAST_APART).all()):
            kept.append(number)
    kept.sort(key=lambda number: int(np.argmax(labels == number)))
    return np.array([_most_frequent(codes[labels == number]) for number in kept], np.int32)


def _is_flat(codes: NDArray[np.int32]) -> bool:
    """Whether few colours hold half of the pixels: a palette saved as JPEG, not a photo."""
    _, counts = np.unique(codes, return_counts=True)
    return int(np.sort(counts)[-MOST_FLAT:].sum()) >= len(codes) / 2


def _away_from_borders(image: Image) -> NDArray[np.bool_]:
    """(h * w,) bool: the colours around a pixel are near its own; at borders JPEG mixes them."""
    import cv2

    square = np.ones((5, 5), np.uint8)
    reach = cv2.dilate(image, square) - cv2.erode(image, square)
    return np.asarray((reach <= NOISE).all(axis=2).ravel())


def _most_frequent(values: NDArray[np.int32]) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)])

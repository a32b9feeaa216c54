"""Commands on one image: their arguments are checked, and the document is changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.notebook.html import counted
from icas.segmentimg.document.document import PaintDocument, Pixel
from icas.segmentimg.document.objects import classes_in, code_of
from icas.segmentimg.document.palette import MAX_OBJECTS, Color
from icas.segmentimg.formats.shapes import shape_of
from icas.segmentimg.labels.labels import Box, bounding_box, rows_of, swept, union
from icas.segmentimg.session.open import OpenImage

Args = Mapping[str, Any]
FAR = 1 << 20
"""Coordinates are less than this away from the image's corner."""
MAX_RADIUS = 4_096
MAX_POINTS = 100_000
"""Points of a stroke or polygon."""
NEW = "new"
"""Object number for the next one of a class."""


@dataclass
class Target:
    """The image that a command changes."""

    opened: OpenImage
    number: int
    locked: Collection[int] = ()
    """Numbers of classes whose pixels must not change."""

    @property
    def document(self) -> PaintDocument:
        """Its document."""
        return self.opened.document

    def color(self, args: Args) -> Color | None:
        """The color of the class in ``class``; None for null, which clears."""
        if args.get("class") is None:
            return None
        number = whole(args, "class", 1, len(self.document.colors))
        if number in self.locked:
            raise UsageError(f"class {self.name(number)} is locked: unlock it first")
        return self.document.colors[number - 1]

    def chosen_color(self, args: Args) -> Color:
        """The color of a class, which has to be given."""
        color = self.color(args)
        if color is None:
            raise UsageError("class: expected the number of a class")
        return color

    def name(self, number: int) -> str:
        """Name of a class."""
        return self.opened.name_of(self.document.colors[number - 1])

    def instance(self, args: Args, color: Color | None) -> int | None:
        """The object number in ``number``; None: the current object."""
        if args.get("number") == NEW and color is not None:
            return self.document.new_object(color)
        if args.get("number") is None:
            return None
        return whole(args, "number", 1, MAX_OBJECTS)

    def check_free(self, segments: NDArray[np.int32]) -> None:
        """Raise UsageError where the paint of a segment is locked."""
        if not self.locked:
            return
        known = segments[segments < len(self.document.codes)]
        found = {int(number) for number in np.unique(classes_in(self.document.codes[known]))}
        if self.document.by_hand and len(segments):
            box = union([self.document.box_of(int(segment)) for segment in segments])
            inside = np.isin(self.document.labels[rows_of(box)], segments)
            found |= {int(one) for one in np.unique(self.document.classes_of(rows_of(box))[inside])}
        held = sorted(found & set(self.locked))
        if held:
            raise UsageError(f"class {self.name(held[0])} is locked: unlock it first")

    def stamp(
        self, mask: NDArray[np.bool_], color: Color | None, instance: int | None, at: Pixel
    ) -> Box | None:
        """Paint a mask, without the pixels of locked classes."""
        if self.locked:
            box = (at[0], at[0] + mask.shape[0], at[1], at[1] + mask.shape[1])
            mask = mask & ~np.isin(self.document.classes_of(rows_of(box)), list(self.locked))
        return self.document.stamp(mask, color, instance, at)

    def painted(self, color: Color | None, what: str) -> str:
        """``brush horse``, ``brush: clear``."""
        return f"clear by {what}" if color is None else f"{what} {self.opened.name_of(color)}"


def whole(args: Args, name: str, least: int = -FAR, most: int = FAR) -> int:
    """The whole number of an argument."""
    return number_of(args.get(name), name, least, most)


def number_of(value: Any, name: str, least: int = -FAR, most: int = FAR) -> int:
    """A value as a whole number."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"{name}: expected a whole number from {least} to {most}")
    return value


def pixel(value: Any, name: str) -> Pixel:
    """A value as (row, column)."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise UsageError(f"{name}: expected [row, column]")
    return number_of(value[0], name), number_of(value[1], name)


def pixels(args: Args, name: str, least: int) -> list[Pixel]:
    """A list of (row, column)."""
    value = args.get(name)
    if not isinstance(value, list) or not least <= len(value) <= MAX_POINTS:
        raise UsageError(f"{name}: expected {least} to {MAX_POINTS} points [row, column]")
    return [pixel(one, name) for one in value]


def segments_of(target: Target, args: Args) -> NDArray[np.int32]:
    """The segments in an argument."""
    value, count = args.get("segments"), len(target.document.codes) - 1
    if not isinstance(value, list) or not 0 < len(value) <= count:
        raise UsageError(f"segments: expected 1 to {count} numbers of segments")
    return np.array([number_of(one, "segments", 1, count) for one in value], np.int32)


def box_of(value: Any, shape: Sequence[int]) -> Box:
    """A value as first row, first column, last row + 1, last column + 1, inside an image."""
    if not isinstance(value, (list, tuple)) or len(value) != 4:
        raise UsageError("box: expected [row, column, row, column]")
    top, left, bottom, right = (number_of(one, "box") for one in value)
    box = (max(0, top), min(shape[0], bottom), max(0, left), min(shape[1], right))
    if box[0] >= box[1] or box[2] >= box[3]:
        raise UsageError("box: no pixels of the image")
    return box


Done = tuple[str, Box | None]
"""Text for people, and the box of the pixels that look different."""


def _fill(target: Target, args: Args) -> Done:
    color = target.chosen_color(args)
    segment = target.document.segment_at(whole(args, "row"), whole(args, "col"))
    target.check_free(np.array([segment], np.int32))
    instance = target.instance(args, color)
    box = target.document.fill_segments([segment], color, instance)
    return target.painted(color, "fill"), box


def _fill_segments(target: Target, args: Args) -> Done:
    color, segments = target.chosen_color(args), segments_of(target, args)
    target.check_free(segments)
    box = target.document.fill_segments(segments, color, target.instance(args, color))
    count = counted(len(segments), "segment")
    return f"fill {count} {target.opened.name_of(color)}", box


def _unfill(target: Target, args: Args) -> Done:
    segment = target.document.segment_at(whole(args, "row"), whole(args, "col"))
    target.check_free(np.array([segment], np.int32))
    return "clear segment", target.document.fill_segments([segment], None)


def _unfill_segments(target: Target, args: Args) -> Done:
    segments = segments_of(target, args)
    target.check_free(segments)
    box = target.document.fill_segments(segments, None)
    return f"clear {counted(len(segments), 'segment')}", box


def _cut(target: Target, args: Args) -> Done:
    start, end = pixel(args.get("from"), "from"), pixel(args.get("to"), "to")
    if target.locked:
        raise UsageError("a class is locked: unlock all classes to draw an edge")
    return "draw edge", target.document.cut(start, end)


def _brush(target: Target, args: Args) -> Done:
    color, points = target.color(args), pixels(args, "points", 1)
    radius = whole(args, "radius", 0, MAX_RADIUS)
    instance, document = target.instance(args, color), target.document
    boxes = []
    with document.stroke():
        for start, (row, col) in zip([points[0], *points], points, strict=False):
            if target.locked:
                box = _swept_free(target, start, (row, col), radius, color, instance)
            else:
                box = document.brush(row, col, radius, color, start, instance)
            if box is not None:
                boxes.append(box)
    return target.painted(color, "brush"), union(boxes) if boxes else None


def _swept_free(
    target: Target,
    start: Pixel,
    end: Pixel,
    radius: int,
    color: Color | None,
    instance: int | None,
) -> Box | None:
    """As `PaintDocument.brush`, without the pixels of locked classes."""
    height, width = target.document.labels.shape
    box = (
        max(0, min(start[0], end[0]) - radius),
        min(height, max(start[0], end[0]) + radius + 1),
        max(0, min(start[1], end[1]) - radius),
        min(width, max(start[1], end[1]) + radius + 1),
    )
    if box[0] >= box[1] or box[2] >= box[3]:
        return None
    return target.stamp(swept(box, start, end, radius), color, instance, (box[0], box[2]))


def _eraser(target: Target, args: Args) -> Done:
    return _brush(target, {**args, "class": None})


def _polygon(target: Target, args: Args) -> Done:
    color, points = target.color(args), pixels(args, "points", 3)
    corners = {"points": [(col, row) for row, col in points]}
    mask = shape_of("polygon", corners, target.document.labels.shape).mask
    box = target.stamp(mask, color, target.instance(args, color), (0, 0))
    return target.painted(color, "polygon"), box


def _rectangle(target: Target, args: Args) -> Done:
    color = target.color(args)
    top, bottom, left, right = box_of(args.get("box"), target.document.labels.shape)
    mask = np.ones((bottom - top, right - left), bool)
    box = target.stamp(mask, color, target.instance(args, color), (top, left))
    return target.painted(color, "rectangle"), box


def _new_object(target: Target, args: Args) -> Done:
    color = target.chosen_color(args)
    number = target.document.new_object(color)
    return f"new object: {target.opened.name_of(color)} {number}", None


def _pick_object(target: Target, args: Args) -> Done:
    picked = target.document.pick_object(whole(args, "row"), whole(args, "col"))
    if picked is None:
        raise UsageError("nothing is painted there")
    return f"continue {target.opened.name_of(picked[0])} {picked[1]}", None


def _object_mask(target: Target, args: Args) -> tuple[str, NDArray[np.bool_], Pixel]:
    """Name, mask and first pixel of the object ``{class, number}``."""
    target.chosen_color(args)
    number = whole(args, "class", 1, len(target.document.colors))
    instance = whole(args, "number", 1, MAX_OBJECTS)
    codes = target.document.codes_of(np.s_[:, :])
    top, bottom, left, right = bounding_box(mask := codes == code_of(number, instance))
    if top == bottom:
        raise UsageError(f"no object {instance} of class {target.name(number)}")
    return f"{target.name(number)} {instance}", mask[top:bottom, left:right], (top, left)


def _object_delete(target: Target, args: Args) -> Done:
    name, mask, at = _object_mask(target, args)
    return f"delete {name}", target.document.stamp(mask, None, None, at)


def _object_class(target: Target, args: Args) -> Done:
    name, mask, at = _object_mask(target, args)
    color = target.chosen_color({"class": args.get("to")})
    instance = target.document.new_object(color)
    box = target.document.stamp(mask, color, instance, at)
    return f"{name}: now {target.opened.name_of(color)} {instance}", box


def _reset(target: Target, _: Args) -> Done:
    if target.locked:
        raise UsageError("a class is locked: unlock all classes to clear the image")
    return "clear all", target.document.reset()


COMMANDS: Mapping[str, Callable[[Target, Args], Done]] = {
    "fill": _fill,
    "fill_segments": _fill_segments,
    "unfill": _unfill,
    "unfill_segments": _unfill_segments,
    "cut": _cut,
    "brush": _brush,
    "eraser": _eraser,
    "polygon": _polygon,
    "rectangle": _rectangle,
    "new_object": _new_object,
    "pick_object": _pick_object,
    "object_delete": _object_delete,
    "object_class": _object_class,
    "reset": _reset,
}

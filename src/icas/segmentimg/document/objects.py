"""Objects of the classes: one code for class and object number, and the objects of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.segmentimg.document.palette import MAX_OBJECTS, Color, Painting
from icas.segmentimg.labels.labels import Box, rows_of

OBJECT_STEP = 1 << 16
"""Difference between the codes of consecutive objects of a class."""
_MAX_TABLE = 1 << 24
"""Codes up to this are counted in a table; larger ones are sorted."""


@dataclass(frozen=True, eq=False)
class PaintObject:
    """One object of a class.

    Attributes
    ----------
    class_number, number : int
        Number of its class, and of the object within the class; both from 1.
    color : (int, int, int)
        Color of its class, RGB.
    area : int
        In pixels.
    box : (int, int, int, int)
        First row, last row + 1, first column, last column + 1.
    mask : (h, w) bool ndarray
        Its pixels, of the size of the box.
    """

    class_number: int
    number: int
    color: Color
    area: int
    box: Box
    mask: NDArray[np.bool_]

    def full_mask(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """The pixels in an image of `shape` (h, w)."""
        whole = np.zeros(shape, bool)
        whole[rows_of(self.box)] = self.mask
        return whole


def code_of(class_number: int, number: int) -> int:
    """Code of an object; UsageError for a number that no object can have."""
    if not 1 <= number <= MAX_OBJECTS:
        raise UsageError(f"object number {number}: must be 1 to {MAX_OBJECTS:,}")
    return class_number + (number - 1) * OBJECT_STEP


def classes_in(codes: NDArray[Any]) -> NDArray[np.int16]:
    """Class of each code; -1 stays -1."""
    return codes.astype(np.int16, copy=False)


def numbers_in(codes: NDArray[Any]) -> NDArray[np.uint16]:
    """Object number of each code, 0 for codes of no object."""
    return np.asarray(((codes >> 16) + 1) * (codes > 0), np.uint16)


def joined_codes(
    classes: NDArray[np.integer[Any]], numbers: NDArray[np.integer[Any]] | None
) -> NDArray[np.signedinteger[Any]]:
    """Codes of classes and object numbers, a copy; int16 where all objects have the number 1."""
    if numbers is None:
        return classes.astype(np.int16)
    painted = classes > 0
    many = painted & (numbers != 1)
    if not many.any():
        return classes.astype(np.int16)
    lowest, highest = int(numbers[many].min()), int(numbers[many].max())
    if lowest < 1 or highest > MAX_OBJECTS:
        raise UsageError(
            f"object numbers of painted pixels must be 1 to {MAX_OBJECTS:,}, got {lowest} to"
            f" {highest}"
        )
    steps = np.where(painted, numbers.astype(np.int32) - 1, 0) * OBJECT_STEP
    return np.asarray(classes.astype(np.int32) + steps, np.int32)


def codes_in(codes: NDArray[np.signedinteger[Any]]) -> NDArray[np.int32]:
    """Codes of the objects in a map, ascending."""
    highest = int(codes.max(initial=0))
    if codes.dtype == np.int16 or highest < _MAX_TABLE:
        counts = np.bincount(codes.ravel().astype(np.int32) + 1, minlength=2)
        return np.asarray(np.flatnonzero(counts[2:]) + 1, np.int32)
    found = np.unique(codes)
    return np.asarray(found[found > 0], np.int32)


def objects_in(painting: Painting) -> list[PaintObject]:
    """Objects of a painting, by class, then by number."""
    codes = joined_codes(painting.class_map, painting.instance_map)
    return objects_of(codes, [entry.color for entry in painting.classes])


def objects_of(codes: NDArray[np.signedinteger[Any]], colors: Sequence[Color]) -> list[PaintObject]:
    """Objects in a map of codes, by class, then by number."""
    from scipy.ndimage import find_objects

    found = codes_in(codes)
    if len(found) == 0:
        return []
    dense = np.searchsorted(found, codes).astype(np.int32) + 1
    dense[codes <= 0] = 0
    areas = np.bincount(dense.ravel(), minlength=len(found) + 1)
    objects = []
    for index, (code, place) in enumerate(zip(found, find_objects(dense), strict=True), start=1):
        number = int(classes_in(code))
        rows, columns = place
        objects.append(
            PaintObject(
                number,
                int(numbers_in(code)),
                colors[number - 1],
                int(areas[index]),
                (rows.start, rows.stop, columns.start, columns.stop),
                np.asarray(dense[place] == index),
            )
        )
    return sorted(objects, key=lambda one: (one.class_number, one.number))

"""The neutral record of an annotated image: its objects, each with a class and a mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.labels.labels import Box, bounding_box, rows_of

Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class InstanceObject:
    """An object in an image.

    Attributes
    ----------
    name : str
        Class name.
    number : int
        Number of the object in its class, from 1.
    box : (int, int, int, int)
        First row, end row, first column, end column of `crop` in the image.
    crop : 2-D bool ndarray
        The mask within the box.
    crowd : bool
        Several objects that are not separated.
    extras : mapping
        Other entries of the annotation: score, group_id, flags, description.
    """

    name: str
    number: int
    box: Box
    crop: NDArray[np.bool_]
    crowd: bool = False
    extras: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_mask(
        cls,
        name: str,
        number: int,
        mask: NDArray[np.bool_],
        crowd: bool = False,
        extras: Mapping[str, Any] | None = None,
    ) -> InstanceObject:
        """The object with a mask (h, w) of the whole image."""
        box = bounding_box(mask)
        return cls(name, number, box, mask[rows_of(box)].copy(), crowd, dict(extras or {}))

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.crop))

    @property
    def bbox(self) -> list[int]:
        """Left, top, width and height, as in COCO."""
        top, bottom, left, right = self.box
        return [left, top, right - left, bottom - top]

    def mask(self, size: Size) -> NDArray[np.bool_]:
        """(h, w) bool: the mask in the whole image."""
        whole = np.zeros(size, bool)
        whole[rows_of(self.box)] = self.crop
        return whole


@dataclass(frozen=True)
class InstanceImage:
    """An image of a data set and its objects; `name` is its file name there."""

    name: str
    size: Size
    objects: tuple[InstanceObject, ...]


def numbered_objects(objects: Iterable[InstanceObject]) -> list[InstanceObject]:
    """The same objects, numbered from 1 in each class, in their order."""
    counts: dict[str, int] = {}
    numbered = []
    for one in objects:
        counts[one.name] = counts.get(one.name, 0) + 1
        entries = one.name, counts[one.name], one.box, one.crop, one.crowd, one.extras
        numbered.append(InstanceObject(*entries))
    return numbered


def regions_of(numbers: NDArray[np.integer[Any]]) -> Iterator[tuple[int, Box, NDArray[np.bool_]]]:
    """Each number above 0 in a map (h, w): the number, its box, and its mask in the box."""
    from scipy.ndimage import find_objects

    found, dense = np.unique(numbers, return_inverse=True)
    dense = dense.reshape(numbers.shape).astype(np.int32) + 1
    for place, (rows, columns) in enumerate(find_objects(dense)):
        if found[place] > 0:
            box = rows.start, rows.stop, columns.start, columns.stop
            yield int(found[place]), box, dense[rows, columns] == place + 1


def instance_map(objects: Iterable[InstanceObject], size: Size) -> NDArray[np.int32]:
    """(h, w): 0 = no object, n = the n-th one; where objects overlap, the later wins.

    Crowds are below all others.
    """
    owner = np.zeros(size, np.int32)
    places = sorted(enumerate(objects, start=1), key=lambda item: not item[1].crowd)
    for place, one in places:
        owner[rows_of(one.box)][one.crop] = place
    return owner

"""Features of single images as bytes, and back: what a row of the cache holds."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.recipe import Recipe

KINDS = "biuf"
"""Numbers of these kinds are kept: truth values, integers, floats; objects never."""
SUM_BYTES = 16


@dataclass(frozen=True)
class Row:
    """Features of one image.

    Attributes
    ----------
    layout : str
        ``name:dtype:shape`` of each array, without the axis of the images, by semicolons.
    data : bytes
        The image's part of each array, one behind the other.
    """

    layout: str
    data: bytes

    def sum(self, *about: bytes | int) -> bytes:
        """Checksum of the row and of what it is `about`."""
        written = b"".join(
            b"%d:%b" % (len(part), part) if isinstance(part, bytes) else b"%d;" % part
            for part in (*about, str(self.layout).encode("utf-8", "replace"))
        )
        state = hashlib.blake2b(written, digest_size=SUM_BYTES)
        state.update(self.data)
        return state.digest()


def rows_of(features: FeatureSet) -> list[Row]:
    """Every image's features as a row; none where an array holds something else than numbers."""
    arrays = {name: np.ascontiguousarray(array) for name, array in features.arrays.items()}
    if any(array.dtype.kind not in KINDS for array in arrays.values()):
        return []
    layout = ";".join(f"{name}:{_kind_of(array)}" for name, array in arrays.items())
    flat = [_as_bytes(array) for array in arrays.values()]
    return [Row(layout, row.tobytes()) for row in np.concatenate(flat, axis=1)]


def _kind_of(array: NDArray[np.generic]) -> str:
    return f"{array.dtype.str}:{'x'.join(map(str, array.shape[1:]))}"


def _as_bytes(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    """(n, bytes) uint8 of an array whose first axis has length n."""
    width = array.itemsize * math.prod(array.shape[1:])
    return np.frombuffer(array.tobytes(), np.uint8).reshape(len(array), width)


def features_from(recipe: Recipe, rows: Sequence[Row], files: Sequence[str]) -> FeatureSet:
    """The features of `files`, of which `rows` holds one each, all of one layout.

    Raises
    ------
    ValueError
        A row is not what its layout says.
    """
    parts = [_part(text) for text in rows[0].layout.split(";")]
    width = sum(kind.itemsize * math.prod(shape) for _, kind, shape in parts)
    flat = np.frombuffer(b"".join(row.data for row in rows), np.uint8).reshape(len(rows), width)
    arrays, start = {}, 0
    for name, kind, shape in parts:
        end = start + kind.itemsize * math.prod(shape)
        mine = np.ascontiguousarray(flat[:, start:end]).reshape(-1).view(kind)
        arrays[name] = mine.reshape(len(rows), *shape)
        start = end
    return FeatureSet(recipe.method, arrays, recipe.settings, tuple(files))


def _part(text: str) -> tuple[str, np.dtype[np.generic], tuple[int, ...]]:
    name, kind, shape = text.split(":")
    found = np.dtype(kind)
    if found.kind not in KINDS:
        raise ValueError(f"{kind} is no kind of number")
    return name, found, tuple(int(side) for side in shape.split("x") if side)

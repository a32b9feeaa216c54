"""What a method is: features of images, and similarities of features by the tile."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.features import FeatureSet
from icas.common.images import Image as Image


class Method(Protocol):
    """A method of similarity. Its dataclass fields are its options; it holds no other state.

    `tile` is how many images a side make a block of pairs that fits the memory a worker should
    take.
    """

    name: ClassVar[str]
    default_threshold: ClassVar[float]
    tile: ClassVar[int]

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Features of `images`, in their order."""
        ...

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        """Similarity of each of `a` with each of `b`, (len(a), len(b)) float32, at most 1."""
        ...


def digest(image: Image) -> int:
    """64-bit fingerprint of an image's shape and pixels."""
    state = hashlib.blake2b(repr(image.shape).encode(), digest_size=8)
    state.update(np.ascontiguousarray(image).data)
    return int.from_bytes(state.digest(), "little")


def settings_of(method: Method) -> dict[str, Any]:
    """The method's options by name."""
    return {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}  # type: ignore[arg-type]

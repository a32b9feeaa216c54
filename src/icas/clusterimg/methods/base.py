"""What methods ask of the features that they are given."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links
from icas.clusterimg.model_selection.grid import Grid
from icas.common.errors import UsageError
from icas.io.reading import Image as Image


class Method(Protocol):
    """A method of similarity. Its dataclass fields are its options; it holds no other state.

    `tile` is how many images a side make a block of pairs that fits the memory a worker should
    take.

    Features are kept between runs. For that a method may have more class attributes:
    `features_version`, a whole number to be raised when `extract` gives other features for the
    same images and settings than before (1 where there is none); `only_compared`, the names of
    settings that features do not depend on; `packages`, distributions whose versions they depend
    on beside those of Pillow and OpenCV.
    """

    @property
    def name(self) -> str:
        """What it is called; a class attribute does."""
        ...

    @property
    def tile(self) -> int:
        """Images a side of a block of similarities; a class attribute does."""
        ...

    @property
    def default_threshold(self) -> float:
        """The threshold that was measured to serve best; a class attribute does, too."""
        ...

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Features of `images`, in their order."""
        ...

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        """Similarity of each of `a` with each of `b`, (len(a), len(b)) float32, at most 1."""
        ...


@runtime_checkable
class Linking(Method, Protocol):
    """A method that finds links by itself, faster than by looking at every similarity.

    `links_tile` is how many images a side make a block of pairs of which it finds the links.
    """

    @property
    def links_tile(self) -> int:
        """Images a side of a block in which links are found; a class attribute does."""
        ...

    def links(self, a: FeatureSet, b: FeatureSet, threshold: float) -> Links:
        """Exactly the pairs whose `similarity` is at or above float32(`threshold`), with it.

        Images are numbered from 0 in `a` and from 0 in `b`; the links are sorted by a, then b.
        Where `a` is `b`, only pairs with a < b are given.
        """
        ...


@runtime_checkable
class WholeFolder(Method, Protocol):
    """A method that one process computes, image after image, and that looks at whole folders.

    Its images are read and brought to size by many workers, and the features go through `fit`.
    """

    def input_size(self) -> tuple[int, int]:
        """Width and height of the images that `embed` takes."""
        ...

    def embed(self, images: Iterable[Image]) -> FeatureSet:
        """Features of images of `input_size`, in their order."""
        ...

    def fit(self, features: FeatureSet) -> Callable[[FeatureSet], FeatureSet]:
        """What makes features of a folder ready to be compared, by those of (a part of) it."""
        ...


@runtime_checkable
class Elsewhere(Protocol):
    """A method whose similarities another device computes."""

    @property
    def method(self) -> Method:
        """The method itself."""
        ...

    @property
    def device(self) -> str:
        """Where its similarities are computed."""
        ...


@runtime_checkable
class GroupedByModels(Method, Protocol):
    """A method whose images can be grouped by models of scikit-learn."""

    seed: int

    def grid(self) -> Grid | None:
        """The models to try; None = links."""
        ...

    def by_links(self) -> GroupedByModels:
        """The same method, grouped by links."""
        ...


def digest(image: Image) -> int:
    """64-bit fingerprint of an image's shape and pixels."""
    state = hashlib.blake2b(repr(image.shape).encode(), digest_size=8)
    state.update(np.ascontiguousarray(image).data)
    return int.from_bytes(state.digest(), "little")


def settings_of(method: Method) -> dict[str, Any]:
    """The method's options by name; an object of one's own (a network) by the name of its type.

    So features can be sent to other processes whatever made them.
    """
    if isinstance(method, Elsewhere):
        method = method.method
    values = {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}  # type: ignore[arg-type]
    return {name: value if _is_plain(value) else named(value) for name, value in values.items()}


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, tuple, Path))


def named(value: Any) -> str:
    """What stands for an object of one's own where the object itself cannot."""
    return f"<{type(value).__name__}>"


def require_alike(a: FeatureSet, b: FeatureSet) -> None:
    """Make sure that features of `a` and `b` can be compared: every image's is of the same shape.

    Raises
    ------
    UsageError
        They were made with different options; the message names both shapes.
    """
    ours, theirs = a.array.shape[1:], b.array.shape[1:]
    if ours != theirs:
        raise UsageError(
            f"{a.method} features of shape {ours} cannot be compared with those of shape {theirs}: "
            "make both with the same options"
        )

"""The base class of methods: the interface that the rest of the package uses."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import Size
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links, links_in
from icas.clusterimg.model_selection.grid import Grid
from icas.common.errors import UsageError
from icas.io.reading import Image as Image

Describe = Callable[[FeatureSet], NDArray[np.float32]]
"""Features of n images -> (n, v) vectors that are near to each other where images are similar."""
DEVICE_TILE = 1 << 13
"""Images a side of a tile on a GPU: 256 MB of float32 similarities."""


@dataclass(frozen=True)
class Method(ABC):
    """A method of similarity: a frozen dataclass whose fields are its options, without other state.

    A method needs `name`, `extract` and `similarity`; everything else has a default.

    Attributes
    ----------
    default_threshold : float
        Threshold with the best measured quality.
    tile : int
        Images a side of a block of similarities that fits the memory of a worker.
    links_tile : int
        Images a side of a block in which `links` finds links.
    sample_size : int
        Images compared to choose a threshold automatically.
    devices : tuple of str
        Kinds of compute devices: cpu, cuda, mps.
    features_version : int
        To be raised when `extract` gives other features than before: cached ones are then computed
        again.
    only_compared : frozenset of str
        Options that features do not depend on.
    packages : tuple of str
        Distributions, besides Pillow and OpenCV, whose versions features depend on.
    reads_whole_folder : bool
        Images are resized to `input_size` by the workers, one process calls `embed`, and features
        pass through `fit`.
    sketched : bool
        `sketch` gives vectors for the candidate search.
    sketch_by_angle : bool
        Only the direction of these vectors counts.
    seed : int
        Random seed.
    """

    features_version: ClassVar[int] = 1
    only_compared: ClassVar[frozenset[str]] = frozenset()
    reads_whole_folder: ClassVar[bool] = False
    sketched: ClassVar[bool] = False
    sketch_by_angle: ClassVar[bool] = False
    devices: ClassVar[tuple[str, ...]] = ("cpu",)

    @property
    @abstractmethod
    def name(self) -> str:
        """Name in the registry; a class attribute will do, as for the other properties."""

    @property
    def default_threshold(self) -> float:
        return 0.5

    @property
    def tile(self) -> int:
        return 256

    @property
    def links_tile(self) -> int:
        return self.tile

    @property
    def sample_size(self) -> int:
        return 1500

    @property
    def seed(self) -> int:
        return 0

    @property
    def seconds_per_pair(self) -> float:
        """Approximate seconds that a core takes to compare two images; 0 = no matter."""
        return 0.0

    @property
    def parts(self) -> tuple[Method, ...]:
        """Methods whose features it combines, each read separately; see `combined`."""
        return ()

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages whose versions the features depend on, beside OpenCV and Pillow."""
        return ()

    @property
    def needs_training(self) -> bool:
        """Whether a network has to be trained on the folder first."""
        return False

    @property
    def extractor(self) -> Method:
        """The method that makes the features: itself, unless it wraps another one."""
        return self

    @abstractmethod
    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Features of `images`, in their order."""

    @abstractmethod
    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        """Similarity of each of `a` with each of `b`, (len(a), len(b)) float32, at most 1."""

    def similarity_of_pairs(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32] | None:
        """(n,) `similarity` of each of `a` with that of `b` at its place; None: not computed so."""
        return None

    def links(self, a: FeatureSet, b: FeatureSet, threshold: float) -> Links:
        """Exactly the pairs whose `similarity` is at or above float32(`threshold`), with it.

        Images are numbered from 0 in `a` and from 0 in `b`; the links are sorted by a, then b.
        Where `a` is `b`, only pairs with a < b are given.
        """
        return links_in(self.similarity(a, b), threshold, triangle=a is b)

    def spanning_links(self, a: FeatureSet, b: FeatureSet, threshold: float) -> Iterator[Links]:
        """Links whose maximum spanning forest is that of all links, some at a time; as `links`.

        A method may leave out links that cannot belong to the forest.
        """
        side = self.links_tile
        for top in range(0, len(a), side):
            rows = a[top : top + side]
            for left in range(top if a is b else 0, len(b), side):
                columns = rows if a is b and left == top else b[left : left + side]
                links = self.links(rows, columns, threshold)
                yield Links(links.a + top, links.b + left, links.similarity)

    def plain(self, features: FeatureSet) -> NDArray[np.bool_]:
        """(n,) images with so little content that similar ones are no evidence of a group."""
        return np.zeros(len(features), np.bool_)

    def decode_size(self, size: Size | None = None) -> Size | int | None:
        """Width and height, or the longer side, below which no image is decoded; None = full size.

        Parameters
        ----------
        size : (int, int), optional
            Size that images are resized to, where it is known already.
        """
        return None

    def sketch(self, sample: FeatureSet, seed: int) -> Describe | None:
        """Function that describes features by vectors, fitted to a `sample`; see `sketched`."""
        return None

    def similarity_on(self, a: FeatureSet, b: FeatureSet, device: str) -> NDArray[np.float32]:
        """`similarity` computed on a device of `devices`, bit for bit the same."""
        raise UsageError(f"method {self.name!r} runs on the CPU only")

    def input_size(self) -> Size:
        """Width and height of the images that `embed` takes."""
        raise UsageError(f"method {self.name!r} has no input size")

    def embed(self, images: Iterable[Image]) -> FeatureSet:
        """Features of images of `input_size`, in their order."""
        return self.extract(images)

    def fit(self, features: FeatureSet) -> Callable[[FeatureSet], FeatureSet]:
        """Transform of raw features before they are compared, fitted to those of a folder."""
        return unchanged

    def combined(self, features: Sequence[FeatureSet]) -> FeatureSet:
        """Raw features, given those of each of `parts`."""
        raise TypeError(f"method {self.name!r} has no parts")

    def split(self, features: FeatureSet) -> tuple[FeatureSet, ...]:
        """The features of each of `parts`."""
        return ()

    def fused(
        self, features: FeatureSet, values: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """`similarity` of `features` with themselves, given that of each of `parts`."""
        raise TypeError(f"method {self.name!r} has no parts")

    def with_installed_weights(self) -> Method:
        """The same with an installed network, if it needs one and none is given."""
        return self

    def model_grid(self) -> Grid | None:
        """scikit-learn models to try; None = group by links."""
        return None

    def by_links(self) -> Method:
        """The same method, grouped by links."""
        return self


def linking(method: Method) -> Method:
    """`method` in the variant with links, unless clustering models are requested."""
    try:
        return method.by_links()
    except UsageError:
        return method


def unchanged(features: FeatureSet) -> FeatureSet:
    """`features` as they are."""
    return features


@dataclass(frozen=True)
class OnDevice(Method):
    """A method whose similarities are computed on a GPU.

    device: device name of torch.
    """

    method: Method
    device: str

    @property
    def needs_training(self) -> bool:
        """Whether a network has to be trained on the folder first."""
        return False

    @property
    def extractor(self) -> Method:
        return self.method

    @property
    def name(self) -> str:
        return self.method.name

    @property
    def default_threshold(self) -> float:
        return self.method.default_threshold

    @property
    def tile(self) -> int:
        return self.method.tile

    @property
    def links_tile(self) -> int:
        return DEVICE_TILE

    @property
    def sample_size(self) -> int:
        return self.method.sample_size

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        return self.method.extract(images)

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        require_same_shape(a, b)
        return self.method.similarity_on(a, b, self.device)

    def plain(self, features: FeatureSet) -> NDArray[np.bool_]:
        return self.method.plain(features)

    def decode_size(self, size: Size | None = None) -> Size | int | None:
        return self.method.decode_size(size)

    def sketch(self, sample: FeatureSet, seed: int) -> Describe | None:
        return self.method.sketch(sample, seed)


def enlarged(size: Size, factor: int) -> Size:
    """`size` times `factor`."""
    return factor * size[0], factor * size[1]


def digest(image: Image) -> int:
    """64-bit fingerprint of an image's shape and pixels."""
    state = hashlib.blake2b(repr(image.shape).encode(), digest_size=8)
    state.update(np.ascontiguousarray(image).data)
    return int.from_bytes(state.digest(), "little")


def settings_of(method: Method) -> dict[str, Any]:
    """The method's options by name; a user's own object (a network) by the name of its type.

    So features can be sent to other processes whatever made them.
    """
    method = method.extractor
    values = {field.name: getattr(method, field.name) for field in fields(method)}
    return {name: value if _is_plain(value) else named(value) for name, value in values.items()}


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, tuple, Path))


def named(value: Any) -> str:
    """Placeholder for a user's own object."""
    return f"<{type(value).__name__}>"


def require_same_shape(a: FeatureSet, b: FeatureSet) -> None:
    """Check that features of `a` and `b` are comparable: each image's has the same shape.

    Raises UsageError: they were made with different options; the message names both shapes.
    """
    first, second = a.array.shape[1:], b.array.shape[1:]
    if first != second:
        raise UsageError(
            f"{a.method} features of shape {first} cannot be compared with shape {second}:"
            " compute both with the same options"
        )

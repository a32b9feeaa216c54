"""Methods whose tiles a graphics card computes, with the links that the CPU finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links, links_in
from icas.clusterimg.methods.base import Image, Method, require_alike
from icas.common.devices import choose_device
from icas.common.errors import UsageError
from icas.common.registry import need

TILE_BYTES = 1 << 28
"""Similarities of a tile as float32; a card holds a few times this beside the features."""

Values = Callable[[Any, FeatureSet, FeatureSet, str], NDArray[np.float32]]


@dataclass(frozen=True)
class OnDevice:
    """`method` as it is, but for where its similarities are computed.

    Attributes
    ----------
    method : Method
    device : str
        As torch names it.
    """

    method: Method
    device: str

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
        """Images a side: so many that the card has much to do at a time."""
        return int(np.sqrt(TILE_BYTES / 4))

    def extract(self, images: Iterable[Image]) -> FeatureSet:
        """Features of `images`: made on the CPU, where they are read."""
        return self.method.extract(images)

    def similarity(self, a: FeatureSet, b: FeatureSet) -> NDArray[np.float32]:
        """As that of the method, bit for bit.

        Raises
        ------
        UsageError
            Features that cannot be compared.
        """
        require_alike(a, b)
        return _VALUES[self.name](self.method, a, b, self.device)

    def links(self, a: FeatureSet, b: FeatureSet, threshold: float) -> Links:
        """The pairs at or above `threshold`, sorted; where `a` is `b` those with a < b."""
        return links_in(self.similarity(a, b), threshold, triangle=a is b)


def on_device(method: Method, device: str) -> Method:
    """`method` with its similarities computed on `device`; as it is for the CPU.

    Methods that take the device as an option of their own (deep) use it for their network and come
    back as they are.

    Raises
    ------
    UsageError
        No such device, or a method that no card computes.
    MissingExtraError
        torch is not installed.
    """
    if device == "cpu" or hasattr(method, "device"):
        return method
    check_computed(method.name, device)
    if device == "auto" and (method.name not in _VALUES or find_spec("torch") is None):
        return method
    need(f"--device {device}", "deep", "torch")
    chosen = choose_device(device)
    if chosen == "cpu":
        return method
    if chosen == "mps" and method.name == "tm":
        raise UsageError("--device mps: Apple's GPUs lack the 64-bit floats that tm needs; use cpu")
    return OnDevice(method, chosen)


def check_computed(name: str, device: str) -> None:
    """Whether there is a way to compute method `name`, which has no device of its own, there.

    Raises
    ------
    UsageError
        There is none.
    """
    if device not in ("cpu", "auto") and name not in _VALUES:
        raise UsageError(
            f"--device {device}: method {name!r} computes on the cpu; on a device do"
            f" {', '.join(sorted(_VALUES))} and deep"
        )


def _of_codes(method: Any, a: FeatureSet, b: FeatureSet, device: str) -> NDArray[np.float32]:
    from icas.clusterimg.kernels import torch_tiles

    return np.asarray(method.shares(a, b)[torch_tiles.hamming(a.array, b.array, device)])


def _of_gray(method: Any, a: FeatureSet, b: FeatureSet, device: str) -> NDArray[np.float32]:
    from icas.clusterimg.kernels import torch_tiles

    return torch_tiles.structural(a.array, b.array, device)


def _of_colours(method: Any, a: FeatureSet, b: FeatureSet, device: str) -> NDArray[np.float32]:
    from icas.clusterimg.kernels import torch_tiles

    ours, theirs = (side.array.reshape(len(side), -1) for side in (a, b))
    return torch_tiles.colour_shares(ours, theirs, device)


_VALUES: Mapping[str, Values] = {"imagehash": _of_codes, "ssim": _of_gray, "tm": _of_colours}

"""Feature maps of an ONNX network at several depths."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.reading import Image, resize
from icas.onnx import weights as weight_files
from icas.onnx.model_file import ModelFile
from icas.onnx.network import Network
from icas.onnx.stages import input_side, is_channels_last, maps_by_stride

Floats = NDArray[np.float32]
Maps = tuple[tuple[NDArray[np.float16], float], ...]
"""(rows, columns, channels) maps of any number of rows and columns, and their weights."""

STRIDES = {8: 0.7, 16: 1.0, 32: 0.6}
"""Strides of the maps that are used, and their weights."""
SIDE = 512
"""Longer side of the images given to the network."""
_METADATA = "icas"
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class FeatureNetwork:
    """An ONNX network that gives feature maps; loaded when it is first used.

    Attributes
    ----------
    path : Path
    identity : str
        Depends on the content of the file.
    """

    path: Path
    identity: str = field(repr=False)

    def __call__(self, image: Image) -> Maps:
        """The maps of an image, resized to a longer side of 512 pixels, finest first."""
        return _loaded(self.path, self.identity).maps(image)


def load_network(weights: str | Path | None) -> FeatureNetwork | None:
    """The network of an ONNX file.

    Parameters
    ----------
    weights : str or Path, optional
        An ONNX file, or the name of installed weights. Default: the recommended ones if they are
        installed.

    Returns
    -------
    FeatureNetwork or None
        None: no weights were given and none are installed.

    Raises
    ------
    UsageError
        The file cannot be read, is not a network for images, or gives no maps.
    """
    path = weight_files.recommended("deep") if weights is None else weight_files.resolve(weights)
    if path is None:
        return None
    ModelFile.read(path)
    network = FeatureNetwork(path, weight_files.sha256_of(path)[:16])
    _loaded(network.path, network.identity)
    return network


@lru_cache(maxsize=2)
def _loaded(path: Path, identity: str) -> _Maps:
    return _Maps(ModelFile.read(path))


class _Maps:
    """The network of a file, with the maps that are used as outputs."""

    def __init__(self, model: ModelFile) -> None:
        if len(model.inputs) != 1 or len(model.inputs[0].shape) not in (0, 4):
            raise UsageError(
                f"{model.path} is not a network for images: expected one input with four"
                " dimensions (images)"
            )
        found = maps_by_stride(model)
        chosen = {stride: found[stride] for stride in STRIDES if stride in found}
        if not chosen:
            raise UsageError(
                f"{model.path}: this network has no feature maps of stride 8, 16 or 32: choose a"
                " convolutional network such as mobilenet_v2"
            )
        self._weights = [STRIDES[stride] for stride in chosen]
        self._last = is_channels_last(model)
        self._side = input_side(model)
        self._network = Network(model, [stage.name for stage in chosen.values()])
        self._kinds = [stage.kind for stage in chosen.values()]
        settings = _settings(model)
        self._mean = np.array(settings.get("mean", _MEAN), np.float32)
        self._deviation = np.array(settings.get("std", _DEVIATION), np.float32)

    def maps(self, image: Image) -> Maps:
        found = self._run(self._resized(image))
        return tuple(
            (part.astype(np.float16), weight)
            for part, weight in zip(found, self._weights, strict=True)
        )

    def _resized(self, image: Image) -> Image:
        height, width = image.shape[:2]
        if self._side is not None:
            return resize(image, (self._side, self._side))
        scale = SIDE / max(height, width)
        rows, columns = (max(32, round(side * scale / 32) * 32) for side in (height, width))
        return resize(image, (columns, rows))

    def _run(self, image: Image) -> list[Floats]:
        """(h, w, channels) of each map."""
        scaled = image.astype(np.float32) / np.float32(255)
        pixels = ((scaled - self._mean) / self._deviation).astype(np.float32)
        given = pixels if self._last else pixels.transpose(2, 0, 1)
        name = self._network.model.inputs[0].name
        found = self._network(**{name: np.ascontiguousarray(given[None])})
        return [
            part[0] if kind == "maps last" else part[0].transpose(1, 2, 0)
            for part, kind in zip(found, self._kinds, strict=True)
        ]


def joined(maps: Maps) -> Floats:
    """(rows, columns, channels): maps resized to the finest one, L2-normalised, and joined."""
    rows, columns = maps[0][0].shape[:2]
    parts = [weight * normalised(_enlarged(part, rows, columns)) for part, weight in maps]
    return normalised(np.concatenate(parts, axis=-1))


def _enlarged(part: NDArray[np.float16], rows: int, columns: int) -> Floats:
    import cv2

    planes = part.astype(np.float32)
    if part.shape[:2] == (rows, columns):
        return planes
    resized = [
        cv2.resize(
            np.ascontiguousarray(planes[..., k]), (columns, rows), interpolation=cv2.INTER_LINEAR
        )
        for k in range(part.shape[2])
    ]
    return np.stack(resized, axis=-1, dtype=np.float32)


def normalised(vectors: Floats) -> Floats:
    """Vectors along the last axis, divided by their length."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / (length + 1e-6), np.float32)


def _settings(model: ModelFile) -> dict[str, Sequence[float]]:
    try:
        settings = json.loads(model.metadata.get(_METADATA, "{}"))
        return {key: settings[key] for key in ("mean", "std") if key in settings}
    except (ValueError, TypeError):
        raise UsageError(f"{model.path}: its metadata {_METADATA!r} is damaged") from None

"""Features of ONNX networks, without torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.reading import Image
from icas.onnx.model_file import ModelFile
from icas.onnx.network import Network
from icas.onnx.stages import Stage, find_stages, input_side, is_channels_last

METADATA = "icas"
"""Key of the metadata of exported files: JSON with ``mean``, ``std`` and ``model``."""
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of RGB in [0, 1] that most classifiers are trained with."""
Triple = tuple[float, ...]


@dataclass(frozen=True)
class OnnxEmbedder:
    """An ONNX network ready to give features, on the CPU.

    Attributes
    ----------
    mean, deviation : tuple of 3 float
        Of RGB in [0, 1]: images are normalised with them.
    side : int or None
        Side of the square images that the network takes; None = any size.
    """

    network: Network
    stages: tuple[Stage, ...]
    mean: Triple
    deviation: Triple
    side: int | None

    def __call__(self, images: Sequence[Image]) -> list[NDArray[np.float32]]:
        """Parts of the features of uint8 RGB `images` of one size, (n, channels) float32 each."""
        # One by one: as fast as in batches, and independent of how images are batched.
        rows = [self._embed(image) for image in images]
        return [np.concatenate(part) for part in zip(*rows, strict=True)]

    def _embed(self, image: Image) -> list[NDArray[np.float32]]:
        scaled = image.astype(np.float32) / 255
        pixels: Any = (scaled - np.array(self.mean, "f4")) / np.array(self.deviation, "f4")
        if not is_channels_last(self.network.model):
            pixels = pixels.transpose(2, 0, 1)
        given = {self.network.model.inputs[0].name: np.ascontiguousarray(pixels[None])}
        found = self.network(**given)
        return [stage.features(part) for stage, part in zip(self.stages, found, strict=True)]


def load_onnx_embedder(
    weights: Path, mean: Triple | None = None, deviation: Triple | None = None
) -> OnnxEmbedder:
    """The network of an ONNX file; files are kept loaded until they change.

    Parameters
    ----------
    mean, deviation : tuple of 3 float, optional
        Of RGB in [0, 1]; default: those in the metadata of the file, else those of ImageNet.

    Raises
    ------
    UsageError
        The file cannot be read, is no ONNX model of images, or cannot be run.
    """
    changed = weights.stat().st_mtime_ns if weights.exists() else 0
    return _loaded(weights, changed, mean, deviation)


@lru_cache(maxsize=2)
def _loaded(
    weights: Path, changed: int, mean: Triple | None, deviation: Triple | None
) -> OnnxEmbedder:
    model = ModelFile.read(weights)
    if len(model.inputs) != 1 or len(model.inputs[0].shape) not in (0, 4):
        raise UsageError(
            f"{weights} is not a network for images: expected one input with four"
            " dimensions (images)"
        )
    held = _settings(model)
    default = (held.get("mean", IMAGENET[0]), held.get("std", IMAGENET[1]))
    stages = tuple(find_stages(model))
    return OnnxEmbedder(
        Network(model, [stage.name for stage in stages]),
        stages,
        mean or _triple(default[0]),
        deviation or _triple(default[1]),
        input_side(model),
    )


def _settings(model: ModelFile) -> dict[str, Any]:
    try:
        held = json.loads(model.metadata.get(METADATA, "{}"))
        return {key: _triple(held[key]) for key in ("mean", "std") if key in held}
    except (ValueError, TypeError):
        raise UsageError(f"{model.path}: its metadata {METADATA!r} is damaged") from None


def _triple(values: Any) -> Triple:
    red, green, blue = map(float, values)
    return red, green, blue

"""The tensors of an ONNX image network that give features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.onnx.model_file import ModelFile, Node
from icas.onnx.network import Network

STAGES = 2
"""Stages whose maps are pooled: the last one, and the one before it."""
CLASSES = frozenset((1000, 1001, 21841, 21843))
"""Numbers of classes of ImageNet: outputs of so many numbers are class scores, not features."""
_LINEAR = ("Gemm", "MatMul")
_POOLS = ("GlobalAveragePool", "GlobalMaxPool", "ReduceMean")
PROBED = 224
"""Side of the image with which a network of any size is probed."""


@dataclass(frozen=True)
class Stage:
    """A tensor that gives features.

    Attributes
    ----------
    kind : str
        ``maps`` (n, channels, h, w) and ``maps last`` (n, h, w, channels) are averaged over
        places; of ``tokens`` (n, tokens, channels) the first is taken; ``vector`` (n, channels).
    """

    name: str
    kind: str

    def features(self, found: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, channels) float32."""
        if self.kind == "tokens":
            return np.ascontiguousarray(found[:, 0])
        if self.kind == "vector":
            return found.reshape(len(found), -1)
        places = (2, 3) if self.kind == "maps" else (1, 2)
        averages: NDArray[np.float32] = np.mean(found, axis=places, dtype=np.float32)
        return averages


def find_stages(model: ModelFile) -> list[Stage]:
    """The stages of a network whose features describe images best.

    Outputs that are features are taken as they are: several vectors, a vector that is not as long
    as ImageNet has classes, or tokens, of which the first is the class token. Of a classifier, the
    last two stages of its trunk are taken: of the tensors that every path to the output passes
    (dominators), those that are maps, and of neighbours with equally many channels the last. Where
    the trunk does not end in maps (vision transformers), it is what the last linear layer takes.

    Raises
    ------
    UsageError
        The network cannot be run.
    """
    kinds = _kinds(model, [tensor.name for tensor in model.outputs])
    vectors = [name for name, (kind, _) in kinds.items() if kind == "vector"]
    tokens = [name for name, (kind, _) in kinds.items() if kind == "tokens"]
    if len(vectors) > 1 or (vectors and kinds[vectors[0]][1] not in CLASSES):
        return [Stage(name, "vector") for name in vectors]
    if not vectors:
        chosen = tokens[:1] or list(kinds)[:1]
        return [Stage(name, kinds[name][0]) for name in chosen]
    return _trunk(model, vectors[0])


def _trunk(model: ModelFile, output: str) -> list[Stage]:
    makers = {name: node for node in model.nodes for name in node.outputs}
    path = [name for name in _dominators(model, output) if makers[name].op not in _POOLS]
    kinds = _kinds(model, path)
    maps = [
        name for name in path if kinds[name][0].startswith("maps") and kinds[name][1] not in CLASSES
    ]
    after = path[path.index(maps[-1]) + 1 :] if maps else path
    if not maps or any(kinds[name][0] == "tokens" for name in after):
        return [_head(makers, path, kinds)]
    last = [
        name
        for name, following in zip(maps, [*maps[1:], ""], strict=True)
        if not following or kinds[name][1] != kinds[following][1]
    ]
    return [Stage(name, kinds[name][0]) for name in last[-STAGES:]]


def _head(makers: dict[str, Node], path: Sequence[str], kinds: dict[str, tuple[str, int]]) -> Stage:
    """What the last linear layer takes."""
    linear = [place for place, name in enumerate(path) if makers[name].op in _LINEAR]
    name = path[max(0, (linear[-1] if linear else len(path)) - 1)]
    return Stage(name, kinds[name][0])


def _dominators(model: ModelFile, output: str) -> list[str]:
    """Tensors that every path from the images to `output` passes, first to last, `output` last."""
    images = model.inputs[0].name
    above: dict[str, str] = {}
    depth = {images: 0}

    def common(a: str, b: str) -> str:
        while a != b:
            if depth[a] < depth[b]:
                a, b = b, a
            a = above[a]
        return a

    for node in model.nodes:
        sources = [name for name in node.inputs if name in depth]
        if not sources:
            continue
        nearest = sources[0]
        for name in sources[1:]:
            nearest = common(nearest, name)
        for name in node.outputs:
            above[name], depth[name] = nearest, depth[nearest] + 1
    path = [output]
    while path[-1] in above:
        path.append(above[path[-1]])
    return path[-2::-1]


def _kinds(model: ModelFile, names: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Kind of each tensor, as of a `Stage` or "", with its channels, for one gray image."""
    found = Network(model, names)(**{model.inputs[0].name: blank(model)})
    return {name: _kind(array.shape) for name, array in zip(names, found, strict=True)}


def _kind(shape: tuple[int, ...]) -> tuple[str, int]:
    if len(shape) == 4 and shape[2] == shape[3] > 1:
        return "maps", shape[1]
    if len(shape) == 4 and shape[1] == shape[2] > 1:
        return "maps last", shape[3]
    if len(shape) == 3:
        return "tokens", shape[2]
    if len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1)):
        return "vector", shape[1]
    return "", 0


def maps_by_stride(model: ModelFile) -> dict[int, Stage]:
    """The deepest map of the trunk at each stride: 4, 8, 16, 32.

    Of maps of equal stride, those with the fewest channels among their neighbours are taken: of a
    network of inverted residuals the bottlenecks. Of them, the last one. Networks without maps give
    an empty dict.

    Raises
    ------
    UsageError
        The network cannot be run.
    """
    output = model.outputs[0].name
    makers = {name: node for node in model.nodes for name in node.outputs}
    path = [name for name in _dominators(model, output) if makers[name].op not in _POOLS]
    blank_image = blank(model)
    side = max(blank_image.shape)
    arrays = Network(model, path)(**{model.inputs[0].name: blank_image})
    runs: dict[int, list[tuple[int, Stage]]] = {}
    for name, array in zip(path, arrays, strict=True):
        kind, channels = _kind(array.shape)
        if not kind.startswith("maps"):
            continue
        stride = side // array.shape[2]
        run = runs.setdefault(stride, [])
        if run and run[-1][0] == channels:
            run.pop()
        run.append((channels, Stage(name, kind)))
    return {stride: _last_bottleneck(run) for stride, run in runs.items() if stride > 2}


def _last_bottleneck(run: list[tuple[int, Stage]]) -> Stage:
    """The last map with no more channels than the maps before and after it."""
    widths = [channels for channels, _ in run]
    least = [
        stage
        for place, (channels, stage) in enumerate(run)
        if channels <= min(widths[max(0, place - 1) : place + 2])
    ]
    return least[-1]


def is_channels_last(model: ModelFile) -> bool:
    """Whether images are (n, h, w, 3), not (n, 3, h, w)."""
    shape = model.inputs[0].shape
    return len(shape) == 4 and shape[3] == 3 and shape[1] != 3


def input_side(model: ModelFile) -> int | None:
    """Side of the square images that the network takes; None = any size."""
    shape = model.inputs[0].shape
    sides = shape[1:3] if is_channels_last(model) else shape[2:4]
    return sides[0] if len(sides) == 2 and sides[0] == sides[1] else None


def blank(model: ModelFile) -> NDArray[np.float32]:
    """One gray image of a size that the network takes."""
    side = input_side(model) or PROBED
    shape = (1, side, side, 3) if is_channels_last(model) else (1, 3, side, side)
    return np.zeros(shape, np.float32)

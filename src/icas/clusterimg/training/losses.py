"""Reconstruction losses: differences of pixels, or of features of another network."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from icas.clusterimg.networks.classifiers import (
    HEADS,
    fetched_classifier,
    known_model,
    random_classifier,
)
from icas.clusterimg.networks.weights import RANDOM, load_weights
from icas.clusterimg.training.settings import TrainSettings
from icas.common.errors import UsageError

RESOLUTIONS = 4
"""Layers compared by default: the last one at each of the first four resolutions."""


def feature_network(settings: TrainSettings) -> Any:
    """(n, 3, size, size) normalised images -> dict of the outputs of the chosen layers.

    What comes after the last of these layers is cut off.
    """
    name = known_model(settings.loss_model, "--loss-model")
    network = _with_weights(name, settings)
    for part in network.modules():
        if hasattr(part, "inplace"):
            part.inplace = False  # else a layer's output is overwritten by the next one
    side = getattr(network, "image_size", settings.size)  # vision transformers take one size alone
    layers = settings.loss_layers or default_layers(network.eval(), side, name)
    features = _cut(network, layers, name)
    return features if side == settings.size else _resized(features, side)


def _resized(features: Any, side: int) -> Any:
    from torch import nn

    return nn.Sequential(nn.Upsample((side, side), mode="bilinear"), features)


def _with_weights(name: str, settings: TrainSettings) -> Any:
    if settings.loss_weights is None:
        return fetched_classifier(name, "--loss-weights")
    network = random_classifier(name, settings.seed)
    if str(settings.loss_weights) != RANDOM:
        load_weights(network, settings.loss_weights, name)
    return network


def default_layers(network: Any, size: int, name: str) -> tuple[str, ...]:
    """The last layer at each of the first four resolutions, in the order of the network.

    Parameters
    ----------
    network : nn.Module
        A classifier of torchvision in eval mode.
    size : int
        Side of its input images.
    name : str
        What messages call it.
    """
    last: dict[int, str] = {}
    for layer, side in _sides(network, size, name):
        if side > 1 and side <= min(last, default=size):
            last[side] = layer
    return tuple(last.values())[:RESOLUTIONS]


def _sides(network: Any, size: int, name: str) -> list[tuple[str, int]]:
    """Layers before the head in the order in which they finish, with the side of their maps."""
    import torch

    seen: list[tuple[str, int]] = []

    def hook_of(layer: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and output.ndim == 4:
                seen.append((layer, output.shape[-1]))

        return hook

    parts = [
        (layer, part)
        for layer, part in network.named_modules()
        if layer and layer.split(".")[0] not in HEADS
    ]
    hooks = [part.register_forward_hook(hook_of(layer)) for layer, part in parts]
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, size, size))
    except Exception as error:
        # The layers that were reached count: heads of some networks want larger maps.
        if not seen:
            raise UsageError(
                f"{name} does not accept images of {size} pixels ({_first_line(error)}): choose"
                " another --size or --loss-model"
            ) from error
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _cut(network: Any, layers: tuple[str, ...], name: str) -> Any:
    """The part of `network` up to the last of `layers`, which gives their outputs as a dict."""
    from torchvision.models.feature_extraction import create_feature_extractor

    known = [layer for layer, _ in network.named_modules() if layer]
    for layer in layers:
        if layer not in known:
            near = ", ".join(difflib.get_close_matches(layer, known, n=3, cutoff=0) or known[:3])
            raise UsageError(f"--loss-layers: {name} has no layer {layer!r}; similar names: {near}")
    try:
        return create_feature_extractor(network, list(layers), suppress_diff_warning=True).eval()
    except ValueError as error:  # a layer that only training uses
        raise UsageError(f"--loss-layers of {name}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class PerceptualLoss(nn.Module):  # type: ignore[misc]  # torch is Any to mypy
    """Mean difference of the features of another network for two batches of images.

    Of every layer the mean of the absolute (or squared) differences is taken, and of these the
    mean over the layers. (A signed mean could decrease without the images becoming similar.)

    Parameters
    ----------
    features : nn.Module
        (n, 3, h, w) float32 normalised with ImageNet's mean and deviation -> the outputs of the
        chosen layers, as a dict or a sequence. It is frozen here.
    """

    def __init__(self, features: nn.Module, difference: str = "absolute") -> None:
        super().__init__()
        import torch

        self.features = features.eval().requires_grad_(False)
        self.compare = {"absolute": nn.L1Loss(), "squared": nn.MSELoss()}[difference]
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, output: Tensor, wanted: Tensor) -> Tensor:
        """Loss of `output` against `wanted`, both (n, 3, h, w) float32 RGB in [0, 1]."""
        import torch

        with torch.no_grad():
            aims = self._layers(wanted)
        pairs = zip(self._layers(output), aims, strict=True)
        # Half precision, where it is used, would overflow in sums of squares.
        return torch.stack([self.compare(a.float(), b.float()) for a, b in pairs]).mean()

    def _layers(self, images: Tensor) -> Sequence[Tensor]:
        found = self.features((images - self.mean) / self.std)
        return list(found.values()) if isinstance(found, dict) else list(found)


def _perceptual(settings: TrainSettings) -> Any:
    return PerceptualLoss(feature_network(settings), settings.difference)


LOSSES: dict[str, Callable[[TrainSettings], Any]] = {
    "mse": lambda settings: nn.MSELoss(),
    "mae": lambda settings: nn.L1Loss(),
    "perceptual": _perceptual,
}


def make_loss(settings: TrainSettings) -> Any:
    """The loss module that compares reconstructions with their images, on the CPU."""
    return LOSSES[settings.loss](settings)

"""How far a picture is from its reconstruction: by pixels, or by features of another network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from icas.clusterimg.deep.loss_networks import feature_network
from icas.clusterimg.deep.train_settings import TrainSettings

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class PerceptualLoss(nn.Module):  # type: ignore[misc]  # torch is Any to mypy
    """Mean difference of the features that another network gives for two batches of pictures.

    Of every layer the mean of the absolute (or squared) differences is taken, and of these the
    mean over the layers. (A signed mean could be made ever smaller without any likeness.)

    Parameters
    ----------
    features : nn.Module
        (n, 3, h, w) float32 normalised with ImageNet's mean and deviation -> the outputs of the
        chosen layers, as a dict or a sequence. It is frozen here.
    difference : {"absolute", "squared"}
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
    """The module that compares a batch of reconstructions with their pictures, on the CPU.

    Raises
    ------
    UsageError
        Of a perceptual loss: no such network or layer, or weights that do not fit.
    IcasError
        Its weights are neither given nor can they be fetched.
    """
    return LOSSES[settings.loss](settings)

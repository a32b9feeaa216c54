"""The autoencoder, which learns features from images without labels."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from icas.clusterimg.networks.strides import CORE, strides_of

WIDTH = 16
"""Channels after the first stage; 24 took twice as long and gained nothing on COIL-20."""

_MOST = 8
"""The channels double from stage to stage up to this multiple of the width."""


class Autoencoder(nn.Module):  # type: ignore[misc]  # torch is Any to mypy
    """An image -> a code of `dims` numbers -> the image again.

    Parameters
    ----------
    size : int
        Side of the images in pixels, a power of two from 32 on.
    dims : int
        Length of the code.
    width : int
        Channels after the first stage.

    Notes
    -----
    Groups of channels are normalised within each image (Wu & He, Group Normalization, 2018), not
    over the batch: the code of an image depends on that image alone, in training too, and a last
    batch of one image does no harm.
    """

    def __init__(self, size: int, dims: int, width: int = WIDTH) -> None:
        super().__init__()
        self.size, self.dims, self.width = size, dims, width
        strides = strides_of(size)
        channels = [3, *(width * min(2**stage, _MOST) for stage in range(len(strides)))]
        core = (channels[-1], CORE, CORE)
        flat = channels[-1] * CORE**2
        self.encoder = nn.Sequential(
            *(_down(a, b, step) for (a, b), step in zip(pairwise(channels), strides, strict=True)),
            nn.Flatten(),
            nn.Linear(flat, dims),
        )
        back = list(zip(pairwise(channels[::-1]), strides[::-1], strict=True))
        (last_in, last_out), last_step = back[-1]
        self.decoder = nn.Sequential(
            nn.Linear(dims, flat),
            nn.ReLU(),
            nn.Unflatten(1, core),
            *(_up(a, b, step) for (a, b), step in back[:-1]),
            _grow(last_in, last_out, last_step),
            nn.Sigmoid(),
        )

    def encode(self, images: Tensor) -> Tensor:
        """(n, 3, size, size) float32 RGB in [0, 1] -> (n, dims) float32."""
        return self.encoder(images)

    def decode(self, codes: Tensor) -> Tensor:
        """(n, dims) float32 -> (n, 3, size, size) float32 RGB in [0, 1]."""
        return self.decoder(codes)

    def forward(self, images: Tensor) -> Tensor:
        """`images` through the code and back, in their shape."""
        return self.decode(self.encode(images))

    def embed(self, images: Tensor) -> Tensor:
        """Features of `images`: their codes, (n, dims) float32."""
        return self.encode(images)


def _down(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A stage that makes maps smaller by `stride`."""
    kernel = nn.Conv2d(inputs, outputs, 2 * stride, stride, padding=stride // 2)
    return nn.Sequential(kernel, _normalised(outputs), nn.ReLU())


def _up(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A stage that makes maps larger by `stride`."""
    return nn.Sequential(_grow(inputs, outputs, stride), _normalised(outputs), nn.ReLU())


def _grow(inputs: int, outputs: int, stride: int) -> nn.Module:
    # A kernel that the stride divides covers every pixel equally often: no checkerboard.
    return nn.ConvTranspose2d(inputs, outputs, 2 * stride, stride, padding=stride // 2)


def _normalised(channels: int) -> nn.Module:
    return nn.GroupNorm(8 if channels % 8 == 0 else 1, channels)


def make_autoencoder(size: int, dims: int, width: int = WIDTH, seed: int = 0) -> Any:
    """An `Autoencoder` on the CPU with weights of a random seed; torch's own state stays."""
    import torch

    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would seed the devices too, and those are not put back.
        torch.default_generator.manual_seed(seed)
        return Autoencoder(size, dims, width)

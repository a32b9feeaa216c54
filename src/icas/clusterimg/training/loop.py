"""Epochs of training: batches in, weights changed, the loss of each epoch out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from icas.cli.console import Bar
from icas.clusterimg.networks.autoencoder import Autoencoder
from icas.clusterimg.networks.weights import State
from icas.clusterimg.training.report import Epoch, learning_rate_at
from icas.clusterimg.training.settings import TrainSettings

Rows = NDArray[np.intp]
WARM_UP = 2
"""Epochs in which the step size rises; without them twice the step size would be too much."""

_SPLIT, _ORDER = 0, 1
"""What a stream of random numbers is for; together with the seed (and the epoch) it begins it."""


@dataclass(frozen=True)
class Split:
    """Rows of the images to learn from, and of those to judge by (perhaps none)."""

    train: Rows
    validation: Rows


def split_rows(count: int, share: float, seed: int) -> Split:
    """Draw `share` of `count` images, rounded, to judge by; at least two are left to learn from."""
    order = np.random.default_rng([seed, _SPLIT]).permutation(count)
    apart = min(round(count * share), max(0, count - 2))
    return Split(np.sort(order[apart:]), np.sort(order[:apart]))


def rows_in_order(rows: Rows, seed: int, epoch: int) -> Rows:
    """`rows` as epoch `epoch` goes through them, which depends on `seed` and `epoch` alone."""
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(rows)


class Learner:
    """A network in training on one device, with what changes from step to step.

    Parameters
    ----------
    loss : nn.Module
        (reconstructions, pictures) -> a number, both float32 (n, 3, size, size) in [0, 1].
    pixels : (n, size, size, 3) uint8
        RGB.
    device : str
        As torch names it.
    """

    def __init__(
        self,
        network: Autoencoder,
        loss: Any,
        pixels: NDArray[np.uint8],
        split: Split,
        settings: TrainSettings,
        device: str,
    ) -> None:
        self.device, self.split, self.settings = device, split, settings
        self.network = network.to(device, memory_format=torch.channels_last)
        self.loss = loss.to(device)
        self.pixels = pixels
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate)
        # On the CPU it hands everything through.
        self.scaler = torch.amp.GradScaler("cuda", enabled=self._half)

    @property
    def _half(self) -> bool:
        return self.device.startswith("cuda")

    def run_epoch(self, epoch: int, bar: Bar) -> Epoch | None:
        """Go through all images once; None where a loss or a weight is no finite number any more.

        Parameters
        ----------
        epoch : int
            From 1 on.
        """
        started = time.perf_counter()
        train = self._learn(epoch, bar)
        if not (math.isfinite(train) and self._weights_are_finite()):
            return None
        validation = self._mean(self.split.validation) if len(self.split.validation) else None
        if validation is not None and not math.isfinite(validation):
            return None
        rate, seconds = self.optimizer.param_groups[0]["lr"], time.perf_counter() - started
        return Epoch(epoch, train, validation, rate, seconds)

    def _learn(self, epoch: int, bar: Bar) -> float:
        """Mean loss over the images of an epoch, each as it was when its turn came."""
        self.network.train()
        rows = rows_in_order(self.split.train, self.settings.seed, epoch)
        total = 0.0
        for step, (images, count) in enumerate(self._batches(rows)):
            self._set_rate(epoch, step)
            loss = self._loss(images)
            total += loss.item() * count
            if not math.isfinite(total):
                break
            self.optimizer.zero_grad(set_to_none=True)
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            bar.update(count)
        return total / len(rows)

    def _mean(self, rows: Rows) -> float:
        """Mean loss over the images in `rows` with the weights as they are."""
        self.network.eval()
        with torch.no_grad():
            losses = [self._loss(images).item() * count for images, count in self._batches(rows)]
        return math.fsum(losses) / len(rows)

    def _loss(self, images: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cuda", dtype=torch.float16, enabled=self._half):
            return self.loss(self.network(images), images)

    def _batches(self, rows: Rows) -> Iterator[tuple[torch.Tensor, int]]:
        """The pictures in `rows`, (n, 3, size, size) float32 in [0, 1], and how many they are."""
        for start in range(0, len(rows), self.settings.batch_size):
            batch = torch.from_numpy(self.pixels[rows[start : start + self.settings.batch_size]])
            images = batch.to(self.device).permute(0, 3, 1, 2)  # channels last, as they lie
            yield images.float().div_(255), len(batch)

    def _set_rate(self, epoch: int, step: int) -> None:
        each = math.ceil(len(self.split.train) / self.settings.batch_size)
        steps = self.settings.epochs * each
        warm_up = min(WARM_UP * each, (steps + 1) // 2)
        rate = learning_rate_at(
            (epoch - 1) * each + step, steps, warm_up, self.settings.learning_rate
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _weights_are_finite(self) -> bool:
        return all(bool(torch.isfinite(value).all()) for value in self.network.parameters())

    def weights(self) -> State:
        """A copy of the weights, on the CPU."""
        state = self.network.state_dict()
        return {name: value.detach().to("cpu", copy=True) for name, value in state.items()}

    def load(self, network: State, optimizer: dict[str, Any], scaler: dict[str, Any]) -> None:
        """Go back to where these states were taken."""
        self.network.load_state_dict(network)
        self.optimizer.load_state_dict(optimizer)
        if self._half:
            self.scaler.load_state_dict(scaler)


@contextmanager
def repeatable(device: str) -> Iterator[None]:
    """Let CUDA choose operations that give the same result every time, while the block runs."""
    if not device.startswith("cuda"):
        yield
        return
    flags: Callable[..., AbstractContextManager[None]] = torch.backends.cudnn.flags
    with flags(enabled=True, benchmark=False, deterministic=True):
        yield

"""Epochs of training: batches in, weights changed, the loss of each epoch out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from icas._version import __version__
from icas.cli.console import Bar, Console
from icas.clusterimg.networks.autoencoder import Autoencoder, make_autoencoder
from icas.clusterimg.networks.model_files import read_model, write_model
from icas.clusterimg.networks.weights import State, write_bytes
from icas.clusterimg.training.checkpoints import (
    Checkpoint,
    Origin,
    Places,
    read_checkpoint,
    require_same,
    write_checkpoint,
)
from icas.clusterimg.training.report import (
    Epoch,
    as_csv,
    as_png,
    best_of,
    from_dicts,
    is_over,
    learning_rate_at,
)
from icas.clusterimg.training.settings import TrainSettings
from icas.common.errors import IcasError

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
        (reconstructions, images) -> a number, both float32 (n, 3, size, size) in [0, 1].
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
        """The images in `rows`, (n, 3, size, size) float32 in [0, 1], and their number."""
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


@dataclass(frozen=True)
class Session:
    """A training whose images are read and whose files may be written.

    Attributes
    ----------
    places : Places
        Where it writes.
    origin : Origin
        What decides its weights; a resume compares it.
    device : str
        As torch names it.
    """

    places: Places
    settings: TrainSettings
    origin: Origin
    device: str
    console: Console

    def earlier_curve(self) -> tuple[Epoch, ...] | None:
        """The curve of a training that is to be resumed and is over; None where there is work."""
        if self.settings.overwrite:
            self.places.checkpoint.unlink(missing_ok=True)
            return None
        if self.places.checkpoint.exists() or not self.places.model.exists():
            return None
        record = read_model(self.places.model)[0].get("training", {})
        require_same(self.origin, record.get("origin"), self.places.model)
        self.console.line(f"{self.places.model} is already trained: nothing to do")
        return from_dicts(record["curve"])

    def run(self, pixels: NDArray[np.uint8], loss: Any) -> tuple[Epoch, ...]:
        """Train from the start or a checkpoint to the end, and write what comes of it."""
        settings = self.settings
        network = make_autoencoder(settings.size, settings.dims, seed=settings.seed)
        split = split_rows(len(pixels), settings.validation, settings.seed)
        learner = Learner(network, loss, pixels, split, settings, self.device)
        state = self._resumed(learner)
        total = settings.epochs * len(split.train)
        with self.console.bar(total, "training", "images") as bar, repeatable(self.device):
            bar.update(len(state.curve) * len(split.train))
            while not is_over(state.curve, settings.epochs, settings.patience):
                epoch = learner.run_epoch(len(state.curve) + 1, bar)
                if epoch is None:
                    self._stopped(state, learner)
                state = self._after(epoch, state, learner)
        self._write(state, learner)
        return state.curve

    def _resumed(self, learner: Learner) -> Checkpoint:
        """Where to begin: after the last epoch of a checkpoint, or before the first of all."""
        resume, path = self.settings.resume, self.places.checkpoint
        if not (resume and path.exists()):
            if resume:
                self.console.line(f"no checkpoint {path}: training starts from the beginning")
            return Checkpoint(self.origin.as_dict(), (), {}, {}, {}, {})
        checkpoint = read_checkpoint(path)
        require_same(self.origin, checkpoint.origin, path)
        learner.load(checkpoint.network, checkpoint.optimizer, checkpoint.scaler)
        self.console.line(f"continuing after epoch {len(checkpoint.curve)}")
        return checkpoint

    def _after(self, epoch: Epoch, state: Checkpoint, learner: Learner) -> Checkpoint:
        """The checkpoint after `epoch`, on disk."""
        curve = (*state.curve, epoch)
        weights = learner.weights()
        new = Checkpoint(
            state.origin,
            curve,
            weights,
            weights if best_of(curve) is epoch else state.best,
            learner.optimizer.state_dict(),
            learner.scaler.state_dict(),
        )
        write_checkpoint(self.places.checkpoint, new)
        checked = "" if epoch.validation is None else f", validation {epoch.validation:.5g}"
        self.console.detail(f"epoch {epoch.epoch}: loss {epoch.train:.5g}{checked}")
        return new

    def _stopped(self, state: Checkpoint, learner: Learner) -> NoReturn:
        """End a training whose numbers are no longer finite."""
        reason = f"the loss or a weight became NaN or infinite in epoch {len(state.curve) + 1}"
        cure = "try a lower --learning-rate"
        if not state.curve:
            raise IcasError(f"{reason}, nothing was written: {cure}, or check --loss-weights")
        self._write(state, learner, stopped=reason)
        kept = best_of(state.curve).epoch
        raise IcasError(
            f"{reason}, training stopped ({self.places.model} has the weights of epoch {kept}):"
            f" {cure}"
        )

    def _write(self, state: Checkpoint, learner: Learner, stopped: str | None = None) -> None:
        """Write the best weights and the curve; the checkpoint goes when all of it is on disk."""
        curve = [epoch.as_dict() for epoch in state.curve]
        training = {"origin": state.origin, "curve": curve, "stopped": stopped}
        learner.network.load_state_dict(state.best)
        write_model(self.places.model, learner.network, {"icas": __version__, "training": training})
        write_bytes(self.places.csv, as_csv(state.curve))
        write_bytes(self.places.png, as_png(state.curve, self.settings.loss))
        self.places.checkpoint.unlink(missing_ok=True)

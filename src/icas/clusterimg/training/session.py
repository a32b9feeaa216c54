"""A training from its start or its checkpoint to the files that stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from icas._version import __version__
from icas.cli.console import Console
from icas.clusterimg.networks.autoencoder import make_autoencoder
from icas.clusterimg.networks.model_files import read_model, write_model
from icas.clusterimg.networks.weights import write_bytes
from icas.clusterimg.training.checkpoints import (
    Checkpoint,
    Origin,
    Places,
    read_checkpoint,
    require_same,
    write_checkpoint,
)
from icas.clusterimg.training.dataset import Pixels
from icas.clusterimg.training.loop import Learner, repeatable, split_rows
from icas.clusterimg.training.report import Epoch, as_csv, as_png, best_of, from_dicts, is_over
from icas.clusterimg.training.settings import TrainSettings
from icas.common.errors import IcasError


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
        self.console.line(f"{self.places.model} is trained already: nothing is left to do")
        return from_dicts(record["curve"])

    def run(self, pixels: Pixels, loss: Any) -> tuple[Epoch, ...]:
        """Train from the start or a checkpoint to the end, and write what comes of it."""
        settings = self.settings
        network = make_autoencoder(settings.size, settings.dims, seed=settings.seed)
        split = split_rows(len(pixels.files), settings.validation, settings.seed)
        learner = Learner(network, loss, pixels.array, split, settings, self.device)
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
                self.console.line(f"no {path} to go on from: training begins")
            return Checkpoint(self.origin.as_dict(), (), {}, {}, {}, {})
        checkpoint = read_checkpoint(path)
        require_same(self.origin, checkpoint.origin, path)
        learner.load(checkpoint.network, checkpoint.optimizer, checkpoint.scaler)
        self.console.line(f"going on after epoch {len(checkpoint.curve)}")
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
        reason = (
            f"the loss or a weight is no finite number any more in epoch {len(state.curve) + 1}"
        )
        cure = "try a lower --learning-rate"
        if not state.curve:
            raise IcasError(f"{reason}: nothing is written; {cure}, or check --loss-weights")
        self._write(state, learner, stopped=reason)
        kept = best_of(state.curve).epoch
        raise IcasError(
            f"{reason}: stopped; {self.places.model} has the weights of epoch {kept}; {cure}"
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

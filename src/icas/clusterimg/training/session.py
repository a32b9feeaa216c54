"""The files of a training, and whether they may be written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from icas._version import __version__
from icas.cli.console import Console
from icas.clusterimg.networks.autoencoder import make_autoencoder
from icas.clusterimg.networks.model_files import read_model, write_model
from icas.clusterimg.networks.weights import write_bytes
from icas.clusterimg.training.checkpoints import (
    Checkpoint,
    Origin,
    checkpoint_path,
    read_checkpoint,
    require_same,
    write_checkpoint,
)
from icas.clusterimg.training.dataset import Pixels
from icas.clusterimg.training.loop import Learner, repeatable, split_rows
from icas.clusterimg.training.loss_curve import Epoch, as_csv, as_png, best_of, from_dicts, is_over
from icas.clusterimg.training.settings import TrainSettings
from icas.common.errors import ConflictError, IcasError, UsageError


@dataclass(frozen=True)
class Places:
    """Where a training writes.

    Attributes
    ----------
    model : Path
        The trained network.
    checkpoint : Path
        There while the training is not over.
    csv, png : Path
        The loss curve.
    """

    model: Path
    checkpoint: Path
    csv: Path
    png: Path


def places_of(src: Path, settings: TrainSettings) -> Places:
    """Where a training on the folder `src` writes.

    Raises
    ------
    UsageError
        The folder of the result is missing, not writable, or the source itself.
    ConflictError
        Something is there already that the settings give no leave to replace.
    """
    out = settings.target(src)
    _check_folder(out, src)
    curve = [out.with_name(f"{out.stem}_loss{suffix}") for suffix in (".csv", ".png")]
    places = Places(out, checkpoint_path(out), *curve)
    if not settings.overwrite:
        _refuse_what_is_there(places, settings.resume)
    return places


def _check_folder(out: Path, src: Path) -> None:
    folder = out.resolve().parent
    if not folder.is_dir():
        raise UsageError(f"--out {out}: there is no folder {folder}")
    if out.is_dir():
        raise UsageError(f"--out {out}: a folder; the name of a file is needed")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"--out {out}: the folder {folder} is not writable")
    if src.resolve() in (folder, *folder.parents):
        raise UsageError(
            f"--out {out} lies in the source: its loss curve would be an image there; choose"
            " another folder"
        )


def _refuse_what_is_there(places: Places, resume: bool) -> None:
    if places.checkpoint.exists():
        if not resume:
            raise ConflictError(
                f"{places.checkpoint} is of a training that was stopped: --resume goes on with it,"
                " --overwrite begins anew"
            )
        return  # the others are its own
    if places.model.exists():
        if not resume:
            raise ConflictError(
                f"{places.model} exists already: --overwrite replaces it, --out puts the new one"
                " elsewhere"
            )
        return
    for path in (places.csv, places.png):
        if path.exists():
            raise ConflictError(
                f"{path} exists already: --overwrite replaces it, --out chooses another name"
            )


@dataclass(frozen=True)
class Session:
    """A training whose images are read and whose files may be written.

    Attributes
    ----------
    places : Places
        Where it writes.
    settings : TrainSettings
    origin : Origin
        What decides its weights; a resume compares it.
    device : str
        As torch names it.
    console : Console
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
        told = read_model(self.places.model)[0].get("training", {})
        require_same(self.origin, told.get("origin"), self.places.model)
        self.console.line(f"{self.places.model} is trained already: nothing is left to do")
        return from_dicts(told["curve"])

    def run(self, pixels: Pixels, loss: Any) -> tuple[Epoch, ...]:
        """Train from the start or a checkpoint to the end, and write what comes of it.

        Raises
        ------
        IcasError
            As `train`.
        """
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
        found = read_checkpoint(path)
        require_same(self.origin, found.origin, path)
        learner.load(found.network, found.optimizer, found.scaler)
        self.console.line(f"going on after epoch {len(found.curve)}")
        return found

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
        """End a training whose numbers are no longer finite.

        Raises
        ------
        IcasError
            Always.
        """
        told = f"the loss or a weight is no finite number any more in epoch {len(state.curve) + 1}"
        cure = "try a lower --learning-rate"
        if not state.curve:
            raise IcasError(f"{told}: nothing is written; {cure}, or check --loss-weights")
        self._write(state, learner, stopped=told)
        kept = best_of(state.curve).epoch
        raise IcasError(
            f"{told}: stopped; {self.places.model} has the weights of epoch {kept}; {cure}"
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

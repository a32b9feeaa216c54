"""Files of a training: where they go, and the checkpoint that a killed training resumes from."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.cli.options import flag_of
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.networks.weights import RANDOM, State, read_held, write_bytes
from icas.clusterimg.training.report import Epoch, from_dicts
from icas.clusterimg.training.settings import TrainSettings
from icas.common.errors import ConflictError, UsageError

_BLOCK = 1 << 22


@dataclass(frozen=True)
class Origin:
    """Inputs that determine the weights: the same origin gives the same weights.

    Attributes
    ----------
    settings : dict
        `TrainSettings.decisive` as JSON knows it, with the kind of the device.
    images : int
        Number of images.
    digest : str
        Of the names and sizes of their files.
    """

    settings: dict[str, Any]
    images: int
    digest: str

    def as_dict(self) -> dict[str, Any]:
        return {"settings": self.settings, "images": self.images, "digest": self.digest}


def origin_of(settings: TrainSettings, device: str, images: Sequence[ImageRef]) -> Origin:
    """The origin of a training of `images` on `device`."""
    values = {**settings.decisive(), "device": device.partition(":")[0]}
    if settings.loss_weights is not None:
        values["loss_weights"] = _identity(settings.loss_weights)
    state = hashlib.blake2b(digest_size=16)
    for ref in images:
        state.update(f"{ref.file}\0{_size(ref.path)}\0".encode("utf-8", "surrogateescape"))
    return Origin(values, len(images), state.hexdigest())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed since it was listed: reading it will fail
        return -1


def _identity(weights: Path) -> str:
    """The name of a file of weights and the digest of its bytes."""
    if str(weights) == RANDOM or not weights.is_file():
        return str(weights)
    state = hashlib.blake2b(digest_size=8)
    with weights.open("rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
    return f"{weights.name} ({state.hexdigest()})"


def require_same(now: Origin, then: Any, path: Path) -> None:
    """Check that the training that wrote `path` had the settings and images of this one.

    Parameters
    ----------
    then
        `Origin.as_dict` of that training.
    """
    if not isinstance(then, dict) or not isinstance(then.get("settings"), dict):
        raise UsageError(f"cannot resume from {path}: it has no record of its training settings")
    known, given = then["settings"], now.settings
    differing = [
        f"{flag_of(name)} was {_shown(known.get(name))}, now {_shown(given.get(name))}"
        for name in sorted({*known, *given})
        if known.get(name) != given.get(name)
    ]
    if then.get("digest") != now.digest:
        differing.append(f"the images differ ({then.get('images')} before, {now.images} now)")
    if differing:
        raise UsageError(
            f"cannot resume from {path}: {'; '.join(differing)}. Use the earlier settings, or"
            " --overwrite to start again"
        )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "not given" if value is None else str(value)


@dataclass(frozen=True)
class Checkpoint:
    """A training after one of its epochs.

    Attributes
    ----------
    origin : dict
        As `Origin.as_dict` gives it.
    curve : tuple of Epoch
        All epochs so far.
    network, best : dict
        Weights now, and of the best epoch.
    optimizer, scaler : dict
        State of the optimiser, and of the scaler of losses in half precision (else empty).
    """

    origin: dict[str, Any]
    curve: tuple[Epoch, ...]
    network: State
    best: State
    optimizer: dict[str, Any]
    scaler: dict[str, Any]


def checkpoint_path(out: Path) -> Path:
    """Path of the checkpoint of a training that writes `out`."""
    return out.with_name(f"{out.stem}_checkpoint.pt")


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint`, whole or not at all, in place of an earlier one."""
    import torch

    header = {
        "origin": checkpoint.origin,
        "curve": [epoch.as_dict() for epoch in checkpoint.curve],
    }
    states = {name: getattr(checkpoint, name) for name in _STATES}
    buffer = io.BytesIO()
    torch.save({"icas_checkpoint": json.dumps(header), **states}, buffer)
    write_bytes(path, buffer.getvalue())


_STATES = ("network", "best", "optimizer", "scaler")


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in `path`, its tensors on the CPU; nothing in it is executed."""
    held = read_held(path)
    try:
        header = json.loads(held["icas_checkpoint"])
        states = {name: held[name] for name in _STATES}
        return Checkpoint(header["origin"], from_dicts(header["curve"]), **states)
    except (TypeError, ValueError, KeyError) as error:
        raise UsageError(f"{path} is not a checkpoint of clusterimg train") from error


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
    """Where a training on the folder `src` writes."""
    out = settings.target(src)
    _check_folder(out, src)
    curve = [out.with_name(f"{out.stem}_loss{suffix}") for suffix in (".csv", ".png")]
    places = Places(out, checkpoint_path(out), *curve)
    if not settings.overwrite:
        _refuse_existing(places, settings.resume)
    return places


def _check_folder(out: Path, src: Path) -> None:
    folder = out.resolve().parent
    if not folder.is_dir():
        raise UsageError(f"--out {out}: no folder {folder}")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder: give a file name")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"--out {out}: no permission to write to folder {folder}")
    if src.resolve() in (folder, *folder.parents):
        raise UsageError(
            f"--out {out} is in the source folder, where its loss curve would count as an image:"
            " choose another folder"
        )


def _refuse_existing(places: Places, resume: bool) -> None:
    if places.checkpoint.exists():
        if not resume:
            raise ConflictError(
                f"{places.checkpoint} belongs to an interrupted training: use --resume to"
                " continue it, or --overwrite to start again"
            )
        return  # the others are its own
    if places.model.exists():
        if not resume:
            raise ConflictError(
                f"{places.model} already exists: use --overwrite to replace it, or choose"
                " another --out"
            )
        return
    for path in (places.csv, places.png):
        if path.exists():
            raise ConflictError(
                f"{path} already exists: use --overwrite to replace it, or choose another --out"
            )

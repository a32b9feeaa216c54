"""The files of a training, and whether they may be written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from icas.clusterimg.deep.checkpoints import checkpoint_path
from icas.clusterimg.deep.train_settings import TrainSettings
from icas.common.errors import ConflictError, UsageError


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

"""Batch folders as they lie on disk, perhaps edited by hand: what lies in them counts."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from icas.clusterimg.features import Unreadable
from icas.clusterimg.graph import Labels
from icas.clusterimg.layout import OUTLIERS
from icas.clusterimg.scan import ImageRef, scan
from icas.common.errors import UsageError
from icas.common.find import natural_key


@dataclass(frozen=True)
class HandmadeBatch:
    """One batch folder.

    Attributes
    ----------
    images : tuple of ImageRef
        The images in it, named relative to the result folder.
    labels : (n,) int64 ndarray
        Number of the folder that each lies in; -1 for ``outliers`` and for images that lie loose.
    unreadable : tuple of Unreadable
        Files that are no images.
    """

    images: tuple[ImageRef, ...]
    labels: Labels
    unreadable: tuple[Unreadable, ...]


def read_batches(root: Path) -> list[HandmadeBatch]:
    """The batch folders of a result of ``--stage batch``.

    Raises
    ------
    UsageError
        There are none.
    """
    folders = _folders(root / "batches") if (root / "batches").is_dir() else []
    if not folders:
        raise UsageError(
            f"{root} holds no batches/ folder: --stage merge takes a result of --stage batch"
        )
    return [_read_batch(root, folder) for folder in folders]


def _folders(parent: Path) -> list[Path]:
    inside = [entry for entry in parent.iterdir() if entry.is_dir() and entry.name[0] != "."]
    return sorted(inside, key=lambda folder: natural_key(folder.name))


def _read_batch(root: Path, folder: Path) -> HandmadeBatch:
    images: list[ImageRef] = []
    labels: list[int] = []
    unreadable: list[Unreadable] = []
    places = [(folder, False, -1)]
    for number, place in enumerate(_folders(folder)):
        places.append((place, True, -1 if place.name == OUTLIERS else number))
    for place, recursive, label in places:
        found = scan(place, recursive=recursive)
        before = place.relative_to(root).as_posix() + "/"
        images.extend(replace(ref, file=before + ref.file) for ref in found.images)
        labels.extend([label] * len(found.images))
        unreadable.extend(Unreadable(before + one.file, one.reason) for one in found.unreadable)
    return HandmadeBatch(tuple(images), np.array(labels, np.int64), tuple(unreadable))


def earlier_run(root: Path) -> dict[str, Any]:
    """What ``run.json`` says of the run that wrote `root`; empty where there is none.

    Raises
    ------
    UsageError
        The file is there and cannot be read.
    """
    path = root / "run.json"
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    return told if isinstance(told, dict) else {}

"""A picture that is being painted -> its files: masks, labels, the document between runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from icas.segmentimg.formats.autosave import Kept, paint_stamps
from icas.segmentimg.formats.masks import save_painting
from icas.segmentimg.session.open import Work


@dataclass(frozen=True)
class Saving:
    """What a save writes, and how its files are called."""

    saves: tuple[str, ...] = ("masks", "labels")
    portable: bool = False


def save_work(work: Work, saving: Saving) -> list[Path]:
    """Write the masks of a picture, and what else is asked for.

    Raises
    ------
    IcasError
        The disk fails, or a file that is not ours is in the way; the painting stays as it is.
    """
    painting = work.painting()
    files = save_painting(work.picture, painting, work.record, saving.saves, saving.portable)
    work.saved_revision = work.document.revision
    work.files = paint_stamps(work.picture)
    return files


def kept_of(work: Work) -> Kept:
    """What is kept of a picture between runs."""
    work.name_colors()
    names = tuple(one.name for one in work.classes)
    return Kept(work.document.state(), names, work.record, not work.unsaved, work.files)

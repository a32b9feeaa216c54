"""Picking a threshold: in a window, or by a picture of the curve where none can be opened."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from icas.cli.console import Console
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.picker import backends
from icas.clusterimg.picker.curve import curve_picture, first_state, png_of
from icas.clusterimg.picker.figure import Subject
from icas.clusterimg.picker.pairs import Reader, Thumbnails, reader_of_files
from icas.clusterimg.picker.state import threshold_text
from icas.clusterimg.picker.window import pick_in_window
from icas.clusterimg.thresholds.sample import Sample
from icas.common.errors import IcasError, UsageError
from icas.io.files import write_whole
from icas.io.reading import MAX_PIXELS
from icas.io.sandbox import Isolation

__all__ = ["curve_picture", "pick", "should_pick"]

PICTURE = Path("thresholds.png")
"""The curve, where no window can be opened."""


def should_pick() -> bool:
    """Whether there are a terminal, a display and a toolkit for windows."""
    if not backends.has_terminal() or backends.why_no_display() is not None:
        return False
    return backends.window_backend()[0] is not None


def pick(
    sample: Sample,
    refs: Iterable[ImageRef],
    start: float,
    console: Console,
    *,
    picture: Path = PICTURE,
    max_pixels: int = MAX_PIXELS,
    isolation: Isolation | None = None,
) -> float:
    """Choose the threshold in a window.

    The curve is written to `picture` if no window can be opened; where such a file is, under the
    next free name. Images with more than `max_pixels` are not read; with `isolation` they are
    decoded in processes that can be killed.

    Raises
    ------
    KeyboardInterrupt
        It was cancelled.
    UsageError
        No window can be opened here; says where the curve is, and what call to make. Or the
        sample has fewer than two images.
    """
    if len(sample) < 2:
        raise UsageError("a threshold is picked by pairs of images: there are fewer than two")
    paths = {ref.file: ref.path for ref in refs}
    files = [paths.get(file) for file in sample.features.files] or [None] * len(sample)
    why = why_no_window()
    if why is not None:
        raise written_instead(sample, start, why, picture)
    console.line("the window asks for the threshold: Enter takes it, Esc cancels")
    return ask(sample, start, reader_of_files(files, max_pixels, isolation))


def ask(sample: Sample, start: float, read: Reader) -> float:
    """The choice made in a window of the backend that pyplot uses.

    Raises
    ------
    KeyboardInterrupt
        It was cancelled.
    """
    with backends.without_opencv_plugins():
        return pick_in_window(Subject.of(sample), first_state(sample, start), Thumbnails(read))


def why_no_window() -> str | None:
    """Why no window can be opened here; None where one can, which pyplot is ready for then."""
    return backends.why_no_display() or backends.window_backend()[1] or None


def written_instead(sample: Sample, start: float, why: str, picture: Path = PICTURE) -> UsageError:
    """Write the curve; the error says why, where it is, and what to do with it."""
    path = _free(picture)
    try:
        write_whole(path, png_of(curve_picture(sample, start)))
    except OSError as error:
        raise IcasError(f"cannot write {path}: {error.strerror or error}") from error
    return UsageError(
        f"{why}, so no window can be opened: see the curve in {path}, and give a number, such as"
        f" --threshold {threshold_text(start, 2)}"
    )


def _free(path: Path) -> Path:
    """`path`, or the first of ``name-2.png``, … that is not there."""
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free

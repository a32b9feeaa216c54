"""Picking a threshold: the matplotlib backend, a window, or a plot where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from icas.cli import display
from icas.cli.console import Console
from icas.clusterimg.data.images import ImageRef
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

TOOLKITS = {
    "tkagg": ("tkinter", "_tkinter"),
    "qtagg": ("PySide6", "PyQt6", "PySide2", "PyQt5"),
    "gtk3agg": ("gi",),
    "wxagg": ("wx",),
}
"""Backends in the order in which they are tried, with packages of which one has to be there."""
IN_BROWSERS = ("nbagg", "webagg")
"""Interactive backends without a window that could be waited for."""
QT_PLUGINS = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")
"""OpenCV sets these to folders of its own, whose plugins make any other Qt abort."""
PROBE = "import matplotlib.pyplot as plt; plt.figure().canvas.manager.show()"
PROBE_SECONDS = 30


def given_backend() -> str | None:
    """The backend that the user or the notebook has chosen, or that is in use; None if neither."""
    from matplotlib import rcParams

    # rcParams["backend"] itself would choose one
    backend = dict.__getitem__(rcParams, "backend")
    return backend.lower() if isinstance(backend, str) else None


def is_inline(backend: str | None) -> bool:
    """The backend for static plots in notebooks."""
    return backend is not None and backend.rpartition(".")[2] in ("inline", "backend_inline")


def is_live_in_notebook(backend: str | None) -> bool:
    """A notebook's live figures: ipympl."""
    return backend is not None and ("ipympl" in backend or backend == "widget")


def why_no_display() -> str | None:
    """Why no window can be opened here, in a few words; None where one can."""
    if not sys.platform.startswith("linux"):
        remote = sys.platform == "darwin" and "SSH_CONNECTION" in os.environ
        return "no display (a remote session)" if remote else None
    if os.environ.get("WAYLAND_DISPLAY"):
        return None
    if not os.environ.get("DISPLAY"):
        return "no display (DISPLAY is not set)"
    answers = display.x11_answers()
    return f"the display {os.environ['DISPLAY']} does not answer" if answers is False else None


def window_backend() -> tuple[str | None, str]:
    """Load a backend with windows for pyplot: its name, else None and why there is none.

    A backend that the user has set (MPLBACKEND) is not replaced by another.
    """
    given = given_backend()
    if given is not None:
        return _loaded(given)
    if sys.platform == "darwin":
        return _loaded("macosx")
    for backend, packages in TOOLKITS.items():
        if any(find_spec(package) for package in packages) and _loaded(backend)[0]:
            return backend, ""
    return None, "matplotlib finds no GUI toolkit (install tkinter or PySide6)"


def _loaded(backend: str) -> tuple[str | None, str]:
    """Have pyplot use `backend`: its name, else None and why not."""
    import matplotlib.pyplot as plt
    from matplotlib.backends.registry import BackendFilter, backend_registry

    interactive = backend_registry.list_builtin(BackendFilter.INTERACTIVE)  # type: ignore[no-untyped-call]
    if backend not in {name.lower() for name in interactive} - set(IN_BROWSERS):
        return None, f"the matplotlib backend {backend} has no windows"
    if backend.startswith("qt") and not _opens(backend):
        return None, f"the matplotlib backend {backend} cannot open a window"
    try:
        plt.switch_backend(backend)
    except ImportError as error:
        return None, f"the matplotlib backend {backend} cannot be loaded ({error})"
    return backend, ""


def _opens(backend: str) -> bool:
    """Let another process open a window: Qt ends a process in which it cannot."""
    with without_opencv_plugins():
        env = {**os.environ, "MPLBACKEND": backend}
    try:
        words = [sys.executable, "-c", PROBE]
        done = subprocess.run(words, env=env, capture_output=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@contextmanager
def without_opencv_plugins() -> Iterator[None]:
    """Hide OpenCV's Qt plugins while another Qt starts."""
    hidden = {
        name: os.environ.pop(name)
        for name in QT_PLUGINS
        if f"{os.sep}cv2{os.sep}" in os.environ.get(name, "")
    }
    try:
        yield
    finally:
        os.environ.update(hidden)


def has_terminal() -> bool:
    """Whether this runs in a terminal, with input."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    tty = [stream is not None and not stream.closed and stream.isatty() for stream in streams]
    return tty[0] and (tty[1] or tty[2])


__all__ = ["curve_picture", "pick", "should_pick"]

PICTURE = Path("thresholds.png")
"""The curve, where no window can be opened."""


def should_pick() -> bool:
    """Whether there are a terminal, a display and a toolkit for windows."""
    if not has_terminal() or why_no_display() is not None:
        return False
    return window_backend()[0] is not None


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
    """
    if len(sample) < 2:
        raise UsageError("cannot pick a threshold: at least two images are required")
    paths = {ref.file: ref.path for ref in refs}
    files = [paths.get(file) for file in sample.features.files] or [None] * len(sample)
    why = why_no_window()
    if why is not None:
        raise written_instead(sample, start, why, picture)
    console.line("choose the threshold in the window: Enter confirms, Esc cancels")
    return ask(sample, start, reader_of_files(files, max_pixels, isolation))


def ask(sample: Sample, start: float, read: Reader) -> float:
    """The choice made in a window of the backend that pyplot uses."""
    with without_opencv_plugins():
        return pick_in_window(Subject.of(sample), first_state(sample, start), Thumbnails(read))


def why_no_window() -> str | None:
    """Why no window can be opened here; None where one can, which pyplot is ready for then."""
    return why_no_display() or window_backend()[1] or None


def written_instead(sample: Sample, start: float, why: str, picture: Path = PICTURE) -> UsageError:
    """Write the curve; the error says why, where it is, and what to do with it."""
    path = _free(picture)
    try:
        write_whole(path, png_of(curve_picture(sample, start)))
    except OSError as error:
        raise IcasError(f"cannot write {path}: {error.strerror or error}") from error
    return UsageError(
        f"cannot open a window, {why}: look at the curve in {path} and give a number, such as"
        f" --threshold {threshold_text(start, 2)}"
    )


def _free(path: Path) -> Path:
    """`path`, or the first of ``name-2.png``, … that is not there."""
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free

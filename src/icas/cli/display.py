"""Can a window be opened here? Asked before the first one: HighGUI aborts the process if not."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import distributions
from pathlib import Path

from icas.common.errors import UsageError

USUAL_SCREEN = (1280, 800)
_PROBE = "import cv2; cv2.namedWindow('icas'); cv2.waitKey(1)"
_PROBE_SECONDS = 20


def require_windows(instead: str) -> None:
    """Fail in words if OpenCV cannot open a window here.

    Parameters
    ----------
    instead : str
        What the user can do without a window, as the end of the sentence.

    Raises
    ------
    UsageError
        OpenCV is built without windows or damaged by another OpenCV package, or there is no
        display.
    """
    require_whole_opencv()
    require_highgui(instead)
    if sys.platform.startswith("linux"):
        _require_x11(instead)


def require_whole_opencv() -> None:
    """Fail in words if OpenCV lacks its contrib modules.

    Raises
    ------
    UsageError
        Names the OpenCV packages that are installed, and how to mend it.
    """
    try:
        import cv2
    except ImportError as error:
        raise UsageError(f"OpenCV cannot be loaded ({error}){_cure()}") from error
    if not hasattr(getattr(cv2, "ximgproc", None), "createSuperpixelSLIC"):
        raise UsageError(f"OpenCV lacks its contrib modules{_cure()}")


def require_highgui(instead: str) -> None:
    """Fail in words if OpenCV is built without windows.

    Raises
    ------
    UsageError
        With `instead` as the end of the sentence.
    """
    backend = gui_backend()
    if backend == "NONE":
        raise UsageError(f"this OpenCV is built without windows{_cure()}, or {instead}")


def gui_backend() -> str:
    """What OpenCV draws windows with, as its build information has it: ``QT5``, ``NONE``, …"""
    import cv2

    for line in cv2.getBuildInformation().splitlines():
        name, colon, value = line.strip().partition(":")
        if colon and name == "GUI":
            return value.strip().upper() or "NONE"
    return "NONE"


def opencv_packages() -> list[str]:
    """OpenCV packages that are installed, with their versions."""
    found = {
        (name.lower().replace("_", "-"), package.version)
        for package in distributions()
        if (name := package.metadata["Name"] or "").lower().replace("_", "-").startswith("opencv-")
    }
    return [f"{name} {version}" for name, version in sorted(found)]


def _cure() -> str:
    there = opencv_packages()
    many = f"; {' and '.join(there)} overwrite each other" if len(there) > 1 else ""
    names = " ".join(package.split()[0] for package in there) or "opencv-contrib-python"
    return (
        f"{many}: pip uninstall -y {names}, then pip install --force-reinstall"
        " opencv-contrib-python"
    )


def _require_x11(instead: str) -> None:
    if not os.environ.get("DISPLAY"):
        raise UsageError(f"no display (DISPLAY is not set), so no window can be opened: {instead}")
    opens = x11_answers()
    if opens is None:
        opens = _probe()
    if not opens:
        raise UsageError(
            f"the display {os.environ['DISPLAY']} does not answer, so no window can be opened:"
            f" {instead}"
        )


def x11_answers() -> bool | None:
    """Whether the X server answers; None where libX11 is not there to ask it."""
    return None if (size := _x11_size()) is None else size != (0, 0)


def _x11_size() -> tuple[int, int] | None:
    """Width and height of the X screen, (0, 0) where no server answers, None without libX11."""
    import ctypes

    try:
        library = ctypes.CDLL("libX11.so.6")
    except OSError:
        return None
    library.XOpenDisplay.restype = ctypes.c_void_p
    library.XOpenDisplay.argtypes = [ctypes.c_char_p]
    display = library.XOpenDisplay(None)
    if not display:
        return 0, 0
    pointer = ctypes.c_void_p(display)
    size = library.XDisplayWidth(pointer, 0), library.XDisplayHeight(pointer, 0)
    library.XCloseDisplay(pointer)
    return int(size[0]), int(size[1])


def share_x11() -> None:
    """Have Qt in OpenCV use the system's libX11-xcb, where there is one; before the first window.

    OpenCV's wheels bring an old one, which does not fit newer releases of Xlib: it fails to tell
    Xlib that Qt wants all events. Xlib then takes some away at times. About one window in five
    never heard that it was open, and stayed black.
    """
    if sys.platform.startswith("linux"):
        import ctypes

        with suppress(OSError):
            ctypes.CDLL("libX11-xcb.so.1", mode=ctypes.RTLD_GLOBAL)


def _probe() -> bool:
    """Let another process open a window; it may abort in our place."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, timeout=_PROBE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def screen_size() -> tuple[int, int]:
    """Width and height of the screen in pixels; a usual one where nobody can tell."""
    size: tuple[int, int] | None = None
    if sys.platform.startswith("linux"):
        size = _x11_size()
    elif sys.platform == "win32":
        import ctypes

        metrics = ctypes.windll.user32.GetSystemMetrics
        size = int(metrics(0)), int(metrics(1))
    return size if size and min(size) > 0 else USUAL_SCREEN


def font_folder() -> Path | None:
    """Where matplotlib keeps its fonts; it is not imported for that."""
    from importlib.util import find_spec

    spec = find_spec("matplotlib")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "mpl-data" / "fonts" / "ttf"
        if folder.is_dir():
            return folder
    return None

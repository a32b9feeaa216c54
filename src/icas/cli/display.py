"""Display detection: HighGUI aborts the process if it cannot open a window."""

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
    """Check that OpenCV can open a window."""
    require_whole_opencv()
    require_highgui(instead)
    if sys.platform.startswith("linux"):
        _require_x11(instead)


def require_whole_opencv() -> None:
    """Raise a UsageError that names the installed packages if OpenCV lacks contrib modules."""
    try:
        import cv2
    except ImportError as error:
        raise UsageError(f"OpenCV cannot be loaded ({error}){_cure()}") from error
    if not hasattr(getattr(cv2, "ximgproc", None), "createSuperpixelSLIC"):
        raise UsageError(f"OpenCV lacks its contrib modules{_cure()}")


def require_highgui(instead: str) -> None:
    """Raise a UsageError that ends with `instead` if OpenCV is built without windows."""
    if gui_backend() == "NONE":
        raise UsageError(f"this OpenCV is built without windows{_cure()}, or {instead}")


def gui_backend() -> str:
    """The window system in the build information of OpenCV: ``QT5``, ``NONE``, …"""
    import cv2

    for line in cv2.getBuildInformation().splitlines():
        name, colon, value = line.strip().partition(":")
        if colon and name == "GUI":
            return value.strip().upper() or "NONE"
    return "NONE"


def opencv_packages() -> list[str]:
    """Installed OpenCV packages with their versions."""
    packages = {
        (name.lower().replace("_", "-"), package.version)
        for package in distributions()
        if (name := package.metadata["Name"] or "").lower().replace("_", "-").startswith("opencv-")
    }
    return [f"{name} {version}" for name, version in sorted(packages)]


def _cure() -> str:
    packages = opencv_packages()
    many = f"; {' and '.join(packages)} overwrite each other" if len(packages) > 1 else ""
    names = " ".join(package.split()[0] for package in packages) or "opencv-contrib-python"
    return (
        f"{many}: pip uninstall -y {names}, then pip install --force-reinstall"
        " opencv-contrib-python"
    )


def _require_x11(instead: str) -> None:
    if not os.environ.get("DISPLAY"):
        raise UsageError(f"no display (DISPLAY is not set), so no window can be opened: {instead}")
    if not (_probe() if (answers := x11_answers()) is None else answers):
        raise UsageError(
            f"the display {os.environ['DISPLAY']} does not answer, so no window can be opened:"
            f" {instead}"
        )


def x11_answers() -> bool | None:
    """Whether the X server answers; None without libX11."""
    return None if (size := _x11_size()) is None else size != (0, 0)


def _x11_size() -> tuple[int, int] | None:
    """Width and height of the X screen; (0, 0) if no server answers, None without libX11."""
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
    """Load the system's libX11-xcb before the first window, so that Qt in OpenCV uses it.

    OpenCV's wheels contain an old one, which does not pass all events on to Qt with newer releases
    of Xlib: about one window in five stayed black.
    """
    if sys.platform.startswith("linux"):
        import ctypes

        with suppress(OSError):
            ctypes.CDLL("libX11-xcb.so.1", mode=ctypes.RTLD_GLOBAL)


def _probe() -> bool:
    """Whether another process can open a window; it aborts if not."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, timeout=_PROBE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def screen_size() -> tuple[int, int]:
    """Width and height of the screen in pixels; a usual size if unknown."""
    size: tuple[int, int] | None = None
    if sys.platform.startswith("linux"):
        size = _x11_size()
    elif sys.platform == "win32":
        import ctypes

        metrics = ctypes.windll.user32.GetSystemMetrics
        size = int(metrics(0)), int(metrics(1))
    return size if size and min(size) > 0 else USUAL_SCREEN


def font_folder() -> Path | None:
    """The font folder of matplotlib, without importing it."""
    from importlib.util import find_spec

    spec = find_spec("matplotlib")
    for package in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(package) / "mpl-data" / "fonts" / "ttf"
        if folder.is_dir():
            return folder
    return None

"""OpenCV's HighGUI as a screen: pictures go in, events come out."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from typing import Protocol

from icas.cli.display import font_folder, gui_backend, share_x11
from icas.io.reading import Image
from icas.segmentimg.windows.events import Button, Closed, Event, Key, Kind, Mouse, Slider

PLACES = {
    "Colours": (6, 36),
    "Painting": (276, 36),
    "Debug": (296, 90),
    "Annotations": (6, 36),
    "Segments": (646, 36),
}
"""Where windows open, (x, y) on the screen."""
SETTLED = 0.5
"""Seconds after which the window manager has put a new window where it stays."""
WIDEST_FRAME = 64
"""Pixels that a window's frame takes at most on the left and on the top."""

# codes of cv2.waitKeyEx, which differ by window system: Qt and GTK, Windows, macOS
_NAMES = {
    9: "tab",
    13: "enter",
    27: "escape",
    32: "space",
    0xFF51: "left",
    0xFF52: "up",
    0xFF53: "right",
    0xFF54: "down",
    0x250000: "left",
    0x260000: "up",
    0x270000: "right",
    0x280000: "down",
    63234: "left",
    63232: "up",
    63235: "right",
    63233: "down",
}


class Screen(Protocol):
    """Somewhere to show windows, where a person may be."""

    def show(self, window: str, picture: Image) -> None:
        """Show a picture in a window, which opens if it is not there."""
        ...

    def slider(self, window: str, name: str, value: int, most: int) -> None:
        """Give a window that is shown a slider from 0 to `most`, if it has none of that name."""
        ...

    def hide(self, window: str) -> None:
        """Close a window, if it is there."""
        ...

    def events(self, seconds: float) -> list[Event]:
        """What was done since the last call, waiting up to some seconds for the first event."""
        ...

    def close(self) -> None:
        """Close all windows."""
        ...


class HighGui:
    """Windows of OpenCV; only for the main thread, and where `require_windows` has passed."""

    def __init__(self) -> None:
        import cv2

        self._cv2 = cv2
        self._open: dict[str, float] = {}
        self._pictures: dict[str, Image] = {}
        self._sliders: dict[tuple[str, str], int] = {}
        self._with_slider: set[tuple[str, str]] = set()
        self._places = dict(PLACES)
        self._frame = 0, 0
        self._magnifies = gui_backend().startswith("QT")
        self._waiting: deque[Event] = deque()
        folder = font_folder()
        if folder is not None and sys.platform.startswith("linux"):
            os.environ["QT_QPA_FONTDIR"] = str(folder)  # OpenCV 5 ships no fonts of its own
        share_x11()

    def show(self, window: str, picture: Image) -> None:
        """Show an RGB picture, pixel by pixel."""
        cv2 = self._cv2
        if window not in self._open:
            # the plain kind of window: the other one has a bar of tools that shifts coordinates
            cv2.namedWindow(window, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
            cv2.setMouseCallback(window, self._listener(window))
            if window in self._places:
                cv2.moveWindow(window, *self._places[window])
            self._open[window] = time.monotonic()
        self._pictures[window] = picture
        cv2.imshow(window, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    def slider(self, window: str, name: str, value: int, most: int) -> None:
        """Give a window that is shown a slider from 0 to `most`, if it has none of that name.

        One that it had before it was closed stands where it stood then.
        """
        if window not in self._open or (window, name) in self._with_slider:
            return

        def moved(value: int) -> None:
            self._sliders[window, name] = value
            self._waiting.append(Slider(window, name, value))

        self._with_slider.add((window, name))
        start = self._sliders.get((window, name), value)
        self._cv2.createTrackbar(name, window, start, most, moved)

    def hide(self, window: str) -> None:
        """Close a window, if it is there."""
        if window in self._open:
            self._forget(window)
            if self._is_visible(window):
                self._cv2.destroyWindow(window)

    def events(self, seconds: float) -> list[Event]:
        """Let the window system work for up to some seconds; a key ends that at once."""
        code = self._cv2.waitKeyEx(max(1, round(1000 * seconds)))
        name = key_name(code)
        if name:
            self._waiting.append(Key(name))
        for window in sorted(self._open):
            if not self._is_visible(window):
                self._forget(window)
                self._waiting.append(Closed(window))
        found = list(self._waiting)
        self._waiting.clear()
        for window in sorted(self._magnified(found)):
            self._renew(window)
        return found

    def close(self) -> None:
        """Close all windows."""
        for window in sorted(self._open):
            self.hide(window)
        self._cv2.waitKeyEx(1)  # lets the window system carry it out

    def _forget(self, window: str) -> None:
        del self._open[window]
        self._with_slider = {one for one in self._with_slider if one[0] != window}

    def _magnified(self, events: list[Event]) -> set[str]:
        """Windows that have enlarged their picture by themselves, as OpenCV's of Qt do."""
        wheels = [one for one in events if isinstance(one, Mouse) and one.kind == "wheel"]
        larger = {one.window for one in wheels if one.wheel > 0 or one.sideways}
        return larger & set(self._open) if self._magnifies else set()

    def _renew(self, window: str) -> None:
        """Open a window anew where it is: nothing else takes its own enlargement back."""
        if window in self._places and time.monotonic() - self._open[window] > SETTLED:
            self._places[window] = self._place_of(window)
        self.hide(window)
        self.show(window, self._pictures[window])

    def _place_of(self, window: str) -> tuple[int, int]:
        """Where a window is, (x, y) of its frame; what a person has moved a little counts as there.

        So that what is not told well, while the window manager is busy, never adds up.
        """
        x, y = self._cv2.getWindowImageRect(window)[:2]
        left, top = self._places[window]
        if max(abs(x - left), abs(y - top)) <= WIDEST_FRAME:
            self._frame = x - left, y - top
            return left, top
        return x - self._frame[0], y - self._frame[1]

    def _listener(self, window: str) -> object:
        def listen(event: int, x: int, y: int, flags: int, _: object) -> None:
            self._waiting.append(mouse_event(window, event, x, y, flags))

        return listen

    def _is_visible(self, window: str) -> bool:
        try:
            return bool(self._cv2.getWindowProperty(window, self._cv2.WND_PROP_VISIBLE) > 0)
        except self._cv2.error:
            return False


def key_name(code: int) -> str:
    """A character or a name for a code of `cv2.waitKeyEx`; "" for no key and keys without one."""
    if code < 0:
        return ""
    if code in _NAMES:
        return _NAMES[code]
    return chr(code) if 32 < code < 127 else ""


def mouse_event(window: str, event: int, x: int, y: int, flags: int) -> Mouse:
    """What HighGUI tells of the mouse, in our words."""
    kind, button = _EVENTS.get(event, ("move", ""))
    wheel = 0
    if kind == "wheel":
        wheel = (1 if flags > 0 else -1) * max(1, abs(flags >> 16) // 120)
    elif kind == "move":
        button = next((name for bit, name in _HELD if flags & bit), "")
    return Mouse(
        window,
        kind,
        x,
        y,
        button,
        wheel,
        sideways=event == 11,
        ctrl=bool(flags & 8),
        shift=bool(flags & 16),
    )


_EVENTS: dict[int, tuple[Kind, Button]] = {
    0: ("move", ""),
    1: ("down", "left"),
    2: ("down", "right"),
    3: ("down", "middle"),
    4: ("up", "left"),
    5: ("up", "right"),
    6: ("up", "middle"),
    7: ("double", "left"),
    8: ("double", "right"),
    9: ("double", "middle"),
    10: ("wheel", ""),
    11: ("wheel", ""),
}
"""Numbers of cv2.EVENT_…, which have not changed since OpenCV 2."""
_HELD: tuple[tuple[int, Button], ...] = ((1, "left"), (2, "right"), (4, "middle"))

"""Windows of OpenCV's HighGUI: images in, events out."""

from __future__ import annotations

import os
import sys
import time

from icas.cli.display import font_folder, gui_backend, share_x11
from icas.io.reading import Image
from icas.segmentimg.windows.events import Button, Closed, Event, Key, Kind, Mouse, Slider

POSITIONS = {
    "Colours": (6, 36),
    "Painting": (276, 36),
    "Debug": (296, 90),
    "Annotations": (6, 36),
    "Segments": (646, 36),
}
"""Initial positions of the windows, (x, y) on the screen."""
SETTLE_SECONDS = 0.5
"""Time in which a window manager moves a new window to its final position."""
MAX_FRAME = 64
"""Maximum width of a window's frame on the left and on the top, in pixels."""

# codes of cv2.waitKeyEx; arrows differ by window system: Qt and GTK, Windows, macOS
_KEY_NAMES = {
    **dict.fromkeys((8, 127, 0xFF08), "backspace"),
    9: "tab",
    13: "enter",
    27: "escape",
    32: "space",
    **dict.fromkeys((0xFF51, 0x250000, 63234), "left"),
    **dict.fromkeys((0xFF52, 0x260000, 63232), "up"),
    **dict.fromkeys((0xFF53, 0x270000, 63235), "right"),
    **dict.fromkeys((0xFF54, 0x280000, 63233), "down"),
}
_KINDS: tuple[Kind, ...] = ("down", "up", "double")
_BUTTONS: tuple[Button, ...] = ("left", "right", "middle")


class HighGui:
    """The windows; only for the main thread, and after `require_windows` has passed."""

    def __init__(self) -> None:
        import cv2

        self._cv2 = cv2
        self._opened_at: dict[str, float] = {}
        self._images: dict[str, Image] = {}
        self._slider_values: dict[tuple[str, str], int] = {}
        self._with_slider: set[tuple[str, str]] = set()
        self._positions = dict(POSITIONS)
        self._frame = 0, 0
        self._wheel_magnifies = gui_backend().startswith("QT")
        self._queue: list[Event] = []
        folder = font_folder()
        if folder is not None and sys.platform.startswith("linux"):
            os.environ["QT_QPA_FONTDIR"] = str(folder)  # OpenCV 5 has no fonts of its own
        share_x11()

    def show(self, window: str, image: Image) -> None:
        """Show an RGB image, pixel by pixel, in a window that is opened if needed."""
        cv2 = self._cv2
        if window not in self._opened_at:
            # the plain kind of window: the other one has a toolbar that shifts coordinates
            cv2.namedWindow(window, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)

            def on_mouse(event: int, x: int, y: int, flags: int, _: object) -> None:
                self._queue.append(mouse_event(window, event, x, y, flags))

            cv2.setMouseCallback(window, on_mouse)
            if window in self._positions:
                cv2.moveWindow(window, *self._positions[window])
            self._opened_at[window] = time.monotonic()
        self._images[window] = image
        cv2.imshow(window, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def slider(self, window: str, name: str, value: int, maximum: int) -> None:
        """Add a slider to an open window once; its last value is kept when the window closes."""
        if window not in self._opened_at or (window, name) in self._with_slider:
            return

        def on_change(value: int) -> None:
            self._slider_values[window, name] = value
            self._queue.append(Slider(window, name, value))

        self._with_slider.add((window, name))
        start = self._slider_values.get((window, name), value)
        self._cv2.createTrackbar(name, window, start, maximum, on_change)

    def hide(self, window: str) -> None:
        """Close a window if it is open."""
        if window in self._opened_at:
            self._forget(window)
            if self._is_visible(window):
                self._cv2.destroyWindow(window)

    def events(self, seconds: float) -> list[Event]:
        """Events since the last call; waits up to some seconds, less if a key is pressed."""
        name = key_name(self._cv2.waitKeyEx(max(1, round(1000 * seconds))))
        if name:
            self._queue.append(Key(name))
        for window in sorted(self._opened_at):
            if not self._is_visible(window):
                self._forget(window)
                self._queue.append(Closed(window))
        events, self._queue = self._queue, []
        if self._wheel_magnifies:
            wheels = [
                event for event in events if isinstance(event, Mouse) and event.kind == "wheel"
            ]
            magnified = {event.window for event in wheels if event.wheel > 0 or event.sideways}
            for window in sorted(magnified & set(self._opened_at)):
                self._reopen(window)
        return events

    def close(self) -> None:
        """Close all windows."""
        for window in sorted(self._opened_at):
            self.hide(window)
        self._cv2.waitKeyEx(1)  # lets the window system do it

    def _forget(self, window: str) -> None:
        del self._opened_at[window]
        self._with_slider = {slider for slider in self._with_slider if slider[0] != window}

    def _reopen(self, window: str) -> None:
        """Open a window again at its position: nothing else reverts Qt's own magnification."""
        settled = time.monotonic() - self._opened_at[window] > SETTLE_SECONDS
        if window in self._positions and settled:
            # Small differences are the frame, not a move by the user, so that reports of a busy
            # window manager that are a little off never add up.
            x, y = self._cv2.getWindowImageRect(window)[:2]
            left, top = self._positions[window]
            if max(abs(x - left), abs(y - top)) <= MAX_FRAME:
                self._frame = x - left, y - top
            else:
                self._positions[window] = x - self._frame[0], y - self._frame[1]
        self.hide(window)
        self.show(window, self._images[window])

    def _is_visible(self, window: str) -> bool:
        try:
            return bool(self._cv2.getWindowProperty(window, self._cv2.WND_PROP_VISIBLE) > 0)
        except self._cv2.error:
            return False


def key_name(code: int) -> str:
    """The name for a code of `cv2.waitKeyEx`; "" for no key and keys without one."""
    return _KEY_NAMES.get(code, chr(code) if 32 < code < 127 else "")


def mouse_event(window: str, event: int, x: int, y: int, flags: int) -> Mouse:
    """The event for the arguments of a HighGUI mouse callback."""
    kind: Kind = "move"
    button: Button = ""
    wheel = 0
    # cv2.EVENT_…: 0 a move, 1 to 9 the kinds by button, 10 and 11 the wheel
    if event in (10, 11):
        kind, wheel = "wheel", (1 if flags > 0 else -1) * max(1, abs(flags >> 16) // 120)
    elif 1 <= event <= 9:
        kind, button = _KINDS[(event - 1) // 3], _BUTTONS[(event - 1) % 3]
    else:
        button = next((name for bit, name in enumerate(_BUTTONS) if flags & 1 << bit), button)
    ctrl, shift = bool(flags & 8), bool(flags & 16)
    return Mouse(window, kind, x, y, button, wheel, event == 11, ctrl, shift)

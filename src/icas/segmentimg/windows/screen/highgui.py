"""Windows of OpenCV's HighGUI: images in, events out."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field

from icas.cli.display import font_folder, gui_backend, screen_size, share_x11
from icas.io.reading import Image
from icas.segmentimg.render.canvas import Shape
from icas.segmentimg.windows.events import (
    Button,
    Closed,
    Event,
    Key,
    Kind,
    Mouse,
    Resized,
    Slider,
)
from icas.segmentimg.windows.screen.layout import (
    NO_FRAME,
    USUAL_FRAME,
    Frame,
    Layout,
    Place,
    SavedPlaces,
)
from icas.segmentimg.windows.screen.x11 import X11

RESIZABLE = ("Painting", "Annotations", "Segments")
"""Windows that the user can resize; what is drawn in them follows."""
LEAST_SIZE = 120
"""Minimum height and width of an image drawn for a window."""
SETTLE_SECONDS = 1.5
"""Time in which a window manager moves a new window to its final position."""
CORRECTION_SECONDS = 0.15
REPORT_SECONDS = 0.5
"""Time in which Qt reports a turn of the wheel that was sent to it."""
SEARCH_SECONDS = 10.0
"""Time in which a new window is looked for under X11."""

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


@dataclass
class _Window:
    """An open window."""

    shown: Shape
    """Height and width of the image in it."""
    target: tuple[int, int]
    """Where it has to be on the screen (x, y), inside its frame."""
    requested: tuple[int, int]
    """Argument of the last `cv2.moveWindow`."""
    width: int
    height: int
    """Requested size, sliders included."""
    opened_at: float
    title: str = ""
    sliders: set[str] = field(default_factory=set)
    number: int | None = None
    """Of X11."""
    corrected_at: float = 0.0
    place: Place | None = None
    """Where the window was once it did not move any more."""
    below: int = 0
    """Height of the sliders."""
    size: Shape | None = None
    """Last size reported by a `Resized` event."""
    magnified: int = 0
    """Turns of the wheel that Qt used to magnify the window."""
    turned_back: int = 0
    """Turns sent to revert that, which Qt will report."""
    turned_at: float = 0.0


class HighGui:
    """The windows; only for the main thread, and after `require_windows` has passed."""

    def __init__(self) -> None:
        import cv2

        self._cv2 = cv2
        self._windows: dict[str, _Window] = {}
        self._moved: dict[str, Place] = {}
        self._slider_values: dict[tuple[str, str], int] = {}
        self._queue: list[Event] = []
        self._qt = gui_backend().startswith("QT")
        if sys.platform.startswith("linux"):
            folder = font_folder()
            if folder is not None:
                os.environ["QT_QPA_FONTDIR"] = str(folder)  # OpenCV 5 has no fonts of its own
            if os.environ.get("DISPLAY"):
                os.environ.setdefault("QT_QPA_PLATFORM", "xcb")
            # With XInput 2, the wheel of many mice reaches Qt in a way that cannot be grabbed.
            os.environ["QT_XCB_NO_XI2"] = "1"
        share_x11()
        self._x11 = X11.connect() if self._qt else None
        self.layout = Layout(*self._area_and_frame())
        self._saved = SavedPlaces(self.layout.area)

    def _area_and_frame(self) -> tuple[Place, Frame]:
        area = self._x11.work_area() if self._x11 is not None else None
        frame = NO_FRAME if self._x11 is not None and not self._x11.managed else USUAL_FRAME
        return Place(*(area or (0, 0, *screen_size()))), frame

    def size(self, window: str, size: Shape) -> Shape:
        """Height and width of a window as the user has left it, else `size`."""
        saved = self._saved.get(window)
        if saved is None:
            return size
        place = self.layout.clamped(saved)
        return place.height, place.width

    def show(self, window: str, image: Image) -> None:
        """Show an RGB image in a window that is opened if needed."""
        shape = image.shape[0], image.shape[1]
        if window not in self._windows:
            self._open(window, shape)
        self._windows[window].shown = shape
        self._cv2.imshow(window, self._cv2.cvtColor(image, self._cv2.COLOR_RGB2BGR))

    def title(self, window: str, text: str) -> None:
        """Set the title of an open window."""
        opened = self._windows.get(window)
        # a window is found under X11 by its first title
        ready = opened is not None and (self._x11 is None or opened.number is not None)
        if opened is not None and ready and opened.title != text:
            opened.title = text
            self._cv2.setWindowTitle(window, text)

    def slider(self, window: str, name: str, value: int, maximum: int) -> None:
        """Add a slider to an open window once; its last value is kept when the window closes."""
        opened = self._windows.get(window)
        if opened is None or name in opened.sliders:
            return

        def on_change(value: int) -> None:
            self._slider_values[window, name] = value
            self._queue.append(Slider(window, name, value))

        opened.sliders.add(name)
        start = self._slider_values.get((window, name), value)
        self._cv2.createTrackbar(name, window, start, maximum, on_change)

    def hide(self, window: str) -> None:
        """Close a window if it is open."""
        if window in self._windows:
            self._note_place(window)
            del self._windows[window]
            if self._is_visible(window):
                self._cv2.destroyWindow(window)

    def events(self, seconds: float) -> list[Event]:
        """Events since the last call; waits up to some seconds, less if a key is pressed."""
        name = key_name(self._cv2.waitKeyEx(max(1, round(1000 * seconds))))
        if name:
            self._queue.append(Key(name))
        for window in sorted(self._windows):
            if not self._is_visible(window):
                del self._windows[window]
                self._queue.append(Closed(window))
        for window, opened in self._windows.items():
            if self._x11 is not None:
                self._settle(self._x11, window, opened)
            if opened.place is None and time.monotonic() - opened.opened_at > SETTLE_SECONDS:
                opened.place = self._place(window)
                opened.below = max(0, opened.height - opened.place.height) if opened.sliders else 0
        if self._x11 is not None:
            self._read_wheel(self._x11)
        for window in RESIZABLE:
            self._report_size(window)
        events, self._queue = self._queue, []
        return events

    def close(self) -> None:
        """Close all windows, and save where the user has moved them."""
        for window in sorted(self._windows):
            self.hide(window)
        self._saved.save(self._moved)
        self._cv2.waitKeyEx(1)  # lets the window system do it
        if self._x11 is not None:
            self._x11.close()
            self._x11 = None

    def _open(self, window: str, shape: Shape) -> None:
        cv2, resizable = self._cv2, window in RESIZABLE
        height, width = shape
        saved = self._moved.get(window) or self._saved.get(window)
        if saved is not None:
            size = (saved.width, saved.height) if resizable else (width, height)
            x, y, width, height = self.layout.clamped(Place(saved.x, saved.y, *size))
        else:
            x, y = self.layout.position(window, width, height)
        # the plain kind of window: the other one has a toolbar that shifts coordinates
        kind = cv2.WINDOW_NORMAL | cv2.WINDOW_FREERATIO if resizable else cv2.WINDOW_AUTOSIZE
        cv2.namedWindow(window, kind | cv2.WINDOW_GUI_NORMAL)
        frame = self.layout.frame
        corner = x - frame.left, y - frame.top
        opened = _Window(shape, (x, y), corner, width, height, time.monotonic(), window)
        self._windows[window] = opened

        def on_mouse(event: int, x: int, y: int, flags: int, _: object) -> None:
            self._take_mouse(window, opened, mouse_event(window, event, x, y, flags))

        cv2.setMouseCallback(window, on_mouse)
        if resizable:
            cv2.resizeWindow(window, width, height)
        cv2.moveWindow(window, *opened.requested)

    def _take_mouse(self, window: str, opened: _Window, event: Mouse) -> None:
        """Queue an event, unless it reports a turn of the wheel that was sent by `turn_back`.

        HighGUI reports the wheel where it could not be grabbed, as while a button is held down.
        Qt has magnified the window then.
        """
        if event.kind == "wheel" and self._qt:
            recent = time.monotonic() - opened.turned_at < REPORT_SECONDS
            if event.wheel < 0 and opened.turned_back and recent:
                opened.turned_back -= 1
                return
            if event.wheel > 0:
                opened.magnified += event.wheel
            if self._x11 is None:
                return  # Qt's own magnification stays, and positions allow for it
        self._queue.append(event)

    def _settle(self, x11: X11, window: str, opened: _Window) -> None:
        """Grab the wheel of a new window, and correct its position after it has got its frame."""
        now = time.monotonic()
        age = now - opened.opened_at
        if opened.number is None and age < SEARCH_SECONDS:
            opened.number = x11.find(window)
            if opened.number is not None:
                x11.grab_wheel(opened.number)
        if opened.number is None or opened.place is not None:
            return
        if now - opened.corrected_at < CORRECTION_SECONDS:
            return
        opened.corrected_at = now
        frame = x11.frame(opened.number)
        if frame is None:
            if x11.managed:
                return  # not yet
            frame = NO_FRAME
        self.layout = Layout(self.layout.area, Frame(*frame))
        size = self._cv2.getWindowImageRect(window)[2:]
        wanted = opened.width, opened.height
        wrong = size[0] != wanted[0] or (not opened.sliders and size[1] != wanted[1])
        if window in RESIZABLE and wrong:
            # a busy window manager maps a window with the size that it had at first
            self._cv2.resizeWindow(window, *wanted)
            return
        target = self.layout.clamped(Place(*opened.target, *size))
        x, y = x11.position(opened.number)
        off = target.x - x, target.y - y
        opened.target = target.x, target.y
        if off != (0, 0):
            opened.requested = opened.requested[0] + off[0], opened.requested[1] + off[1]
            self._cv2.moveWindow(window, *opened.requested)

    def _read_wheel(self, x11: X11) -> None:
        by_number = {opened.number: window for window, opened in self._windows.items()}
        for wheel in x11.wheels():
            window = by_number.get(wheel.window)
            if window is not None:
                x, y = self._in_image(window, wheel.x, wheel.y)
                self._queue.append(
                    Mouse(
                        window,
                        "wheel",
                        x,
                        y,
                        wheel=wheel.steps,
                        sideways=wheel.sideways,
                        ctrl=wheel.ctrl,
                        shift=wheel.shift,
                    )
                )
        for opened in self._windows.values():
            if opened.magnified and opened.number is not None:
                x11.turn_back(opened.number, 0, 0, opened.magnified)
                opened.turned_back, opened.magnified = opened.magnified, 0
                opened.turned_at = time.monotonic()

    def _in_image(self, window: str, x: int, y: int) -> tuple[int, int]:
        """A position in a window as one in its image, which is stretched while they differ."""
        height, width = self._windows[window].shown
        _, _, wide, high = self._cv2.getWindowImageRect(window)
        return x * width // max(1, wide), y * height // max(1, high)

    def _report_size(self, window: str) -> None:
        opened = self._windows.get(window)
        if opened is None:
            return
        _, _, width, height = self._cv2.getWindowImageRect(window)
        size = max(LEAST_SIZE, height), max(LEAST_SIZE, width)
        if min(width, height) > 1 and size not in (opened.shown, opened.size):
            opened.size = size
            self._queue.append(Resized(window, *size))

    def _place(self, window: str) -> Place:
        left, top, width, height = self._cv2.getWindowImageRect(window)
        number = self._windows[window].number
        if number is not None and self._x11 is not None:
            left, top = self._x11.position(number)
        return Place(left, top, width, height)

    def _note_place(self, window: str) -> None:
        """Keep the place of a window that the user has moved or resized."""
        opened = self._windows[window]
        if opened.place is not None and self._is_visible(window):
            place = self._place(window)
            fixed = window not in RESIZABLE
            if place[:2] != opened.place[:2] or (place != opened.place and not fixed):
                self._moved[window] = place._replace(height=place.height + opened.below)

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

"""Windows of this process under X11: where they are, and the wheel before Qt sees it.

Qt in OpenCV magnifies a window when the wheel is turned over it, and nothing in HighGUI can switch
that off. A second connection to the X server grabs the wheel of our windows instead.
"""

from __future__ import annotations

import ctypes
import itertools
import os
from collections.abc import Iterator
from ctypes import POINTER, byref, c_char_p, c_int, c_long, c_uint, c_ulong, c_void_p
from typing import Any, NamedTuple

BUTTON_PRESS, BUTTON_RELEASE = 4, 5
UP, DOWN, LEFT, RIGHT = 4, 5, 6, 7
"""X buttons of the wheel."""
SHIFT, LOCK, CTRL, NUM_LOCK = 1, 2, 4, 16
ASYNC = 1
LONG = 1024
"""Maximum length of a property that is read, in units of 32 bits."""


class _ButtonEvent(ctypes.Structure):
    """XButtonEvent, as large as XEvent."""

    _fields_ = (
        ("type", c_int),
        ("serial", c_ulong),
        ("send_event", c_int),
        ("display", c_void_p),
        ("window", c_ulong),
        ("root", c_ulong),
        ("subwindow", c_ulong),
        ("time", c_ulong),
        ("x", c_int),
        ("y", c_int),
        ("x_root", c_int),
        ("y_root", c_int),
        ("state", c_uint),
        ("button", c_uint),
        ("same_screen", c_int),
        ("rest", c_long * 24),
    )


class Wheel(NamedTuple):
    """The wheel was turned at (x, y) in an X window."""

    window: int
    x: int
    y: int
    steps: int
    sideways: bool
    ctrl: bool
    shift: bool


_ErrorHandler = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p)
_IGNORE_ERRORS = _ErrorHandler(lambda display, event: 0)
"""Xlib ends the process at an error, such as one about a window that has just been closed."""
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "XOpenDisplay": (c_void_p, (c_char_p,)),
    "XCloseDisplay": (c_int, (c_void_p,)),
    "XSetErrorHandler": (c_void_p, (_ErrorHandler,)),
    "XDefaultRootWindow": (c_ulong, (c_void_p,)),
    "XInternAtom": (c_ulong, (c_void_p, c_char_p, c_int)),
    "XQueryTree": (c_int, (c_void_p, c_ulong, *[c_void_p] * 4)),
    "XFetchName": (c_int, (c_void_p, c_ulong, POINTER(c_char_p))),
    "XFree": (c_int, (c_void_p,)),
    "XGetWindowProperty": (
        c_int,
        (c_void_p, c_ulong, c_ulong, c_long, c_long, c_int, c_ulong, *[c_void_p] * 5),
    ),
    "XGrabButton": (
        c_int,
        (c_void_p, c_uint, c_uint, c_ulong, c_int, c_uint, c_int, c_int, c_ulong, c_ulong),
    ),
    "XTranslateCoordinates": (
        c_int,
        (c_void_p, c_ulong, c_ulong, c_int, c_int, *[c_void_p] * 3),
    ),
    "XPending": (c_int, (c_void_p,)),
    "XNextEvent": (c_int, (c_void_p, c_void_p)),
    "XSendEvent": (c_int, (c_void_p, c_ulong, c_int, c_long, c_void_p)),
    "XSync": (c_int, (c_void_p, c_int)),
}


class X11:
    """A connection to the X server beside the one of Qt."""

    def __init__(self, library: Any, display: int) -> None:
        self._x, self._display = library, display
        self._root = library.XDefaultRootWindow(display)

    @classmethod
    def connect(cls) -> X11 | None:
        """A connection; None where there is no X server, or no libX11."""
        try:
            library = ctypes.CDLL("libX11.so.6")
        except OSError:
            return None
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        display = library.XOpenDisplay(None)
        if not display:
            return None
        library.XSetErrorHandler(_IGNORE_ERRORS)
        return cls(library, display)

    def close(self) -> None:
        """End the connection; its grabs end too."""
        self._x.XCloseDisplay(self._display)

    def find(self, title: str) -> int | None:
        """The window of this process with a title; None while there is none."""
        # without a window manager, windows are children of the root
        windows = self._longs(self._root, "_NET_CLIENT_LIST") or list(self._children(self._root))
        for window in reversed(windows):
            if self._longs(window, "_NET_WM_PID") == [os.getpid()] and self._name(window) == title:
                return window
        return None

    def work_area(self) -> tuple[int, int, int, int] | None:
        """Left, top, width and height of the screen without panels; None if not published."""
        area = self._longs(self._root, "_NET_WORKAREA")[:4]
        return (area[0], area[1], area[2], area[3]) if len(area) == 4 and area[2] > 0 else None

    @property
    def managed(self) -> bool:
        """Whether a window manager draws frames."""
        return bool(self._longs(self._root, "_NET_SUPPORTING_WM_CHECK"))

    def frame(self, window: int) -> tuple[int, int, int, int] | None:
        """Width of a window's frame: left, right, top, bottom; None while it has none."""
        sides = self._longs(window, "_NET_FRAME_EXTENTS")
        return (sides[0], sides[1], sides[2], sides[3]) if len(sides) == 4 else None

    def position(self, window: int) -> tuple[int, int]:
        """Screen coordinates (x, y) of the upper left corner inside the frame."""
        x, y, child = c_int(), c_int(), c_ulong()
        self._x.XTranslateCoordinates(
            self._display, window, self._root, 0, 0, byref(x), byref(y), byref(child)
        )
        return x.value, y.value

    def grab_wheel(self, window: int) -> None:
        """Receive the wheel of a window in place of the program that drew it."""
        for button in (UP, DOWN, LEFT, RIGHT):
            # One by one: "any modifier" fails where a window manager grabs one of them.
            for parts in itertools.product((0, SHIFT), (0, CTRL), (0, LOCK), (0, NUM_LOCK)):
                mask = 4  # ButtonPressMask
                self._x.XGrabButton(
                    self._display, button, sum(parts), window, 0, mask, ASYNC, ASYNC, 0, 0
                )
        self._x.XSync(self._display, 0)

    def wheels(self) -> Iterator[Wheel]:
        """Turns of the wheel since the last call."""
        event = _ButtonEvent()
        while self._x.XPending(self._display):
            self._x.XNextEvent(self._display, byref(event))
            if event.type == BUTTON_PRESS and event.button in (UP, DOWN, LEFT, RIGHT):
                yield Wheel(
                    event.window,
                    event.x,
                    event.y,
                    1 if event.button in (UP, LEFT) else -1,
                    event.button in (LEFT, RIGHT),
                    bool(event.state & CTRL),
                    bool(event.state & SHIFT),
                )

    def turn_back(self, window: int, x: int, y: int, steps: int) -> None:
        """Send turns of the wheel to a window, which revert Qt's magnification."""
        event = _ButtonEvent(window=window, root=self._root, x=x, y=y, button=DOWN, same_screen=1)
        for _ in range(steps):
            for kind in (BUTTON_PRESS, BUTTON_RELEASE):
                event.type = kind
                self._x.XSendEvent(self._display, window, 0, 0, byref(event))
        self._x.XSync(self._display, 0)

    def _children(self, window: int) -> Iterator[int]:
        ids = c_ulong(), c_ulong()
        children, count = POINTER(c_ulong)(), c_uint()
        if self._x.XQueryTree(
            self._display, window, byref(ids[0]), byref(ids[1]), byref(children), byref(count)
        ):
            yield from [children[number] for number in range(count.value)]
            if count.value:
                self._x.XFree(children)

    def _name(self, window: int) -> str:
        name = c_char_p()
        if not self._x.XFetchName(self._display, window, byref(name)) or name.value is None:
            return ""
        text = name.value.decode("utf-8", "replace")
        self._x.XFree(name)
        return text

    def _longs(self, window: int, name: str) -> list[int]:
        """A property of 32-bit numbers; empty where it is not set."""
        atom = self._x.XInternAtom(self._display, name.encode(), 0)
        kind, width, count, rest = c_ulong(), c_int(), c_ulong(), c_ulong()
        data = POINTER(c_ulong)()
        anything = 0
        places = (byref(kind), byref(width), byref(count), byref(rest), byref(data))
        failed = self._x.XGetWindowProperty(
            self._display, window, atom, 0, LONG, 0, anything, *places
        )
        if failed or not data:
            return []
        numbers = [data[number] for number in range(count.value)] if width.value == 32 else []
        self._x.XFree(data)
        return numbers

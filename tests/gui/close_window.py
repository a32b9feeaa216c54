"""Closes a window, whose number is given, as its cross does.

xdotool of 2016, which Debian 12 has, cannot. A process of its own, for Xlib ends the one that names
a window which is gone.
"""

from __future__ import annotations

import ctypes
import sys


class Message(ctypes.Structure):
    """XClientMessageEvent."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("rest", ctypes.c_long * 24),
    )


x = ctypes.CDLL("libX11.so.6")
x.XOpenDisplay.restype = ctypes.c_void_p
x.XInternAtom.restype = ctypes.c_ulong
display, window = ctypes.c_void_p(x.XOpenDisplay(None)), int(sys.argv[1])
atom = [x.XInternAtom(display, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")]
message = Message(type=33, window=window, message_type=atom[0], format=32)
message.data[0] = atom[1]
x.XSendEvent(display, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(message))
x.XCloseDisplay(display)

"""The loop of the painting windows: events in, pictures out."""

from __future__ import annotations

import time
from collections.abc import Callable

from icas.segmentimg.windows.desk import Desk
from icas.segmentimg.windows.screen import Screen

LIVELY, IDLE = 0.008, 0.03
"""Seconds to wait for events: while a hand is at work, and when nothing has come for a while."""
IDLE_AFTER = 1.0


def run(desk: Desk, screen: Screen, clock: Callable[[], float] = time.monotonic) -> None:
    """Let a person paint until the desk is finished; the windows are closed then."""
    last = clock()
    try:
        while not desk.finished:
            desk.tick()
            for window, picture in desk.frames().items():
                if picture is None:
                    screen.hide(window)
                else:
                    screen.show(window, picture)
            for window, name, value, most in desk.sliders():
                screen.slider(window, name, value, most)
            events = screen.events(LIVELY if clock() - last < IDLE_AFTER else IDLE)
            if events:
                last = clock()
            for event in events:
                desk.handle(event)
    finally:
        desk.close()
        screen.close()

"""The loop of the painting windows: events in, pictures out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from icas.cli.console import Console
from icas.cli.display import require_windows, screen_size
from icas.common.errors import UsageError
from icas.parallel.executors import core_count
from icas.segmentimg.formats.inputs import find_pictures
from icas.segmentimg.session.save import Saving
from icas.segmentimg.session.session import Session, Summary
from icas.segmentimg.settings import CUT_SAVES, SegmentSettings
from icas.segmentimg.windows.controller import Desk
from icas.segmentimg.windows.highgui import Screen
from icas.segmentimg.windows.palette_view import WIDTH as COLORS_WIDTH

WITHOUT = "give --no-gui to cut pictures without one"
ROOM = (COLORS_WIDTH + 60, 120)
"""Width and height of the screen that the colour window, bars and frames take."""
LEAST = (480, 360)


def paint_files(
    paths: Sequence[str | Path],
    settings: SegmentSettings | None = None,
    console: Console | None = None,
) -> Summary:
    """Let a person paint pictures in windows; what was painted is saved where they say so.

    All that can be wrong with files and settings is told before a window opens.

    Raises
    ------
    UsageError
        A path or an option is wrong, nothing can be written where masks shall go, or no window can
        be opened here.
    IcasError
        There are no pictures.
    """
    settings, console = settings or SegmentSettings(), console or Console()
    wrong = [name for name in settings.save or () if name in CUT_SAVES and name != "json"]
    if wrong:
        raise UsageError(f"--save {','.join(wrong)} goes with --no-gui")
    opener = settings.make_opener(by_hand=True)
    templates = settings.template_set()
    pictures = find_pictures(paths, settings.out, settings.recursive)
    _require_writable({picture.out for picture in pictures})
    require_windows(WITHOUT)

    from icas.segmentimg.windows.controller import Desk

    pass
    from icas.segmentimg.windows.highgui import HighGui

    session = Session(
        pictures,
        opener,
        Saving(settings.painted_saves, settings.portable_names),
        ahead=settings.ahead,
        jobs=settings.jobs or max(1, core_count() - 1),
    )
    desk = Desk(session, opener.palette, templates, most=window_room(), console=console)
    try:
        run(desk, HighGui())
    finally:
        summary = session.close()
    return summary


def _require_writable(folders: Iterable[Path]) -> None:
    """Refuse folders that cannot be made or written into, before anyone has painted."""
    for folder in sorted(folders):
        whole = folder.resolve()
        there = next(one for one in (whole, *whole.parents) if one.exists())
        why = "is no folder" if not there.is_dir() else "is not writable"
        if not (there.is_dir() and os.access(there, os.W_OK)):
            raise UsageError(f"masks cannot go into {folder}: {there} {why}; give another --out")


def window_room() -> tuple[int, int]:
    """Height and width that the painting window may have."""
    width, height = screen_size()
    return max(LEAST[1], height - ROOM[1]), max(LEAST[0], width - ROOM[0])


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

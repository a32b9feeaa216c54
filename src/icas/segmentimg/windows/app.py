"""Painting in windows: checks before, the event loop, the summary after."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from icas.cli.console import Console
from icas.cli.display import require_windows
from icas.common.errors import UsageError
from icas.segmentimg.formats.folder_classes import folder_classes
from icas.segmentimg.formats.inputs import find_image_files
from icas.segmentimg.session.folders import painting_locked, require_writable
from icas.segmentimg.session.session import Session, SessionSummary
from icas.segmentimg.settings import SEGMENT_SAVES, SegmentSettings
from icas.segmentimg.windows.controller import PAINTING, Controller
from icas.segmentimg.windows.screen.highgui import HighGui

WITHOUT_WINDOWS = "use --no-gui to segment without windows"
ACTIVE_SECONDS, IDLE_SECONDS = 0.008, 0.03
"""Seconds to wait for events while there are some, and after a second without."""


def paint_files(
    paths: Sequence[str | Path],
    settings: SegmentSettings | None = None,
    console: Console | None = None,
) -> SessionSummary:
    """Paint images in windows; arguments are checked before a window opens."""
    settings, console = settings or SegmentSettings(), console or Console()
    wrong = [name for name in settings.save or () if name in SEGMENT_SAVES and name != "json"]
    if wrong:
        raise UsageError(f"--save {','.join(wrong)} needs --no-gui")
    classes, templates = settings.classes(), settings.template_set()
    pictures = find_image_files(paths, settings.out, settings.recursive)
    if settings.resume is not False:
        classes = folder_classes(pictures, classes)
    opener = settings.make_opener(interactive=True, classes=classes)
    require_writable({picture.out for picture in pictures})
    require_windows(WITHOUT_WINDOWS)
    with painting_locked(picture.out for picture in pictures):
        session = settings.make_session(pictures, opener)
        return run_session(
            session, partial(Controller, session, opener.palette, templates, console=console)
        )


def run_session(session: Session, make_controller: Callable[..., Controller]) -> SessionSummary:
    """Open the windows of a session, and close it after them.

    `make_controller` takes the sizes ``size`` and ``annotation_size``.
    """
    try:
        screen = HighGui()
        controller = make_controller(
            size=screen.size(PAINTING, screen.layout.painting),
            annotation_size=screen.layout.annotations,
        )
        run(controller, screen)
    finally:
        summary = session.close()
    return summary


def run(controller: Controller, screen: HighGui) -> None:
    """The event loop; closes the windows at the end."""
    last_event = time.monotonic()
    try:
        while not controller.finished:
            controller.tick()
            for window, image in controller.frames().items():
                if image is None:
                    screen.hide(window)
                else:
                    screen.show(window, image)
            for window, text in controller.titles().items():
                screen.title(window, text)
            for window, name, value, maximum in controller.sliders():
                screen.slider(window, name, value, maximum)
            idle = time.monotonic() - last_event >= 1.0
            events = screen.events(IDLE_SECONDS if idle else ACTIVE_SECONDS)
            if events:
                last_event = time.monotonic()
            for event in events:
                controller.handle(event)
    finally:
        controller.close()
        screen.close()

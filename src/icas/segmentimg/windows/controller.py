"""Events in the windows -> what happens in the session; knows no window system."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from icas.cli.console import Console
from icas.common.errors import IcasError
from icas.io.reading import Image
from icas.segmentimg.document.palette import Palette
from icas.segmentimg.render.viewport import Shape
from icas.segmentimg.session.open import Work
from icas.segmentimg.session.session import Session
from icas.segmentimg.templates.files import TemplateSet
from icas.segmentimg.templates.paint import TemplatePaint
from icas.segmentimg.windows.annotation import Annotating
from icas.segmentimg.windows.debug_view import debug_picture, waiting_picture
from icas.segmentimg.windows.events import Closed, Event, Key, Mouse, Slider, action_of, help_rows
from icas.segmentimg.windows.painting_view import ZOOM, Easel, Hand
from icas.segmentimg.windows.palette_view import (
    MOST_ROWS,
    Status,
    class_under,
    color_picture,
    rows_of_classes,
)
from icas.segmentimg.windows.text import laid_over, notice, table_panel

PAINTING, COLORS, DEBUG = "Painting", "Colours", "Debug"
PAN = 80
OPACITIES = (0.5, 0.75, 1.0, 0.0, 0.25)
SAID_SECONDS = 6.0


class Desk:
    """All that a person at the windows can do, and what the windows show.

    Parameters
    ----------
    session : Session
    palette : Palette
        At least one class.
    templates : TemplateSet
    most : (int, int)
        Height and width that the painting window has at most.
    console : Console
    clock : callable
        Seconds, as `time.monotonic`.

    Attributes
    ----------
    finished : bool
        The person wants to leave.
    """

    def __init__(
        self,
        session: Session,
        palette: Palette,
        templates: TemplateSet | None = None,
        *,
        most: Shape,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session, self._palette, self._most = session, palette, most
        self._templates = templates or TemplateSet()
        self._console, self._clock = console or Console(), clock
        self._hand = Hand(palette[0].color)
        self._easel: Easel | None = None
        self._annotating: Annotating | None = None
        self._windows: set[str] = set()
        self._to_close: set[str] = set()
        self._first_row = 0
        self._said, self._said_until = "", 0.0
        self._help = self._debug = self._colors_closed = self._asked_to_quit = False
        self._shown: dict[str, object] = {}
        self._searcher = ThreadPoolExecutor(1, thread_name_prefix="icas-templates")
        self._search: tuple[Work, Future[TemplatePaint]] | None = None
        self.finished = False

    def handle(self, event: Event) -> None:
        """Do what a person did; nothing any more once the desk is finished."""
        if self.finished:
            return
        if self._annotating is not None:
            self._annotate(self._annotating, event)
        elif isinstance(event, Closed):
            self._closed(event.window)
        elif isinstance(event, Key):
            action = action_of(event.name)
            if action is not None:
                self._asked_to_quit &= action == "quit"
                self._act(action, event.name)
        elif isinstance(event, Slider):
            return  # of a window that is gone
        elif event.window == COLORS:
            self._choose(event)
        elif event.window == PAINTING:
            self._asked_to_quit &= event.kind not in ("down", "double")
            self._painting(event)

    def tick(self) -> None:
        """What has to be done from time to time, events or not."""
        self._open()
        if self._annotating is not None:
            self._annotating.tick()
        told = self._session.tick()
        if told:
            self.say(told, warn=True)
        if self._search is not None and self._search[1].done():
            self._stamp(*self._search)
            self._search = None
        if self._said and self._clock() > self._said_until:
            self._said = ""
            self._shown.pop(PAINTING, None)

    def frames(self) -> dict[str, Image | None]:
        """Windows that look different now, with their pictures; None closes a window."""
        made: dict[str, Image | None] = dict.fromkeys(self._to_close)
        self._to_close = set()
        made |= self._painting_frames() if self._annotating is None else self._annotating.frames()
        self._windows = {
            window for window in (*self._windows, *made) if made.get(window, 0) is not None
        }
        return made

    def _painting_frames(self) -> dict[str, Image | None]:
        made: dict[str, Image | None] = {}
        if PAINTING not in self._shown or (self._easel is not None and self._easel.changed):
            self._shown[PAINTING] = True
            made[PAINTING] = self._painting_picture()
        status = None if self._colors_closed else self._status()
        if self._shown.get(COLORS) != status:
            self._shown[COLORS] = status
            made[COLORS] = None if status is None else color_picture(status)
        if self._shown.get(DEBUG, False) != self._debug:
            self._shown[DEBUG] = self._debug
            made[DEBUG] = self._debug_picture()
        return made

    def say(self, text: str, *, warn: bool = False) -> None:
        """Show a message in the painting window for a while; warnings go to stderr too."""
        self._said, self._said_until = text, self._clock() + SAID_SECONDS
        if self._annotating is not None:
            self._annotating.say(text)
        self._shown.pop(PAINTING, None)
        if warn:
            self._console.warn(text)

    def close(self) -> None:
        """End a stroke that is under way, and a search."""
        self._searcher.shutdown(wait=False, cancel_futures=True)
        if self._easel is not None:
            self._easel.leave()
        self._end_annotating()

    def sliders(self) -> tuple[tuple[str, str, int, int], ...]:
        """Window, name, value and most of each slider."""
        return () if self._annotating is None else self._annotating.sliders()

    def _open(self) -> None:
        """Put the current picture on the easel as soon as it is there."""
        work = self._session.work
        on_easel = self._on_easel()
        if work is on_easel:
            if work is None and self._shown.get("waiting") != self._waiting():
                self._shown["waiting"] = self._waiting()
                self._shown.pop(PAINTING, None)
            return
        self._easel, self._debug = None, False
        self._shown.pop(PAINTING, None)
        if work is not None and work.annotate:
            self._begin_annotating(work)
        elif work is not None:
            self._easel = Easel(work, self._most, self._hand)
            if self._hand.color not in {one.color for one in work.classes}:
                self._hand.color = work.classes[0].color
            if work.note:
                self.say(work.note)

    def _on_easel(self) -> Work | None:
        on = self._easel or self._annotating
        return None if on is None else on.work

    def _begin_annotating(self, work: Work) -> None:
        self._annotating = Annotating(work, self._most, self._clock)
        self._to_close |= self._windows
        self._shown.clear()

    def _end_annotating(self) -> None:
        if self._annotating is not None:
            self._annotating.close()
            self._to_close |= self._windows
            self._annotating = None

    def _annotate(self, annotating: Annotating, event: Event) -> None:
        """An event while a person says what is meant."""
        action = annotating.handle(event)
        self._asked_to_quit &= not isinstance(event, Key) or action == "quit"
        if action == "finish" and annotating.finish():
            self._end_annotating()
        elif action in ("next", "previous", "quit"):
            _SESSION_ACTIONS[action](self)
        elif action == "closed":
            self.finished = True

    def _annotate_again(self, easel: Easel) -> None:
        if easel.work.guide is None:
            self.say(f"method {easel.work.record['method']} cuts by itself")
            return
        easel.leave()
        easel.work.annotate = True
        self._easel = None

    def _waiting(self) -> tuple[int, str]:
        return self._session.place, self._session.error

    def _act(self, action: str, key: str) -> None:
        if action == "color":
            self._choose_class(int(key) - 1)
            return
        if action in _SESSION_ACTIONS:
            _SESSION_ACTIONS[action](self)
        elif self._easel is not None:
            _EASEL_ACTIONS[action](self, self._easel)

    def _painting(self, event: Mouse) -> None:
        if self._help and event.kind == "down":
            self._toggle_help()
        elif self._easel is not None and (event.kind == "up" or not self._help):
            self._easel.mouse(event)

    def _choose(self, event: Mouse) -> None:
        classes = self._classes()
        if event.kind == "wheel":
            last = max(0, rows_of_classes(classes) - MOST_ROWS)
            self._first_row = min(max(self._first_row - event.wheel, 0), last)
        elif event.kind in ("down", "double"):
            place = class_under(event.x, event.y, self._first_row, classes)
            if place is not None:
                self._choose_class(place)

    def _choose_class(self, place: int) -> None:
        classes = self._classes()
        if place < len(classes):
            self._hand.color = classes[place].color

    def _classes(self) -> Palette:
        return self._palette if self._easel is None else self._easel.work.classes

    def _closed(self, window: str) -> None:
        if window == PAINTING:
            self.finished = True
        elif window == COLORS:
            self._colors_closed, self._shown[COLORS] = True, None
        elif window == DEBUG:
            self._debug = self._shown[DEBUG] = False

    def _go(self, step: int) -> None:
        if self._easel is not None:
            self._easel.leave()
        if self._turn(step):
            self._said = ""
        else:
            self.say("this is the last picture" if step > 0 else "this is the first picture")

    def _turn(self, step: int) -> bool:
        """Put another picture on; whether there is one."""
        if not self._session.go(step):
            return False
        self._end_annotating()
        self._easel, self._debug = None, False
        self._shown.pop(PAINTING, None)
        return True

    def _save(self) -> bool:
        """Save the current picture; whether that went well."""
        if self._easel is None:
            self.say("nothing to save: the picture is not open")
            return False
        self._easel.leave()
        try:
            files = self._session.save()
        except IcasError as error:
            self.say(f"not saved: {error}", warn=True)
            return False
        self._console.detail(f"saved {', '.join(file.name for file in files)}")
        self.say(f"saved {len(files)} files in {files[0].parent.name}")
        return True

    def _save_next(self) -> None:
        if not self._save():
            return
        told = self._said
        if not self._turn(1):
            self.say(f"{told}; this is the last picture, q quits")

    def _quit(self) -> None:
        if self._easel is not None:
            self._easel.leave()
        count = len(self._session.unsaved)
        if count and not self._asked_to_quit:
            self._asked_to_quit = True
            which = "a picture is" if count == 1 else f"{count} pictures are"
            self.say(f"{which} painted and not saved: q again quits (it is kept), space saves")
        else:
            self.finished = True

    def _find_templates(self) -> None:
        templates = self._templates.templates
        if not templates:
            self.say("no templates: start with --templates DIR")
        elif self._easel is not None:
            work = self._easel.work
            if self._search is not None and self._search[0] is work:
                return
            self._search = work, self._searcher.submit(self._templates.find, work.document.image)
            self.say(f"looking for templates: {len(templates)} …")

    def _stamp(self, work: Work, search: Future[TemplatePaint]) -> None:
        """Paint what was found, if its picture is still there."""
        if self._easel is None or self._easel.work is not work:
            return
        try:
            found = search.result()
        except IcasError as error:
            self.say(str(error), warn=True)
            return
        self._easel.stamp(list(found.stamps()))
        self.say(f"places where a template was found: {len(found.places)}")

    def _toggle_help(self) -> None:
        self._help = not self._help
        self._shown.pop(PAINTING, None)

    def _toggle_debug(self) -> None:
        self._debug = not self._debug and self._easel is not None

    def _show_colors(self) -> None:
        self._colors_closed = False
        self._shown.pop(COLORS, None)

    def _escape(self) -> None:
        if self._easel is None or not self._easel.escape():
            self._help = False
        self._said = ""
        self._shown.pop(PAINTING, None)

    def _turn_opacity(self, easel: Easel) -> None:
        look = self._hand.look
        place = OPACITIES.index(look.opacity)
        self._hand.look = replace(look, opacity=OPACITIES[(place + 1) % len(OPACITIES)])
        easel.look()
        self.say(f"paint covers {round(100 * self._hand.look.opacity)} %")

    def _turn_borders(self, easel: Easel) -> None:
        self._hand.look = replace(self._hand.look, borders=not self._hand.look.borders)
        easel.look()

    def _turn_brush(self, easel: Easel) -> None:
        easel.leave()
        self._hand.brush = not self._hand.brush
        easel.look()

    def _thicken(self, easel: Easel, step: int) -> None:
        self._hand.thicken(step)
        easel.changed = True

    def _painting_picture(self) -> Image:
        if self._easel is None:
            picture = waiting_picture(self._session.picture.path, self._session.error, self._most)
        else:
            picture = self._easel.picture()
        if self._said:
            notice(picture, self._said)
        if self._help:
            picture = laid_over(picture, table_panel("Keys and buttons (h closes)", help_rows()))
        return picture

    def _debug_picture(self) -> Image | None:
        if not self._debug or self._easel is None:
            return None
        return debug_picture(self._easel.work, self._most)

    def _status(self) -> Status:
        easel, session = self._easel, self._session
        classes = self._classes()
        colors = [one.color for one in classes]
        chosen = colors.index(self._hand.color) if self._hand.color in colors else 0
        return Status(
            classes,
            chosen,
            self._first_row,
            session.picture.path.name,
            session.place + 1,
            len(session.pictures),
            self._mode(),
            () if easel is None else _details(easel, self._hand),
            easel is not None and easel.work.unsaved,
        )

    def _mode(self) -> str:
        easel = self._easel
        if easel is None:
            return "cannot be opened" if self._session.error else "being cut into segments"
        if easel.cut_from is not None:
            return "cut: middle click ends the line"
        if easel.continuous is not None:
            return "filling …" if easel.continuous == "left" else "unfilling …"
        return f"brush, radius {self._hand.radius}" if self._hand.brush else "fill"


def _details(easel: Easel, hand: Hand) -> tuple[str, ...]:
    count = int(np.count_nonzero(easel.work.document.classes))
    segments = "1 segment painted" if count == 1 else f"{count} segments painted"
    group = f"{len(easel.lit)} under the pointer" if easel.level else ""
    scale = f"{round(100 * easel.viewport.scale)} %, paint {round(100 * hand.look.opacity)} %"
    return tuple(line for line in (segments, group, scale, "h shows the keys") if line)


_SESSION_ACTIONS: dict[str, Callable[[Desk], object]] = {
    "save_next": Desk._save_next,
    "save": Desk._save,
    "next": lambda desk: desk._go(1),
    "previous": lambda desk: desk._go(-1),
    "quit": Desk._quit,
    "templates": Desk._find_templates,
    "help": Desk._toggle_help,
    "debug": Desk._toggle_debug,
    "colors": Desk._show_colors,
    "escape": Desk._escape,
}
_EASEL_ACTIONS: dict[str, Callable[[Desk, Easel], object]] = {
    "undo": lambda desk, easel: easel.undo(),
    "redo": lambda desk, easel: easel.redo(),
    "reset": lambda desk, easel: easel.reset(),
    "grow": lambda desk, easel: easel.grow(1),
    "shrink": lambda desk, easel: easel.grow(-1),
    "brush": Desk._turn_brush,
    "thinner": lambda desk, easel: desk._thicken(easel, -1),
    "thicker": lambda desk, easel: desk._thicken(easel, 1),
    "zoom_in": lambda desk, easel: easel.zoom(ZOOM),
    "zoom_out": lambda desk, easel: easel.zoom(1 / ZOOM),
    "whole": lambda desk, easel: easel.whole(),
    "pan_left": lambda desk, easel: easel.pan(-PAN, 0),
    "pan_right": lambda desk, easel: easel.pan(PAN, 0),
    "pan_up": lambda desk, easel: easel.pan(0, -PAN),
    "pan_down": lambda desk, easel: easel.pan(0, PAN),
    "annotate": Desk._annotate_again,
    "opacity": Desk._turn_opacity,
    "borders": Desk._turn_borders,
}

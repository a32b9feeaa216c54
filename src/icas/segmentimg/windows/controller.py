"""Turns window events into commands on session and views; no window system."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ClassVar

from icas.cli.console import Console
from icas.common.errors import IcasError, UsageError
from icas.io.reading import Image
from icas.segmentimg.document.palette import PaintClass, Palette
from icas.segmentimg.render.canvas import Shape
from icas.segmentimg.segmenters import segmenter_class
from icas.segmentimg.session.open import OpenImage
from icas.segmentimg.session.session import Session
from icas.segmentimg.templates.files import TemplateSet
from icas.segmentimg.templates.paint import TemplatePaint
from icas.segmentimg.windows import panels
from icas.segmentimg.windows.annotation_views import (
    ANNOTATION_VIEWS,
    ANNOTATIONS,
    SEGMENTS,
    AnnotationView,
)
from icas.segmentimg.windows.class_entry import ClassEntry, moved
from icas.segmentimg.windows.events import (
    PAINTING_KEYS,
    Binding,
    Closed,
    Event,
    Key,
    Mouse,
    Resized,
    Slider,
    action_of,
    help_groups,
)
from icas.segmentimg.windows.file_list import (
    ROW,
    FileRow,
    file_list_image,
    first_row,
    row_under,
)
from icas.segmentimg.windows.painting_view import PaintingView, Tool
from icas.segmentimg.windows.panels import help_over, with_bar
from icas.segmentimg.windows.view import Message, above_bar

PAINTING, COLORS, FILES, DEBUG = "Painting", "Colours", "Files", "Debug"
HIGH, LIST_ROWS = 800, (11, 40)
"""Height of the painting window from which the file list opens too, and the rows that it has."""
COLORS_HEIGHT = 610
"""Height of the colour window with its frame, above the file list."""
MARKS_SECONDS = 1.0
"""Interval at which files are looked for that show which images are painted."""
MESSAGE_SECONDS = 6.0
WAITING = "segmenting …"
HINT = "left click: fill, right click: clear, wheel: zoom, h: all keys"


class Controller:
    """Handles events until `finished`, and renders the windows."""

    keymap: ClassVar[tuple[Binding, ...]] = PAINTING_KEYS
    hint: ClassVar[str] = HINT

    def __init__(
        self,
        session: Session,
        palette: Palette,
        templates: TemplateSet | None = None,
        *,
        size: Shape,
        annotation_size: Shape | None = None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session, self._palette = session, palette
        self._size, self._annotation_size = size, annotation_size or size
        self._templates = templates or TemplateSet()
        self._console, self._clock = console or Console(), clock
        self._message = Message(MESSAGE_SECONDS, clock)
        self._tool = Tool(palette[0].color)
        self._view: PaintingView | AnnotationView | None = None
        self._to_close: set[str] = set()
        self._drawn: dict[str, object] = {}
        self._first_row = 0
        self._entry: ClassEntry | None = None
        self._number: str | None = None
        self._files = len(session.pictures) > 1 and size[0] >= HIGH
        self._first_file, self._listed = 0, (-1, 0, 0.0)
        self._dragged_class: int | None = None
        self._help = self._debug = self._colors_closed = self._quit_asked = False
        self._searcher = ThreadPoolExecutor(1, thread_name_prefix="icas-templates")
        self._search: tuple[OpenImage, Future[TemplatePaint]] | None = None
        self.finished = False

    def handle(self, event: Event) -> None:
        """Handle an event; ignored after the end."""
        if self.finished:
            return
        if isinstance(self._view, AnnotationView):
            self._handle_annotation(self._view, event)
        elif isinstance(event, Closed):
            self._handle_closed(event.window)
        elif isinstance(event, Resized):
            self._resize(event)
        elif isinstance(event, Key) and self._entry is not None:
            self._type(self._entry, event.name)
        elif isinstance(event, Key) and self._number is not None:
            self._type_number(self._number, event.name)
        elif isinstance(event, Key):
            action = action_of(event.name, self.keymap)
            if action is not None:
                self._quit_asked &= action == "quit"
                self._act(action, event.name)
        elif isinstance(event, Slider):
            return  # of a window that is closed
        elif event.window == COLORS:
            self._handle_palette(event)
        elif event.window == FILES:
            self._handle_files(event)
        elif event.window == PAINTING:
            self._quit_asked &= event.kind not in ("down", "double")
            if self._help and event.kind == "down":
                self._help = False
            elif isinstance(self._view, PaintingView) and (event.kind == "up" or not self._help):
                self._view.mouse(event)

    def tick(self) -> None:
        """Do periodic work: autosave, results of background tasks."""
        if isinstance(self._view, AnnotationView):
            self._view.tick()
            if self._view.leaving and not self._view.task.busy:
                self._leave_annotation(self._view)
        self._update_view()
        failure = self._session.tick()
        if failure:
            self.say(failure, warn=True)
        if self._search is not None and self._search[1].done():
            self._stamp_templates(*self._search)
            self._search = None

    def frames(self) -> dict[str, Image | None]:
        """Images of the windows that have changed; None closes a window."""
        frames: dict[str, Image | None] = dict.fromkeys(self._to_close)
        self._to_close = set()
        if isinstance(self._view, AnnotationView):
            return frames | self._view.frames()
        view, session = self._view, self._session
        waiting = (session.index, session.error) if view is None else None
        painting = (view, waiting, self._bar_text(), self._help)
        if self._drawn.get(PAINTING) != painting or (view is not None and view.changed):
            self._drawn[PAINTING] = painting
            frames[PAINTING] = self._painting_image()
        status = None if self._colors_closed else self._status()
        if self._drawn.get(COLORS) != status:
            self._drawn[COLORS] = status
            frames[COLORS] = None if status is None else panels.palette_image(status)
        if self._drawn.get(FILES, False) != self._files or (self._files and self._list_changed()):
            self._drawn[FILES] = self._files
            frames[FILES] = self._file_list() if self._files else None
        if self._drawn.get(DEBUG, False) != self._debug:
            self._drawn[DEBUG] = self._debug
            frames[DEBUG] = None
            if self._debug and view is not None:
                frames[DEBUG] = panels.debug_image(view.opened, self._size)
        return frames

    def titles(self) -> dict[str, str]:
        """Title of each window."""
        session = self._session
        image = f"{session.picture.path.name}, {session.index + 1} of {len(session.pictures)}"
        chosen = [entry.name for entry in self._classes if entry.color == self._tool.color]
        state = chosen if self._view is not None else ["cannot open" if session.error else WAITING]
        return {
            PAINTING: f"{PAINTING}: {', '.join([image, *state])}",
            COLORS: f"{COLORS}: {', '.join(chosen)}",
            FILES: f"{FILES}: {len(session.pictures)} images",
            DEBUG: f"{DEBUG}: {image}",
            ANNOTATIONS: f"{ANNOTATIONS}: {image}",
            SEGMENTS: f"{SEGMENTS}: {image}",
        }

    def sliders(self) -> tuple[tuple[str, str, int, int], ...]:
        """Window, name, value and maximum of each slider."""
        return self._view.sliders if isinstance(self._view, AnnotationView) else ()

    def say(self, text: str, *, warn: bool = False) -> None:
        """Show a message for a while; a warning is also printed on stderr."""
        self._message.show(text)
        if isinstance(self._view, AnnotationView):
            self._view.say(text)
        if warn:
            self._console.warn(text)

    def close(self) -> None:
        """End a stroke or computation in progress."""
        self._searcher.shutdown(wait=False, cancel_futures=True)
        self._close_view()

    def _update_view(self) -> None:
        """View the current image as soon as it is open."""
        opened = self._session.current
        if opened is (None if self._view is None else self._view.opened):
            return
        self._close_view()
        if opened is None:
            return
        if opened.needs_annotation:
            view = ANNOTATION_VIEWS[segmenter_class(opened.record["method"]).annotation]
            self._view = view(opened, self._annotation_size, self._clock)
            self._to_close |= {PAINTING, COLORS, FILES, DEBUG}
            self._drawn.clear()
            return
        self._view = PaintingView(opened, self._size, self._tool)
        if self._tool.color not in {entry.color for entry in opened.classes}:
            self._tool.color = opened.classes[0].color
        if opened.note:
            self.say(opened.note)

    def _close_view(self) -> None:
        if self._view is not None:
            self._view.close()
        if isinstance(self._view, AnnotationView):
            self._to_close.update(self._view.windows)
        self._view, self._debug, self._entry = None, False, None

    def _handle_annotation(self, view: AnnotationView, event: Event) -> None:
        if isinstance(event, Key):
            action = action_of(event.name, view.keymap)
            self._quit_asked &= action == "quit"
            if action in ("finish", "accept"):
                view.leaving = action
                self._leave_annotation(view)
            elif action == "color":
                self._act(action, event.name)
                view.say(f"class: {view.opened.name_of(self._tool.color)}")
            elif action in ("next", "previous", "quit"):
                _COMMANDS[action](self)
            elif action is not None:
                view.act(action)
        elif isinstance(event, Closed):
            self.finished |= event.window == ANNOTATIONS
        elif isinstance(event, Slider):
            view.slider(event)
        elif isinstance(event, Resized):
            if event.window == ANNOTATIONS:
                view.resize((event.height, event.width))
        else:
            view.mouse(event)

    def _leave_annotation(self, view: AnnotationView) -> None:
        """Continue to painting if the mask is computed; accepting paints it."""
        accepted = view.leaving == "accept"
        opened, color = view.opened, self._tool.color
        if accepted and color not in {entry.color for entry in opened.classes}:
            color = self._tool.color = opened.classes[0].color
        if not view.finish(color if accepted else None):
            return
        self._close_view()
        if accepted:
            number = opened.document.current_object(color)
            self.say(f"painted {opened.name_of(color)}, object {number}; a: annotate the next one")

    def _resize(self, event: Resized) -> None:
        if event.window == PAINTING:
            self._size = event.height, event.width
            self._drawn.pop(PAINTING, None)
            if isinstance(self._view, PaintingView):
                self._view.resize(self._size)

    def _handle_closed(self, window: str) -> None:
        if window == PAINTING:
            self.finished = True
        elif window == COLORS:
            self._colors_closed, self._drawn[COLORS] = True, None
        elif window == FILES:
            self._files = self._drawn[FILES] = False
        elif window == DEBUG:
            self._debug = self._drawn[DEBUG] = False

    def _handle_palette(self, event: Mouse) -> None:
        classes = self._classes
        cells = [*classes, panels.ADD]
        if event.kind == "wheel":
            last = max(0, panels.rows_of_classes(cells) - panels.MAX_ROWS)
            self._first_row = min(max(self._first_row - event.wheel, 0), last)
            return
        index = panels.class_under(event.x, event.y, self._first_row, cells)
        if event.kind in ("down", "double") and index is not None:
            self._entry, self._dragged_class = None, None
            if index == len(classes):
                self._add_class()
                return
            self._tool.color = classes[index].color
            if event.button == "right":
                self._edit_class()
            elif event.button == "left":
                self._dragged_class = index
        elif event.kind == "up":
            start, self._dragged_class = self._dragged_class, None
            if None not in (start, index) and start != index and index != len(classes):
                self._change_classes(moved(classes, start or 0, index or 0))

    def _type(self, entry: ClassEntry, key: str) -> None:
        """Handle a key while a class is typed."""
        if key == "escape":
            self._entry = None
        elif key != "enter":
            self._entry = entry.typed(key)
        else:
            try:
                classes, typed = entry.entered()
            except UsageError as error:
                self.say(error.message)
                return
            self._entry = None
            before = entry.classes[entry.place : entry.place + 1]
            self._change_classes(classes, dict.fromkeys(before, typed))
            self._tool.color = typed.color

    def _change_classes(
        self, classes: Palette, changed: dict[PaintClass, PaintClass] | None = None
    ) -> None:
        """Continue with other classes in all images."""
        if isinstance(self._view, PaintingView):
            self._view.close()
        self._palette = classes
        try:
            self._session.change_classes(classes, changed or {})
        except IcasError as error:
            self.say(f"classes not listed: {error.message}", warn=True)
        if isinstance(self._view, PaintingView):
            self._view.show(self._view.viewport)

    def _add_class(self) -> None:
        self._colors_closed = False
        self._entry = ClassEntry(self._classes, len(self._classes))

    def _edit_class(self) -> None:
        colors = [entry.color for entry in self._classes]
        if self._tool.color in colors:
            self._colors_closed = False
            self._entry = ClassEntry.of(self._classes, colors.index(self._tool.color))

    def _handle_files(self, event: Mouse) -> None:
        count = len(self._session.pictures)
        if event.kind == "wheel":
            last = max(0, count - self._list_height)
            self._first_file = min(max(self._first_file - 3 * event.wheel, 0), last)
            self._listed = (-1, 0, 0.0)
        elif event.kind == "down":
            index = row_under(event.y, self._first_file, count, self._list_height)
            if index is not None:
                self._go_to(index)

    @property
    def _list_height(self) -> int:
        free = (self._size[0] - COLORS_HEIGHT) // ROW - 1
        rows = min(max(free, LIST_ROWS[0]), LIST_ROWS[1])
        return max(1, min(rows, len(self._session.pictures)))

    def _list_changed(self) -> bool:
        """Whether the file list has to be drawn again: its marks are looked up now and then."""
        index, unsaved, drawn_at = self._listed
        now, changes = self._clock(), len(self._session.store.unsaved)
        if (index, unsaved) != (self._session.index, changes):
            height, count = self._list_height, len(self._session.pictures)
            if index != self._session.index and index >= 0:
                self._first_file = first_row(self._first_file, self._session.index, count, height)
        elif now - drawn_at < MARKS_SECONDS:
            return False
        self._listed = self._session.index, changes, now
        return self._drawn.get("marks") != self._file_rows()

    def _file_rows(self) -> tuple[int, int, list[FileRow]]:
        shown = range(self._first_file, len(self._session.pictures))[: self._list_height]
        pictures, mark = self._session.pictures, self._session.mark
        rows = [FileRow(pictures[index].path.name, mark(index)) for index in shown]
        return self._first_file, self._session.index, rows

    def _file_list(self) -> Image:
        first, current, rows = self._drawn["marks"] = self._file_rows()
        count = len(self._session.pictures)
        return file_list_image(rows, first, current, count, self._list_height)

    def _type_number(self, number: str, key: str) -> None:
        """Handle a key while the number of an image is typed."""
        if key == "backspace":
            self._number = number[:-1]
        elif key.isdigit():
            self._number = number + key
        elif key == "enter" and number:
            self._number = None
            self._go_to(int(number) - 1)
        elif key in ("enter", "escape"):
            self._number = None

    def _start_number(self) -> None:
        self._number = ""

    def _bar_text(self) -> str:
        """What the message bar shows."""
        if self._number is None:
            return self._message.text
        return f"go to image 1 to {len(self._session.pictures)}: {self._number}_   Esc: cancel"

    def _go_to(self, index: int) -> None:
        if not 0 <= index < len(self._session.pictures):
            self.say(f"no image {index + 1}: there are {len(self._session.pictures)}")
        elif index != self._session.index:
            self._next(index - self._session.index)

    def _next_unpainted(self) -> None:
        index = self._session.next_unpainted()
        if index is None:
            self.say("all other images are painted")
        else:
            self._go_to(index)

    def _toggle_files(self) -> None:
        self._files = not self._files

    def _act(self, action: str, key: str) -> None:
        if action == "color":
            if int(key) <= len(self._classes):
                self._tool.color = self._classes[int(key) - 1].color
        elif action in _COMMANDS:
            _COMMANDS[action](self)
        elif isinstance(self._view, PaintingView):
            message = self._view.act(action)
            if message:
                self.say(message)

    def _escape(self) -> None:
        if not isinstance(self._view, PaintingView) or not self._view.escape():
            self._help = False
        self._message.show("")

    def _toggle_help(self) -> None:
        self._help = not self._help

    def _toggle_debug(self) -> None:
        self._debug = not self._debug and self._view is not None

    def _show_colors(self) -> None:
        self._colors_closed = False

    def _annotate_again(self) -> None:
        if not isinstance(self._view, PaintingView):
            return
        opened = self._view.opened
        if opened.guide is None:
            self.say(f"method {opened.record['method']} takes no annotations")
            return
        self._close_view()
        opened.needs_annotation = True

    def _go(self, step: int) -> bool:
        """Go to another image; False if there is none."""
        if isinstance(self._view, PaintingView):
            self._view.close()
        if not self._session.go(step):
            return False
        self._close_view()
        return True

    def _next(self, step: int) -> None:
        if self._go(step):
            self._message.show("")
        else:
            self.say("this is the last image" if step > 0 else "this is the first image")

    def _save(self) -> bool:
        """Save the current image; whether that succeeded."""
        if not isinstance(self._view, PaintingView):
            self.say("nothing to save: the image is not open")
            return False
        self._view.close()
        try:
            files = self._session.save()
        except IcasError as error:
            self.say(f"not saved: {error.message}", warn=True)
            return False
        self._console.detail(f"saved {', '.join(file.name for file in files)}")
        self.say(f"saved {len(files)} files to {files[0].parent.name}")
        return True

    def _save_next(self) -> None:
        if self._save():
            saved = self._message.text
            if not self._go(1):
                self.say(f"{saved}; this is the last image (q: quit)")

    def _quit(self) -> None:
        if isinstance(self._view, PaintingView):
            self._view.close()
        unsaved = self._session.unsaved
        if not unsaved or self._quit_asked:
            self.finished = True
            return
        self._quit_asked = True
        count = len(unsaved)
        images = f"{unsaved[0].name} has" if count == 1 else f"{count} images have"
        saves = ", space saves" if self._session.picture.path in unsaved else ""
        self.say(f"{images} unsaved changes: q again quits (autosaved){saves}")

    def _find_templates(self) -> None:
        count = len(self._templates.templates)
        if not count:
            self.say("no templates: start segmentimg with --templates DIR")
        elif self._view is not None:
            opened = self._view.opened
            if self._search is None or self._search[0] is not opened:
                search = self._searcher.submit(self._templates.find, opened.document.image)
                self._search = opened, search
                self.say(f"searching for templates: {count} …")

    def _stamp_templates(self, opened: OpenImage, search: Future[TemplatePaint]) -> None:
        """Paint the templates found, if their image is still shown."""
        view = self._view
        if not isinstance(view, PaintingView) or view.opened is not opened:
            return
        try:
            matches = search.result()
        except IcasError as error:
            self.say(error.message, warn=True)
            return
        view.stamp(matches.objects())
        self.say(f"template matches: {len(matches.places)}")

    @property
    def _classes(self) -> Palette:
        return self._palette if self._view is None else self._view.opened.classes

    def _painting_image(self) -> Image:
        session, view = self._session, self._view
        if isinstance(view, PaintingView):
            image = view.render()
        else:
            size, smooth = above_bar(self._size), self._tool.look.smooth
            image = panels.waiting_image(session.picture.path, session.error, size, smooth)
        if self._help:
            image = help_over(image, help_groups(self.keymap))
        return with_bar(image, self._bar_text(), self.hint)

    def _status(self) -> panels.PaletteStatus:
        session, view = self._session, self._view
        colors = [entry.color for entry in self._classes]
        mode = "cannot open" if session.error else WAITING
        details: tuple[str, ...] = ()
        if isinstance(view, PaintingView):
            mode, details = view.mode, view.details
        return panels.PaletteStatus(
            self._classes,
            colors.index(self._tool.color) if self._tool.color in colors else 0,
            self._first_row,
            session.picture.path.name,
            session.index + 1,
            len(session.pictures),
            mode,
            details,
            view is not None and view.opened.unsaved,
            1 if view is None else view.opened.document.current_object(self._tool.color),
            None if self._entry is None else self._entry.text,
        )


_COMMANDS: dict[str, Callable[[Controller], object]] = {
    "save_next": Controller._save_next,
    "save": Controller._save,
    "next": lambda controller: controller._next(1),
    "previous": lambda controller: controller._next(-1),
    "number": Controller._start_number,
    "unpainted": Controller._next_unpainted,
    "files": Controller._toggle_files,
    "quit": Controller._quit,
    "templates": Controller._find_templates,
    "annotate": Controller._annotate_again,
    "help": Controller._toggle_help,
    "debug": Controller._toggle_debug,
    "colors": Controller._show_colors,
    "add_class": Controller._add_class,
    "edit_class": Controller._edit_class,
    "escape": Controller._escape,
}

"""The picker's window: events change the state, states change the figure."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from icas.clusterimg.picker.figure import PickerFigure, Subject
from icas.clusterimg.picker.pairs import Nearest, Thumbnails
from icas.clusterimg.picker.state import PickState

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = (9.0, 8.0)
"""Inches of 100 pixels."""
FIRST_SIZES = 3
"""Changes of size by toolkit and window manager while the window opens, drawn without delay."""
TICK = 40
"""Milliseconds between two checks for thumbnails that have been read."""


class Picker:
    """A figure in which a threshold is chosen; `state` holds it."""

    def __init__(
        self,
        figure: Figure,
        subject: Subject,
        state: PickState,
        thumbnails: Thumbnails,
        changed: Callable[[PickState], None] = lambda state: None,
    ) -> None:
        self.figure, self.state = figure, state
        self._subject, self._thumbnails, self._changed = subject, thumbnails, changed
        canvas: Any = figure.canvas
        self._canvas = canvas
        self._blit = bool(canvas.supports_blit)
        self._picture = PickerFigure(figure, subject, animated=self._blit, take=self._take)
        self._backgrounds: list[Any] = []
        self._nearest = Nearest((), ())
        self._pairs_due = False
        self._built = (0, 0)
        self._at_once, self._opening = FIRST_SIZES, False
        self._lay_out()
        for name, act in {
            "motion_notify_event": self._moved,
            "axes_leave_event": self._left,
            "figure_leave_event": self._left,
            "button_press_event": self._clicked,
            "scroll_event": self._scrolled,
            "key_press_event": lambda event: self._become(self.state.press(event.key or "")),
            "resize_event": lambda event: self._resized(),
            "draw_event": self._drawn,
            "close_event": lambda event: self.cancel(),
        }.items():
            canvas.mpl_connect(name, act)
        self._timer = canvas.new_timer(TICK)
        self._timer.add_callback(self._tick)
        self._timer.start()

    def _moved(self, event: Any) -> None:
        at = self._picture.threshold_at(event.x, event.y)
        self._become(self.state.leave() if at is None else self.state.hover(at))

    def _left(self, event: Any) -> None:
        if self._picture.threshold_at(event.x, event.y) is None:
            self._become(self.state.leave())

    def _clicked(self, event: Any) -> None:
        at = self._picture.threshold_at(event.x, event.y)
        if event.button == 1 and at is not None:
            self._become(self.state.click(at))

    def _scrolled(self, event: Any) -> None:
        at = self._picture.threshold_at(event.x, event.y)
        if at is not None:
            self._become(self.state.zoom(1 if event.button == "up" else -1, at))

    def _take(self) -> None:
        self._become(self.state.take())

    def choose(self, threshold: float) -> None:
        """Choose a threshold, as a click does."""
        self._become(self.state.choose(threshold))

    def cancel(self) -> None:
        """End without a threshold; also from a signal handler."""
        self._become(self.state.cancel())

    def _become(self, state: PickState) -> None:
        """Go on to another state, and show what differs."""
        before, self.state = self.state, state
        if state == before:
            return
        self._changed(state)
        if state.ending is not None:
            self._timer.stop()
            self._thumbnails.close()
            self._canvas.stop_event_loop()
        elif (state.view, state.log) != (before.view, before.log):
            self._rebuild()
        else:
            self._show_numbers()
            self._pairs_due = True  # they follow when the pointer rests
            self._redraw(0)

    def _rebuild(self) -> None:
        """Lay out and draw everything, after a change of size or axes."""
        if self.state.ending is None:
            self._lay_out()
            self._canvas.draw_idle()

    def _lay_out(self) -> None:
        self._built = self._size
        self._picture.build(self.state)
        self._show_numbers()
        self._show_pairs()

    @property
    def _size(self) -> tuple[int, int]:
        width, height = self.figure.bbox.size
        return int(width), int(height)

    def _resized(self) -> None:
        """Toolkits report sizes that have not changed too, and Tk clears the window then."""
        if self._size != self._built and self._at_once:
            self._at_once -= 1
            self._lay_out()
            self._canvas.draw()
        elif self._size != self._built:
            self._rebuild()
        elif self._blit and self._backgrounds:
            self._canvas.blit(self.figure.bbox)

    def draw_first(self) -> None:
        """Draw before the window opens: on a busy machine it would stay blank for seconds.

        Tk draws again before it shows what is drawn; that is put off until the window is visible.
        """
        self._canvas.draw()
        if hasattr(self._canvas, "get_tk_widget"):
            self._canvas.draw_idle = lambda: None
            self._opening = True

    def _tick(self) -> bool:
        if self._opening and self._canvas.get_tk_widget().winfo_viewable():
            self._opening = False
            del self._canvas.draw_idle
        arrived = self._thumbnails.poll(self._nearest.images)
        if (arrived or self._pairs_due) and self._show_pairs():
            self._redraw(1)
        return True

    def _show_numbers(self) -> None:
        title = self._picture.show_numbers(self.state)
        if self._canvas.manager is not None:
            self._canvas.manager.set_window_title(title)

    def _show_pairs(self) -> bool:
        sample = self._subject.sample
        self._nearest = Nearest.of(sample, self.state.shown, self._picture.columns)
        self._pairs_due = False
        self._thumbnails.poll(self._nearest.images)
        present = self._thumbnails.those_there(self._nearest.images)
        return self._picture.show_pairs(self._nearest, present)

    def _redraw(self, part: int) -> None:
        """Draw the numbers (0) or the pairs (1) over their background."""
        if self._blit and self._backgrounds:
            self._canvas.restore_region(self._backgrounds[part])
            self._draw_overlays(part)
            self._canvas.blit(self._picture.parts[part].bbox)
        else:
            self._canvas.draw_idle()

    def _drawn(self, event: Any) -> None:
        if self._blit:
            parts = self._picture.parts
            self._backgrounds = [self._canvas.copy_from_bbox(part.bbox) for part in parts]
            self._draw_overlays(0)
            self._draw_overlays(1)

    def _draw_overlays(self, part: int) -> None:
        for artist in self._picture.overlays[part]:
            self.figure.draw_artist(artist)


def pick_in_window(subject: Subject, state: PickState, thumbnails: Thumbnails) -> float:
    """Open a window on pyplot's backend, wait for the choice and close it."""
    import matplotlib.pyplot as plt

    with plt.rc_context({"toolbar": "None"}), plt.ioff():
        figure = plt.figure(figsize=SIZE, dpi=100, facecolor="white")
        try:
            state = _wait_for_choice(figure, subject, state, thumbnails)
        finally:
            thumbnails.close()
            plt.close(figure)
    if state.ending != "taken":
        raise KeyboardInterrupt
    return state.chosen


def _wait_for_choice(
    figure: Any, subject: Subject, state: PickState, thumbnails: Thumbnails
) -> PickState:
    own_keys = figure.canvas.manager.key_press_handler_id
    if own_keys is not None:  # matplotlib's: "l" would make the thresholds logarithmic
        figure.canvas.mpl_disconnect(own_keys)
    _scale_now(figure)
    picker = Picker(figure, subject, state, thumbnails)
    with _cancelled_by_ctrl_c(picker):
        picker.draw_first()
        figure.canvas.manager.show()
        with suppress(AttributeError):  # of Tk: its windows open without the keyboard
            figure.canvas.get_tk_widget().focus_force()
        if picker.state.ending is None:
            figure.canvas.start_event_loop()
    return picker.state


def _scale_now(figure: Any) -> None:
    """Adapt to the density of the screen before the window opens, which matplotlib does after."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(AttributeError):  # not Tk
        widget = figure.canvas.get_tk_widget()
        widget.unbind("<Map>")
        figure.set_dpi(figure.dpi * widget.winfo_fpixels("1i") / 96)


@contextmanager
def _cancelled_by_ctrl_c(picker: Picker) -> Iterator[None]:
    """Ctrl+C ends the picker: toolkits would swallow the exception, or wait for an event first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: picker.cancel())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

"""The picker in a notebook: interactive with ipympl, else a plot with a slider (ipywidgets)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

from icas.clusterimg.picker.curve import DPI, png_of
from icas.clusterimg.picker.figure import PickerFigure, Subject
from icas.clusterimg.picker.pairs import Nearest, Thumbnails
from icas.clusterimg.picker.state import PickState, threshold_text
from icas.clusterimg.picker.window import SIZE, Picker
from icas.common.errors import UsageError


class PickedThreshold:
    """A threshold chosen in a notebook or a window, as `icas.pick_threshold` returns it.

    It is accepted as a threshold (``icas.cluster(…, threshold=picked)``) with its current value;
    ``float(picked)`` is the number.

    Attributes
    ----------
    threshold : float
        Current value.
    widget : ipywidgets.Widget or None
        Widget that the notebook displays: canvas of ipympl, or slider.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.widget: Any = None
        self._show: Callable[[float], object] = float  # what shows another threshold

    def choose(self, threshold: float) -> PickedThreshold:
        """Set another threshold, and show it."""
        if not threshold <= 1:
            raise UsageError(f"threshold {threshold:g}: expected a number up to 1")
        self._show(float(threshold))
        self.threshold = float(threshold)
        return self

    def __float__(self) -> float:
        return self.threshold

    def __format__(self, how: str) -> str:
        return format(self.threshold, how)

    def __repr__(self) -> str:
        return f"PickedThreshold({threshold_text(self.threshold)})"


def _display_png(picture: bytes) -> None:
    from IPython.display import Image, display

    display(Image(picture, format="png"))  # type: ignore[no-untyped-call]


def still_picture(
    subject: Subject, state: PickState, thumbnails: Thumbnails, threshold: float, hint: str
) -> bytes:
    """The content of the window at a threshold, as a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    state = state.choose(threshold)
    picker = PickerFigure(figure, subject, animated=False, hint=hint)
    picker.build(state)
    nearest = Nearest.of(subject.sample, state.chosen, picker.columns)
    thumbnails.read_now(nearest.images)
    picker.show_numbers(state)
    picker.show_pairs(nearest, thumbnails.those_there(nearest.images))
    return png_of(figure)


def in_notebook() -> bool:
    """Whether this runs in a kernel of Jupyter."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def pick_live(subject: Subject, state: PickState, thumbnails: Thumbnails) -> PickedThreshold:
    """Show ipympl's figure and return at once; `threshold` follows the interaction."""
    import matplotlib.pyplot as plt
    from IPython.display import display

    picked = PickedThreshold(state.chosen)

    def follow(now: PickState) -> None:
        picked.threshold = now.chosen

    with plt.ioff():
        figure = plt.figure(figsize=SIZE, dpi=DPI, facecolor="white")
    canvas: Any = figure.canvas
    canvas.header_visible = canvas.toolbar_visible = canvas.footer_visible = False
    canvas.capture_scroll = True
    picked.widget = canvas
    picker = Picker(figure, subject, state, thumbnails, follow)
    picked._show = picker.choose
    figure.icas_picker = picker  # type: ignore[attr-defined]  # lives as long as what it is on
    display(canvas)  # type: ignore[no-untyped-call]
    return picked


def pick_by_picture(subject: Subject, state: PickState, thumbnails: Thumbnails) -> PickedThreshold:
    """Show the plot, with a slider if ipywidgets is installed."""
    from IPython.display import display

    hint = "" if find_spec("ipywidgets") else "change it with .choose(0.8)"
    picture = partial(still_picture, subject, state, thumbnails, hint=hint)
    picked = PickedThreshold(state.chosen)
    if hint:
        picked._show = lambda threshold: _display_png(picture(threshold))
        picked._show(state.chosen)
        return picked
    picked.widget = _slider(picked, state, picture)
    display(picked.widget)  # type: ignore[no-untyped-call]
    return picked


def _slider(picked: PickedThreshold, state: PickState, picture: Callable[[float], bytes]) -> Any:
    import ipywidgets as widgets

    shown = widgets.Image(value=picture(state.chosen), format="png")
    slider = widgets.FloatSlider(
        value=state.chosen,
        min=state.whole[0],
        max=state.whole[1],
        step=10.0**-state.digits,
        readout_format=f".{state.digits}f",
        description="threshold",
        layout=widgets.Layout(width=f"{SIZE[0] * DPI:.0f}px", max_width="100%"),
    )

    def follow(change: Any) -> None:
        picked.threshold = round(change["new"], state.digits)
        shown.value = picture(picked.threshold)

    slider.observe(follow, "value")
    picked._show = lambda threshold: setattr(slider, "value", threshold)
    return widgets.VBox([slider, shown])

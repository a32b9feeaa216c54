"""A sheet over a whole figure, whose units are pixels of a screen of usual density."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from icas.clusterimg.picking.drawing import FONT, INK, points
from icas.clusterimg.picking.places import Places, Rect

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text


class Paper:
    """The sheet of one figure.

    Attributes
    ----------
    axes : Axes
        Over the whole figure, counted from the top left.
    places : Places
    animated : bool
        What is written by `write_moving` is left out when the figure is drawn.
    """

    def __init__(self, figure: Figure, places: Places, *, animated: bool) -> None:
        self.figure, self.places, self.animated = figure, places, animated
        self.axes = self.axes_at(Rect(0, 0, places.width, places.height))
        self.axes.set_axis_off()
        self.axes.set_xlim(0, places.width)
        self.axes.set_ylim(places.height, 0)

    def axes_at(self, place: Rect) -> Axes:
        """New axes of the figure at a place."""
        width, height = self.places.width, self.places.height
        corner = place.left / width, 1 - place.bottom / height
        return self.figure.add_axes((*corner, place.width / width, place.height / height))

    def write(self, x: float, y: float, text: str = "", size: float = 13, **look: Any) -> Text:
        """A line of text with its middle at `y`; `size` in pixels of a roomy window."""
        look = {"color": INK, "va": "center", "family": FONT, **look}
        size = points(size * self.places.scale)
        return self.axes.text(x, y, text, fontsize=size, parse_math=False, **look)

    def write_moving(self, x: float, y: float, size: float = 13, **look: Any) -> Text:
        """A line that is written later, and often."""
        return self.write(x, y, size=size, animated=self.animated, **look)

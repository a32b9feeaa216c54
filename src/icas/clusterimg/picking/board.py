"""The picker's picture: curve, card and pairs on a figure, and what of it follows the pointer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from icas.clusterimg.picking.card import Card
from icas.clusterimg.picking.curve import Curve
from icas.clusterimg.picking.drawing import (
    CHOSEN,
    CLUSTERS,
    DPI,
    PAIRS,
    QUIET,
    CurveAxes,
    heading,
)
from icas.clusterimg.picking.pairs import Nearest
from icas.clusterimg.picking.paper import Paper
from icas.clusterimg.picking.places import Places, places_in
from icas.clusterimg.picking.rows import PairRows
from icas.clusterimg.picking.state import PickState
from icas.clusterimg.picking.words import facts_of, title_of
from icas.clusterimg.sample import Expected, Sample
from icas.common.images import Image

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox


@dataclass(frozen=True)
class Subject:
    """What there is to choose from.

    Attributes
    ----------
    sample : Sample
    curve : Curve
    names : tuple of str
        Of the images of the sample.
    """

    sample: Sample
    curve: Curve
    names: tuple[str, ...]

    @classmethod
    def of(cls, sample: Sample) -> Subject:
        """Its images by their files' names, else by number."""
        names = sample.features.files or tuple(f"image {row}" for row in range(len(sample)))
        return cls(sample, Curve.of(sample), names)


class Board:
    """The picture on a figure.

    Parameters
    ----------
    figure : Figure
    subject : Subject
    animated : bool
        What follows the pointer is left out when the figure is drawn, to be laid over it.
    hint : str, optional
        How to go on, in a picture that is no window; a window lists its keys.
    """

    def __init__(
        self, figure: Figure, subject: Subject, *, animated: bool, hint: str | None = None
    ) -> None:
        self.figure, self.subject, self._animated, self._hint = figure, subject, animated, hint
        self._built: Places | None = None

    @property
    def places(self) -> Places:
        """Where things lie in the figure as large as it is now."""
        width, height = self.figure.get_size_inches()
        return places_in(float(width) * DPI, float(height) * DPI)

    def build(self, state: PickState) -> None:
        """Draw everything anew if the figure's size has changed, and look at the state's view."""
        if self._built != (places := self.places):
            self._built = places
            self.figure.clear()
            paper = Paper(self.figure, places, animated=self._animated)
            axes = paper.axes_at(places.curve)
            self.curve = CurveAxes(axes, self.subject.curve, places.scale, legend=False)
            self._write_heading(paper)
            self._card = Card(paper, hint=self._hint)
            self._marks = self._new_marks(places.scale)
            self._rows = PairRows(paper, self.subject.names)
        self.curve.look(state.view, state.log)

    def threshold_at(self, x: float, y: float) -> float | None:
        """The threshold at a pixel of the canvas, from the bottom left; None beside the curve."""
        axes = self.curve.pairs
        if not axes.bbox.contains(x, y):
            return None
        return float(axes.transData.inverted().transform((x, y))[1])

    @property
    def numbers(self) -> Sequence[Artist]:
        """What tells of the threshold that is shown, in the order in which it is drawn."""
        return [*self._marks, *self._card.texts]

    @property
    def pairs(self) -> Sequence[Artist]:
        """The pairs next to that threshold."""
        return self._rows.artists

    @property
    def boxes(self) -> tuple[Bbox, Bbox]:
        """Where in the canvas `numbers` and `pairs` lie."""
        from matplotlib.transforms import Bbox

        whole = self.figure.bbox
        border = round(whole.height * (1 - self.places.rows_top / self.places.height))
        return (
            Bbox.from_extents(0, border, whole.width, whole.height),
            Bbox.from_extents(0, 0, whole.width, border),
        )

    def show_numbers(self, state: PickState) -> str:
        """Tell of the threshold that is shown; the window's title for it comes back."""
        found, curve = self.subject.sample.expected(state.shown), self.subject.curve
        self._mark(state, found)
        self._card.fill(state, facts_of(found, curve.images, curve.exact))
        return title_of(state, found, curve.exact)

    def show_pairs(self, nearest: Nearest, thumbnails: Mapping[int, Image | None]) -> bool:
        """Show these pairs with the thumbnails that have come; whether anything has changed."""
        return self._rows.show(nearest, thumbnails)

    def _write_heading(self, paper: Paper) -> None:
        left, scale = paper.places.margin, paper.places.scale
        words = heading(self.subject.curve, self.subject.sample.features.method)
        paper.write(left, 24 * scale, "Which images are similar enough?", 19, weight="bold")
        paper.write(left, 48 * scale, words, 12.5, color=QUIET)

    def _new_marks(self, scale: float) -> list[Any]:
        """The lines of both thresholds and the dots where one of them meets the curves."""
        axes, animated = self.curve.pairs, self._animated
        chosen = axes.axhline(0.5, color=CHOSEN, linewidth=1.6 * scale, animated=animated)
        hovered = axes.axhline(0.5, color=QUIET, linewidth=1.1, animated=animated)
        hovered.set_linestyle((0, (4, 3)))
        dots = [
            one.plot([], [], "o", color=color, markersize=7 * scale, animated=animated)[0]
            for one, color in ((axes, PAIRS), (self.curve.clusters, CLUSTERS))
        ]
        return [chosen, hovered, *dots]

    def _mark(self, state: PickState, found: Expected) -> None:
        chosen, hovered, pairs, clusters = self._marks
        chosen.set_ydata([state.chosen] * 2)
        hovered.set_visible(state.hovered not in (None, state.chosen))
        hovered.set_ydata([state.shown] * 2)
        pairs.set_data([found.pairs], [state.shown])
        pairs.set_visible(found.pairs > 0 or not state.log)
        clusters.set_data([found.clusters], [state.shown])

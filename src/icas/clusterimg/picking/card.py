"""The card beside the curve: the threshold that is shown, what it gives, and how to go on."""

from __future__ import annotations

from collections.abc import Sequence

from icas.clusterimg.picking.drawing import (
    CLUSTERS,
    CLUSTERS_DASHES,
    INK,
    PAIRS,
    QUIET,
    RULE,
)
from icas.clusterimg.picking.numbers import threshold_text
from icas.clusterimg.picking.paper import Paper
from icas.clusterimg.picking.state import PickState, help_rows

GROUND = "#f3f5f8"
FACTS, FACT_HEIGHT = 88, 24
"""Where the facts begin, and the height of one, in a roomy window."""


class Card:
    """The card on a sheet; where its picture is no window, `hint` tells how to go on.

    Attributes
    ----------
    texts : list of Text
        Heading, threshold, names and values of four facts, and what is chosen.
    """

    def __init__(self, paper: Paper, *, hint: str | None) -> None:
        self._paper, self._hint = paper, hint
        place, scale = paper.places.card, paper.places.scale
        self._scale, self._top = scale, place.top
        self._left, self._right = place.left + 16 * scale, place.right - 16 * scale
        self._lay_ground()
        self.texts = [
            paper.write_moving(self._left, self._at(20), size=12, color=QUIET),
            paper.write_moving(self._left, self._at(50), size=30, weight="bold"),
        ]
        for row, color in enumerate((PAIRS, CLUSTERS, INK, INK)):
            y, left = self._at(FACTS + FACT_HEIGHT * row), self._left + 30 * scale
            self.texts.append(paper.write_moving(left, y, size=12.5, color=QUIET))
            self.texts.append(paper.write_moving(self._right, y, 12.5, color=color, ha="right"))
        self.texts.append(paper.write_moving(self._left, self._at(186), 12, weight="bold"))
        self._draw_legend()
        if hint is None:
            self._write_help()

    def _at(self, down: float) -> float:
        return self._top + down * self._scale

    def _lay_ground(self) -> None:
        from matplotlib.patches import Rectangle

        place = self._paper.places.card
        corner = place.left, place.top
        ground = Rectangle(corner, place.width, place.height, color=GROUND, linewidth=0)
        self._paper.axes.add_patch(ground)

    def _draw_legend(self) -> None:
        """The lines of both curves, before what they count."""
        ends = [self._left, self._left + 22 * self._scale]
        for row, color in enumerate((PAIRS, CLUSTERS)):
            y = self._at(FACTS + FACT_HEIGHT * row)
            (line,) = self._paper.axes.plot(ends, [y, y], color=color, linewidth=2 * self._scale)
            line.set_linestyle(CLUSTERS_DASHES if color == CLUSTERS else "-")

    def _write_help(self) -> None:
        """Keys and mouse, where there is room for them."""
        line = 17 * self._scale
        bottom = self._paper.places.card.bottom
        rows = help_rows(int((bottom - self._at(212)) / line))
        top = bottom - len(rows) * line - 2 * self._scale
        if rows:
            ends, y = [self._left, self._right], top - 14 * self._scale
            self._paper.axes.plot(ends, [y, y], color=RULE, linewidth=1)
        for row, (key, what) in enumerate(rows):
            self._paper.write(self._left, top + row * line, key, 12, weight="bold")
            second = self._left + 86 * self._scale
            self._paper.write(second, top + row * line, what, 12, color=QUIET)

    def fill(self, state: PickState, facts: Sequence[tuple[str, str]]) -> None:
        """Tell the threshold that is shown, what it gives, and what is chosen."""
        hovering = state.hovered not in (None, state.chosen)
        chosen = threshold_text(state.chosen, state.digits)
        words = [
            "threshold under the pointer" if hovering else "threshold chosen",
            threshold_text(state.shown, state.digits),
            *(word for fact in facts for word in fact),
            f"Enter takes {chosen}" if self._hint is None else self._hint,
        ]
        for text, word in zip(self.texts, words, strict=True):
            text.set_text(word)

"""The picker's figure: the curve, a card with numbers, and the pairs next to the threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from icas.clusterimg.picker.curve import (
    CLUSTERS,
    CLUSTERS_DASHES,
    DPI,
    FONT,
    INK,
    PAIRS,
    QUIET,
    RULE,
    Curve,
    CurveAxes,
    heading,
    points,
)
from icas.clusterimg.picker.pairs import Nearest, Pair, drawable, shortened
from icas.clusterimg.picker.state import (
    PickState,
    help_rows,
    number_text,
    share_text,
    similarity_text,
    threshold_text,
)
from icas.clusterimg.thresholds.sample import Expected, Sample
from icas.io.reading import Image

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

LARGE_WINDOW = (900, 800)
"""Width and height of a window in which texts have their full size."""
SMALLEST_SCALE, LARGEST_SCALE = 0.72, 1.35
THUMB_SHARE = 0.1
"""Side of a thumbnail as a share of the window's height, before rows are filled."""
MOST_PAIRS = 8
GROUND, WAITING = "#f3f5f8", "#eef1f5"
"""Behind the card, and behind a thumbnail."""
HEADINGS = (
    ("Just above: linked", "the least similar pairs that are linked", "#1d7a46"),
    ("Just below: not linked", "the most similar pairs that are not linked", "#a83232"),
)
"""Of the two rows: words, further words, color."""
NAME_SIZE, LETTER = 10.5, 0.6
"""Height of the letters of names, and their width against it."""


@dataclass(frozen=True)
class Subject:
    """The sample, its curve, and the names of its images."""

    sample: Sample
    curve: Curve
    names: tuple[str, ...]

    @classmethod
    def of(cls, sample: Sample) -> Subject:
        """Its images by their files' names, else by number."""
        names = sample.features.files or tuple(f"image {row}" for row in range(len(sample)))
        return cls(sample, Curve.of(sample), names)


class PickerFigure:
    """The artists of the picker, laid out for the present size of a figure.

    With `animated` what follows the pointer is left out when the figure is drawn, to be drawn over
    it. The button calls `take`; without it there is a `hint` instead, and no list of keys.
    """

    def __init__(
        self,
        figure: Figure,
        subject: Subject,
        *,
        animated: bool,
        take: Callable[[], None] | None = None,
        hint: str = "",
    ) -> None:
        self.figure, self.subject, self._animated = figure, subject, animated
        self._take, self._hint = take, hint
        self._size = (0.0, 0.0)

    def build(self, state: PickState) -> None:
        """Lay out the figure again if its size has changed; show the thresholds of the state."""
        width, height = (float(inches) * DPI for inches in self.figure.get_size_inches())
        if self._size != (width, height):
            self._size = width, height
            self._lay_out(width, height)
        self.curve.look(state.view, state.log)

    def _lay_out(self, width: float, height: float) -> None:
        fits = min(width / LARGE_WINDOW[0], height / LARGE_WINDOW[1])
        scale = self._scale = min(max(fits, SMALLEST_SCALE), LARGEST_SCALE)
        margin, gap, inner = 20 * scale, 22 * scale, 3 * scale
        wanted = max(THUMB_SHARE * height, 44 * scale)
        columns = round((width - 2 * margin + gap) / (2 * wanted + inner + gap))
        columns = min(max(columns, 1), MOST_PAIRS)
        filling = (width - 2 * margin + gap - columns * (inner + gap)) / (2 * columns)
        thumb = max(min(filling, 1.25 * wanted), 8)
        below = round(2 * (thumb + 68 * scale) + 4 * scale)
        self.figure.clear()
        ratios = [max(height - below, 1), below]
        self.parts: Any = self.figure.subfigures(2, 1, height_ratios=ratios, hspace=0)
        self._build_curve(width, max(height - below, 1), margin)
        self._build_pairs(width, below, thumb, columns)
        self.overlays: tuple[list[Artist], list[Artist]] = (
            [*self._marks, *self._card_axes],
            [cell.axes for row in self._cells for cell in row],
        )
        for artist in (*self.overlays[0], *self.overlays[1]):
            artist.set_animated(self._animated)

    def _build_curve(self, width: float, height: float, margin: float) -> None:
        """The upper part: headings, the curve and the card."""
        part, scale = self.parts[0], self._scale

        def axes_at(left: float, top: float, right: float, bottom: float) -> Any:
            size = max(right - left, 10) / width, max(bottom - top, 10) / height
            return part.add_axes((left / width, 1 - max(bottom, top + 10) / height, *size))

        card_width = min(max(0.27 * width, 230 * scale), 330 * scale)
        card = width - margin - card_width
        axes = axes_at(margin + 56 * scale, 112 * scale, card - 22 * scale, height - 56 * scale)
        self.curve = CurveAxes(axes, self.subject.curve, scale, legend=False)
        words = heading(self.subject.curve, self.subject.sample.features.method)
        look: dict[str, Any] = {"transform": part.transSubfigure}
        left, first, second = margin / width, 1 - 24 * scale / height, 1 - 48 * scale / height
        question = "Choose the similarity threshold"
        self._write(part, left, first, question, 19, weight="bold", **look)
        self._write(part, left, second, words, 12.5, color=QUIET, **look)
        pairs, clusters = axes, self.curve.clusters
        self._marks = [
            pairs.axhline(0.5, color=INK, linewidth=1.6 * scale),
            pairs.axhline(0.5, color=QUIET, linewidth=1.1, linestyle=(0, (4, 3))),
            *pairs.plot([], [], "o", color=PAIRS, markersize=7 * scale),
            *clusters.plot([], [], "o", color=CLUSTERS, markersize=7 * scale),
        ]
        self._build_card(
            axes_at(card, 64 * scale, card + card_width, height - 16 * scale),
            axes_at(card + 16 * scale, 244 * scale, width - margin - 16 * scale, 274 * scale),
        )

    def _build_card(self, card: Axes, button: Axes) -> None:
        """Numbers at the threshold that is shown; units are pixels of a large window."""
        from matplotlib.widgets import Button

        width, height = card.bbox.width, card.bbox.height
        density = self._scale * float(self.figure.dpi) / DPI
        width, height = width / density, height / density
        card.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], facecolor=GROUND)
        card.spines[:].set_visible(False)
        right = width - 16
        self._texts = [
            self._write(card, 16, 20, size=12, color=QUIET),
            self._write(card, 16, 50, size=30, weight="bold"),
        ]
        for row, color in enumerate((PAIRS, CLUSTERS, INK, INK)):
            y = 88 + 24 * row
            self._texts.append(self._write(card, 46, y, size=12.5, color=QUIET))
            self._texts.append(self._write(card, right, y, size=12.5, color=color, ha="right"))
            if row < 2:
                (line,) = card.plot([16, 38], [y, y], color=color, linewidth=2 * self._scale)
                line.set_linestyle(CLUSTERS_DASHES if row else "-")
        self._card_axes = [card]
        if self._take is None:
            button.remove()
            self._texts.append(self._write(card, 16, 186, size=12, weight="bold"))
            return
        self._button = Button(button, "", color="white", hovercolor=RULE)
        self._button.label.set(family=FONT, fontsize=points(12 * self._scale), weight="bold")
        self._button.label.set_color(INK)
        take = self._take
        self._button.on_clicked(lambda event: take())
        button.spines[:].set_color(RULE)
        self._texts.append(self._button.label)
        self._card_axes.append(button)
        rows = help_rows(int((height - 232) / 17))
        if rows:
            top = height - 17 * len(rows) - 4
            card.plot([16, right], [top - 4, top - 4], color=RULE, linewidth=1)
            for row, (key, what) in enumerate(rows):
                self._write(card, 16, top + 8 + 17 * row, key, 12, weight="bold")
                self._write(card, 102, top + 8 + 17 * row, what, 12, color=QUIET)

    def _build_pairs(self, width: float, height: float, thumb: float, columns: int) -> None:
        """The lower part: two rows of pairs."""
        part, scale = self.parts[1], self._scale
        margin, gap, inner = 20 * scale, 22 * scale, 3 * scale
        cell_width, row_height = 2 * thumb + inner, thumb + 68 * scale
        grid = part.add_gridspec(
            2,
            columns,
            left=margin / width,
            right=(margin + columns * (cell_width + gap) - gap) / width,
            top=1 - 26 * scale / height,
            bottom=1 - (26 * scale + row_height + thumb) / height,
            wspace=gap / cell_width,
            hspace=(row_height - thumb) / thumb,
        )
        self._letters = int(thumb / (NAME_SIZE * scale * LETTER))
        self._shown: tuple[object, ...] = ()
        self._cells = [
            [
                PairCell(part.add_subplot(grid[row, column]), thumb, inner, self._write, scale)
                for column in range(columns)
            ]
            for row in range(2)
        ]
        for row, (text, more, color) in enumerate(HEADINGS):
            y = 1 - (12 * scale + row * row_height) / height
            look = {"transform": part.transSubfigure}
            self._write(part, margin / width, y, text, 13.5, color=color, weight="bold", **look)
            further = (margin + 190 * scale) / width
            self._write(part, further, y, more, 12.5, color=QUIET, **look)

    def _write(
        self,
        on: Axes | SubFigure,
        x: float,
        y: float,
        text: str = "",
        size: float = 13,
        **look: Any,
    ) -> Text:
        """A line of text with its middle at `y`; `size` in pixels of a large window."""
        look = {"color": INK, "va": "center", "family": FONT, **look}
        return on.text(x, y, text, fontsize=points(size * self._scale), parse_math=False, **look)

    def threshold_at(self, x: float, y: float) -> float | None:
        """The threshold at a pixel of the canvas, from the bottom left; None beside the curve."""
        axes = self.curve.pairs
        if not axes.bbox.contains(x, y):
            return None
        return float(axes.transData.inverted().transform((x, y))[1])

    @property
    def columns(self) -> int:
        """Pairs in a row."""
        return len(self._cells[0])

    def show_numbers(self, state: PickState) -> str:
        """Show the threshold and its numbers; return the title of the window."""
        expected, curve = self.subject.sample.expected(state.shown), self.subject.curve
        hovering = state.hovered not in (None, state.chosen)
        chosen, hovered, pairs, clusters = self._marks
        chosen.set_ydata([state.chosen] * 2)
        hovered.set_visible(hovering)
        hovered.set_ydata([state.shown] * 2)
        pairs.set_data([expected.pairs], [state.shown])
        pairs.set_visible(expected.pairs > 0 or not state.log)
        clusters.set_data([expected.clusters], [state.shown])
        taken = f"Enter: use {threshold_text(state.chosen, state.digits)}"
        words = (
            "threshold at the pointer" if hovering else "chosen threshold",
            threshold_text(state.shown, state.digits),
            *facts_of(expected, curve.images, curve.exact),
            self._hint if self._take is None else taken,
        )
        for text, word in zip(self._texts, words, strict=True):
            text.set_text(word)
        return title_of(state, expected, curve.exact)

    def show_pairs(self, nearest: Nearest, thumbnails: Mapping[int, Image | None]) -> bool:
        """Show pairs with their present thumbnails; whether anything has changed."""
        shown = (nearest, tuple(thumbnails))
        if shown == self._shown:
            return False
        self._shown = shown
        for cells, pairs in zip(self._cells, (nearest.above, nearest.below), strict=True):
            for column, cell in enumerate(cells):
                cell.show(pairs[column] if column < len(pairs) else None, thumbnails, self._name)
        return True

    def _name(self, image: int) -> str:
        return drawable(shortened(self.subject.names[image], self._letters))


class PairCell:
    """The axes of one pair: two thumbnails, with the similarity and both names below."""

    def __init__(
        self, axes: Axes, thumb: float, inner: float, write: Callable[..., Text], scale: float
    ) -> None:
        from matplotlib.patches import Rectangle

        self.axes, self._thumb = axes, thumb
        axes.set(xlim=(0, 2 * thumb + inner), ylim=(thumb, 0))
        axes.set_axis_off()
        self._lefts = (0.0, thumb + inner)
        self._images: list[AxesImage] = []
        self._names, self._notes = [], []
        for left in self._lefts:
            axes.add_patch(Rectangle((left, 0), thumb, thumb, color=WAITING, linewidth=0))
            self._images.append(axes.imshow(np.zeros((1, 1, 3)), aspect="auto", zorder=2))
            middle = {"x": left + thumb / 2, "color": QUIET, "ha": "center"}
            self._names.append(write(axes, y=thumb + 26 * scale, size=NAME_SIZE, **middle))
            self._notes.append(write(axes, y=thumb / 2, size=10, **middle))
        center = thumb + inner / 2
        self._similarity = write(
            axes, center, thumb + 11 * scale, "", 12, ha="center", weight="bold"
        )

    def show(
        self,
        pair: Pair | None,
        thumbnails: Mapping[int, Image | None],
        name_of: Callable[[int], str],
    ) -> None:
        """Show a pair; nothing without one."""
        self.axes.set_visible(pair is not None)
        if pair is None:
            return
        self._similarity.set_text(similarity_text(pair.similarity))
        for side, image in enumerate((pair.a, pair.b)):
            picture = thumbnails.get(image)
            self._names[side].set_text(name_of(image))
            unreadable = image in thumbnails and picture is None
            self._notes[side].set_text("unreadable" if unreadable else "")
            self._images[side].set_visible(picture is not None)
            if picture is not None:
                self._images[side].set_data(picture)
                self._images[side].set_extent(self._extent(self._lefts[side], picture))

    def _extent(self, left: float, picture: Image) -> tuple[float, float, float, float]:
        """Extent of an image: as large as its square allows, centred."""
        height, width = (self._thumb * side / max(picture.shape[:2]) for side in picture.shape[:2])
        left, top = left + (self._thumb - width) / 2, (self._thumb - height) / 2
        return left, left + width, top + height, top


def facts_of(expected: Expected, images: int, exact: bool) -> tuple[str, ...]:
    """Names and values of the numbers at a threshold, for the card."""
    clustered = expected.clustered_images
    return (
        *("similar pairs", number_text(expected.pairs, exact)),
        *("clusters", number_text(expected.clusters, exact)),
        *(f"in clusters ({share_text(clustered, images)})", number_text(clustered, exact)),
        *("outliers", number_text(images - clustered, exact)),
    )


def title_of(state: PickState, expected: Expected, exact: bool) -> str:
    """Title of the window: the threshold shown and its numbers."""
    what = "chosen" if state.hovered is None else "pointer"
    return (
        f"{what} {threshold_text(state.shown, state.digits)}:"
        f" {number_text(expected.pairs, exact)} similar pairs,"
        f" {number_text(expected.clusters, exact)} clusters,"
        f" {number_text(expected.clustered_images, exact)} images in clusters - clusterimg"
    )

"""What the picker says of a threshold, and of names that its font cannot draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from icas.clusterimg.picker.curve import (
    CHOSEN,
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
from icas.clusterimg.picker.layout import Places, Rect, places_in
from icas.clusterimg.picker.pairs import (
    Nearest,
    Pair,
    pairs_area,
    pairs_picture,
    shortened,
    unread_places,
)
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


def facts_of(found: Expected, images: int, exact: bool) -> list[tuple[str, str]]:
    """What the card says of a threshold: names and values."""
    share = share_text(found.clustered_images, images)
    return [
        ("similar pairs", number_text(found.pairs, exact)),
        ("clusters", number_text(found.clusters, exact)),
        (f"in clusters ({share})", number_text(found.clustered_images, exact)),
        ("images left alone", number_text(images - found.clustered_images, exact)),
    ]


def title_of(state: PickState, found: Expected, exact: bool) -> str:
    """The window's title: the threshold that is shown, and what it gives."""
    what = "chosen" if state.hovered is None else "pointer"
    return (
        f"{what} {threshold_text(state.shown, state.digits)}:"
        f" {number_text(found.pairs, exact)} similar pairs,"
        f" {number_text(found.clusters, exact)} clusters,"
        f" {number_text(found.clustered_images, exact)} images in them - clusterimg"
    )


@cache
def _letters() -> frozenset[int]:
    """Letters that the font has."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties(family=list(FONT)))).get_charmap())


def drawable(name: str) -> str:
    """`name` with a box for every letter that the font lacks: matplotlib would warn of each."""
    known = _letters()
    return "".join(one if one.isprintable() and ord(one) in known else "□" for one in name)


if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.image import FigureImage
    from matplotlib.text import Text

HEADINGS = (
    ("Just above: linked", "the least similar pairs that are similar enough", "#1d7a46"),
    ("Just below: not linked", "the most similar pairs that are not", "#a83232"),
)
"""Of the two rows: words, further words, colour."""
NAME_SIZE, LETTER = 10.5, 0.6
"""Height of the letters of names, and their width against it."""


class PairRows:
    """Both rows on a sheet.

    Attributes
    ----------
    artists : list of Artist
        All that changes with the pairs.
    """

    def __init__(self, paper: Paper, names: Sequence[str]) -> None:
        self._paper, self._names = paper, names
        self._shown: tuple[object, ...] = ()
        self._thumbs = self._new_picture()
        headings = self._write_headings()  # one of them lies over the picture
        self._captions = [
            [self._new_caption(*cell) for cell in row.cells] for row in paper.places.rows
        ]
        self._notes = [
            paper.write_moving(0, 0, size=10, color=QUIET, ha="center")
            for _ in range(4 * paper.places.pairs)
        ]
        captions = [text for row in self._captions for three in row for text in three]
        self.artists: list[Artist] = [self._thumbs, *headings, *captions, *self._notes]

    def _new_picture(self) -> FigureImage:
        """The picture of all thumbnails, pixel for pixel and below the sheet."""
        area, figure = pairs_area(self._paper.places), self._paper.figure
        below = (self._paper.places.height - area.bottom) * self._density
        picture = figure.figimage(
            np.full((2, 2, 3), 255, np.uint8),
            round(area.left * self._density),
            round(below),
            origin="upper",
            zorder=-1,
        )
        picture.set_animated(self._paper.animated)
        return picture

    @property
    def _density(self) -> float:
        """Pixels of the screen to one of the places."""
        return float(self._paper.figure.dpi) / DPI

    def _write_headings(self) -> list[Text]:
        left, written = self._paper.places.margin, []
        further = left + 190 * self._paper.places.scale
        for row, (text, more, color) in zip(self._paper.places.rows, HEADINGS, strict=True):
            first = self._paper.write_moving(left, row.heading, 13.5, color=color, weight="bold")
            second = self._paper.write_moving(further, row.heading, 12.5, color=QUIET)
            first.set_text(text)
            second.set_text(more)
            written += [first, second]
        return written

    def _new_caption(self, first: Rect, second: Rect) -> tuple[Text, Text, Text]:
        """The similarity of a pair and the names of both images, to be written."""
        write, scale = self._paper.write_moving, self._paper.places.scale
        y = first.bottom + 11 * scale
        names = [
            write(one.left + one.width / 2, y + 15 * scale, NAME_SIZE, color=QUIET, ha="center")
            for one in (first, second)
        ]
        similarity = write((first.left + second.right) / 2, y, 12, ha="center", weight="bold")
        return similarity, names[0], names[1]

    def show(self, nearest: Nearest, thumbnails: Mapping[int, Image | None]) -> bool:
        """Show these pairs with the thumbnails that have come; whether anything has changed."""
        shown = (nearest, tuple(thumbnails))
        if shown == self._shown:
            return False
        self._shown = shown
        places = self._paper.places
        self._thumbs.set_data(pairs_picture(nearest, thumbnails, places, self._density))
        for captions, pairs in zip(self._captions, (nearest.above, nearest.below), strict=True):
            padded = [*pairs, *[None] * len(captions)]
            for texts, pair in zip(captions, padded, strict=False):
                for text, word in zip(texts, self._caption(pair), strict=True):
                    text.set_text(word)
        self._note([place for place, _ in unread_places(nearest, thumbnails, places)])
        return True

    def _caption(self, pair: Pair | None) -> tuple[str, str, str]:
        if pair is None:
            return "", "", ""
        letters = int(self._paper.places.thumb / (NAME_SIZE * self._paper.places.scale * LETTER))
        a, b = (drawable(shortened(self._names[one], letters)) for one in (pair.a, pair.b))
        return similarity_text(pair.similarity), a, b

    def _note(self, places: Sequence[Rect]) -> None:
        """Say where a picture cannot be shown."""
        for text in self._notes:
            text.set_text("")
        for text, place in zip(self._notes, places, strict=False):
            text.set_text("no picture")
            text.set_position((place.left + place.width / 2, place.top + place.height / 2))


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

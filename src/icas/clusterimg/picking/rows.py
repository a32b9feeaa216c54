"""The two rows of pairs below the curve: what is linked just so, and what just not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from icas.clusterimg.picking.drawing import DPI, QUIET
from icas.clusterimg.picking.numbers import similarity_text
from icas.clusterimg.picking.pairs import (
    Nearest,
    Pair,
    pairs_area,
    pairs_picture,
    shortened,
    unread_places,
)
from icas.clusterimg.picking.paper import Paper
from icas.clusterimg.picking.places import Rect
from icas.clusterimg.picking.words import drawable
from icas.common.images import Image

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

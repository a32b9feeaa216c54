"""Where everything lies in the picker's window, for a window of any size."""

from __future__ import annotations

from dataclasses import dataclass

ROOMY = (900, 800)
"""Width and height of a window in which texts have their full size."""
SMALLEST_SCALE, LARGEST_SCALE = 0.72, 1.35
THUMB_SHARE = 0.1
"""Side of a thumbnail as a share of the window's height, before rows are filled."""
MOST_PAIRS = 8


@dataclass(frozen=True)
class Rect:
    """A place in the window; units are pixels of a screen of usual density, from the top left."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height


@dataclass(frozen=True)
class Row:
    """A row of pairs: its heading above, its captions below.

    Attributes
    ----------
    heading : float
        Middle of the heading, from the top.
    cells : tuple of (Rect, Rect)
        The two thumbnails of each pair.
    """

    heading: float
    cells: tuple[tuple[Rect, Rect], ...]


@dataclass(frozen=True)
class Places:
    """The places of one window.

    Attributes
    ----------
    width, height : float
    scale : float
        Texts and gaps against those of a roomy window.
    margin : float
    curve : Rect
        Inside the axes; their labels lie around it.
    card : Rect
        Numbers at the threshold that is shown.
    rows_top : float
        Above it the curve and the card, below it the rows.
    rows : (Row, Row)
        Pairs above the threshold, pairs below it.
    """

    width: float
    height: float
    scale: float
    margin: float
    curve: Rect
    card: Rect
    rows_top: float
    rows: tuple[Row, Row]

    @property
    def pairs(self) -> int:
        """Pairs in a row."""
        return len(self.rows[0].cells)

    @property
    def thumb(self) -> float:
        """Side of a thumbnail's place."""
        return self.rows[0].cells[0][0].width


def places_in(width: float, height: float) -> Places:
    """Share out a window: a title, the curve with a card beside it, two rows of pairs."""
    fits = min(width / ROOMY[0], height / ROOMY[1])
    scale = min(max(fits, SMALLEST_SCALE), LARGEST_SCALE)
    margin = 20 * scale
    count, thumb = _thumbs(width - 2 * margin, height, scale)
    row_height = thumb + 68 * scale
    rows_top = height - 2 * row_height - 4 * scale
    card_width = min(max(0.27 * width, 230 * scale), 330 * scale)
    top, bottom = 112 * scale, rows_top - 56 * scale
    left = margin + 56 * scale
    right = width - margin - card_width - 22 * scale
    curve = Rect(left, top, max(right - left, 10), max(bottom - top, 10))
    card = Rect(width - margin - card_width, 64 * scale, card_width, rows_top - 80 * scale)
    rows = (
        _row(rows_top, margin, count, thumb, scale),
        _row(rows_top + row_height, margin, count, thumb, scale),
    )
    return Places(width, height, scale, margin, curve, card, rows_top, rows)


def _thumbs(width: float, height: float, scale: float) -> tuple[int, float]:
    """Pairs in a row, and the side of a thumbnail so that they fill its width."""
    gap, inner = _gaps(scale)
    wanted = max(THUMB_SHARE * height, 44 * scale)
    count = round((width + gap) / (2 * wanted + inner + gap))
    count = min(max(count, 1), MOST_PAIRS)
    filling = (width - (count - 1) * gap - count * inner) / (2 * count)
    return count, max(min(filling, 1.25 * wanted), 8)


def _gaps(scale: float) -> tuple[float, float]:
    """Between pairs, and between the two of a pair."""
    return 22 * scale, 3 * scale


def _row(top: float, left: float, count: int, thumb: float, scale: float) -> Row:
    gap, inner = _gaps(scale)
    first = top + 26 * scale
    starts = (left + place * (2 * thumb + inner + gap) for place in range(count))
    cells = tuple(
        (Rect(start, first, thumb, thumb), Rect(start + thumb + inner, first, thumb, thumb))
        for start in starts
    )
    return Row(top + 12 * scale, cells)

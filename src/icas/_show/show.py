"""`icas.show`: pictures side by side in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from icas._show.sheet import Sheet
from icas._show.things import entries, tile
from icas.common.errors import UsageError

MOST = 48
"""Things on one sheet."""
WIDTHS = ((1, 640), (2, 420), (4, 300), (12, 220), (MOST, 150))
"""Up to so many things, how wide each is at most."""


def show(
    *things: Any,
    titles: str | Sequence[str] | None = None,
    columns: int | None = None,
    width: int | None = None,
) -> Sheet:
    """Pictures, label maps, masks and results side by side, to be looked at in a notebook.

    Nothing is printed and no window opens: a notebook shows what comes back where it is the last
    line of a cell; elsewhere it can be saved.

    Parameters
    ----------
    *things
        Each of them one of these:

        - the path of a picture, or of a folder, which stands for its images;
        - a picture: (h, w, 3) RGB, (h, w, 4) RGBA or (h, w) gray, uint8 or uint16, or floats from
          0 to 1;
        - a label map: (h, w) integers of any other type, each label in a colour of its own, 0
          black; a mask: (h, w) bool, white on black;
        - a pair of a picture and a label map (its borders are drawn), a mask, or what
          `icas.paint_templates` gives;
        - a `PaintDocument`, `KMeansColors`, `TemplatePaint` or `Template`;
        - a `ClusterReport`, or anything else that notebooks show as HTML;
        - a list of such things.
    titles : str or sequence of str, optional
        One for each thing; default file names, or what is to be counted.
    columns : int, optional
        How many side by side; default as many as there is room for.
    width : int, optional
        Pixels that each is wide at most; default 640 for a single one down to 150 for many.

    Returns
    -------
    Sheet
        With ``.save(path)`` (``.png``, ``.jpg``, ``.html``) and ``.png()``. At most 48 things are
        shown; how many more there are is said below.

    Raises
    ------
    UsageError
        Something that cannot be shown, another number of titles, a width or columns below 1.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> image = data.coffee()
    >>> labels = icas.segment(image, "graph")
    >>> icas.show(image, (image, labels), titles=["coffee", "in segments"])
    <Sheet: 2 things>
    """
    for name, number in (("columns", columns), ("width", width)):
        if number is not None and number < 1:
            raise UsageError(f"{name} {number}: must be at least 1")
    single = list(chain.from_iterable(map(entries, things)))
    given = _titles(titles, len(single))
    shown = single[:MOST]
    wide = width or next(most for count, most in WIDTHS if len(shown) <= count)
    cells = [tile(thing, wide) for thing in shown]
    if given is not None:
        cells = [replace(one, title=title) for one, title in zip(cells, given, strict=False)]
    return Sheet(tuple(cells), columns, len(single) - len(shown))


def _titles(titles: str | Sequence[str] | None, count: int) -> list[str] | None:
    if titles is None:
        return None
    given = [titles] if isinstance(titles, str) else [str(one) for one in titles]
    if len(given) != count:
        raise UsageError(f"{len(given)} titles for {count} things: give one each")
    return given

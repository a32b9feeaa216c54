"""Template painting: every template is found in a picture, and its segment painted there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.reading import as_image
from icas.segmentimg.document.palette import Color
from icas.segmentimg.templates.search import OVERLAP, Found, check_threshold, find_template, rank
from icas.segmentimg.templates.templates import (
    Mask,
    Template,
    colors_for,
    make_template,
    packed,
    packed_colors,
)


@dataclass(frozen=True, eq=False)
class TemplatePaint:
    """What template painting gives for one picture.

    What `icas.paint_templates` gives.

    Attributes
    ----------
    places : tuple of Found
        Most similar first; each has ``template`` (its number, from 0), ``row``, ``col``,
        ``height``, ``width`` and ``similarity`` in [0, 1].
    colors : tuple of (int, int, int)
        The templates' colours, RGB, in the order of the templates.
    painted : (h, w) int32 ndarray
        0 = not painted, n = ``colors[n - 1]``; where places overlap, the most similar one's.

    See Also
    --------
    icas.paint_templates : makes one.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> image = data.coins()
    >>> found = icas.paint_templates(image, [image[15:70, 15:75]], threshold=None)
    >>> place = found.places[0]
    >>> (place.row, place.col, place.similarity), found.colors
    ((15, 15, 1.0), ((204, 0, 0),))
    >>> [(color, mask.shape) for color, mask in found.stamps()]
    [((204, 0, 0), (303, 384))]
    >>> list(found.masks)
    [(204, 0, 0)]
    """

    places: tuple[Found, ...]
    colors: tuple[Color, ...]
    painted: NDArray[np.int32]

    def stamps(self) -> Iterator[tuple[Color, Mask]]:
        """Each colour that is painted with its mask, one at a time.

        No two masks share a pixel; `PaintDocument.stamp` takes them.

        Yields
        ------
        (color, mask) : ((int, int, int), (h, w) bool ndarray)
            RGB, and where it is painted.
        """
        used = np.bincount(self.painted.ravel(), minlength=1)
        for number in np.flatnonzero(used[1:]) + 1:
            yield self.colors[number - 1], self.painted == number

    @property
    def masks(self) -> dict[Color, Mask]:
        """dict of (int, int, int) to (h, w) bool ndarray: mask of every colour that is painted."""
        return dict(self.stamps())

    def _repr_html_(self) -> str:
        """What a notebook shows: the places, on black; it has no picture to show them on."""
        from icas.notebook.show import show

        return show(self)._repr_html_()


def paint_templates(
    image: NDArray[Any],
    templates: Sequence[Template | NDArray[Any]],
    threshold: float | None = 0.05,
) -> TemplatePaint:
    """Find templates in a picture and paint their segments there.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
        RGB; whatever `icas.segment` takes does too.
    templates : sequence of Template or (h, w, 3) uint8 ndarray
        Of plain pictures `icas.make_template` makes templates, each with a colour of its own.
    threshold : float or None, default 0.05
        In [0, 1]: every place that differs by at most this (1 - similarity) and is more alike than
        the places around it. Of places of different templates whose boxes overlap by more than
        0.1 (intersection over union) the most similar is kept. None: the best place of each
        template, all kept.

    Returns
    -------
    TemplatePaint
        The places, and what is painted.

    Raises
    ------
    UsageError
        No templates; one that is larger than the picture or found at more than 100,000 places; a
        threshold that is none.

    See Also
    --------
    icas.make_template : a template with attention, segment and mask.

    Notes
    -----
    The difference is OpenCV's ``TM_SQDIFF_NORMED`` inside the attention.

    Examples
    --------
    >>> import icas
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> stamp = rng.integers(0, 256, (8, 8, 3), np.uint8)
    >>> image = np.full((40, 60, 3), 255, np.uint8)
    >>> image[5:13, 7:15] = image[20:28, 40:48] = stamp
    >>> found = icas.paint_templates(image, [stamp], threshold=0.01)
    >>> [(place.row, place.col) for place in found.places]
    [(5, 7), (20, 40)]
    >>> int(found.masks[204, 0, 0].sum())
    128
    """
    check_threshold(threshold)
    picture = as_image(image)
    ready = _as_templates(templates)
    found = [
        replace(place, template=number)
        for number, template in enumerate(ready)
        for place in find_template(picture, template, threshold)
    ]
    best_first = sorted(found, key=rank)
    places = best_first if threshold is None else _best_of_overlapping(best_first)
    return _painted(picture.shape[:2], ready, places)


def _as_templates(templates: Sequence[Template | NDArray[Any]]) -> list[Template]:
    if len(templates) == 0:
        raise UsageError("no templates to paint: at least one is needed")
    return [
        one
        if isinstance(one, Template)
        else make_template(one, color=color, name=f"template {number}")
        for number, (one, color) in enumerate(
            zip(templates, colors_for(len(templates)), strict=True), start=1
        )
    ]


def _best_of_overlapping(places: list[Found]) -> list[Found]:
    """Places, best first, without those that overlap a better one of another template."""
    if len({place.template for place in places}) < 2:
        return places
    boxes = np.array([(one.row, one.col, one.height, one.width) for one in places])
    by_row = np.argsort(boxes[:, 0], kind="stable")
    rows, tallest = boxes[by_row, 0], int(boxes[:, 2].max())
    alive = np.ones(len(places), bool)
    for number, (row, _, height, _) in enumerate(boxes):
        if alive[number]:
            start, stop = np.searchsorted(rows, [row - tallest, row + height])
            near = by_row[start:stop]
            near = near[near > number]
            alive[near[_overlap(boxes[number], boxes[near]) > OVERLAP]] = False
    return [place for place, lives in zip(places, alive, strict=True) if lives]


def _overlap(box: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union of one (row, column, height, width) with each of many."""
    ends = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    common = np.clip(ends - np.maximum(box[:2], others[:, :2]), 0, None).prod(axis=1)
    return np.asarray(common / (box[2:].prod() + others[:, 2:].prod(axis=1) - common))


def _painted(
    shape: tuple[int, ...], templates: list[Template], places: list[Found]
) -> TemplatePaint:
    numbers: dict[Color, int] = {}
    stamps = [_numbered(template, numbers) for template in templates]
    painted = np.zeros(shape, np.int32)
    for place in reversed(places):
        stamp = stamps[place.template]
        part = painted[place.row : place.row + place.height, place.col : place.col + place.width]
        np.copyto(part, stamp, where=stamp > 0)
    return TemplatePaint(tuple(places), tuple(numbers), painted)


def _numbered(template: Template, numbers: dict[Color, int]) -> NDArray[np.int32]:
    """(h, w) number of the colour of each pixel, 0 outside the mask; new colours join `numbers`."""
    values = packed(template.segment)
    stamp = np.zeros(values.shape, np.int32)
    for value in map(int, packed_colors(template)):
        color = (value >> 16, value >> 8 & 255, value & 255)
        number = numbers.setdefault(color, len(numbers) + 1)
        stamp[template.mask & (values == value)] = number
    return stamp

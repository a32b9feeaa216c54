"""Template painting: find templates in an image and paint their segments there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.reading import as_image
from icas.segmentimg.document.palette import Color
from icas.segmentimg.templates import search
from icas.segmentimg.templates.search import TemplateMatch
from icas.segmentimg.templates.templates import Mask, Template, colors_for, make_template, packed


@dataclass(frozen=True, eq=False)
class TemplatePaint:
    """Result of template painting for one image.

    Attributes
    ----------
    places : tuple of TemplateMatch
        Most similar first; each has ``template`` (its number, from 0), ``row``, ``col``,
        ``height``, ``width`` and ``similarity`` in [0, 1].
    colors : tuple of (int, int, int)
        Colors of the templates, RGB, in their order.
    painted : (h, w) int32 ndarray
        0 = not painted, n = ``colors[n - 1]``; where matches overlap, the most similar one wins.
    owner : (h, w) int32 ndarray
        0 = not painted, n = ``places[n - 1]``.

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
    >>> [(color, mask.shape, at) for color, mask, at in found.objects()]
    [((204, 0, 0), (55, 60), (15, 15))]
    """

    places: tuple[TemplateMatch, ...]
    colors: tuple[Color, ...]
    painted: NDArray[np.int32]
    owner: NDArray[np.int32]

    def objects(self) -> Iterator[tuple[Color, Mask, tuple[int, int]]]:
        """Each color of each place with its mask and position, for `PaintDocument.stamp`.

        Yields
        ------
        (color, mask, (row, col)) : ((int, int, int), (n, m) bool ndarray, (int, int))
            The mask has the size of the template; masks are disjoint.
        """
        for number, match in enumerate(self.places, start=1):
            rows = slice(match.row, match.row + match.height)
            columns = slice(match.col, match.col + match.width)
            painted = np.where(self.owner[rows, columns] == number, self.painted[rows, columns], 0)
            used = np.unique(painted)
            for color in used[used > 0]:
                yield self.colors[color - 1], painted == color, (match.row, match.col)

    def stamps(self) -> Iterator[tuple[Color, Mask]]:
        """Each painted color with its mask, for `PaintDocument.stamp`; masks are disjoint.

        Yields
        ------
        (color, mask) : ((int, int, int), (h, w) bool ndarray)
        """
        used = np.bincount(self.painted.ravel(), minlength=1)
        for number in np.flatnonzero(used[1:]) + 1:
            yield self.colors[number - 1], self.painted == number

    @property
    def masks(self) -> dict[Color, Mask]:
        """dict of (int, int, int) to (h, w) bool ndarray: mask of every painted color."""
        return dict(self.stamps())

    def _repr_html_(self) -> str:
        """The matches on black, for notebooks."""
        from icas.notebook.show import show

        return show(self)._repr_html_()


def paint_templates(
    image: NDArray[Any],
    templates: Sequence[Template | NDArray[Any]],
    threshold: float | None = 0.05,
) -> TemplatePaint:
    """Find templates in an image and paint their segments there.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
        RGB; or any other image that `icas.segment` takes.
    templates : sequence of Template or (h, w, 3) uint8 ndarray
        Images are converted by `icas.make_template`, each with its own color.
    threshold : float or None, default 0.05
        Maximum difference (1 - similarity) of a match, in [0, 1]. Matches are local minima of
        the difference. Of matches of different templates that overlap by more than 0.1
        (intersection over union) the most similar is kept. None: the best match of each template.

    Returns
    -------
    TemplatePaint

    Raises
    ------
    UsageError
        There are no templates, a template is larger than the image or has more than 100,000
        matches, or the threshold is invalid.

    Notes
    -----
    The difference is OpenCV's ``TM_SQDIFF_NORMED`` over the pixels of the attention.

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
    search.check_threshold(threshold)
    pixels = as_image(image)
    if isinstance(templates, (Mapping, str, bytes)) or not isinstance(templates, Iterable):
        raise UsageError(
            f"templates: a {type(templates).__name__} was given: expected a list of images"
        )
    templates = list(templates)
    if len(templates) == 0:
        raise UsageError("no templates given: at least one is needed")
    colors = colors_for(len(templates))
    searched = [
        template
        if isinstance(template, Template)
        else make_template(template, color=colors[number], name=f"template {number + 1}")
        for number, template in enumerate(templates)
    ]
    matches = [
        replace(match, template=number)
        for number, template in enumerate(searched)
        for match in search.find_template(pixels, template, threshold)
    ]
    matches.sort(key=search.rank)
    kept = matches if threshold is None else _best_of_overlapping(matches)
    numbers: dict[Color, int] = {}
    stamps = [_numbered(template, numbers) for template in searched]
    painted = np.zeros(pixels.shape[:2], np.int32)
    owner = np.zeros_like(painted)
    for place in range(len(kept) - 1, -1, -1):
        match = kept[place]
        stamp = stamps[match.template]
        box = np.s_[match.row : match.row + match.height, match.col : match.col + match.width]
        np.copyto(painted[box], stamp, where=stamp > 0)
        owner[box][stamp > 0] = place + 1
    return TemplatePaint(tuple(kept), tuple(numbers), painted, owner)


def _best_of_overlapping(matches: list[TemplateMatch]) -> list[TemplateMatch]:
    """Matches, best first, without those that overlap a better one of another template."""
    if len({match.template for match in matches}) < 2:
        return matches
    boxes = np.array([(match.row, match.col, match.height, match.width) for match in matches])
    by_row = np.argsort(boxes[:, 0], kind="stable")
    rows, tallest = boxes[by_row, 0], int(boxes[:, 2].max())
    keep = np.ones(len(matches), bool)
    for number, (row, _, height, _) in enumerate(boxes):
        if keep[number]:
            start, stop = np.searchsorted(rows, [row - tallest, row + height])
            near = by_row[start:stop]
            near = near[near > number]
            overlaps = _intersection_over_union(boxes[number], boxes[near])
            keep[near[overlaps > search.OVERLAP]] = False
    return [match for match, kept in zip(matches, keep, strict=True) if kept]


def _intersection_over_union(
    box: NDArray[np.int64], boxes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Of a box (row, column, height, width) with each of many."""
    ends = np.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:])
    common = np.clip(ends - np.maximum(box[:2], boxes[:, :2]), 0, None).prod(axis=1)
    return np.asarray(common / (box[2:].prod() + boxes[:, 2:].prod(axis=1) - common))


def _numbered(template: Template, numbers: dict[Color, int]) -> NDArray[np.int32]:
    """(h, w): number of each pixel's color, 0 outside the mask; adds new colors to `numbers`."""
    values = packed(template.segment)
    stamp = np.zeros(values.shape, np.int32)
    for value in np.unique(values[template.mask]).tolist():
        color = (value >> 16, value >> 8 & 255, value & 255)
        number = numbers.setdefault(color, len(numbers) + 1)
        stamp[template.mask & (values == value)] = number
    return stamp

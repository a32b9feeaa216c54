"""Where a template is in a picture: OpenCV's masked matching, one place an object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.reading import Image, as_image
from icas.segmentimg.templates.templates import Mask, Template, make_template

MOST_PLACES = 100_000
"""Places of one template in one picture; more are found where a template matches everything."""
OVERLAP = 0.1
"""Intersection over union above which two boxes show one object; best on coins and on cells."""
BAND_PIXELS = 1 << 22
"""Pixels matched at a time: OpenCV takes some 60 bytes for each."""
DECIMALS = 6
"""To which OpenCV's single precision holds; what differs by less is equally alike."""


@dataclass(frozen=True)
class Found:
    """A place where a template was found.

    Attributes
    ----------
    template : int
        Its number, from 0.
    row, col : int
        Upper left pixel of the box.
    height, width : int
        The template's.
    similarity : float
        In [0, 1]: 1 - the normalised squared difference (``TM_SQDIFF_NORMED``) inside the
        attention, differences above 1 counted as 1. Between black and black it is 1, between
        black and anything else 0.
    """

    template: int
    row: int
    col: int
    height: int
    width: int
    similarity: float

    @property
    def difference(self) -> float:
        """1 - similarity, to 12 decimals: what is 0.05 compares as 0.05."""
        return round(1 - self.similarity, 12)


def find_template(
    image: NDArray[Any], template: Template | NDArray[Any], threshold: float | None = None
) -> list[Found]:
    """Where `template` is found in a picture, most similar first.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
        RGB; whatever `icas.segment` takes does too.
    template : Template or (h, w, 3) uint8 ndarray
    threshold : float, optional
        In [0, 1]: every place with a difference of at most this that is more alike than the places
        around it, each object once (boxes overlap by `OVERLAP` at most). Not given: the one best
        place.

    Raises
    ------
    UsageError
        The template is larger than the picture or found at more than `MOST_PLACES` places, or the
        threshold is none.
    """
    check_threshold(threshold)
    wanted = template if isinstance(template, Template) else make_template(template)
    picture = as_image(image)
    differences = difference_map(picture, wanted)
    if threshold is None:
        row, col = np.unravel_index(int(differences.argmin()), differences.shape)
        return [_found(picture, wanted, int(row), int(col))]
    places = _minima(differences, wanted, threshold)
    found = [_found(picture, wanted, row, col) for row, col in places]
    return sorted((place for place in found if place.difference <= threshold), key=rank)


def check_threshold(threshold: float | None) -> None:
    if threshold is not None and not 0 <= threshold <= 1:
        raise UsageError(f"template threshold {threshold}: a difference between 0 and 1 is needed")


def rank(place: Found) -> tuple[float, int, int, int]:
    """Sort key: most similar first, ties by template and in reading order."""
    return -place.similarity, place.template, place.row, place.col


def difference_map(image: Image, template: Template) -> NDArray[np.float32]:
    """Normalised squared difference of a template and the part of the picture under it.

    Parameters
    ----------
    image : (H, W, 3) uint8 ndarray
        RGB.

    Returns
    -------
    (H - h + 1, W - w + 1) float32 ndarray
        In [0, 1], to `DECIMALS` decimals; never NaN. Matched in bands of rows, so that memory does
        not grow with the picture's height, but for this map.

    Raises
    ------
    UsageError
        The template is larger than the picture.
    """
    (height, width), (rows, columns) = template.size, image.shape[:2]
    if height > rows or width > columns:
        raise UsageError(
            f"template {template.name!r} is {width}x{height} pixels, larger than the picture of"
            f" {columns}x{rows}"
        )
    found = np.empty((rows - height + 1, columns - width + 1), np.float32)
    step = max(height, BAND_PIXELS // columns)
    for top in range(0, len(found), step):
        part = image[top : top + step + height - 1]
        found[top : top + step] = _differences(part, template)
    return found


def _differences(image: Image, template: Template) -> NDArray[np.float32]:
    import cv2

    counts = template.attention.astype(np.uint8)
    if not template.image[template.attention].any():
        # Black has no norm to divide by, and rounding noise would take its place: a black
        # template differs from any window that is not black as well.
        lit = np.asarray(image.any(axis=2), np.float32)
        return np.asarray(
            cv2.matchTemplate(lit, np.asarray(counts, np.float32), cv2.TM_CCORR) > 0.5, np.float32
        )
    found: NDArray[np.float32] = np.asarray(
        cv2.matchTemplate(image, template.image, cv2.TM_SQDIFF_NORMED, mask=counts),
        np.float32,
    )
    # A black window gives a number far above 1, infinity or NaN, as the rounding falls.
    np.nan_to_num(found, copy=False, nan=1.0, posinf=1.0, neginf=1.0)
    return np.round(np.clip(found, 0, 1, out=found), DECIMALS, out=found)


def _found(image: Image, template: Template, row: int, col: int) -> Found:
    """The place with its similarity in whole numbers, so that a true copy has exactly 1."""
    height, width = template.size
    under = image[row : row + height, col : col + width][template.attention].astype(np.int64)
    own = template.image[template.attention].astype(np.int64)
    apart = int(((under - own) ** 2).sum())
    norm = float((under**2).sum()) ** 0.5 * float((own**2).sum()) ** 0.5
    difference = min(1.0, apart / norm) if norm > 0 else float(apart > 0)
    return Found(0, row, col, height, width, 1 - difference)


def _minima(
    differences: NDArray[np.float32], template: Template, threshold: float
) -> list[tuple[int, int]]:
    """Places not above `threshold` nor above their neighbours, no two of them on one object."""
    import cv2

    one = _overlapping(template.size)
    row, col = one.shape[0] // 2, one.shape[1] // 2
    around = one[max(0, row - 1) : row + 2, max(0, col - 1) : col + 2]
    lowest = cv2.erode(differences, around.astype(np.uint8))
    slack = 10.0**-DECIMALS
    rows, columns = np.nonzero((differences <= lowest) & (differences <= threshold + slack))
    order = np.argsort(differences[rows, columns], kind="stable")
    return _each_once(rows[order], columns[order], differences.shape, one, template.name)


def _overlapping(size: tuple[int, int]) -> Mask:
    """(2h - 1, 2w - 1) bool: by which shifts, none in the middle, two boxes are still one object.

    Only shifts that overlap at all are in it.
    """
    height, width = size
    down = height - np.abs(np.arange(1 - height, height))
    right = width - np.abs(np.arange(1 - width, width))
    common = np.outer(down, right)
    return np.asarray(common > OVERLAP * (2 * height * width - common))


def _each_once(
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    shape: tuple[int, ...],
    one: Mask,
    name: str,
) -> list[tuple[int, int]]:
    """Of places, best first, those that no better one kept takes for itself."""
    taken = np.pad(np.zeros(shape, bool), [(side // 2, side // 2) for side in one.shape])
    middle = one.shape[0] // 2, one.shape[1] // 2
    kept: list[tuple[int, int]] = []
    at, block = 0, 4096
    while at < len(rows):
        here = slice(at, at + block)
        free = np.flatnonzero(~taken[rows[here] + middle[0], columns[here] + middle[1]])
        if len(free) == 0:
            at += block
            continue
        at += int(free[0]) + 1
        row, col = int(rows[at - 1]), int(columns[at - 1])
        taken[row : row + one.shape[0], col : col + one.shape[1]] |= one
        kept.append((row, col))
        if len(kept) > MOST_PLACES:
            raise UsageError(
                f"template {name!r} is found at more than {MOST_PLACES:,} places: a lower"
                " --template-threshold or a larger template is needed"
            )
    return kept

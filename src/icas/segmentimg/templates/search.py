"""Template search: masked matching by OpenCV, one match per object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.reading import Image, as_image
from icas.segmentimg.templates.templates import Mask, Template, make_template

MAX_MATCHES = 100_000
"""Matches of one template in one image; a template that matches everything has more."""
OVERLAP = 0.1
"""Intersection over union above which two boxes show the same object; best on coins and cells."""
BAND_PIXELS = 1 << 22
"""Pixels matched at a time: OpenCV takes some 60 bytes for each."""
DECIMALS = 6
"""Precision of OpenCV's differences; smaller ones are ties."""


@dataclass(frozen=True)
class TemplateMatch:
    """A match of a template in an image.

    Attributes
    ----------
    template : int
        Index of the template, from 0.
    row, col : int
        Upper left pixel of the box.
    height, width : int
        Size of the box.
    similarity : float
        In [0, 1]: 1 - the normalized squared difference (``TM_SQDIFF_NORMED``) inside the
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
        """1 - similarity, to 12 decimals, so that 0.05 compares as 0.05."""
        return round(1 - self.similarity, 12)


def find_template(
    image: NDArray[Any], template: Template | NDArray[Any], threshold: float | None = None
) -> list[TemplateMatch]:
    """Matches of a template in an image, most similar first.

    With a threshold in [0, 1], all local minima of the difference up to it, each object once (boxes
    overlap by `OVERLAP` at most); without, the best match.
    """
    check_threshold(threshold)
    searched = template if isinstance(template, Template) else make_template(template)
    pixels = as_image(image)
    differences = difference_map(pixels, searched)
    if threshold is None:
        row, col = np.unravel_index(int(differences.argmin()), differences.shape)
        return [_match(pixels, searched, int(row), int(col))]
    minima = _minima(differences, searched, threshold)
    matches = [_match(pixels, searched, row, col) for row, col in minima]
    return sorted((match for match in matches if match.difference <= threshold), key=rank)


def check_threshold(threshold: float | None) -> None:
    """Raise a `UsageError` unless the threshold is in [0, 1] or None."""
    if threshold is not None and not 0 <= threshold <= 1:
        raise UsageError(f"template threshold {threshold}: must be between 0 and 1")


def rank(match: TemplateMatch) -> tuple[float, int, int, int]:
    """Sort key: most similar first, ties by template and in reading order."""
    return -match.similarity, match.template, match.row, match.col


def difference_map(image: Image, template: Template) -> NDArray[np.float32]:
    """(H - h + 1, W - w + 1): normalized squared difference, in [0, 1] to `DECIMALS` decimals.

    Matched in bands of rows, to bound memory.
    """
    (height, width), (rows, columns) = template.size, image.shape[:2]
    if height > rows or width > columns:
        raise UsageError(
            f"template {template.name!r} is {width}x{height} pixels, larger than the image"
            f" ({columns}x{rows})"
        )
    differences = np.empty((rows - height + 1, columns - width + 1), np.float32)
    step = max(height, BAND_PIXELS // columns)
    for top in range(0, len(differences), step):
        band = image[top : top + step + height - 1]
        differences[top : top + step] = _differences(band, template)
    return differences


def _differences(image: Image, template: Template) -> NDArray[np.float32]:
    import cv2

    attention = template.attention.astype(np.uint8)
    if not template.image[template.attention].any():
        # Black has norm 0: instead of rounding noise, difference 1 to any window that is not black.
        lit = np.asarray(image.any(axis=2), np.float32)
        lit_pixels = cv2.matchTemplate(lit, attention.astype(np.float32), cv2.TM_CCORR)
        return np.asarray(lit_pixels > 0.5, np.float32)
    differences: NDArray[np.float32] = np.asarray(
        cv2.matchTemplate(image, template.image, cv2.TM_SQDIFF_NORMED, mask=attention), np.float32
    )
    # A black window gives a number far above 1, infinity or NaN, depending on rounding.
    np.nan_to_num(differences, copy=False, nan=1.0, posinf=1.0, neginf=1.0)
    return np.round(np.clip(differences, 0, 1, out=differences), DECIMALS, out=differences)


def _match(image: Image, template: Template, row: int, col: int) -> TemplateMatch:
    """The match with its similarity computed in integers, so that a true copy has exactly 1."""
    height, width = template.size
    window = image[row : row + height, col : col + width][template.attention].astype(np.int64)
    pixels = template.image[template.attention].astype(np.int64)
    distance = int(((window - pixels) ** 2).sum())
    norm = float((window**2).sum()) ** 0.5 * float((pixels**2).sum()) ** 0.5
    difference = min(1.0, distance / norm) if norm > 0 else float(distance > 0)
    return TemplateMatch(0, row, col, height, width, 1 - difference)


def _minima(
    differences: NDArray[np.float32], template: Template, threshold: float
) -> list[tuple[int, int]]:
    """Local minima up to `threshold`, no two of them on the same object."""
    import cv2

    shifts = _overlapping_shifts(template.size)
    row, col = shifts.shape[0] // 2, shifts.shape[1] // 2
    neighbors = shifts[max(0, row - 1) : row + 2, max(0, col - 1) : col + 2]
    lowest = cv2.erode(differences, neighbors.astype(np.uint8))
    limit = threshold + 10.0**-DECIMALS
    rows, columns = np.nonzero((differences <= lowest) & (differences <= limit))
    order = np.argsort(differences[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    taken = np.pad(np.zeros(differences.shape, bool), [(side // 2,) * 2 for side in shifts.shape])
    kept: list[tuple[int, int]] = []
    position, block = 0, 4096
    while position < len(rows):
        part = slice(position, position + block)
        free = np.flatnonzero(~taken[rows[part] + row, columns[part] + col])
        if len(free) == 0:
            position += block
            continue
        position += int(free[0]) + 1
        top, left = int(rows[position - 1]), int(columns[position - 1])
        taken[top : top + shifts.shape[0], left : left + shifts.shape[1]] |= shifts
        kept.append((top, left))
        if len(kept) > MAX_MATCHES:
            raise UsageError(
                f"template {template.name!r} has more than {MAX_MATCHES:,} matches: lower"
                " --template-threshold, or use a larger template"
            )
    return kept


def _overlapping_shifts(size: tuple[int, int]) -> Mask:
    """(2h - 1, 2w - 1) bool: shifts (none in the middle) by which two boxes overlap too much."""
    height, width = size
    down = height - np.abs(np.arange(1 - height, height))
    right = width - np.abs(np.arange(1 - width, width))
    common = np.outer(down, right)
    return np.asarray(common > OVERLAP * (2 * height * width - common))

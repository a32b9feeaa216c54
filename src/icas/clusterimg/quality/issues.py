"""Issues of the images of a folder: scores, and thresholds learnt from the folder.

Every issue has a value for each image that is higher where the image is worse. Its threshold is the
median of the folder plus `SPREADS` robust standard deviations, but never below a floor that good
images do not reach, and never above a ceiling from which any image has the issue. So a folder of
good images has no issue, and a folder of dark images is not all dark.

A score is 0 at the median of the folder, 0.5 at the threshold and 1 at the worst possible value.

References
----------
.. [1] C. Leys, C. Ley, O. Klein, P. Bernard and L. Licata, "Detecting outliers: do not use standard
   deviation around the mean, use absolute deviation around the median", Journal of Experimental
   Social Psychology 49, 2013.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPREADS = 4.0
"""Robust standard deviations between the median of a folder and a learnt threshold."""
MARGIN = 0.25
"""Least distance of a learnt threshold from the median, as a share of floor to ceiling."""
FOUND = 0.5
"""Score from which an image has an issue."""
_CONSISTENT = 1.4826
"""Median absolute deviation -> standard deviation, for a normal distribution."""
_DIGITS = 6
"""Digits of a score."""
GRAY = 1.0
"""Colorfulness up to which an image counts as gray."""
FLAT = 0.2
"""Contrast up to which the color of an image does not matter."""
MOSTLY = 0.75
"""Share of images in color from which a gray one is an issue."""

Column = NDArray[np.float64]
Columns = Mapping[str, Column]


@dataclass(frozen=True)
class Issue:
    """How an issue is found.

    value: columns -> (n,) values, higher is worse; floor, ceiling: limits of the threshold; worst:
    the value with score 1; help: what it is, in a few words.
    """

    value: Callable[[Columns], Column]
    floor: float
    ceiling: float
    worst: float
    help: str

    def threshold(self, values: Column) -> float:
        """The threshold for a folder with these values."""
        middle = float(np.median(values))
        spread = _CONSISTENT * float(np.median(np.abs(values - middle)))
        distance = max(SPREADS * spread, MARGIN * (self.ceiling - self.floor))
        return min(max(self.floor, middle + distance), self.ceiling)

    def scores(self, values: Column, threshold: float) -> Column:
        """(n,) scores of 0 to 1, at least `FOUND` from the threshold on."""
        low = min(float(np.median(values)), self.floor)
        below = FOUND * (values - low) / (threshold - low)
        above = FOUND + (1 - FOUND) * (values - threshold) / (self.worst - threshold)
        below, above = below.round(_DIGITS), above.round(_DIGITS)
        below = np.clip(below, 0, FOUND - 10.0**-_DIGITS)
        return np.where(values >= threshold, np.clip(above, FOUND, 1), below)


def _octaves(ratios: Column) -> Column:
    """Distance from 1 as a power of two."""
    return np.asarray(np.abs(np.log2(ratios)), np.float64)


def _odd_size(columns: Columns) -> Column:
    side = np.sqrt(columns["width"] * columns["height"])
    return _octaves(side / np.median(side))


ISSUES: dict[str, Issue] = {
    "blurred": Issue(lambda c: c["blur"], 0.55, 0.75, 1.0, "out of focus, or motion blur"),
    "dark": Issue(
        lambda c: 1 - c["brightness_p98"] / 255, 0.72, 0.85, 1.0, "no bright pixels; underexposed"
    ),
    "bright": Issue(
        lambda c: c["brightness_p5"] / 255 + c["clipped_bright"],
        0.75,
        1.98,
        2.0,
        "no dark pixels, or clipped highlights; overexposed",
    ),
    "low_contrast": Issue(
        lambda c: 1 - c["contrast"], 0.8, 0.9, 1.0, "gray values in a narrow range"
    ),
    "low_information": Issue(
        lambda c: 1 - c["entropy"] / 8, 0.62, 0.97, 1.0, "few different gray values; nearly empty"
    ),
    "odd_size": Issue(_odd_size, 1.5, 4.0, 8.0, "much smaller or larger than the other images"),
    "odd_aspect": Issue(
        lambda c: _octaves(c["width"] / c["height"]), 1.6, 3.4, 8.0, "much longer than wide"
    ),
}
"""Issues with a value and a learnt threshold. Floors were measured on photographs."""
GRAYSCALE, DUPLICATE = "grayscale", "duplicate"
NAMES = (*ISSUES, GRAYSCALE, DUPLICATE)
HELP = {name: issue.help for name, issue in ISSUES.items()} | {
    GRAYSCALE: "gray, while most images are in color",
    DUPLICATE: "the same pixels as an earlier image",
}

NUMBERS = {
    "blurred": "blur, 0 to 1",
    "dark": "98th percentile of brightness, 0 to 255",
    "bright": "share of clipped pixels",
    "low_contrast": "range of gray values, 0 to 1",
    "low_information": "entropy, 0 to 8 bits",
    "odd_size": "width and height in pixels",
    "odd_aspect": "width and height in pixels",
}
"""What the number on a thumbnail is."""


def thresholds_of(columns: Columns) -> dict[str, float]:
    """The threshold of each issue for a folder of one image or more."""
    return {name: issue.threshold(issue.value(columns)) for name, issue in ISSUES.items()}


def scores_of(columns: Columns, thresholds: Mapping[str, float]) -> dict[str, Column]:
    """(n,) scores of each issue but duplicates."""
    scores = {
        name: issue.scores(issue.value(columns), thresholds[name]) for name, issue in ISSUES.items()
    }
    gray = columns["colorfulness"] <= GRAY
    odd = gray & (gray.mean() <= 1 - MOSTLY) & (columns["contrast"] > FLAT)
    return scores | {GRAYSCALE: np.where(odd, FOUND, 0.0)}

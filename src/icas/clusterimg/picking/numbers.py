"""Thresholds as short decimal numbers: what a person picks can be typed again."""

from __future__ import annotations

import math

import numpy as np

FEWEST_DIGITS = 2
MOST_DIGITS = 7
"""float32, which similarities are, holds no more."""


def digits_for(span: float) -> int:
    """Digits behind the point that tell apart some 200 thresholds within `span`."""
    if not span > 0:
        return MOST_DIGITS
    return min(MOST_DIGITS, max(FEWEST_DIGITS, math.ceil(-math.log10(span / 200))))


def shortest_within(low: float, high: float) -> float:
    """The number of fewest digits that is above `low` and at most `high`, as float32 has them.

    Parameters
    ----------
    low, high : float
        Two similarities, low < high: pairs of `high` are to be linked, pairs of `low` are not.

    Returns
    -------
    float
        `high` itself where no number of seven digits lies between.
    """
    for digits in range(FEWEST_DIGITS, MOST_DIGITS + 1):
        unit = 10.0**digits
        number = round(math.floor(high * unit + 1e-9) / unit, digits)
        if np.float32(low) < np.float32(number) <= np.float32(high):
            return number
    return float(high)


def threshold_text(threshold: float, digits: int = 3) -> str:
    """A threshold with at least `digits` digits, and with all that it has."""
    exact = f"{round(threshold, MOST_DIGITS):.{MOST_DIGITS}f}".rstrip("0")
    behind = len(exact.partition(".")[2])
    return f"{threshold:.{max(digits, behind)}f}"


def similarity_text(similarity: float, digits: int = 4) -> str:
    """A float32 with `digits` digits, cut, not rounded: what is below 0.77 does not read 0.77."""
    exact = np.format_float_positional(np.float32(similarity), unique=True, trim="k")
    whole, _, behind = exact.partition(".")
    return f"{whole}.{behind[:digits]:0<{digits}}"


def number_text(number: float, exact: bool) -> str:
    """A count; where it is only expected, to three digits and with a sign that says so."""
    if exact or number == 0:
        return f"{round(number):,}"
    if number < 1:
        return "< 1"
    places = 2 - math.floor(math.log10(number))
    return f"≈ {round(round(number, min(places, 0))):,}"


def share_text(part: float, whole: float) -> str:
    """`part` of `whole` in percent, without decimals; nothing out of nothing is 0 %."""
    return f"{100 * part / whole:.0f} %" if whole else "0 %"

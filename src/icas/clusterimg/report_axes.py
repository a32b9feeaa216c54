"""Axes of a small drawing, and numbers as they are written beside one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A range of values and where the labels go.

    Attributes
    ----------
    low, high : float
        Values at the two ends, low < high.
    ticks : tuple of float
        Values that get a label, ascending, within the range.
    log : bool
        Whether equal ratios take equal room.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def place(self, value: float) -> float:
        """Where `value` lies, 0 at the low end and 1 at the high one; beyond them, at the end."""
        low, high, here = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, here = math.log10(low), math.log10(high), math.log10(here)
        return (here - low) / (high - low)


def line_axis(low: float, high: float, most: int = 5, *, whole: bool = False) -> Axis:
    """An axis of equal steps, with round ticks: at most about `most`.

    With `whole` the range is widened to whole steps, so that a tick stands at both ends.
    """
    step = _round_step((high - low) / most)
    if whole:
        low, high = step * math.floor(low / step), step * math.ceil(high / step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(low, high, tuple(round(k * step, 12) for k in range(first, last + 1)))


def log_axis(values: Iterable[float]) -> Axis:
    """An axis over the powers of ten around `values`; those not above 0 lie at its low end."""
    positive = [value for value in values if value > 0] or [1.0]
    low = math.floor(math.log10(min(positive)) + 1e-9)
    high = max(low + 1, math.ceil(math.log10(max(positive)) - 1e-9))
    step = math.ceil((high - low) / 6)
    return Axis(10.0**low, 10.0**high, tuple(10.0**k for k in range(low, high + 1, step)), log=True)


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= least * (1 - 1e-9))


def short(value: float) -> str:
    """A number as a label: 1k for a thousand, 1M for a million, 1B for a thousand of these."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def about(value: float, exact: bool = False) -> str:
    """A count: whole, and of two digits that tell where it is no more than expected."""
    if not exact and value >= 100:
        scale = 10 ** (math.floor(math.log10(value)) - 1)
        return f"{round(value / scale) * scale:,}"
    return f"{round(value):,}"

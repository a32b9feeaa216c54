"""The state of the picker, and what each key, click and move of the pointer changes in it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

FEWEST_DIGITS = 2
MOST_DIGITS = 7
"""float32, which similarities are, holds no more."""


def digits_for(span: float) -> int:
    """Decimals that distinguish some 200 thresholds within `span`."""
    if not span > 0:
        return MOST_DIGITS
    return min(MOST_DIGITS, max(FEWEST_DIGITS, math.ceil(-math.log10(span / 200))))


def shortest_within(low: float, high: float) -> float:
    """The number of fewest digits that is above `low` and at most `high`, in float32.

    As threshold it links pairs of `high` but not of `low`. If seven digits do not suffice: `high`.
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


LARGE = 10
"""Small steps in a large one."""
ZOOM = 0.8
"""What one turn of the wheel leaves of the view."""
NARROWEST = 1e-5
"""Least span of the view: similarities are float32."""

Span = tuple[float, float]


@dataclass(frozen=True)
class PickState:
    """What is chosen and shown.

    Attributes
    ----------
    changes : tuple of float
        Similarities at which the clusters change, ascending.
    whole, home, view : (float, float)
        Range of thresholds that can be chosen; that is shown at first; that is shown now.
    start, chosen : float
        Threshold chosen at first, and now.
    hovered : float or None
        Threshold under the pointer.
    log : bool
        The axis of the pairs is logarithmic.
    ending : {"taken", "cancelled"} or None
        How it ended; None while it is open.
    """

    changes: tuple[float, ...]
    whole: Span
    home: Span
    start: float
    view: Span
    chosen: float
    hovered: float | None = None
    log: bool = False
    ending: Literal["taken", "cancelled"] | None = None

    @property
    def shown(self) -> float:
        """The threshold that numbers and pairs are shown of."""
        return self.chosen if self.hovered is None else self.hovered

    @property
    def digits(self) -> int:
        """Digits behind the point of thresholds that the pointer gives."""
        return digits_for(self.view[1] - self.view[0])

    def hover(self, threshold: float) -> PickState:
        """The pointer is at a threshold, which is rounded as the view allows."""
        return replace(self, hovered=self._rounded(threshold))

    def leave(self) -> PickState:
        """The pointer is somewhere else."""
        return replace(self, hovered=None)

    def click(self, threshold: float) -> PickState:
        """Choose the threshold under the pointer."""
        at = self._rounded(threshold)
        return replace(self, chosen=at, hovered=at)

    def choose(self, threshold: float) -> PickState:
        """Choose a threshold and bring it into view; the pointer counts again once it moves."""
        low, high = self.whole
        return replace(self, chosen=min(max(threshold, low), high), hovered=None)._in_view()

    def step(self, count: int) -> PickState:
        """Choose `count` small steps higher; what the pointer shows is where it starts from."""
        unit = 10.0**-self.digits
        return self.choose(round(round(self.shown / unit) * unit + count * unit, self.digits))

    def lower_change(self) -> PickState:
        """Choose so that the next similarity below the threshold joins in."""
        below = bisect_left(self.changes, float(np.float32(self.shown))) - 1
        return self.choose(self._short(below)) if below >= 0 else self.leave()

    def higher_change(self) -> PickState:
        """Choose so that the least similarity above the threshold is left out."""
        beyond = bisect_left(self.changes, float(np.float32(self.shown))) + 1
        return self.choose(self._short(beyond) if beyond < len(self.changes) else self.whole[1])

    def zoom(self, turns: int, around: float) -> PickState:
        """Show a smaller part of the axis (`turns` above 0) or a larger one."""
        factor = ZOOM**turns
        low, high = (around + (end - around) * factor for end in self.view)
        if turns > 0 and high - low < NARROWEST:
            return self
        return replace(self, view=(max(low, self.whole[0]), min(high, self.whole[1])))

    def reset(self) -> PickState:
        """The threshold and the view of the beginning."""
        return replace(self, chosen=self.start, hovered=None, view=self.home)

    def toggle_log(self) -> PickState:
        """Switch the axis of the pairs between linear and logarithmic."""
        return replace(self, log=not self.log)

    def take(self) -> PickState:
        """End with the threshold that is chosen."""
        return replace(self, ending=self.ending or "taken")

    def cancel(self) -> PickState:
        """End without one."""
        return replace(self, ending=self.ending or "cancelled")

    def press(self, key: str) -> PickState:
        """What a key, by matplotlib's name of it, makes of this; keys without a meaning nothing."""
        command = KEYS.get(key.lower() if len(key) == 1 else key)
        return command(self) if command else self

    def _rounded(self, threshold: float) -> float:
        low, high = self.whole
        return round(min(max(threshold, low), high), self.digits)

    def _short(self, index: int) -> float:
        """The shortest threshold that still links the similarity at `index`, and nothing lower."""
        lower = self.changes[index - 1] if index else self.changes[0] - 1
        return shortest_within(lower, self.changes[index])

    def _in_view(self) -> PickState:
        low, high = self.view
        if low <= self.chosen <= high:
            return self
        half = (high - low) / 2
        bottom = min(max(self.chosen - half, self.whole[0]), self.whole[1] - 2 * half)
        return replace(self, view=(bottom, bottom + 2 * half))


KEYS: Mapping[str, Callable[[PickState], PickState]] = {
    "up": lambda state: state.step(1),
    "down": lambda state: state.step(-1),
    "pageup": lambda state: state.step(LARGE),
    "pagedown": lambda state: state.step(-LARGE),
    "shift+up": lambda state: state.step(LARGE),
    "shift+down": lambda state: state.step(-LARGE),
    "right": PickState.lower_change,
    "left": PickState.higher_change,
    "home": PickState.reset,
    "l": PickState.toggle_log,
    "enter": PickState.take,
    "escape": PickState.cancel,
    "q": PickState.cancel,
    "ctrl+w": PickState.cancel,
    "cmd+w": PickState.cancel,
}
"""What each key does, by matplotlib's names. Right follows the curve, to more pairs."""

HELP = (
    ("move", "preview", 5),
    ("click", "choose", 1),
    ("↑ ↓", "small step", 4),
    ("Page ↑ ↓", "large step", 8),
    ("← →", "next change", 7),
    ("L", "log / linear", 6),
    ("wheel", "zoom", 9),
    ("Home", "reset", 10),
    ("Enter", "use it", 2),
    ("Esc", "cancel", 3),
)
"""Keys and mouse in the order of the list in the window, with their rank for small windows."""


def help_rows(lines: int) -> list[tuple[str, str]]:
    """At most so many lines of `HELP`, the most important ones."""
    return [(key, what) for key, what, rank in HELP if rank <= lines]

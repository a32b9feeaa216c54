"""Rates of several ways to do one thing, taken in turns; medians and their ratios."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

Work = Callable[[], int]
"""Does some work and says how many things it did."""


@dataclass(frozen=True)
class Rate:
    """Things a second, the median of some rounds.

    Attributes
    ----------
    cpu : float
        A second of processor time, over all threads.
    wall : float
        A second by the clock.
    """

    cpu: float
    wall: float


@dataclass(frozen=True)
class Comparison:
    """One line of a table: what was done, how fast by icas and by another way.

    Attributes
    ----------
    by_clock : bool
        Seconds are those of the clock: of whole runs, which use all cores; else processor time.
    """

    task: str
    unit: str
    ours: Rate
    rival: str
    theirs: Rate
    by_clock: bool = False

    @property
    def rates(self) -> tuple[float, float]:
        """Ours and theirs."""
        if self.by_clock:
            return self.ours.wall, self.theirs.wall
        return self.ours.cpu, self.theirs.cpu

    @property
    def ratio(self) -> float:
        """How many times as much icas does in a second."""
        ours, theirs = self.rates
        return ours / theirs

    def row(self) -> str:
        """The line in Markdown."""
        ours, theirs = map(shown, self.rates)
        return (
            f"| {self.task} | {ours} | {self.rival} | {theirs}"
            f" | {self.ratio:,.{0 if self.ratio >= 20 else 1}f} | {self.unit} |"
        )


def in_turns(ways: Mapping[str, Work], rounds: int) -> dict[str, Rate]:
    """The rate of each way. They take turns, so that a busy machine slows all of them."""
    for work in ways.values():
        work()  # caches, compiled loops and file systems are warm from here on
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            start, processor = time.perf_counter(), time.process_time()
            done = work()
            cpu[name].append(done / max(time.process_time() - processor, 1e-9))
            wall[name].append(done / max(time.perf_counter() - start, 1e-9))
    return {name: Rate(median(cpu[name]), median(wall[name])) for name in ways}


def compared(
    task: str,
    unit: str,
    ours: Work,
    rivals: Mapping[str, Work],
    rounds: int,
    *,
    by_clock: bool = False,
) -> list[Comparison]:
    """icas beside each of `rivals`, all in the same run."""
    if not rivals:
        return []
    rates = in_turns({"icas": ours, **rivals}, rounds)
    return [
        Comparison(task, unit, rates["icas"], rival, rates[rival], by_clock) for rival in rivals
    ]


def shown(rate: float) -> str:
    """A rate with three digits and a unit of size."""
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if rate >= size:
            return f"{rate / size:.3g}{letter}"
    return f"{rate:.3g}"

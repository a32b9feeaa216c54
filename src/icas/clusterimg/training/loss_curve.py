"""The loss of every epoch: what is judged by it, and how it is written."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Epoch:
    """What is known of an epoch that is over.

    Attributes
    ----------
    epoch : int
        From 1 on.
    train : float
        Mean loss over all images trained on, each counted once.
    validation : float or None
        Mean loss over the images kept apart, after the epoch; None where there are none.
    learning_rate : float
        At its end.
    seconds : float
        What it took.
    """

    epoch: int
    train: float
    validation: float | None
    learning_rate: float
    seconds: float

    @property
    def judged(self) -> float:
        """The loss by which the epoch is compared with others."""
        return self.train if self.validation is None else self.validation

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def from_dicts(rows: Sequence[Mapping[str, Any]]) -> tuple[Epoch, ...]:
    """A curve from what `Epoch.as_dict` gave."""
    return tuple(Epoch(**row) for row in rows)


def best_of(curve: Sequence[Epoch]) -> Epoch:
    """The epoch with the least loss; the first of several."""
    return min(curve, key=lambda one: one.judged)


def is_over(curve: Sequence[Epoch], epochs: int, patience: int) -> bool:
    """Whether `epochs` are done, or the last `patience` of them brought nothing better."""
    if not curve:
        return False
    return len(curve) >= epochs or curve[-1].epoch - best_of(curve).epoch >= patience


def learning_rate_at(step: int, steps: int, warm_up: int, highest: float) -> float:
    """Step size of step `step` of `steps`: up in a line for `warm_up` steps, then down as a cosine.

    It follows from the numbers alone, so that a training that goes on needs no state for it.

    Parameters
    ----------
    step : int
        From 0 on.

    Returns
    -------
    float
        Above 0, at most `highest`.
    """
    if step < warm_up:
        return highest * (step + 1) / warm_up
    share = (step - warm_up) / max(1, steps - warm_up)
    return highest * 0.5 * (1 + math.cos(math.pi * share))


def as_csv(curve: Sequence[Epoch]) -> bytes:
    """One line an epoch under a line of names; empty where there is no validation."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Epoch)])
    for one in curve:
        checked = "" if one.validation is None else f"{one.validation:.9g}"
        rate, seconds = f"{one.learning_rate:.6g}", f"{one.seconds:.3f}"
        writer.writerow([one.epoch, f"{one.train:.9g}", checked, rate, seconds])
    return text.getvalue().encode()


def as_png(curve: Sequence[Epoch], loss: str) -> bytes:
    """The curve as a picture, with a logarithmic axis and the best epoch marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    epochs, best = [one.epoch for one in curve], best_of(curve)
    axes.plot(epochs, [one.train for one in curve], marker=".", label="training")
    if best.validation is not None:
        axes.plot(epochs, [one.judged for one in curve], marker=".", label="validation")
    axes.plot(best.epoch, best.judged, "o", mfc="none", ms=11, mec="black", label="best epoch")
    if min(min(one.train, one.judged) for one in curve) > 0:
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel=f"mean loss ({loss})")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()

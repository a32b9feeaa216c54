"""Report of a training: the loss of every epoch, as an object, a table and a plot."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from icas.clusterimg.data.images import Unreadable


@dataclass(frozen=True)
class Epoch:
    """Losses of one epoch.

    Attributes
    ----------
    epoch : int
        Number, from 1.
    train : float
        Mean training loss.
    validation : float or None
        Mean validation loss after the epoch; None without validation images.
    learning_rate : float
        Learning rate at the end of the epoch.
    seconds : float
        Duration.
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
    """A curve from the results of `Epoch.as_dict`."""
    return tuple(Epoch(**row) for row in rows)


def best_of(curve: Sequence[Epoch]) -> Epoch:
    """The epoch with the least loss; the first of several."""
    return min(curve, key=lambda epoch: epoch.judged)


def is_over(curve: Sequence[Epoch], epochs: int, patience: int) -> bool:
    """Whether `epochs` are done, or the last `patience` epochs did not lower the loss."""
    if not curve:
        return False
    return len(curve) >= epochs or curve[-1].epoch - best_of(curve).epoch >= patience


def learning_rate_at(step: int, steps: int, warm_up: int, highest: float) -> float:
    """Learning rate of step `step` of `steps`: linear warm-up, then cosine decay.

    It depends on the arguments only, so that a resumed training needs no state for it.

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
    for epoch in curve:
        checked = "" if epoch.validation is None else f"{epoch.validation:.9g}"
        rate, seconds = f"{epoch.learning_rate:.6g}", f"{epoch.seconds:.3f}"
        writer.writerow([epoch.epoch, f"{epoch.train:.9g}", checked, rate, seconds])
    return text.getvalue().encode()


def as_png(curve: Sequence[Epoch], loss: str) -> bytes:
    """The curve as a plot, with a logarithmic axis and the best epoch marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    epochs, best = [epoch.epoch for epoch in curve], best_of(curve)
    axes.plot(epochs, [epoch.train for epoch in curve], marker=".", label="training")
    if best.validation is not None:
        axes.plot(epochs, [epoch.judged for epoch in curve], marker=".", label="validation")
    axes.plot(best.epoch, best.judged, "o", mfc="none", ms=11, mec="black", label="best epoch")
    if min(min(epoch.train, epoch.judged) for epoch in curve) > 0:
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel=f"mean loss ({loss})")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


@dataclass(frozen=True)
class TrainReport:
    """Result of a training, as `icas.train` returns it.

    Attributes
    ----------
    out : Path
        File of the trained network, with the weights of the best epoch.
    images : int
        Number of images that were read.
    curve : tuple of Epoch
        All epochs, also those before a resume, with ``.epoch`` (from 1), ``.train`` (loss),
        ``.validation`` (loss, None without validation images), ``.learning_rate`` and ``.seconds``.
    unreadable : tuple of Unreadable
        Files that could not be read (``.file``), and why (``.reason``).

    See Also
    --------
    icas.train : Train a network.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from icas.clusterimg.training.report import Epoch
    >>> curve = (Epoch(1, 0.09, 0.08, 0.002, 1.5), Epoch(2, 0.03, 0.04, 0.001, 1.4))
    >>> report = icas.TrainReport(Path("photos.pt"), images=120, curve=curve)
    >>> report.best.epoch
    2
    >>> report.summary()
    '120 images, 2 epochs, loss 0.04 (first epoch 0.08), best epoch 2 -> photos.pt'
    >>> report.as_dict()["best_epoch"]
    2
    """

    out: Path
    images: int
    curve: tuple[Epoch, ...]
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def best(self) -> Epoch:
        """Epoch: the one with the lowest loss; its weights are saved."""
        return best_of(self.curve)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON-compatible values.

        Returns
        -------
        dict
        """
        return {
            "out": str(self.out),
            "images": self.images,
            "epochs": len(self.curve),
            "best_epoch": self.best.epoch,
            "loss": self.best.judged,
            "first_loss": self.curve[0].judged,
            "curve": [epoch.as_dict() for epoch in self.curve],
            "unreadable": [{"file": item.file, "reason": item.reason} for item in self.unreadable],
        }

    def summary(self) -> str:
        """Return the last line that the command prints.

        Returns
        -------
        str
        """
        unread = f", {len(self.unreadable)} unreadable" if self.unreadable else ""
        return (
            f"{self.images} images{unread}, {len(self.curve)} epochs, loss {self.best.judged:.4g}"
            f" (first epoch {self.curve[0].judged:.4g}), best epoch {self.best.epoch}"
            f" -> {self.out}"
        )

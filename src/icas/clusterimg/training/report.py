"""What a training did, in one object and in one line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.clusterimg.data.images import Unreadable
from icas.clusterimg.training.loss_curve import Epoch, best_of


@dataclass(frozen=True)
class TrainReport:
    """What a training did.

    What `icas.train` gives.

    Attributes
    ----------
    out : Path
        The trained network, with the weights of the best epoch.
    images : int
        Images that were read.
    curve : tuple of Epoch
        Every epoch, also those before a resume: ``.epoch`` (from 1 on), ``.train``,
        ``.validation`` (loss, None where no images were kept apart), ``.learning_rate``,
        ``.seconds``.
    unreadable : tuple of Unreadable
        Files that could not be read.

    See Also
    --------
    icas.train : makes one.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from icas.clusterimg.training.loss_curve import Epoch
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
        """Epoch: the one whose weights were kept."""
        return best_of(self.curve)

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON knows it.

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
            "unreadable": [{"file": one.file, "reason": one.reason} for one in self.unreadable],
        }

    def summary(self) -> str:
        """The last line of the command.

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

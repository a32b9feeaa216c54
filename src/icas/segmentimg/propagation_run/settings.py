"""Settings of a propagation; flags, help, defaults and checks are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.cli import shared_options
from icas.cli.options import check_options, option
from icas.cli.parser import CLUSTERS, METHOD, OUTPUT
from icas.cli.shared_options import parse_names
from icas.common.errors import UsageError
from icas.segmentimg.propagation.queue import ACCEPT

CHAINS = ("off", "forest")
SAVES = ("masks", "labels", "labelme", "instances")
"""What can be written of a carried painting; a COCO file is written by ``segmentimg export``."""
ONE_CLUSTER = "one"
"""Value of ``--clusters``: all images are one cluster."""


@dataclass(frozen=True)
class PropagateSettings:
    """Settings of a run.

    Raises
    ------
    UsageError
        A value is outside its limits.
    """

    recursive: bool = shared_options.recursive()
    clusters: str | None = option(
        None,
        "clusters.csv of clusterimg, or its folder; one: all images are one cluster",
        metavar="CSV",
        default_text="found with clusterimg's default method",
        group=CLUSTERS,
    )
    accept: float = option(
        ACCEPT,
        "confidence from which a mask is accepted; masks below are queued for review",
        minimum=0.0,
        maximum=1.0,
        metavar="F",
        group=METHOD,
    )
    chain: str = option(
        "off",
        "forest: carry on from carried masks of similar images",
        choices=CHAINS,
        metavar="off|forest",
        group=METHOD,
    )
    weights: str | None = option(
        None,
        "ONNX file of a network, or name of installed weights",
        metavar="FILE",
        default_text="the installed mobilenet_v2, else no network",
        group=METHOD,
    )
    sam_checkpoint: str | None = option(
        None,
        "refine masks with ENCODER.onnx,DECODER.onnx or a checkpoint",
        metavar="FILE",
        group=METHOD,
    )
    out: Path | None = option(
        None,
        "folder of the paintings",
        metavar="DIR",
        default_text="<folder>_segmented",
        group=OUTPUT,
    )
    save: tuple[str, ...] = option(
        ("masks", "labels"),
        "files to write: masks, labels, labelme, instances",
        parse=parse_names(SAVES),
        metavar="LIST",
        default_text="masks,labels",
        group=OUTPUT,
        words=SAVES,
        listed=True,
    )
    portable_names: bool = shared_options.portable_names()
    max_pixels: int = shared_options.max_pixels()
    jobs: int | None = shared_options.jobs()

    def __post_init__(self) -> None:
        check_options(self)
        wrong = [name for name in self.save if name not in SAVES]
        if wrong or not self.save:
            raise UsageError(f"--save {','.join(self.save)}: choose from {', '.join(SAVES)}")

    def recorded(self) -> dict[str, Any]:
        """The options that a later run in the same folder repeats; paths are absolute."""
        checkpoint = self.sam_checkpoint
        return {
            "clusters": _absolute(self.clusters),
            "accept": self.accept,
            "chain": self.chain,
            "weights": _absolute(self.weights),
            "sam_checkpoint": None if checkpoint is None else _absolute_parts(checkpoint),
            "save": list(self.save),
            "portable_names": self.portable_names,
        }


def _absolute(given: str | None) -> str | None:
    """A path that exists as an absolute one; a name as it is."""
    return given if given is None or not Path(given).exists() else str(Path(given).absolute())


def _absolute_parts(given: str) -> str:
    return ",".join(_absolute(part) or "" for part in given.split(","))

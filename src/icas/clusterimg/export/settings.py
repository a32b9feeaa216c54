"""Settings of an export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from icas.cli import shared_options
from icas.cli.options import check_options, option
from icas.cli.parser import INPUT, OUTPUT
from icas.common.errors import UsageError
from icas.common.registry import lookup
from icas.dataset.formats import FORMATS
from icas.dataset.splits import shares_of

TRANSFERS = ("copy", "hardlink", "symlink")
Names = str | Sequence[str]
Shares = str | Mapping[str, float]


@dataclass(frozen=True)
class ExportSettings:
    """Settings of an export; names and shares are replaced by their full forms."""

    format: Names = option(
        "imagefolder",
        f"{', '.join(FORMATS)}; several go to OUT/NAME",
        metavar="NAMES",
        group=OUTPUT,
        words=tuple(FORMATS),
        listed=True,
    )
    split: Shares | None = option(
        None,
        "shares such as train=0.8,val=0.1,test=0.1; no cluster is divided",
        metavar="SHARES",
        default_text="all in train",
        group=OUTPUT,
    )
    min_confidence: float = option(
        0.0,
        "leave out labels with a lower confidence, 0 to 1",
        minimum=0,
        maximum=1,
        group=INPUT,
    )
    seed: int = option(0, "random seed of the splits", minimum=0, group=OUTPUT)
    transfer: str = option(
        "copy",
        "copy, hardlink or symlink images",
        metavar="HOW",
        group=OUTPUT,
        words=TRANSFERS,
    )
    overwrite: bool = shared_options.overwrite("an earlier data set in OUT")
    resume: bool = shared_options.resume("an interrupted export")
    dry_run: bool = shared_options.dry_run()
    jobs: int | None = shared_options.jobs()

    def __post_init__(self) -> None:
        check_options(self)
        if self.transfer == "move":
            raise UsageError(
                "--transfer move: a data set is made of copies or links, so that the result and"
                " its source stay complete; choose from copy, hardlink, symlink"
            )
        if self.transfer not in TRANSFERS:
            raise UsageError(f"--transfer {self.transfer}: choose from {', '.join(TRANSFERS)}")
        if self.overwrite and self.resume:
            raise UsageError("--overwrite and --resume exclude each other: give one of them")
        object.__setattr__(self, "format", _format_names(self.format))
        object.__setattr__(self, "split", shares_of(self.split))

    @property
    def formats(self) -> tuple[str, ...]:
        """Names of the formats, each once."""
        return tuple(self.format)

    @property
    def shares(self) -> dict[str, float]:
        """The share of each split."""
        return dict(self.split) if isinstance(self.split, Mapping) else {}

    def as_dict(self) -> dict[str, Any]:
        """What determines the data set."""
        return {
            "format": list(self.formats),
            "split": self.shares,
            "min_confidence": self.min_confidence,
            "seed": self.seed,
            "transfer": self.transfer,
        }


def _format_names(given: Names) -> tuple[str, ...]:
    names = given.split(",") if isinstance(given, str) else given
    known = [lookup(FORMATS, name.strip(), "data set format")[0] for name in names]
    if not known:
        raise UsageError(f"--format: give at least one of {', '.join(FORMATS)}")
    return tuple(dict.fromkeys(known))

"""The command ``clusterimg train``."""

from __future__ import annotations

from typing import Any

from icas.cli.options import add_flags
from icas.cli.parser import CommandParser, take_source
from icas.cli.program import Command
from icas.clusterimg.commands import flags

TEXT = "Train a network on a folder of images, for --method deep of clusterimg."
EXAMPLES = (
    ("clusterimg train photos --out own.pt --epochs 2", ""),
    ("clusterimg photos --method deep --weights own.pt --dst by-own", "sort with it"),
)


def _parser() -> CommandParser:
    from icas.clusterimg.training.settings import TrainSettings

    parser = CommandParser("clusterimg train", TEXT, examples=EXAMPLES)
    parser.add_source()
    add_flags(parser, TrainSettings)
    flags.add_verbose(parser, "a line for every epoch")
    flags.add_json(parser)
    return parser


def _train(given: dict[str, Any]) -> int:
    from icas.clusterimg.training.settings import TrainSettings
    from icas.clusterimg.training.train import train

    console, as_json = flags.take_console(given)
    report = train(take_source(given, "clusterimg"), TrainSettings(**given), console)
    flags.print_report(report, as_json)
    return flags.SOME_UNREADABLE if report.unreadable else 0


TRAIN = Command(_parser, _train)

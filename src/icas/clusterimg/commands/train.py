"""The command ``clusterimg train``."""

from __future__ import annotations

import json
from typing import Any

from icas.cli.console import printable
from icas.cli.options import add_flags
from icas.cli.parser import SAID, About, LineParser
from icas.cli.program import Command
from icas.clusterimg.commands.flags import add_json, source, take_console

SOME_UNREADABLE = 3
TEXT = "Train a network on a folder of images, for --method deep of clusterimg."
EXAMPLES = (
    ("clusterimg train photos --out own.pt --epochs 2", ""),
    ("clusterimg photos --method deep --weights own.pt --dst by-own", "sort with it"),
)


def _parser() -> LineParser:
    from icas.clusterimg.training.settings import TrainSettings

    parser = LineParser("clusterimg train", About(TEXT, examples=EXAMPLES))
    parser.add_source()
    add_flags(parser, TrainSettings)
    parser.add_switch(SAID, "-v", "--verbose", help="a line for every epoch")
    add_json(parser)
    return parser


def _train(given: dict[str, Any]) -> int:
    from icas.clusterimg.training.settings import TrainSettings

    given.pop("debug", None)
    console, as_json = take_console(given)
    folder = source(given)

    from icas.clusterimg.training.train import train

    report = train(folder, TrainSettings(**given), console)
    print(json.dumps(report.as_dict()) if as_json else printable(report.summary()))
    return SOME_UNREADABLE if report.unreadable else 0


TRAIN = Command(_parser, _train)

"""The command ``clusterimg estimate``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from icas.cli.parser import INPUT, About, LineParser
from icas.cli.program import Command
from icas.clusterimg.commands.flags import add_json

TEXT = "The number of comparisons to expect of clustering in batches."
EXAMPLES = (
    ("clusterimg estimate --images 20000 --classes 50 --batch-size 2500 --similar 0.5", ""),
)
COUNTS = (
    ("--images", "images in all"),
    ("--classes", "classes that they are of"),
    ("--batch-size", "images a batch"),
)


def _parser() -> LineParser:
    parser = LineParser("clusterimg estimate", About(TEXT, examples=EXAMPLES))
    for flag, what in COUNTS:
        parser.add_value(INPUT, flag, type=int, metavar="N", required=True, help=what)
    parser.add_value(
        INPUT,
        "--similar",
        type=_list_of(float),
        metavar="P[,P…]",
        required=True,
        help="share of its class that an image is similar to, 0 to 1: one, or one a class",
    )
    parser.add_value(
        INPUT,
        "--sizes",
        type=_list_of(int),
        metavar="N[,N…]",
        help="images of each class (default: equal classes)",
    )
    add_json(parser, "as one JSON object")
    return parser


def _estimate(given: dict[str, Any]) -> int:
    as_json = given.pop("json", False)
    for name in ("debug", "quiet"):
        given.pop(name, None)

    from icas.clusterimg.evaluation.cost_model import estimate

    found = estimate(**given)
    print(json.dumps(found.as_dict()) if as_json else "\n".join(found.words()))
    return 0


def _list_of(kind: type[int] | type[float]) -> Callable[[str], list[float]]:
    def parse(text: str) -> list[float]:
        try:
            return [kind(part) for part in text.split(",")]
        except ValueError:
            what = "whole numbers" if kind is int else "numbers"
            raise argparse.ArgumentTypeError(f"{text!r}: {what} by commas are needed") from None

    return parse


ESTIMATE = Command(_parser, _estimate)

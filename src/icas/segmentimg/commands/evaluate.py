"""The command ``segmentimg evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.cli.parser import INPUT, LOGGING, SEGMENTS, WORKERS, ArgumentType, CommandParser
from icas.cli.program import Command
from icas.segmentimg.commands.main import add_method_flags, discover_methods, make_settings

TEXT = "Boundary recall, undersegmentation error and achievable accuracy against label maps."
EXAMPLES = (("segmentimg evaluate --images pictures --truth maps --method graph", ""),)


def _parser() -> CommandParser:
    from icas.segmentimg.segmenters import SEGMENTERS

    parser = CommandParser("segmentimg evaluate", TEXT, examples=EXAMPLES)
    add = parser.add_value
    add(INPUT, "--images", type=Path, required=True, metavar="DIR", help="pictures")
    truth = "a label map of each picture: NAME.png, or NAME.npz with an array a annotator"
    add(INPUT, "--truth", type=Path, required=True, metavar="DIR", help=truth)
    method = f"one of {', '.join(SEGMENTERS)} (default: superpixel)"
    kind = ArgumentType(str, tuple(SEGMENTERS))
    add(SEGMENTS, "--method", type=kind, metavar="METHOD", help=method)
    add(WORKERS, "--jobs", type=int, metavar="N", help="workers (default: all cores)")
    parser.add_switch(LOGGING, "--json", help="as a JSON object")
    add_method_flags(parser)
    return parser


def _evaluate(given: dict[str, Any]) -> int:
    given.pop("debug", None)
    quiet, as_json = given.pop("quiet", False), given.pop("json", False)
    images, truth, jobs = given.pop("images"), given.pop("truth"), given.pop("jobs", None)

    from icas.segmentimg.evaluation.scores import evaluate_folder

    console = Console(results=not as_json, warnings=not quiet, bars=not quiet)
    scores = evaluate_folder(images, truth, make_settings(given).make_segmenter(), jobs, console)
    if as_json:
        print(json.dumps(scores.as_dict()))
    else:
        for name, value in scores.as_dict().items():
            shown = str(value) if isinstance(value, int) else f"{value:.4f}"
            console.line(f"{name.replace('_', ' '):19} {shown}")
    return 0


EVALUATE = Command(_parser, _evaluate, discover_methods)

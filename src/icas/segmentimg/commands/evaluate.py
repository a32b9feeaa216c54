"""The command ``segmentimg evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.cli.options import alternatives
from icas.cli.parser import (
    INPUT,
    LOGGING,
    PERFORMANCE,
    SEGMENTATION,
    ArgumentType,
    CommandParser,
)
from icas.cli.program import Command
from icas.segmentimg.commands.main import add_method_flags, discover_methods, make_settings

TEXT = "Boundary recall, undersegmentation error and achievable segmentation accuracy."
EXAMPLES = (("segmentimg evaluate --images images --truth maps --method graph", ""),)
COMMON = ("--images", "--truth", "--method", "--jobs", "--json", "--quiet")


def _parser() -> CommandParser:
    from icas.segmentimg.segmenters import SEGMENTERS

    parser = CommandParser("segmentimg evaluate", TEXT, common=COMMON, examples=EXAMPLES)
    add = parser.add_value
    add(INPUT, "--images", type=Path, required=True, metavar="DIR", help="folder of images")
    truth = "folder of label maps: NAME.png, or NAME.npz with an array per annotator"
    add(INPUT, "--truth", type=Path, required=True, metavar="DIR", help=truth)
    method = f"{alternatives(SEGMENTERS)} (default: superpixel)"
    kind = ArgumentType(str, tuple(SEGMENTERS))
    add(SEGMENTATION, "--method", type=kind, metavar="NAME", help=method)
    add(PERFORMANCE, "--jobs", type=int, metavar="N", help="number of workers (default: all cores)")
    parser.add_switch(LOGGING, "--json", help="print JSON")
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
            label = "images" if name == "pictures" else name.replace("_", " ")
            console.line(f"{label:19} {shown}")
    return 0


EVALUATE = Command(_parser, _evaluate, discover_methods)

"""The commands ``clusterimg evaluate`` and ``clusterimg estimate``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from icas.cli.console import warn
from icas.cli.parser import INPUT, CommandParser
from icas.cli.program import Command
from icas.clusterimg.commands import flags


def _evaluate_parser() -> CommandParser:
    text = "Compare clusters with true labels: precision, recall, F1, adjusted Rand index."
    examples = (("clusterimg evaluate photos_clustered --labels labels.csv", ""),)
    parser = CommandParser("clusterimg evaluate", text, examples=examples)
    where = "result folder, or a clusters.csv"
    parser.add_value(INPUT, "clusters", type=Path, metavar="DST_OR_CSV", help=where)
    details: dict[str, Any] = {"type": Path, "metavar": "CSV", "required": True}
    parser.add_value(
        INPUT, "--labels", help="true labels: a table with columns file,label", **details
    )
    flags.add_json(parser, "print JSON")
    return parser


def _evaluate(given: dict[str, Any]) -> int:
    from icas.clusterimg.evaluation.scores import evaluate, match_labels, read_clusters, read_labels

    clusters, truth = read_clusters(given["clusters"]), read_labels(given["labels"])
    matched = match_labels(clusters, truth)
    if not given.get("quiet"):
        for line in matched.warnings(given["labels"]):
            warn(line)
    scores = evaluate(matched.clusters, matched.truth).as_dict()
    if given.get("json"):
        print(json.dumps(scores))
        return 0
    for name, value in scores.items():
        shown = str(value) if name == "images" else f"{value:.4f}"
        print(f"{name.replace('_', ' '):18} {shown}")
    return 0


def _estimate_parser() -> CommandParser:
    text = "Estimate the number of comparisons of a run in batches."
    example = "clusterimg estimate --images 20000 --classes 50 --batch-size 2500 --similar 0.5"
    parser = CommandParser("clusterimg estimate", text, examples=((example, ""),))
    for flag, help in (
        ("--images", "number of images"),
        ("--classes", "number of classes"),
        ("--batch-size", "images per batch"),
    ):
        parser.add_value(INPUT, flag, type=int, metavar="N", required=True, help=help)
    parser.add_value(
        INPUT,
        "--similar",
        type=_list_of(float),
        metavar="P[,P,...]",
        required=True,
        help="fraction of its class that an image links to, 0 to 1; one value, or one per class",
    )
    sizes = "images per class (default: equal classes)"
    parser.add_value(INPUT, "--sizes", type=_list_of(int), metavar="N[,N,...]", help=sizes)
    flags.add_json(parser, "print JSON")
    return parser


def _estimate(given: dict[str, Any]) -> int:
    _, as_json = flags.take_console(given)

    from icas.clusterimg.evaluation.cost_model import estimate

    cost = estimate(**given)
    print(json.dumps(cost.as_dict()) if as_json else "\n".join(cost.words()))
    return 0


def _list_of(kind: type[int] | type[float]) -> Callable[[str], list[float]]:
    """Parser of numbers separated by commas."""

    def parse(text: str) -> list[float]:
        try:
            return [kind(part) for part in text.split(",")]
        except ValueError:
            what = "integers" if kind is int else "numbers"
            raise argparse.ArgumentTypeError(f"{text!r}: expected comma-separated {what}") from None

    return parse


EVALUATE = Command(_evaluate_parser, _evaluate)
ESTIMATE = Command(_estimate_parser, _estimate)

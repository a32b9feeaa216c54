"""The command ``clusterimg evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from icas.cli.parser import INPUT, About, LineParser
from icas.cli.program import Command
from icas.clusterimg.commands.flags import add_json

TEXT = "Compare clusters with labels that are known to be true."
EXAMPLES = (("clusterimg evaluate photos_clustered --labels labels.csv", ""),)


def _parser() -> LineParser:
    parser = LineParser("clusterimg evaluate", About(TEXT, examples=EXAMPLES))
    parser.add_value(
        INPUT, "clusters", type=Path, metavar="DST_OR_CSV", help="a result, or a clusters.csv"
    )
    parser.add_value(
        INPUT,
        "--labels",
        type=Path,
        metavar="CSV",
        required=True,
        help="true labels: file,label",
    )
    add_json(parser, "as one JSON object")
    return parser


def _evaluate(given: dict[str, Any]) -> int:
    from icas.clusterimg.evaluation.scores import evaluate, match_labels, read_clusters, read_labels

    clusters, truth = read_clusters(given["clusters"]), read_labels(given["labels"])
    found = evaluate(*match_labels(clusters, truth))
    if given.get("json"):
        print(json.dumps(found.as_dict()))
        return 0
    for name, value in found.as_dict().items():
        print(
            f"{name.replace('_', ' '):18} {value:.4f}" if name != "images" else f"{name:18} {value}"
        )
    return 0


EVALUATE = Command(_parser, _evaluate)

"""Commands of ``clusterimg`` that take a finished result: split, undo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from icas.cli.console import say
from icas.cli.parser import CLUSTERS, INPUT, OUTPUT, SAID, About, LineParser, Rows
from icas.cli.program import Command
from icas.clusterimg.commands.flags import add_json, take_console

FAILED = 1
SPLIT_TEXT = "Cut one cluster of a finished result in parts and move its files into their folders."
UNDO_TEXT = (
    "Take a run back, finished or interrupted: moved images go back to where they were, with their"
    " times, and what the run made goes away. What was changed since stays and is named."
)


def _parser(name: str, text: str, examples: Rows) -> LineParser:
    """A parser for what is done to the result DST."""
    parser = LineParser(f"clusterimg {name}", About(text, examples=examples))
    parser.add_value(INPUT, "dst", type=Path, metavar="DST", help="the result folder")
    parser.add_switch(OUTPUT, "--dry-run", help="say what would be done")
    parser.add_switch(SAID, "-v", "--verbose", help="name every file of the plan")
    add_json(parser)
    return parser


def _print(report: Any, as_json: bool) -> None:
    say(json.dumps(report.as_dict()) if as_json else report.summary())


def _split_parser() -> LineParser:
    examples = (("clusterimg split photos_clustered cluster_0 --dry-run", ""),)
    parser = _parser("split", SPLIT_TEXT, examples)
    parser.add_value(INPUT, "cluster", metavar="CLUSTER", help="such as cluster_7")
    parser.add_value(
        CLUSTERS,
        "--at",
        metavar="F|weakest",
        help="cut the links below that similarity, or the weakest one (default: weakest)",
    )
    return parser


def _split(given: dict[str, Any]) -> int:
    from icas.clusterimg.editing.split import WEAKEST, split_result

    console, as_json = take_console(given)
    report = split_result(
        given["dst"],
        given["cluster"],
        given.get("at", WEAKEST),
        console,
        dry_run=given.get("dry_run", False),
    )
    _print(report, as_json)
    return 0


def _undo_parser() -> LineParser:
    return _parser("undo", UNDO_TEXT, (("clusterimg undo near-copies --dry-run", ""),))


def _undo(given: dict[str, Any]) -> int:
    from icas.clusterimg.transfer.undo import undo_run

    console, as_json = take_console(given)
    undone = undo_run(given["dst"], console, dry_run=given.get("dry_run", False))
    for file, reason in undone.left:
        console.warn(f"left: {undone.dst / file} {reason}")
    _print(undone, as_json)
    return FAILED if undone.left else 0


SPLIT = Command(_split_parser, _split)
UNDO = Command(_undo_parser, _undo)

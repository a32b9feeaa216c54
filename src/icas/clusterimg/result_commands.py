"""Commands of ``clusterimg`` that take a finished result: split, undo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from icas.common.commands import LineParser
from icas.common.progress import Console, say

FAILED = 1


def _parser(name: str, description: str) -> LineParser:
    """A parser for what is done to the result DST."""
    parser = LineParser(f"clusterimg {name}", description)
    parser.add_argument("dst", type=Path, metavar="DST", help="the result folder")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done (default: off)"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="name every file of the plan (default: off)"
    )
    parser.add_argument(
        "--json", action="store_true", help="the summary as a JSON object on stdout (default: off)"
    )
    return parser


def _console(given: dict[str, Any]) -> Console:
    quiet, as_json = given.get("quiet", False), given.get("json", False)
    details = given.get("verbose", False) and not as_json
    return Console(results=not as_json, warnings=not quiet, bars=not quiet, details=details)


def _print(report: Any, as_json: bool) -> None:
    say(json.dumps(report.as_dict()) if as_json else report.summary())


def split(words: list[str]) -> int:
    """``clusterimg split``."""
    parser = _parser(
        "split",
        "Cut one cluster of a finished result in parts and move its files into their folders.",
    )
    parser.add_argument("cluster", metavar="CLUSTER", help="such as cluster_7")
    parser.add_argument(
        "--at",
        metavar="F|weakest",
        help="cut the links below that similarity, or the weakest one (default: weakest)",
    )
    given = vars(parser.parse_args(words))

    from icas.clusterimg.split import WEAKEST, split_result

    report = split_result(
        given["dst"],
        given["cluster"],
        given.get("at", WEAKEST),
        _console(given),
        dry_run=given.get("dry_run", False),
    )
    _print(report, given.get("json", False))
    return 0


def undo(words: list[str]) -> int:
    """``clusterimg undo``."""
    parser = _parser(
        "undo",
        "Take a run back, finished or interrupted: moved images go back to where they were, with"
        " their times, and what the run made goes away. What was changed since stays and is named.",
    )
    given = vars(parser.parse_args(words))

    from icas.clusterimg.undo import undo_run

    console = _console(given)
    undone = undo_run(given["dst"], console, dry_run=given.get("dry_run", False))
    for file, reason in undone.left:
        console.warn(f"left: {undone.dst / file} {reason}")
    _print(undone, given.get("json", False))
    return FAILED if undone.left else 0

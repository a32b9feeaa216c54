"""Commands of ``clusterimg`` that change a finished result: decide, split, undo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.cli.parser import CLUSTERS, INPUT, OUTPUT, ArgumentType, CommandParser, Rows
from icas.cli.program import Command
from icas.clusterimg.commands import flags
from icas.common.errors import UsageError

FAILED = 1
DECIDE_TEXT = """\
Decide something about images of a result. It is remembered by the contents of the files, and \
later runs over the same pictures follow it, whatever their names and folders."""
FORMS = (
    ("must-link A B", "the two belong in one cluster"),
    ("cannot-link A B", "the two are never in one cluster"),
    ("reject cluster_3", "no two images of it are ever in one cluster"),
    ("--learn", "files that you moved between folders of DST/result"),
    ("list", "what is remembered"),
    ("forget N [N …]", "take it back; forget all"),
    ("A, B", "as clusters.csv names them, or places in the result (result/cluster_0/x.jpg)"),
)
OPERATIONS = ("must-link", "cannot-link", "reject", "list", "forget")
SPLIT_TEXT = "Cut one cluster of a finished result in parts and move its files into their folders."
UNDO_TEXT = (
    "Take a run back, finished or interrupted: moved images go back to where they were, with their"
    " times, and what the run made goes away. What was changed since stays and is named."
)


def _decide_parser() -> CommandParser:
    examples = (
        ("clusterimg decide photos_clustered cannot-link moon.png page.png", ""),
        ("clusterimg decide photos_clustered list", ""),
    )
    tables = {"what can be decided about DST": FORMS}
    parser = CommandParser(
        "clusterimg decide", DECIDE_TEXT, tables=tables, examples=examples, intermixed=True
    )
    parser.add_value(INPUT, "dst", type=Path, metavar="DST", help="the result folder")
    kind = ArgumentType(str, OPERATIONS)
    parser.add_value(INPUT, "what", nargs="*", metavar="WHAT", type=kind, help="see above")
    parser.add_switch(INPUT, "--learn", help="take files that were moved by hand")
    flags.add_cache(parser, "where decisions are kept (default: the cache folder that the run had)")
    flags.add_json(parser, "as one JSON object")
    return parser


def _decide(given: dict[str, Any]) -> int:
    what = [*given.get("what", []), *(["learn"] if given.get("learn") else [])]
    if not what or (given.get("learn") and len(what) > 1):
        raise UsageError(
            "decide needs one of must-link A B, cannot-link A B, reject CLUSTER, --learn, list,"
            " forget N (see clusterimg decide --help)"
        )

    from icas.clusterimg.editing.constraints import decide

    as_json = given.get("json", False)
    report = decide(given["dst"], what[0], *what[1:], cache=given.get("cache"))
    console = Console(results=not as_json, warnings=True)
    if as_json:
        print(json.dumps(report.as_dict()))
    for line in report.lines():
        console.line(line)
    for file, reason in report.left:
        console.warn(f"left: {given['dst'] / file} {reason}")
    return FAILED if report.left else 0


def _parser(name: str, text: str, examples: Rows) -> CommandParser:
    """The parser of a command that moves files of a result."""
    parser = CommandParser(f"clusterimg {name}", text, examples=examples)
    parser.add_value(INPUT, "dst", type=Path, metavar="DST", help="the result folder")
    parser.add_switch(OUTPUT, "--dry-run", help="say what would be done")
    flags.add_verbose(parser)
    flags.add_json(parser)
    return parser


def _split_parser() -> CommandParser:
    examples = (("clusterimg split photos_clustered cluster_0 --dry-run", ""),)
    parser = _parser("split", SPLIT_TEXT, examples)
    parser.add_value(INPUT, "cluster", metavar="CLUSTER", help="such as cluster_7")
    at = "cut the links below that similarity, or the weakest one (default: weakest)"
    parser.add_value(CLUSTERS, "--at", metavar="F|weakest", help=at)
    return parser


def _split(given: dict[str, Any]) -> int:
    from icas.clusterimg.editing.split import WEAKEST, split_result

    console, as_json = flags.take_console(given)
    at, dry_run = given.get("at", WEAKEST), given.get("dry_run", False)
    report = split_result(given["dst"], given["cluster"], at, console, dry_run=dry_run)
    flags.print_report(report, as_json)
    return 0


def _undo_parser() -> CommandParser:
    return _parser("undo", UNDO_TEXT, (("clusterimg undo near-copies --dry-run", ""),))


def _undo(given: dict[str, Any]) -> int:
    from icas.clusterimg.transfer.undo import undo_run

    console, as_json = flags.take_console(given)
    undone = undo_run(given["dst"], console, dry_run=given.get("dry_run", False))
    for file, reason in undone.left:
        console.warn(f"left: {undone.dst / file} {reason}")
    flags.print_report(undone, as_json)
    return FAILED if undone.left else 0


DECIDE = Command(_decide_parser, _decide)
SPLIT = Command(_split_parser, _split)
UNDO = Command(_undo_parser, _undo)

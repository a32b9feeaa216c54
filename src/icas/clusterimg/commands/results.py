"""Commands of ``clusterimg`` for a finished result: add, decide, parquet, split, undo."""

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
Set must-link and cannot-link constraints on images of a result. They are stored by file content; \
later runs over the same images apply them, even if files were renamed or moved."""
FORMS = (
    ("must-link A B", "A and B belong in one cluster"),
    ("cannot-link A B", "A and B never share a cluster"),
    ("reject cluster_3", "no two images of the cluster ever share a cluster"),
    ("--learn", "constraints from files that you moved in DST/result"),
    ("list", "print the stored constraints"),
    ("forget N [N ...]", "delete constraints by number; forget all: delete all"),
    ("A, B", "names as in clusters.csv, or paths such as result/cluster_0/x.jpg"),
)
OPERATIONS = ("must-link", "cannot-link", "reject", "list", "forget")
SPLIT_TEXT = "Split one cluster of a finished result, and move its files into new folders."
ADD_TEXT = """\
Add new images to a finished result. Only pairs with a new image are compared; clusters are joined \
where a new image links them."""
PARQUET_TEXT = (
    "Write the links and clusters of a result as links.parquet and clusters.parquet, for programs"
    " that read columns."
)
UNDO_TEXT = (
    "Undo a finished or interrupted run: move images back, and remove the files that the run"
    " created. Files that were changed since are kept and listed."
)


def _decide_parser() -> CommandParser:
    examples = (
        ("clusterimg decide photos_clustered cannot-link moon.png page.png", ""),
        ("clusterimg decide photos_clustered list", ""),
    )
    tables = {"Forms of WHAT": FORMS}
    parser = CommandParser(
        "clusterimg decide", DECIDE_TEXT, tables=tables, examples=examples, intermixed=True
    )
    parser.add_value(INPUT, "dst", type=Path, metavar="DST", help="result folder")
    kind = ArgumentType(str, OPERATIONS)
    parser.add_value(INPUT, "what", nargs="*", metavar="WHAT", type=kind, help="see above")
    parser.add_switch(INPUT, "--learn", help="add constraints from files moved by hand")
    flags.add_cache(parser, "folder of the constraints (default: the cache folder of the run)")
    flags.add_json(parser, "print JSON")
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
    parser.add_value(INPUT, "dst", type=Path, metavar="DST", help="result folder")
    parser.add_switch(OUTPUT, "--dry-run", help="print the plan, write nothing")
    flags.add_verbose(parser)
    flags.add_json(parser)
    return parser


def _split_parser() -> CommandParser:
    examples = (("clusterimg split photos_clustered cluster_0 --dry-run", ""),)
    parser = _parser("split", SPLIT_TEXT, examples)
    parser.add_value(
        INPUT, "cluster", metavar="CLUSTER", help="name of the cluster, such as cluster_7"
    )
    at = "remove links below this similarity, or the weakest link (default: weakest)"
    kind = ArgumentType(str, ("weakest",))
    parser.add_value(CLUSTERS, "--at", type=kind, metavar="F", help=at)
    return parser


def _split(given: dict[str, Any]) -> int:
    from icas.clusterimg.editing.split import WEAKEST, split_result

    console, as_json = flags.take_console(given)
    at, dry_run = given.get("at", WEAKEST), given.get("dry_run", False)
    report = split_result(given["dst"], given["cluster"], at, console, dry_run=dry_run)
    flags.print_report(report, as_json)
    return 0


def _add_parser() -> CommandParser:
    examples = (
        ("clusterimg add photos_clustered archive", ""),
        ("clusterimg add photos_clustered photos", "what is new in the source folder"),
    )
    parser = _parser("add", ADD_TEXT, examples)
    new = "folders and images to add"
    parser.add_value(INPUT, "new", nargs="+", type=Path, metavar="NEW", help=new)
    parser.add_switch(INPUT, "--recursive", help="include sub-folders")
    flags.add_jobs(parser)
    return parser


def _add(given: dict[str, Any]) -> int:
    from icas.clusterimg.editing.add import add_images

    console, as_json = flags.take_console(given)
    report, unreadable = add_images(given.pop("dst"), given.pop("new"), console, **given)
    flags.print_report(report, as_json)
    return flags.SOME_UNREADABLE if unreadable else 0


def _parquet_parser() -> CommandParser:
    examples = (("clusterimg parquet photos_clustered tables", ""),)
    parser = CommandParser("clusterimg parquet", PARQUET_TEXT, examples=examples)
    parser.add_value(INPUT, "dst", type=Path, metavar="DST", help="result folder")
    parser.add_value(OUTPUT, "out", type=Path, metavar="OUT", help="folder for the files")
    return parser


def _parquet(given: dict[str, Any]) -> int:
    from icas.clusterimg.export.columns import write_parquet

    write_parquet(given["dst"], given["out"], Console(results=True, warnings=True))
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


ADD = Command(_add_parser, _add)
DECIDE = Command(_decide_parser, _decide)
SPLIT = Command(_split_parser, _split)
PARQUET = Command(_parquet_parser, _parquet)
UNDO = Command(_undo_parser, _undo)

"""The command ``clusterimg decide``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.cli.parser import INPUT, KEPT, About, LineParser, Typed
from icas.cli.program import Command
from icas.clusterimg.commands.flags import add_json
from icas.common.errors import UsageError

SOME_LEFT = 1
TEXT = """\
Decide something about images of a result. It is remembered by the contents of the files, and \
later runs over the same pictures follow it, whatever their names and folders."""
FORMS = (
    ("must-link A B", "the two belong in one cluster"),
    ("cannot-link A B", "the two are never in one cluster"),
    ("reject cluster_3", "no two images of it are ever in one cluster"),
    ("--learn", "files that you moved between folders of DST/result"),
    ("list", "what is remembered"),
    ("forget N [N …]", "take it back; forget all"),
)
IMAGES = "as clusters.csv names them, or places in the result (result/cluster_0/x.jpg)"
WORDS = ("must-link", "cannot-link", "reject", "list", "forget")
EXAMPLES = (
    ("clusterimg decide photos_clustered cannot-link moon.png page.png", ""),
    ("clusterimg decide photos_clustered list", ""),
)


def _parser() -> LineParser:
    forms = {"what can be decided about DST": (*FORMS, ("A, B", IMAGES))}
    parser = LineParser("clusterimg decide", About(TEXT, forms, examples=EXAMPLES), intermixed=True)
    parser.add_value(INPUT, "dst", type=Path, metavar="DST", help="the result folder")
    parser.add_value(
        INPUT, "what", nargs="*", metavar="WHAT", type=Typed(str, WORDS), help="see above"
    )
    parser.add_switch(INPUT, "--learn", help="take files that were moved by hand")
    parser.add_value(
        KEPT,
        "--cache",
        type=Path,
        metavar="DIR",
        help="where decisions are kept (default: the cache folder that the run had)",
    )
    add_json(parser, "as one JSON object")
    return parser


def _decide(given: dict[str, Any]) -> int:
    """``clusterimg decide``."""
    what = [*given.get("what", []), *(["learn"] if given.get("learn") else [])]
    if not what or (given.get("learn") and len(what) > 1):
        raise UsageError(
            "decide needs one of must-link A B, cannot-link A B, reject CLUSTER, --learn, list,"
            " forget N (see clusterimg decide --help)"
        )

    from icas.clusterimg.editing.decide import decide as decided

    as_json = given.get("json", False)
    report = decided(given["dst"], what[0], *what[1:], cache=given.get("cache"))
    console = Console(results=not as_json, warnings=True)
    if as_json:
        print(json.dumps(report.as_dict()))
    for line in report.lines():
        console.line(line)
    for place, reason in report.left:
        console.warn(f"left: {given['dst'] / place} {reason}")
    return SOME_LEFT if report.left else 0


DECIDE = Command(_parser, _decide)

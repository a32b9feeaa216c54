"""The command ``clusterimg review``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from icas.cli.console import warn
from icas.cli.parser import INPUT, CommandParser
from icas.cli.program import Command
from icas.cli.serving import LOOPBACK, add_server_flags, print_address
from icas.common.registry import Entry, need

SERVING = Entry("icas.web.review:serving", "server of a review")
"""Loaded at first use: it needs the extra web, and imports this half of the package."""

TEXT = """\
Review the clusters of a result in the browser: name, merge, split and move them, change the \
threshold, answer questions, export. Nothing in the result changes before you apply."""


def _parser() -> CommandParser:
    examples = (
        ("clusterimg review photos_clustered", ""),
        ("clusterimg review photos_clustered --no-browser --port 8000", "print the address only"),
    )
    parser = CommandParser("clusterimg review", TEXT, examples=examples)
    parser.add_value(INPUT, "dst", type=Path, metavar="DST", help="result folder")
    discard = "drop changes that were not applied, if the result was changed since"
    parser.add_switch(INPUT, "--discard", help=discard)
    add_server_flags(parser)
    return parser


def _review(given: dict[str, Any]) -> int:
    need("clusterimg review", "web", "starlette", "uvicorn")

    host, port = given.get("host", LOOPBACK), given.get("port", 0)
    discard = given.get("discard", False)
    with SERVING.load()(given["dst"], host=host, port=port, discard=discard) as server:
        if server.read_only:
            warn(f"another process reviews {given['dst']}: this one is read only")
        print_address(server, "review", "review", hint=host == LOOPBACK)
        server.run(browser=not given.get("no_browser"))
    return 0


REVIEW = Command(_parser, _review)

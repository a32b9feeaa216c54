"""The command ``clusterimg review``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from icas.cli.console import print_line, warn
from icas.cli.parser import INPUT, OUTPUT, CommandParser
from icas.cli.program import Command
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
    host = "address to listen on (default: 127.0.0.1, this machine only)"
    parser.add_value(OUTPUT, "--host", type=str, metavar="HOST", help=host)
    port = "port to listen on (default: 0, any free one)"
    parser.add_value(OUTPUT, "--port", type=int, metavar="N", help=port)
    parser.add_switch(OUTPUT, "--no-browser", help="do not open a browser")
    return parser


def _review(given: dict[str, Any]) -> int:
    need("clusterimg review", "web", "starlette", "uvicorn")

    host, port = given.get("host", "127.0.0.1"), given.get("port", 0)
    discard = given.get("discard", False)
    with SERVING.load()(given["dst"], host=host, port=port, discard=discard) as server:
        if server.read_only:
            warn(f"another process reviews {given['dst']}: this one is read only")
        print_line(f"review: {server.address.url}")
        if server.is_open:
            warn("other machines can reach it: who has this address can change the review")
        if server.is_remote and "host" not in given:
            print_line(f"from another machine, run there first: {server.address.tunnel()}")
        print_line("Ctrl+C stops the server; every change is saved at once")
        server.run(browser=not given.get("no_browser"))
    return 0


REVIEW = Command(_parser, _review)

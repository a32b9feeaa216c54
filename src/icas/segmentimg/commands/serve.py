"""The command ``segmentimg serve``."""

from __future__ import annotations

from typing import Any

from icas.cli.console import Console
from icas.cli.options import add_flags
from icas.cli.parser import INPUT, CommandParser
from icas.cli.program import Command
from icas.cli.serving import LOOPBACK, add_server_flags, print_address
from icas.common.registry import Entry, need
from icas.segmentimg.commands.main import (
    FAILED,
    SOME_UNREADABLE,
    add_method_flags,
    leave,
    make_settings,
)

SERVING = Entry("icas.web.painting:serving", "server of a painting session")
"""Loaded at first use: it needs the extra web, and imports this half of the package."""

TEXT = """\
Paint images in the browser: the same segments, files and autosaves as in the windows, and \
reachable from another machine."""
COMMON = (
    "--recursive",
    "--method",
    "--out",
    "--save",
    "--palette",
    "--classes",
    "--resume",
    "--templates",
    "--sam-checkpoint",
    "--host",
    "--port",
    "--no-browser",
)


def _parser() -> CommandParser:
    from icas.segmentimg.settings import SegmentSettings

    examples = (
        ("segmentimg serve photos", ""),
        ("segmentimg serve photos --no-browser --port 8000", "print the address only"),
    )
    parser = CommandParser("segmentimg serve", TEXT, common=COMMON, examples=examples)
    parser.add_value(INPUT, "paths", nargs="+", metavar="PATH", help="images or folders")
    add_server_flags(parser)
    add_flags(parser, SegmentSettings)
    add_method_flags(parser)
    return parser


def _serve(given: dict[str, Any]) -> int:
    need("segmentimg serve", "web", "starlette", "uvicorn")
    given.pop("debug", None)
    quiet = given.pop("quiet", False)
    paths, browser = given.pop("paths"), not given.pop("no_browser", False)
    where = {"host": given.pop("host", LOOPBACK), "port": given.pop("port", 0)}
    sam = {} if given.get("method") == "sam" else _sam_options(given)
    console = Console(results=True, warnings=not quiet)
    with SERVING.load()(paths, make_settings(given), sam, **where) as server:
        print_address(server, "paint", "painting", hint=where["host"] == LOOPBACK)
        server.run(browser=browser)
    summary = server.painting.summary
    for path, reason in summary.unreadable.items():
        console.warn(f"unreadable: {path}: {reason}")
    for path, reason in summary.failed.items():
        console.warn(f"not saved: {path}: {reason}")
    console.line(summary.line())
    code = FAILED if summary.failed else SOME_UNREADABLE if summary.unreadable else 0
    if not summary.ended:
        leave(code)
    return code


def _sam_options(given: dict[str, Any]) -> dict[str, Any]:
    """Remove the options of Segment Anything, for live prompts, and return them."""
    from icas.segmentimg.serving.start import SAM_OPTIONS

    return {name: given.pop(name) for name in SAM_OPTIONS if name in given}


SERVE = Command(_parser, _serve)

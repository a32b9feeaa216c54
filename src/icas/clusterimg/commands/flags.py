"""Flags that several commands of ``clusterimg`` have, and their values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from icas.cli.console import Console, print_line
from icas.cli.options import add_flags, options_of
from icas.cli.parser import LOGGING, METHOD, PERFORMANCE, ArgumentType, CommandParser
from icas.common.errors import UsageError

SOME_UNREADABLE = 3
"""Exit code of a run that could not read some files."""


CACHE_HELP = "folder of the feature cache (default: the user's cache folder)"


def add_cache(parser: CommandParser, help: str = CACHE_HELP) -> None:
    """Add ``--cache``."""
    parser.add_value(PERFORMANCE, "--cache", type=Path, metavar="DIR", help=help)


def add_no_cache(parser: CommandParser) -> None:
    """Add ``--no-cache``; see `take_cache`."""
    parser.add_switch(PERFORMANCE, "--no-cache", help="neither read nor write the feature cache")


def take_cache(given: dict[str, Any]) -> None:
    """Turn ``--no-cache`` into the setting `cache`."""
    if given.pop("no_cache", False):
        if "cache" in given:
            raise UsageError("--cache and --no-cache exclude each other: give one of them")
        given["cache"] = False


def add_jobs(parser: CommandParser) -> None:
    """Add ``--jobs``."""
    help = "number of workers (default: all cores)"
    parser.add_value(PERFORMANCE, "--jobs", type=int, metavar="N", help=help)


def add_json(parser: CommandParser, help: str = "print the summary as JSON") -> None:
    """Add ``--json``."""
    parser.add_switch(LOGGING, "--json", help=help)


def add_verbose(
    parser: CommandParser, help: str = "print the planned operation of every file"
) -> None:
    """Add ``--verbose``."""
    parser.add_switch(LOGGING, "-v", "--verbose", help=help)


def discover_methods(words: Sequence[str]) -> None:
    """Add methods of installed packages if `words` request them or help."""
    from icas.clusterimg.methods import METHODS

    METHODS.discover_for(words, "method")


def add_method(parser: CommandParser, default: str) -> None:
    """Add ``--method``."""
    from icas.clusterimg.methods import AUTO, METHODS

    parser.add_value(
        METHOD,
        "--method",
        type=ArgumentType(str, (*METHODS, AUTO)),
        metavar="NAME",
        help=f"{', '.join(METHODS)}, auto, or several such as deep+orb (default: {default})",
    )


def add_method_flags(parser: CommandParser, skip: set[str]) -> None:
    """Add the flags of every method in a group of its own; a shared flag is added once."""
    from icas.clusterimg.methods import METHODS, method_class

    added = set(skip)
    parser.tables["Methods"] = tuple((name, entry.help) for name, entry in METHODS.items())
    for name in METHODS:
        cls = method_class(name)
        add_flags(parser.group(f"Method {name}"), cls, skip=added)
        added.update(options_of(cls))


def take_console(given: dict[str, Any]) -> tuple[Console, bool]:
    """Remove the flags on output from `given`; return the console, and whether JSON is printed."""
    given.pop("debug", None)
    quiet, verbose = given.pop("quiet", False), given.pop("verbose", False)
    as_json = given.pop("json", False)
    details = verbose and not as_json
    return Console(not as_json, warnings=not quiet, bars=not quiet, details=details), as_json


def print_report(report: Any, as_json: bool) -> None:
    """Print the summary of a report, or all of it as JSON."""
    print_line(json.dumps(report.as_dict()) if as_json else report.summary())

"""Flags that several commands of ``clusterimg`` have."""

from __future__ import annotations

from typing import Any

from icas.cli.console import Console
from icas.cli.options import add_flags, options_of
from icas.cli.parser import KEPT, SAID, LineParser, source_of
from icas.common.errors import UsageError


def source(given: dict[str, Any]) -> str:
    """The source folder, taken out of `given`."""
    return source_of(given, "clusterimg")


def add_no_cache(parser: LineParser) -> None:
    """The flag ``--no-cache``, which `take_cache` reads."""
    parser.add_switch(KEPT, "--no-cache", help="read every image, keep nothing")


def take_cache(given: dict[str, Any]) -> None:
    """``--no-cache`` as the setting `cache`."""
    if given.pop("no_cache", False):
        if "cache" in given:
            raise UsageError("--cache and --no-cache exclude each other: give one of them")
        given["cache"] = False


def add_json(parser: LineParser, what: str = "the summary as a JSON object on stdout") -> None:
    """The flag ``--json``."""
    parser.add_switch(SAID, "--json", help=what)


def add_method_flags(parser: LineParser, skip: set[str]) -> None:
    """The flags of every method, each under the method's name; a shared flag stands once."""
    from icas.clusterimg.methods import METHODS, method_class

    added = set(skip)
    for name, entry in METHODS.items():
        cls = method_class(name)
        group = parser.group(f"method {name}")
        group.description = entry.help
        add_flags(group, cls, skip=added)
        added.update(options_of(cls))


def take_console(given: dict[str, Any]) -> tuple[Console, bool]:
    """What the run tells, and whether JSON is all of it; taken out of `given`."""
    quiet, verbose = given.pop("quiet", False), given.pop("verbose", False)
    as_json = given.pop("json", False)
    details = verbose and not as_json
    console = Console(results=not as_json, warnings=not quiet, bars=not quiet, details=details)
    return console, as_json

"""Commands of ``clusterimg`` that judge images: audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from icas.cli.console import print_line
from icas.cli.options import options_of
from icas.cli.parser import CLUSTERS, INPUT, OUTPUT, PERFORMANCE, CommandParser
from icas.cli.program import Command
from icas.clusterimg.commands import flags

FAILED = 1
AUDIT_TEXT = """\
Find images that are the same, or nearly the same, in different splits of a data set, and list \
them in leaks.csv. The exit code is 1 if there are any."""


def _audit_parser() -> CommandParser:
    from icas.clusterimg.settings import ClusterSettings

    examples = (
        ("clusterimg audit train val test", ""),
        ("clusterimg audit train test --recursive --method imagehash --threshold 0.9", ""),
    )
    parser = CommandParser("clusterimg audit", AUDIT_TEXT, common=AUDIT_COMMON, examples=examples)
    parser.add_value(INPUT, "splits", nargs="+", type=Path, metavar="DIR", help="folders of images")
    parser.add_switch(INPUT, "--recursive", help="include sub-folders, such as those of classes")
    flags.add_method(parser, "auto: registration and orb")
    number = "minimum similarity, for a given --method (default: the method's)"
    parser.add_value(CLUSTERS, "--threshold", type=float, metavar="F", help=number)
    out = "table of the pairs (default: leaks.csv)"
    parser.add_value(OUTPUT, "--out", type=Path, metavar="FILE", help=out)
    jobs = "number of workers (default: all cores)"
    parser.add_value(PERFORMANCE, "--jobs", type=int, metavar="N", help=jobs)
    flags.add_cache(parser)
    flags.add_no_cache(parser)
    flags.add_json(parser, "print JSON")
    flags.add_method_flags(parser, set(options_of(ClusterSettings)))
    return parser


AUDIT_COMMON = ("--recursive", "--method", "--threshold", "--out", "--jobs", "--json", "--quiet")


def _audit(given: dict[str, Any]) -> int:
    from icas.clusterimg.quality.leaks import audit_splits, detectors

    flags.take_cache(given)
    console, as_json = flags.take_console(given)
    folders, out = given.pop("splits"), given.pop("out", Path("leaks.csv"))
    known = ("recursive", "jobs", "cache")
    own = {name: given.pop(name) for name in known if name in given}
    method, threshold = given.pop("method", "auto"), given.pop("threshold", None)
    report = audit_splits(folders, detectors(method, threshold, given), console, out=out, **own)
    for lost in report.unreadable:
        console.warn(f"cannot read {lost.file}: {lost.reason}")
    if as_json:
        print_line(json.dumps(report.as_dict()))
    else:
        for line in report.lines():
            print_line(line)
        print_line(report.summary())
    if report.leaks:
        return FAILED
    return flags.SOME_UNREADABLE if report.unreadable else 0


AUDIT = Command(_audit_parser, _audit, flags.discover_methods)

"""Commands of ``clusterimg`` that judge and select images: quality, audit, best."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from icas.cli.console import print_line
from icas.cli.options import options_of
from icas.cli.parser import CLUSTERS, INPUT, OUTPUT, CommandParser, take_source
from icas.cli.program import Command
from icas.clusterimg.commands import flags

FAILED = 1
AUDIT_TEXT = """\
Find images that are the same, or nearly the same, in different splits of a data set, and list \
them in leaks.csv. The exit code is 1 if there are any."""


def _audit_parser() -> CommandParser:
    from icas.clusterimg.settings import ClusterSettings

    examples = (("clusterimg audit photos archive  # exit 1 if there are any", ""),)
    parser = CommandParser("clusterimg audit", AUDIT_TEXT, common=AUDIT_COMMON, examples=examples)
    parser.add_value(INPUT, "splits", nargs="+", type=Path, metavar="DIR", help="folders of images")
    parser.add_switch(INPUT, "--recursive", help="include sub-folders, such as those of classes")
    flags.add_method(parser, "auto: registration and orb")
    number = "minimum similarity, for a given --method (default: the method's)"
    parser.add_value(CLUSTERS, "--threshold", type=float, metavar="F", help=number)
    out = "table of the pairs (default: leaks.csv)"
    parser.add_value(OUTPUT, "--out", type=Path, metavar="FILE", help=out)
    flags.add_jobs(parser)
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

QUALITY_TEXT = """\
Find blurred, dark, bright, empty, odd and duplicate images of a folder. Writes a table, worst \
image first, and a report page."""


def _quality_parser() -> CommandParser:
    from icas.clusterimg.quality.issues import HELP
    from icas.io.reading import MAX_PIXELS

    examples = (
        ("clusterimg quality photos", ""),
        ("clusterimg quality photos --recursive --out checked.csv --json", ""),
    )
    tables = {"Issues": tuple(HELP.items())}
    parser = CommandParser("clusterimg quality", QUALITY_TEXT, tables=tables, examples=examples)
    parser.add_source()
    parser.add_switch(INPUT, "--recursive", help="include sub-folders")
    pixels = f"larger images are not read (default: {MAX_PIXELS})"
    parser.add_value(INPUT, "--max-pixels", type=int, metavar="N", help=pixels)
    out = "folder for table and page, or table FILE.csv (default: <src>_quality)"
    parser.add_value(OUTPUT, "--out", type=Path, metavar="PATH", help=out)
    parser.add_switch(OUTPUT, "--no-report", help="do not write the report page")
    flags.add_jobs(parser)
    flags.add_json(parser)
    return parser


def _quality(given: dict[str, Any]) -> int:
    from icas.clusterimg.quality.check import check_folder, default_out

    console, as_json = flags.take_console(given)
    source = Path(take_source(given, "clusterimg quality"))
    out, recursive = given.pop("out", None), given.pop("recursive", False)
    given["report"] = not given.pop("no_report", False)
    report = check_folder(source, console, out or default_out(source), recursive, **given)
    flags.print_report(report, as_json)
    return flags.SOME_UNREADABLE if report.unreadable else 0


QUALITY = Command(_quality_parser, _quality)

BEST_TEXT = """\
Choose the image to keep of each cluster, by criteria in order. Writes DST/best.csv and marks the \
images in DST/report.html. The file name decides ties."""


def _best_parser() -> CommandParser:
    from icas.clusterimg.results.best_images import CRITERIA, DEFAULT_BY

    examples = (
        ("clusterimg best photos_clustered --by sharpest,largest,newest", ""),
        ("clusterimg best photos_clustered --move-others others", ""),
        ("clusterimg undo others", ""),
    )
    tables = {"Criteria": tuple((name, one.help) for name, one in CRITERIA.items())}
    parser = CommandParser("clusterimg best", BEST_TEXT, tables=tables, examples=examples)
    parser.add_value(INPUT, "dst", type=Path, metavar="DST", help="result folder")
    by = f"criteria in order, with commas (default: {','.join(DEFAULT_BY)})"
    parser.add_value(CLUSTERS, "--by", metavar="NAMES", help=by)
    others = "move other source images to a new folder (default: none)"
    parser.add_value(OUTPUT, "--move-others", type=Path, metavar="DIR", help=others)
    parser.add_switch(OUTPUT, "--dry-run", help="print the plan, write nothing")
    parser.add_switch(OUTPUT, "--resume", help="continue an interrupted move")
    flags.add_jobs(parser)
    flags.add_verbose(parser)
    flags.add_json(parser)
    return parser


def _best(given: dict[str, Any]) -> int:
    from icas.clusterimg.quality.best import best_of_result, criteria
    from icas.clusterimg.results.best_images import DEFAULT_BY

    console, as_json = flags.take_console(given)
    by = criteria(given.pop("by", DEFAULT_BY))
    root, others = given.pop("dst"), given.pop("move_others", None)
    report = best_of_result(root, by, others, console, **given)
    flags.print_report(report, as_json)
    return flags.SOME_UNREADABLE if report.left else 0


BEST = Command(_best_parser, _best)

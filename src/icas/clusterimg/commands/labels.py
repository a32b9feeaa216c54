"""Commands of ``clusterimg`` on the labels of a finished result: label, export."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.cli.options import add_flags
from icas.cli.parser import INPUT, METHOD, OUTPUT, ArgumentType, CommandParser, Rows
from icas.cli.program import Command
from icas.clusterimg.commands import flags
from icas.common.errors import UsageError

LABEL_TEXT = """\
Give clusters and images of a result class names. They are written to DST/labels.csv, and stored \
by file content: later runs over the same images apply them."""
LABEL_FORMS = (
    ("cluster_0=cat", "all images of the cluster are of the class cat"),
    ("photo.jpg=dog", "an image: its name as in clusters.csv, or its path"),
    ("list", "print the classes and their numbers of images (default)"),
    ("clear [NAME ...]", "remove all names, or those of clusters and images"),
)
LABEL_WORDS = ("list", "clear")
EXPORT_TEXT = "Write a data set of the labelled images of a result; clusterimg undo OUT removes it."
EXPORT_EXAMPLES: Rows = (
    ("clusterimg export photos_clustered dataset --split train=0.8,val=0.1,test=0.1", ""),
    ("clusterimg export photos_clustered both --format coco,hf --transfer hardlink", ""),
)


def _label_parser() -> CommandParser:
    examples = (
        ("clusterimg label photos_clustered cluster_0=cat cluster_1=dog moon.png=sky", ""),
        ("clusterimg label photos_clustered --suggest 10", "images to name next"),
        ("clusterimg label photos_clustered --spread", "name the rest by similarity"),
    )
    parser = CommandParser(
        "clusterimg label",
        LABEL_TEXT,
        tables={"Forms of WHAT": LABEL_FORMS},
        examples=examples,
        intermixed=True,
    )
    parser.add_value(INPUT, "dst", type=Path, metavar="DST", help="result folder")
    kind = ArgumentType(str, LABEL_WORDS)
    parser.add_value(INPUT, "what", nargs="*", metavar="WHAT", type=kind, help="see above")
    table = "table of names: cluster,label or file,label (default: none)"
    parser.add_value(INPUT, "--from", dest="table", type=Path, metavar="CSV", help=table)
    suggest = "print the N images whose names settle most others (default: none)"
    parser.add_value(METHOD, "--suggest", type=ArgumentType(int), metavar="N", help=suggest)
    spread = "also name the other images, by the most similar named ones"
    parser.add_switch(METHOD, "--spread", help=spread)
    parser.add_switch(OUTPUT, "--dry-run", help="change nothing")
    flags.add_cache(parser, "folder of the names (default: the cache folder of the run)")
    flags.add_json(parser, "print JSON")
    return parser


def _label(given: dict[str, Any]) -> int:
    what = given.get("what", [])
    word = what[0] if what and what[0] in LABEL_WORDS else None
    if word == "list" and (len(what) > 1 or given.get("table")):
        raise UsageError("list takes no names, no --from (see clusterimg label --help)")

    from icas.clusterimg.api.label import change_labels
    from icas.clusterimg.editing.labels import LabelChanges

    clear = (what[1:] or True) if word == "clear" else False
    changes = LabelChanges(clear, given.get("table"), words=() if word else what)
    as_json, quiet = given.get("json", False), given.get("quiet", False)
    console = Console(not as_json, warnings=not quiet, bars=not quiet)
    suggest, spread = given.get("suggest"), given.get("spread", False)
    report = change_labels(
        given["dst"],
        changes,
        console,
        suggest=suggest,
        spread=spread,
        cache=given.get("cache"),
        dry_run=given.get("dry_run", False),
    )
    for message in (*report.warnings, *report.contradictions):
        console.warn(message)
    if as_json:
        print(json.dumps(report.as_dict()))
        return 0
    for path in report.suggested:
        console.line(str(path))
    if changes or spread or suggest is None:
        for line in str(report).splitlines():
            console.line(line)
    return 0


def _discover(words: Sequence[str]) -> None:
    """Add formats of installed packages to the help."""
    from icas.dataset.formats import FORMATS

    FORMATS.discover_for(words, "data set format")


def _export_parser() -> CommandParser:
    from icas.clusterimg.export.settings import ExportSettings

    parser = CommandParser("clusterimg export", EXPORT_TEXT, examples=EXPORT_EXAMPLES)
    parser.add_value(INPUT, "dst", type=Path, metavar="DST", help="result folder")
    parser.add_value(INPUT, "out", type=Path, metavar="OUT", help="folder of the data set")
    add_flags(parser, ExportSettings)
    flags.add_verbose(parser)
    flags.add_json(parser)
    return parser


def _export(given: dict[str, Any]) -> int:
    from icas.clusterimg.export.export import export_result
    from icas.clusterimg.export.settings import ExportSettings

    console, as_json = flags.take_console(given)
    dst, out = given.pop("dst"), given.pop("out")
    report = export_result(dst, out, ExportSettings(**given), console)
    flags.print_report(report, as_json)
    return flags.SOME_UNREADABLE if report.missing else 0


LABEL = Command(_label_parser, _label)
EXPORT = Command(_export_parser, _export, _discover)

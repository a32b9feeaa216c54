"""Commands of ``clusterimg`` on the labels of a finished result: export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from icas.cli.options import add_flags
from icas.cli.parser import INPUT, CommandParser, Rows
from icas.cli.program import Command
from icas.clusterimg.commands import flags

EXPORT_TEXT = """\
Write a data set of the labelled images of a result. Clusters are never divided between splits. \
clusterimg undo OUT removes the data set."""
EXPORT_EXAMPLES: Rows = (
    ("clusterimg export photos_clustered dataset --split train=0.8,val=0.1,test=0.1", ""),
    ("clusterimg export photos_clustered dataset --format coco,hf --transfer hardlink", ""),
)
EXPORT_COMMON = (
    "--format",
    "--split",
    "--min-confidence",
    "--seed",
    "--transfer",
    "--dry-run",
    "--resume",
    "--overwrite",
    "--quiet",
    "--verbose",
    "--json",
)


def _discover(words: Sequence[str]) -> None:
    """Add formats of installed packages to the help."""
    from icas.dataset.formats import FORMATS

    FORMATS.discover_for(words, "data set format")


def _export_parser() -> CommandParser:
    from icas.clusterimg.export.settings import ExportSettings
    from icas.dataset.formats import FORMATS

    formats = tuple((name, entry.help) for name, entry in FORMATS.items())
    parser = CommandParser(
        "clusterimg export",
        EXPORT_TEXT,
        common=EXPORT_COMMON,
        tables={"Formats": formats},
        examples=EXPORT_EXAMPLES,
    )
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


EXPORT = Command(_export_parser, _export, _discover)

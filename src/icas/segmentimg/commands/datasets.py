"""The commands ``segmentimg export`` and ``segmentimg import``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from icas.cli.console import Console
from icas.cli.options import alternatives
from icas.cli.parser import (
    INPUT,
    LOGGING,
    OUTPUT,
    PAINTING,
    PERFORMANCE,
    ArgumentType,
    CommandParser,
)
from icas.cli.program import Command

SOME_LEFT_OUT = 3
EXPORT_TEXT = "Export saved paintings as a data set with an annotation per object."
EXPORT_EXAMPLES = (
    ("segmentimg export photos_segmented --format coco --to dataset", ""),
    ("segmentimg export photos_segmented --format yolo --to yolo --split train=0.8,val=0.2", ""),
)
IMPORT_TEXT = "Import a data set as saved paintings, one object per annotation."
IMPORT_EXAMPLES = (
    ("segmentimg import dataset --images photos --out imported", ""),
    ("segmentimg import yolo --format yolo --images photos --out from-yolo", ""),
)


def _export_parser() -> CommandParser:
    from icas.segmentimg.datasets import WRITERS
    from icas.segmentimg.datasets.target import TRANSFERS

    parser = CommandParser("segmentimg export", EXPORT_TEXT, examples=EXPORT_EXAMPLES)
    add = parser.add_value
    add(INPUT, "out", type=Path, metavar="OUT", help="folder of saved paintings")
    images = "folder of the images (default: OUT without _segmented)"
    add(INPUT, "--images", type=Path, metavar="DIR", help=images)
    kind = ArgumentType(str, tuple(WRITERS), listed=True)
    text = f"{alternatives(WRITERS)}; several go to sub-folders"
    add(OUTPUT, "--format", type=kind, required=True, metavar="LIST", help=text)
    add(OUTPUT, "--to", type=Path, required=True, metavar="DIR", help="new folder of the data set")
    classes = "lines like cat,#cc0000: these classes get the first numbers (default: as painted)"
    add(PAINTING, "--classes", type=Path, metavar="FILE", help=classes)
    split = "shares of the splits, such as train=0.8,val=0.2 (default: no splits)"
    add(OUTPUT, "--split", metavar="SHARES", help=split)
    clusters = "clusters.csv: images of a cluster stay in one split (default: none)"
    add(OUTPUT, "--clusters", type=Path, metavar="CSV", help=clusters)
    add(OUTPUT, "--seed", type=int, metavar="N", help="random seed of the splits (default: 0)")
    polygons = "coco, labelme, hf: polygons in place of masks; yolo always has them"
    parser.add_switch(OUTPUT, "--polygons", help=polygons)
    parser.add_switch(OUTPUT, "--borders", help="voc: the value 255 on both sides of borders")
    transfer = f"how images are written: {', '.join(TRANSFERS)} (default: copy)"
    add(OUTPUT, "--transfer", choices=TRANSFERS, metavar="HOW", help=transfer)
    parser.add_switch(OUTPUT, "--overwrite", help="replace an earlier export in --to")
    parser.add_switch(OUTPUT, "--dry-run", help="check everything and write nothing")
    add(PERFORMANCE, "--jobs", type=int, metavar="N", help="number of workers (default: all cores)")
    parser.add_switch(LOGGING, "--json", help="print the summary as JSON")
    return parser


def _import_parser() -> CommandParser:
    from icas.segmentimg.datasets import READERS

    parser = CommandParser("segmentimg import", IMPORT_TEXT, examples=IMPORT_EXAMPLES)
    add = parser.add_value
    add(INPUT, "path", type=Path, metavar="FILE_OR_DIR", help="the data set")
    kind = ArgumentType(str, tuple(READERS))
    text = f"{alternatives(READERS)} (default: detected)"
    add(INPUT, "--format", type=kind, metavar="NAME", help=text)
    images = "folder of the images, which are found by their names"
    add(INPUT, "--images", type=Path, required=True, metavar="DIR", help=images)
    parser.add_switch(INPUT, "--recursive", help="include images in sub-folders")
    palette = "classes and colours (default: new colours)"
    add(PAINTING, "--palette", type=Path, metavar="FILE", help=palette)
    out = "folder of the paintings (default: <images>_segmented)"
    add(OUTPUT, "--out", type=Path, metavar="DIR", help=out)
    parser.add_switch(OUTPUT, "--overwrite", help="replace the painting of images that have one")
    parser.add_switch(OUTPUT, "--dry-run", help="check everything and write nothing")
    parser.add_switch(LOGGING, "--json", help="print the summary as JSON")
    return parser


def _export(given: dict[str, Any]) -> int:
    from icas.segmentimg.datasets.export import export_instances

    quiet, as_json = _take_console(given)
    return _finish(export_instances(**given, progress=not quiet), quiet, as_json)


def _import(given: dict[str, Any]) -> int:
    from icas.segmentimg.datasets.importing import import_instances

    quiet, as_json = _take_console(given)
    return _finish(import_instances(**given, progress=not quiet), quiet, as_json)


def _take_console(given: dict[str, Any]) -> tuple[bool, bool]:
    given.pop("debug", None)
    return given.pop("quiet", False), given.pop("json", False)


def _finish(report: Any, quiet: bool, as_json: bool) -> int:
    """Print a report; the exit code."""
    console = Console(results=not as_json, warnings=not quiet)
    for line in (*getattr(report, "notes", ()), *report.left_out):
        console.warn(line)
    if as_json:
        print(json.dumps(asdict(report), default=str))
    for line in report.lines():
        console.line(line)
    return SOME_LEFT_OUT if report.left_out else 0


EXPORT = Command(_export_parser, _export)
IMPORT = Command(_import_parser, _import)

"""The program ``segmentimg``: the table of its commands, and the default one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from icas.cli.console import Console
from icas.cli.options import Option, add_flags, options_of
from icas.cli.parser import INPUT, LOGGING, OUTPUT, CommandParser, Rows
from icas.cli.program import Command, Program
from icas.common.errors import UnreadableImageError, UsageError
from icas.common.registry import Entry

_PACKAGE = "icas.segmentimg.commands."
PROGRAM = Program(
    "segmentimg",
    default="segment",
    rows={
        "segment": Entry(_PACKAGE + "main:SEGMENT", "segment and paint images (default)"),
        "serve": Entry(_PACKAGE + "serve:SERVE", "paint images in the browser"),
        "propagate": Entry(_PACKAGE + "propagate:PROPAGATE", "carry masks to similar images"),
        "export": Entry(_PACKAGE + "datasets:EXPORT", "export paintings as a data set of objects"),
        "import": Entry(_PACKAGE + "datasets:IMPORT", "import the objects of a data set"),
        "weights": Entry(_PACKAGE + "weights:WEIGHTS", "list or download network weights"),
        "evaluate": Entry(_PACKAGE + "evaluate:EVALUATE", "score a method against true label maps"),
    },
)
main = PROGRAM.main

FAILED = 1
SOME_UNREADABLE = 3
TEXT = "Segment images and paint the segments in a window (press h for the keys)."
EXAMPLES: Rows = (
    ("segmentimg photos --palette classes.txt --save masks,coco", ""),
    ("segmentimg img.png --method graph --k 60 --no-gui", ""),
    ("segmentimg img.png --preview methods.png", ""),
    ("segmentimg photos", ""),
    ("segmentimg photos --no-gui", ""),
    (
        "segmentimg img.png --method kmeans --k 5 --position-weight 0 --no-gui --save centres",
        "reduce the image to five colours",
    ),
    ("segmentimg photos --method grabcut", ""),
    ("segmentimg img.png --method grabcut --no-gui --box 60,40,200,150", ""),
)

COMMON = (
    "--recursive",
    "--method",
    "--out",
    "--palette",
    "--save",
    "--no-gui",
    "--preview",
    "--resume",
    "--templates",
    "--box",
    "--jobs",
    "--quiet",
)
"""Flags of the short help, in its order; with the commands they fit one screen."""


def _parser() -> CommandParser:
    from icas.segmentimg.settings import SegmentSettings

    parser = CommandParser("segmentimg", TEXT, common=COMMON, examples=EXAMPLES)
    parser.add_value(INPUT, "paths", nargs="*", metavar="PATH", help="images or folders")
    parser.add_switch(OUTPUT, "--no-gui", help="segment without a window")
    preview = "compare all methods on one image (default: none)"
    parser.add_value(OUTPUT, "--preview", type=Path, metavar="FILE", help=preview)
    add_flags(parser, SegmentSettings)
    parser.add_switch(LOGGING, "-v", "--verbose", help="print a line for every image")
    add_method_flags(parser)
    return parser


def _segment(given: dict[str, Any]) -> int:
    given.pop("debug", None)
    paths = given.pop("paths", [])
    quiet, verbose = given.pop("quiet", False), given.pop("verbose", False)
    no_gui, preview = given.pop("no_gui", False), given.pop("preview", None)
    if not paths:
        raise UsageError("no image: segmentimg PATH ... (see segmentimg --help)")
    console = Console(results=True, warnings=not quiet, bars=not quiet, details=verbose)
    settings = make_settings(given)
    with console.show_logging():
        if preview is not None:
            return _preview(paths, preview, settings, console)
        if not no_gui:
            return _paint(paths, settings, console)
        return _segment_files(paths, settings, console)


def _segment_files(paths: list[str], settings: Any, console: Console) -> int:
    from icas.segmentimg.pipeline import segment_files

    report = segment_files(paths, settings, console)
    console.line(report.summary())
    return 0 if report.complete else SOME_UNREADABLE


def _paint(paths: list[str], settings: Any, console: Console) -> int:
    """Open the windows; a painting that could not be saved decides the exit code."""
    from icas.segmentimg.windows.app import paint_files

    summary = paint_files(paths, settings, console)
    for path, reason in summary.unreadable.items():
        console.warn(f"unreadable: {path}: {reason}")
    for path, reason in summary.failed.items():
        console.warn(f"not saved: {path}: {reason}")
    for line in summary.left_out:
        console.warn(line)
    console.line(summary.line())
    incomplete = summary.unreadable or summary.left_out
    code = FAILED if summary.failed else SOME_UNREADABLE if incomplete else 0
    if not summary.ended:
        leave(code)
    return code


def leave(code: int) -> NoReturn:
    """End the process while a thread still segments an image that is no longer needed.

    Everything is saved and printed. A regular exit would wait for that thread, or abort inside a
    library.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _preview(paths: list[str], out: Path, settings: Any, console: Console) -> int:
    from icas.segmentimg.pipeline import write_preview

    if len(paths) != 1 or Path(paths[0]).is_dir():
        raise UsageError("--preview needs one image file")
    try:
        lines = write_preview(Path(paths[0]), out, settings, console)
    except UnreadableImageError as error:
        raise UsageError(f"cannot read {paths[0]}: {error.message}") from None
    for line in lines:
        console.line(line)
    console.line(f"{len(lines)} methods -> {out}")
    return 0


def make_settings(given: dict[str, Any]) -> Any:
    """Settings from flags; those that are no setting of a run are options of the method."""
    from icas.segmentimg.settings import SegmentSettings

    return SegmentSettings.of(given)


def add_method_flags(parser: CommandParser) -> None:
    """Add the flags of every method; one that several methods have is added once, with the first.

    Its help names the other methods.
    """
    from icas.segmentimg.segmenters import SEGMENTERS, segmenter_class

    parser.tables["Methods"] = tuple((name, entry.help) for name, entry in SEGMENTERS.items())
    options = {name: options_of(segmenter_class(name)) for name in SEGMENTERS}
    added: set[str] = set()
    for name, own in options.items():
        group, shared = parser.group(f"Method {name}"), {}
        for option, first in own.items():
            rows = {
                other: other_options[option]
                for other, other_options in options.items()
                if other != name and option in other_options
            }
            if rows:
                shared[option] = f"; {', '.join(_compared(first, rows))}"
        add_flags(group, segmenter_class(name), skip=added, shared=shared)
        added |= set(own)


def _compared(first: tuple[Any, Option], rows: dict[str, tuple[Any, Option]]) -> Iterator[str]:
    """What differs in the option of other methods, by method."""
    same = [name for name, row in rows.items() if _shown(row) == _shown(first)]
    if same:
        yield f"also for {', '.join(same)}"
    for name, row in rows.items():
        help, default = _shown(row)
        if name not in same:
            yield f"{name} {default}" if help == first[1].help else f"{name}: {help}, {default}"


def _shown(row: tuple[Any, Option]) -> tuple[str, str]:
    default, option = row
    return option.help, option.default_text or str(default)


def discover_methods(words: Sequence[str]) -> None:
    """Add methods of installed packages if `words` request them or help."""
    from icas.segmentimg.segmenters import SEGMENTERS

    SEGMENTERS.discover_for(words, "method")


SEGMENT = Command(_parser, _segment, discover_methods)

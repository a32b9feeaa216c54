"""``segmentimg`` itself: cut pictures into segments, and paint them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from icas.cli.console import Console
from icas.cli.options import add_flags, options_of
from icas.cli.parser import INPUT, OUTPUT, SAID, About, LineParser, Rows
from icas.cli.program import EXIT_CODES, Command
from icas.common.errors import UnreadableImageError, UsageError


def add_method_flags(parser: LineParser) -> None:
    """The flags of every method; one that several have stands with the first, for all."""
    from icas.segmentimg.segmenters import SEGMENTERS, segmenter_class

    shared: dict[str, list[str]] = {}
    for name in SEGMENTERS:
        for option in options_of(segmenter_class(name)):
            shared.setdefault(option, []).append(name)
    added: set[str] = set()
    for name, entry in SEGMENTERS.items():
        cls = segmenter_class(name)
        own = {option for option in options_of(cls) if option not in added}
        group = parser.group(f"method {name}")
        group.description = entry.help
        add_flags(group, cls, skip=set(options_of(cls)) - own, shared=_others(cls, own, shared))
        added |= own


def _others(cls: type, own: set[str], shared: dict[str, list[str]]) -> dict[str, str]:
    """What other methods say of the options in `own`: their names and defaults."""
    from icas.segmentimg.segmenters import segmenter_class

    told = {}
    for option in own:
        rest = [name for name in shared[option] if segmenter_class(name) is not cls]
        if rest:
            known = ((name, *options_of(segmenter_class(name))[option]) for name in rest)
            defaults = (f"{name} {one.default_text or value}" for name, value, one in known)
            told[option] = "; also " + ", ".join(defaults)
    return told


def make_settings(given: dict[str, Any]) -> Any:
    """Settings from flags; those not known to a run are the method's."""
    from icas.segmentimg.settings import SegmentSettings

    known = set(options_of(SegmentSettings))
    own = {name: value for name, value in given.items() if name in known}
    options = {name: value for name, value in given.items() if name not in known}
    settings = SegmentSettings(**own, options=options)
    settings.make_segmenter()  # a wrong option is told before any work
    return settings


FAILED = 1
SOME_UNREADABLE = 3
TEXT = "Cut pictures into segments, and paint them in windows (h shows the keys)."
EXAMPLES: Rows = (
    ("segmentimg photos", ""),
    ("segmentimg photos --palette classes.txt --save masks,coco", ""),
    ("segmentimg photos --no-gui", ""),
    ("segmentimg img.png --method graph --k 60 --no-gui", ""),
    ("segmentimg img.png --preview methods.png", ""),
    (
        "segmentimg img.png --method kmeans --k 5 --position-weight 0 --no-gui --save centres",
        "the picture in five colours",
    ),
    ("segmentimg photos --method grabcut", ""),
    ("segmentimg img.png --method grabcut --no-gui --box 60,40,200,150", ""),
)


def segment_parser() -> LineParser:
    """The parser of ``segmentimg`` itself."""
    from icas.segmentimg.commands.table import PROGRAM
    from icas.segmentimg.settings import SegmentSettings

    about = About(TEXT, {}, EXAMPLES, PROGRAM.help_rows, EXIT_CODES)
    parser = LineParser("segmentimg", about)
    parser.add_value(INPUT, "paths", nargs="*", metavar="PATH", help="pictures or folders")
    parser.add_switch(OUTPUT, "--no-gui", help="no window")
    parser.add_value(
        OUTPUT,
        "--preview",
        type=Path,
        metavar="FILE.png",
        help="all methods side by side on one picture (default: none)",
    )
    add_flags(parser, SegmentSettings)
    parser.add_switch(SAID, "-v", "--verbose", help="a line a picture")
    add_method_flags(parser)
    return parser


def _segment(given: dict[str, Any]) -> int:
    given.pop("debug", None)
    paths = given.pop("paths", [])
    quiet, verbose = given.pop("quiet", False), given.pop("verbose", False)
    no_gui, preview = given.pop("no_gui", False), given.pop("preview", None)
    if not paths:
        raise UsageError("no picture: segmentimg img.jpg (see segmentimg --help)")
    console = Console(results=True, warnings=not quiet, bars=not quiet, details=verbose)
    settings = make_settings(given)
    if preview is not None:
        return _preview(paths, preview, settings, console)
    if not no_gui:
        return _paint(paths, settings, console)

    from icas.segmentimg.pipeline import segment_files

    report = segment_files(paths, settings, console)
    console.line(report.summary())
    return SOME_UNREADABLE if report.failed else 0


def _paint(paths: list[str], settings: Any, console: Console) -> int:
    """The windows; 1 where painting could not be saved, for that is worse than anything else."""
    from icas.segmentimg.windows.app import paint_files

    summary = paint_files(paths, settings, console)
    for path, reason in summary.unreadable.items():
        console.warn(f"unreadable: {path}: {reason}")
    for path, reason in summary.failed.items():
        console.warn(f"not saved: {path}: {reason}")
    console.line(summary.line())
    code = FAILED if summary.failed else SOME_UNREADABLE if summary.unreadable else 0
    if not summary.ended:
        _leave(code)
    return code


def _leave(code: int) -> NoReturn:
    """End the process though a thread still cuts a picture that nobody wants any more.

    All is saved and told by now. Python's own way out would have to wait for that thread, or
    abort in the middle of a library's.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _preview(paths: list[str], out: Path, settings: Any, console: Console) -> int:
    from icas.segmentimg.pipeline import write_preview

    if len(paths) != 1 or Path(paths[0]).is_dir():
        raise UsageError("--preview takes one picture")
    try:
        lines = write_preview(Path(paths[0]), out, settings, console)
    except UnreadableImageError as error:
        raise UsageError(f"cannot read {paths[0]}: {error}") from None
    for line in lines:
        console.line(line)
    console.line(f"{len(lines)} methods -> {out}")
    return 0


SEGMENT = Command(segment_parser, _segment)

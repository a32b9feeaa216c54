"""The command ``segmentimg``: words on the command line -> one call."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from icas.common.commands import LineParser, guarded
from icas.common.errors import UnreadableImageError, UsageError
from icas.common.options import add_flags, options_of
from icas.common.progress import Console

FAILED = 1
SOME_UNREADABLE = 3
DESCRIPTION = "Cut pictures into segments, and paint them in windows (h shows the keys)."
EPILOG = """\
other commands: segmentimg evaluate, with --help

examples:
  segmentimg photos
  segmentimg photos --palette classes.txt --save masks,coco
  segmentimg photos --no-gui
  segmentimg img.jpg --method graph --k 60 --no-gui
  segmentimg img.jpg --method kmeans --k 5 --position-weight 0 --no-gui --save centres
  segmentimg img.jpg --preview methods.png
  segmentimg photos --method grabcut
  segmentimg img.jpg --method grabcut --no-gui --box 60,40,200,150

exit codes: 0 done, 1 failed, 2 wrong usage or a missing extra, 3 done but some files could not be
read, 130 interrupted"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``segmentimg`` with `argv`; the exit code comes back."""
    words = list(sys.argv[1:] if argv is None else argv)
    commands: dict[str, Callable[[list[str]], int]] = {"evaluate": _evaluate}
    command = commands.get(words[0]) if words else None
    run, rest = (command, words[1:]) if command else (_segment, words)
    return guarded("segmentimg", lambda: run(rest), debug="--debug" in words)


def _parser(name: str, description: str, epilog: str | None = None) -> LineParser:
    return LineParser(name, description, epilog)


def _add_method_flags(parser: argparse.ArgumentParser) -> None:
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
        group = parser.add_argument_group(f"method {name}", entry.help)
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


def segment_parser() -> LineParser:
    """The parser of ``segmentimg`` itself."""
    from icas.segmentimg.settings import SegmentSettings

    parser = _parser("segmentimg", DESCRIPTION, EPILOG)
    parser.add_argument("paths", nargs="*", metavar="PATH", help="pictures or folders")
    parser.add_argument("--no-gui", action="store_true", help="no window (default: off)")
    parser.add_argument(
        "--preview",
        type=Path,
        metavar="FILE.png",
        help="all methods side by side on one picture (default: none)",
    )
    add_flags(parser, SegmentSettings)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="a line a picture (default: off)"
    )
    _add_method_flags(parser)
    return parser


def _segment(words: list[str]) -> int:
    given = vars(segment_parser().parse_args(words))
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
    from icas.segmentimg.painting import paint_files

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


def make_settings(given: dict[str, Any]) -> Any:
    """Settings from flags; those not known to a run are the method's."""
    from icas.segmentimg.settings import SegmentSettings

    known = set(options_of(SegmentSettings))
    own = {name: value for name, value in given.items() if name in known}
    options = {name: value for name, value in given.items() if name not in known}
    settings = SegmentSettings(**own, options=options)
    settings.make_segmenter()  # a wrong option is told before any work
    return settings


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


def _evaluate(words: list[str]) -> int:
    parser = _parser(
        "segmentimg evaluate",
        "Boundary recall, undersegmentation error and achievable accuracy against label maps.",
    )
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="pictures")
    parser.add_argument(
        "--truth",
        type=Path,
        required=True,
        metavar="DIR",
        help="a label map of each picture: NAME.png, or NAME.npz with an array a annotator",
    )
    parser.add_argument("--method", help="how pictures are cut (default: superpixel)")
    parser.add_argument("--jobs", type=int, metavar="N", help="workers (default: all cores)")
    parser.add_argument("--json", action="store_true", help="as a JSON object (default: off)")
    _add_method_flags(parser)
    given = vars(parser.parse_args(words))
    given.pop("debug", None)
    quiet, as_json = given.pop("quiet", False), given.pop("json", False)
    images, truth, jobs = given.pop("images"), given.pop("truth"), given.pop("jobs", None)

    from icas.segmentimg.judging import judge

    console = Console(results=not as_json, warnings=not quiet, bars=not quiet)
    judged = judge(images, truth, make_settings(given).make_segmenter(), jobs, console)
    if as_json:
        print(json.dumps(judged.as_dict()))
    else:
        for name, value in judged.as_dict().items():
            console.line(f"{name.replace('_', ' '):18} {value:.4f}")
    return 0

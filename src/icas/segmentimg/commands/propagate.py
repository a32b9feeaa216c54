"""The command ``segmentimg propagate``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from icas.cli.console import Console
from icas.cli.options import add_flags, options_of
from icas.cli.parser import INPUT, LOGGING, OUTPUT, CommandParser
from icas.cli.program import Command
from icas.common.errors import UsageError
from icas.notebook.html import counted

TEXT = "Carry the saved masks of some images to the others of their clusters."
EXAMPLES = (
    ("segmentimg propagate photos --suggest 5", "which images to paint first"),
    ("segmentimg propagate photos", "after painting one image per cluster"),
    ("segmentimg propagate photos --clusters one --accept 0.9", ""),
)
COMMON = (
    "--recursive",
    "--clusters",
    "--accept",
    "--weights",
    "--sam-checkpoint",
    "--out",
    "--suggest",
    "--review",
    "--resume",
    "--undo",
    "--dry-run",
    "--jobs",
    "--quiet",
)
SOME_UNREADABLE = 3
_ACTIONS = ("suggest", "review", "undo")


def _parser() -> CommandParser:
    from icas.segmentimg.propagation_run.settings import PropagateSettings

    parser = CommandParser("segmentimg propagate", TEXT, common=COMMON, examples=EXAMPLES)
    parser.add_value(INPUT, "paths", nargs="+", metavar="IMAGES", help="images or folders")
    add_flags(parser, PropagateSettings)
    suggest = "only print the N images to paint next (default: none)"
    parser.add_value(OUTPUT, "--suggest", type=int, metavar="N", help=suggest)
    parser.add_switch(OUTPUT, "--review", help="then check the masks in windows")
    parser.add_switch(OUTPUT, "--resume", help="continue an unfinished run")
    parser.add_switch(OUTPUT, "--undo", help="undo the last run; painted images are kept")
    parser.add_switch(OUTPUT, "--dry-run", help="check everything and write nothing")
    parser.add_switch(LOGGING, "-v", "--verbose", help="print a line for every image")
    parser.add_switch(LOGGING, "--json", help="print the summary as JSON")
    return parser


def _propagate(given: dict[str, Any]) -> int:
    from icas.segmentimg.propagation_run.settings import PropagateSettings

    known = set(options_of(PropagateSettings))
    settings = PropagateSettings(**{name: given[name] for name in given if name in known})
    actions = [name for name in _ACTIONS if given.get(name)]
    if len(actions) > 1:
        raise UsageError(f"give one of {' and '.join(f'--{name}' for name in actions)}")
    as_json, quiet = given.get("json", False), given.get("quiet", False)
    console = Console(
        results=not as_json,
        warnings=not quiet,
        bars=not quiet,
        details=given.get("verbose", False) and not as_json,
    )
    with console.show_logging():
        if given.get("undo"):
            return _undo(given, settings, console)
        if given.get("suggest") is not None:
            return _suggest(given, settings, console)
        return _carry(given, settings, console)


def _carry(given: dict[str, Any], settings: Any, console: Console) -> int:
    from icas.segmentimg.propagation_run.run import exclusive_run

    dry_run = given.get("dry_run", False)
    review = given.get("review", False) and not dry_run
    if review:
        from icas.segmentimg.windows.review import check_windows

        check_windows()
    with exclusive_run(given["paths"], settings, console, dry_run=dry_run) as run:
        report = run.carry(resume=given.get("resume", False), dry_run=dry_run)
        _print(report, given, console)
        if review:
            report = _review(run, report, given, settings, console)
    return SOME_UNREADABLE if report.left_out else 0


def _review(run: Any, report: Any, given: dict[str, Any], settings: Any, console: Console) -> Any:
    """Review the queue of a run in windows; the report of carrying again, if a mask was fixed."""
    from icas.segmentimg.propagation_run.run import PropagationRun
    from icas.segmentimg.windows.review import review_queue

    try:
        reviewed = review_queue(run.queue, run.palette, settings, console)
    finally:
        run = PropagationRun(given["paths"], settings, console)
        run.write_table()
    console.line(reviewed.line())
    if reviewed.fixed:
        report = run.carry()
        console.line(report.lines()[-1])
    return report


def _suggest(given: dict[str, Any], settings: Any, console: Console) -> int:
    from icas.segmentimg.propagation_run.run import PropagationRun

    count = given["suggest"]
    if count < 1:
        raise UsageError(f"--suggest {count}: must be at least 1")
    run = PropagationRun(given["paths"], settings, console)
    rows = run.suggestions(count)
    if given.get("json"):
        print(json.dumps([asdict(row) for row in rows]))
    for row in rows:
        serves = f"nearest to {counted(row.serves, 'image')}"
        console.line(f"{row.file}: cluster {row.cluster}, {serves}")
    if not rows:
        console.line("nothing to paint: every cluster has a painted image")
    return 0


def _undo(given: dict[str, Any], settings: Any, console: Console) -> int:
    from icas.segmentimg.propagation_run.history import remove_leftovers, undo_run

    report = undo_run(given["paths"], settings, dry_run=given.get("dry_run", False))
    if not report.planned:
        remove_leftovers(report.out)
    _print(report, given, console)
    return 0


def _print(report: Any, given: dict[str, Any], console: Console) -> None:
    for line in getattr(report, "left_out", ()):
        console.warn(f"unreadable: {line}")
    if given.get("json"):
        print(json.dumps(asdict(report), default=str))
    for line in report.lines():
        console.line(line)


PROPAGATE = Command(_parser, _propagate)

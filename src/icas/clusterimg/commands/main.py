"""The program ``clusterimg``: the table of its commands; clustering and training."""

from __future__ import annotations

from typing import Any

from icas.cli.options import add_flags, options_of
from icas.cli.parser import CommandParser, Rows, take_source
from icas.cli.program import Command, Program
from icas.clusterimg.commands import flags
from icas.common.registry import Entry

_PACKAGE = "icas.clusterimg.commands."
PROGRAM = Program(
    "clusterimg",
    default="cluster",
    rows={
        "cluster": Entry(_PACKAGE + "main:CLUSTER", "sort a folder; it may be left out"),
        "demo": Entry(_PACKAGE + "demo:DEMO", "make a mixed folder, and sort it"),
        "thresholds": Entry(_PACKAGE + "thresholds:THRESHOLDS", "what every threshold would give"),
        "evaluate": Entry(_PACKAGE + "evaluate:EVALUATE", "compare clusters with true labels"),
        "estimate": Entry(_PACKAGE + "evaluate:ESTIMATE", "how much a run will compare"),
        "decide": Entry(_PACKAGE + "results:DECIDE", "say what belongs together, or does not"),
        "split": Entry(_PACKAGE + "results:SPLIT", "cut one cluster of a result in parts"),
        "undo": Entry(_PACKAGE + "results:UNDO", "take a run back"),
        "train": Entry(_PACKAGE + "main:TRAIN", "train a network on a folder of images"),
        "cache": Entry(_PACKAGE + "cache:CACHE", "what is kept between runs; clear it"),
    },
)
main = PROGRAM.main

TEXT = "Sort a folder of mixed images into folders of similar images."
EXAMPLES: Rows = (
    ("clusterimg --src photos --method orb", ""),
    ("clusterimg photos --threshold 0.85 --dst near-copies --transfer hardlink", ""),
    ("clusterimg photos --method ssim --stage batch --dst parts", ""),
    ("clusterimg parts --stage merge --dst sorted", "once the folders are edited by hand"),
    ("clusterimg photos --reference archive --dst known", "which of them are in the archive?"),
)
TRAIN_TEXT = "Train a network on a folder of images, for --method deep of clusterimg."
TRAIN_EXAMPLES: Rows = (
    ("clusterimg train photos --out own.pt --epochs 2", ""),
    ("clusterimg photos --method deep --weights own.pt --dst by-own", "sort with it"),
)


def _cluster_parser() -> CommandParser:
    from icas.clusterimg.settings import ClusterSettings

    parser = CommandParser("clusterimg", TEXT, examples=EXAMPLES)
    parser.add_source()
    add_flags(parser, ClusterSettings)
    flags.add_no_cache(parser)
    flags.add_verbose(parser)
    flags.add_json(parser)
    flags.add_method_flags(parser, set(options_of(ClusterSettings)))
    return parser


def _cluster(given: dict[str, Any]) -> int:
    quiet = given.get("quiet", False)
    flags.take_cache(given)
    console, as_json = flags.take_console(given)
    folder = take_source(given, "clusterimg")

    from icas.clusterimg.api.functions import make_settings, run_or_resume

    if "threshold" not in given and not (quiet or as_json) and _can_pick(given):
        given["threshold"] = "pick"
    report = run_or_resume(folder, make_settings(**given), console)
    flags.print_report(report, as_json)
    return flags.SOME_UNREADABLE if report.unreadable else 0


def _can_pick(given: dict[str, Any]) -> bool:
    """Whether the run searches a threshold, and a person can pick it in a window."""
    from icas.clusterimg.picker.pick import should_pick

    return given.get("stage") != "merge" and not given.get("resume") and should_pick()


def _train_parser() -> CommandParser:
    from icas.clusterimg.training.settings import TrainSettings

    parser = CommandParser("clusterimg train", TRAIN_TEXT, examples=TRAIN_EXAMPLES)
    parser.add_source()
    add_flags(parser, TrainSettings)
    flags.add_verbose(parser, "a line for every epoch")
    flags.add_json(parser)
    return parser


def _train(given: dict[str, Any]) -> int:
    from icas.clusterimg.training.settings import TrainSettings
    from icas.clusterimg.training.train import train

    console, as_json = flags.take_console(given)
    report = train(take_source(given, "clusterimg"), TrainSettings(**given), console)
    flags.print_report(report, as_json)
    return flags.SOME_UNREADABLE if report.unreadable else 0


CLUSTER = Command(_cluster_parser, _cluster, flags.discover_methods)
TRAIN = Command(_train_parser, _train)

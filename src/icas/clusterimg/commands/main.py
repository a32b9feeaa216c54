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
        "cluster": Entry(
            _PACKAGE + "main:CLUSTER", "sort images into folders of similar images (default)"
        ),
        "demo": Entry(_PACKAGE + "demo:DEMO", "sort a folder of sample images"),
        "thresholds": Entry(
            _PACKAGE + "thresholds:THRESHOLDS", "list the clusters at every threshold"
        ),
        "evaluate": Entry(_PACKAGE + "evaluate:EVALUATE", "compare clusters with true labels"),
        "estimate": Entry(_PACKAGE + "evaluate:ESTIMATE", "estimate the number of comparisons"),
        "decide": Entry(_PACKAGE + "results:DECIDE", "set must-link/cannot-link constraints"),
        "ask": Entry(_PACKAGE + "ask:ASK", "answer yes/no questions about clusters"),
        "label": Entry(_PACKAGE + "labels:LABEL", "name clusters and images"),
        "review": Entry(_PACKAGE + "review:REVIEW", "review the clusters in the browser"),
        "split": Entry(_PACKAGE + "results:SPLIT", "split one cluster of a result"),
        "best": Entry(_PACKAGE + "selection:BEST", "choose the image to keep of each cluster"),
        "quality": Entry(_PACKAGE + "selection:QUALITY", "find blurred, dark, odd images"),
        "export": Entry(_PACKAGE + "labels:EXPORT", "write a data set of the labelled images"),
        "add": Entry(_PACKAGE + "results:ADD", "add new images to a result"),
        "undo": Entry(
            _PACKAGE + "results:UNDO", "undo a run: restore moved files, remove created files"
        ),
        "audit": Entry(
            _PACKAGE + "selection:AUDIT", "find images that are in several splits of a data set"
        ),
        "parquet": Entry(_PACKAGE + "results:PARQUET", "write links and clusters as columns"),
        "shards": Entry(_PACKAGE + "shards:SHARDS", "cluster more images than fit memory"),
        "train": Entry(_PACKAGE + "main:TRAIN", "train a network for --method deep"),
        "weights": Entry(_PACKAGE + "storage:WEIGHTS", "list, download or export network weights"),
        "cache": Entry(_PACKAGE + "storage:CACHE", "show or clear the feature cache"),
    },
    minor=("estimate", "parquet", "shards", "train", "cache", "help", "completion"),
)
main = PROGRAM.main

TEXT = "Sort a folder of mixed images into folders of similar images."
EXAMPLES: Rows = (
    ("clusterimg --src photos --method orb", ""),
    ("clusterimg photos --method imagehash --threshold 0.85 --dst near-copies", ""),
    ("clusterimg photos --reference archive --dst known", ""),
    ("clusterimg photos --method ssim --stage batch --dst parts", ""),
    ("clusterimg parts --stage merge --dst sorted", "after editing the folders by hand"),
)
COMMON = (
    "--src",
    "--recursive",
    "--method",
    "--threshold",
    "--dst",
    "--transfer",
    "--dry-run",
    "--resume",
    "--overwrite",
    "--jobs",
    "--quiet",
)
"""Flags of the short help, in its order; with the commands they fit one screen."""
TRAIN_TEXT = "Train an autoencoder on a folder of images, for --method deep."
TRAIN_EXAMPLES: Rows = (
    ("clusterimg train photos --out own.pt --epochs 2", ""),
    ("clusterimg photos --method deep --weights own.pt --dst by-own", "use it"),
)
TRAIN_COMMON = (
    "--src",
    "--recursive",
    "--out",
    "--size",
    "--dims",
    "--loss",
    "--epochs",
    "--batch-size",
    "--learning-rate",
    "--device",
    "--seed",
    "--resume",
    "--overwrite",
    "--jobs",
)


def _cluster_parser() -> CommandParser:
    from icas.clusterimg.settings import ClusterSettings

    parser = CommandParser("clusterimg", TEXT, common=COMMON, examples=EXAMPLES)
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

    parser = CommandParser(
        "clusterimg train", TRAIN_TEXT, common=TRAIN_COMMON, examples=TRAIN_EXAMPLES
    )
    parser.add_source()
    add_flags(parser, TrainSettings)
    flags.add_verbose(parser, "print a line for every epoch")
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

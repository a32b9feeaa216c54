"""The command ``clusterimg``: words on the command line -> one call."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from icas.clusterimg import cache_commands, decide_command, result_commands
from icas.common.commands import LineParser, guarded
from icas.common.errors import UsageError
from icas.common.options import add_flags, options_of
from icas.common.progress import Console, say

SOME_UNREADABLE = 3
DESCRIPTION = "Sort a folder of mixed images into folders of similar images."
EPILOG = """\
other commands: clusterimg demo | thresholds | estimate | evaluate | train | split | undo
| decide | cache, each with --help

examples:
  clusterimg --src photos --method orb
  clusterimg photos --method imagehash --threshold 0.85 --dst sorted --transfer hardlink
  clusterimg photos --method ssim --stage batch --dst parts   (edit the folders by hand, then)
  clusterimg parts --stage merge --dst sorted
  clusterimg new --reference archive --recursive   (which of the new images are in the archive?)

exit codes: 0 done, 1 failed, 2 wrong usage or a missing extra, 3 done but some files could not be
read, 130 interrupted"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``clusterimg`` with `argv`; the exit code comes back."""
    words = list(sys.argv[1:] if argv is None else argv)
    commands: dict[str, Callable[[list[str]], int]] = {
        "cluster": _cluster,
        "demo": _demo,
        "thresholds": _thresholds,
        "estimate": _estimate,
        "evaluate": _evaluate,
        "cache": cache_commands.cache,
        "decide": decide_command.decide,
        "train": _train,
        "split": result_commands.split,
        "undo": result_commands.undo,
    }
    command = commands.get(words[0]) if words else None
    run, rest = (command, words[1:]) if command else (_cluster, words)
    debug = "--debug" in words
    logging.getLogger("icas").setLevel(logging.DEBUG if debug else logging.NOTSET)
    return guarded("clusterimg", lambda: run(rest), debug=debug)


def _parser(name: str, description: str, epilog: str | None = None) -> LineParser:
    return LineParser(name, description, epilog)


def _add_source(parser: argparse.ArgumentParser, what: str = "folder with images") -> None:
    parser.add_argument("src", nargs="?", metavar="DIR", help=what)
    parser.add_argument("--src", dest="src_flag", metavar="DIR", help=what)


def _source(given: dict[str, Any]) -> str:
    by_flag, by_place = given.pop("src_flag", None), given.pop("src", None)
    if by_flag is not None and by_place is not None and by_flag != by_place:
        raise UsageError(f"two source folders: --src {by_flag} and {by_place}; give one")
    source = by_flag if by_flag is not None else by_place
    if not source:
        raise UsageError("no source folder: clusterimg --src DIR (see clusterimg --help)")
    return str(source)


def _add_no_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-cache", action="store_true", help="read every image, keep nothing (default: off)"
    )


def _take_cache(given: dict[str, Any]) -> None:
    """``--no-cache`` as the setting `cache`."""
    if given.pop("no_cache", False):
        if "cache" in given:
            raise UsageError("--cache and --no-cache exclude each other: give one of them")
        given["cache"] = False


def _add_method_flags(parser: argparse.ArgumentParser, skip: set[str]) -> None:
    """The flags of every method, each under the method's name; a shared flag stands once."""
    from icas.clusterimg.methods import METHODS, method_class

    added = set(skip)
    for name, entry in METHODS.items():
        cls = method_class(name)
        group = parser.add_argument_group(f"method {name}", entry.help)
        add_flags(group, cls, skip=added)
        added.update(options_of(cls))


def cluster_parser() -> LineParser:
    """The parser of ``clusterimg`` itself."""
    from icas.clusterimg.settings import ClusterSettings

    parser = _parser("clusterimg", DESCRIPTION, EPILOG)
    _add_source(parser)
    add_flags(parser, ClusterSettings)
    _add_no_cache(parser)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="name every file of the plan (default: off)"
    )
    parser.add_argument(
        "--json", action="store_true", help="the summary as a JSON object on stdout (default: off)"
    )
    _add_method_flags(parser, set(options_of(ClusterSettings)))
    return parser


def _cluster(words: list[str]) -> int:
    given = vars(cluster_parser().parse_args(words))
    given.pop("debug", None)
    _take_cache(given)
    quiet, verbose = given.pop("quiet", False), given.pop("verbose", False)
    as_json = given.pop("json", False)
    source = _source(given)

    from icas.clusterimg import pipeline
    from icas.clusterimg.api import make_settings

    if "threshold" not in given and not quiet and not as_json and _may_ask(given):
        given["threshold"] = "pick"
    console = Console(
        results=not as_json, warnings=not quiet, bars=not quiet, details=verbose and not as_json
    )
    report = pipeline.cluster(source, make_settings(**given), console)
    say(json.dumps(report.as_dict()) if as_json else report.summary())
    return SOME_UNREADABLE if report.unreadable else 0


def _may_ask(given: dict[str, Any]) -> bool:
    """Whether a person is there to pick a threshold, for a run that looks for one."""
    from icas.clusterimg.picker import should_pick

    return given.get("stage") != "merge" and not given.get("resume") and should_pick()


def _one_line(text: str) -> str:
    from icas.common.progress import printable

    return printable(text)


def _demo(words: list[str]) -> int:
    parser = _parser(
        "clusterimg demo", "Make a mixed folder from scikit-image's sample pictures and sort it."
    )
    parser.add_argument(
        "--dst",
        type=Path,
        help="where (default: icas-demo, or the next free icas-demo-2, …)",
        metavar="DIR",
    )
    parser.add_argument("--method", help="(default: orb)")
    given = vars(parser.parse_args(words))

    from icas.clusterimg.demo import free_folder, run_demo

    quiet = given.get("quiet", False)
    console = Console(results=True, warnings=not quiet, bars=not quiet)
    run_demo(given.get("dst") or free_folder(), given.get("method", "orb"), console)
    return 0


def _thresholds(words: list[str]) -> int:
    parser = _parser(
        "clusterimg thresholds",
        "Links, clusters and clustered images at every threshold at which something changes.",
    )
    _add_source(parser)
    parser.add_argument("--method", help="how images are compared (default: imagehash)")
    parser.add_argument("--labels", type=Path, metavar="CSV", help="true labels: file,label")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table there (CSV)")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw it too, as curves (a picture, .png)"
    )
    parser.add_argument(
        "--sample", type=int, metavar="N", help="images compared; 0 = all (default: 1000 images)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="draws the sample (default: 0)")
    parser.add_argument("--jobs", type=int, metavar="N", help="workers (default: all cores)")
    parser.add_argument("--recursive", action="store_true", help="sub-folders too (default: off)")
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="folder in which features are kept (default: the user's cache folder)",
    )
    _add_no_cache(parser)
    _add_method_flags(parser, {"seed"})
    given = vars(parser.parse_args(words))
    given.pop("debug", None)
    _take_cache(given)
    source, quiet = _source(given), given.pop("quiet", False)

    from icas.clusterimg.thresholds import write_curve

    console = Console(results=True, warnings=not quiet, bars=not quiet)
    return SOME_UNREADABLE if write_curve(source, console, **given) else 0


def _train(words: list[str]) -> int:
    from icas.clusterimg.deep.train_settings import TrainSettings

    parser = _parser(
        "clusterimg train",
        "Train a network on a folder of images, for --method deep of clusterimg.",
    )
    _add_source(parser)
    add_flags(parser, TrainSettings)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="a line for every epoch (default: off)"
    )
    parser.add_argument(
        "--json", action="store_true", help="the summary as a JSON object on stdout (default: off)"
    )
    given = vars(parser.parse_args(words))
    given.pop("debug", None)
    quiet, verbose = given.pop("quiet", False), given.pop("verbose", False)
    as_json, source = given.pop("json", False), _source(given)

    from icas.clusterimg.deep.training import train

    console = Console(
        results=not as_json, warnings=not quiet, bars=not quiet, details=verbose and not as_json
    )
    report = train(source, TrainSettings(**given), console)
    print(json.dumps(report.as_dict()) if as_json else _one_line(report.summary()))
    return SOME_UNREADABLE if report.unreadable else 0


def _estimate(words: list[str]) -> int:
    parser = _parser(
        "clusterimg estimate",
        "The number of comparisons to expect of clustering in batches (docs/estimate.md).",
    )
    for flag, what in (
        ("--images", "images in all"),
        ("--classes", "classes that they are of"),
        ("--batch-size", "images a batch"),
    ):
        parser.add_argument(flag, type=int, metavar="N", required=True, help=what)
    parser.add_argument(
        "--similar",
        type=_list_of(float),
        metavar="P[,P…]",
        required=True,
        help="share of its class that an image is similar to, 0 to 1: one, or one a class",
    )
    parser.add_argument(
        "--sizes",
        type=_list_of(int),
        metavar="N[,N…]",
        help="images of each class (default: equal classes)",
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object (default: off)")
    given = vars(parser.parse_args(words))
    as_json = given.pop("json", False)
    for name in ("debug", "quiet"):
        given.pop(name, None)

    from icas.clusterimg.estimate import estimate

    found = estimate(**given)
    print(json.dumps(found.as_dict()) if as_json else "\n".join(found.words()))
    return 0


def _list_of(kind: type[int] | type[float]) -> Callable[[str], list[float]]:
    def parse(text: str) -> list[float]:
        try:
            return [kind(part) for part in text.split(",")]
        except ValueError:
            what = "whole numbers" if kind is int else "numbers"
            raise argparse.ArgumentTypeError(f"{text!r}: {what} by commas are needed") from None

    return parse


def _evaluate(words: list[str]) -> int:
    parser = _parser(
        "clusterimg evaluate", "Compare clusters with labels that are known to be true."
    )
    parser.add_argument(
        "clusters", type=Path, metavar="DST_OR_CSV", help="a result or clusters.csv"
    )
    parser.add_argument(
        "--labels", type=Path, metavar="CSV", required=True, help="true labels: file,label"
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object (default: off)")
    given = vars(parser.parse_args(words))

    from icas.clusterimg.evaluate import evaluate, match_labels, read_clusters, read_labels

    clusters, truth = read_clusters(given["clusters"]), read_labels(given["labels"])
    found = evaluate(*match_labels(clusters, truth))
    if given.get("json"):
        print(json.dumps(found.as_dict()))
        return 0
    for name, value in found.as_dict().items():
        print(
            f"{name.replace('_', ' '):18} {value:.4f}" if name != "images" else f"{name:18} {value}"
        )
    return 0

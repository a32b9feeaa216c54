"""The command ``clusterimg thresholds``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from icas.clusterimg.shared_flags import add_method_flags, add_no_cache, source, take_cache
from icas.common.flag_groups import COMPARED, INPUT, KEPT, OUTPUT, WORKERS
from icas.common.options import Typed, parse_size
from icas.common.parsers import About, LineParser
from icas.common.programs import Command
from icas.common.progress import Console

SOME_UNREADABLE = 3
TEXT = "Links, clusters and clustered images at every threshold at which something changes."
EXAMPLES = (
    ("clusterimg thresholds photos --method orb", ""),
    ("clusterimg thresholds photos --labels labels.csv --out curve.csv --plot curve.png", ""),
)


def _parser() -> LineParser:
    from icas.clusterimg.methods import METHODS

    parser = LineParser("clusterimg thresholds", About(TEXT, examples=EXAMPLES))
    parser.add_source()
    add = parser.add_value
    add(INPUT, "--labels", type=Path, metavar="CSV", help="true labels: file,label (default: none)")
    parser.add_switch(INPUT, "--recursive", help="sub-folders too")
    add(
        INPUT,
        "--sample",
        type=int,
        metavar="N",
        help="images compared; 0 = all (default: 1000 images)",
    )
    add(INPUT, "--seed", type=int, metavar="N", help="draws the sample (default: 0)")
    add(
        COMPARED,
        "--method",
        type=Typed(str, tuple(METHODS)),
        metavar="METHOD",
        help=f"one of {', '.join(METHODS)} (default: imagehash)",
    )
    add(
        COMPARED,
        "--size",
        type=Typed(parse_size),
        metavar="WxH",
        help="bring images to this size in pixels first (default: the method's)",
    )
    add(
        OUTPUT,
        "--out",
        type=Path,
        metavar="FILE",
        help="write the table there as CSV (default: print it)",
    )
    add(
        OUTPUT,
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw it as curves: a picture, .png (default: none)",
    )
    add(WORKERS, "--jobs", type=int, metavar="N", help="workers (default: all cores)")
    add(
        KEPT,
        "--cache",
        type=Path,
        metavar="DIR",
        help="folder of kept features (default: the user's cache folder)",
    )
    add_no_cache(parser)
    add_method_flags(parser, {"seed", "size"})
    return parser


def _thresholds(given: dict[str, Any]) -> int:
    given.pop("debug", None)
    take_cache(given)
    folder, quiet = source(given), given.pop("quiet", False)

    from icas.clusterimg.thresholds import write_curve

    console = Console(results=True, warnings=not quiet, bars=not quiet)
    return SOME_UNREADABLE if write_curve(folder, console, **given) else 0


THRESHOLDS = Command(_parser, _thresholds)

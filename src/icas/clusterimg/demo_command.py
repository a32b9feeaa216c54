"""The command ``clusterimg demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from icas.common.flag_groups import COMPARED, OUTPUT
from icas.common.options import Typed
from icas.common.parsers import About, LineParser
from icas.common.programs import Command
from icas.common.progress import Console

TEXT = "Make a mixed folder from scikit-image's sample pictures and sort it."


def _parser() -> LineParser:
    from icas.clusterimg.methods import METHODS

    parser = LineParser("clusterimg demo", About(TEXT, examples=(("clusterimg demo", ""),)))
    parser.add_value(
        OUTPUT,
        "--dst",
        type=Path,
        metavar="DIR",
        help="where (default: icas-demo, or the next free icas-demo-2, …)",
    )
    parser.add_value(
        COMPARED,
        "--method",
        type=Typed(str, tuple(METHODS)),
        metavar="METHOD",
        help=f"one of {', '.join(METHODS)} (default: orb)",
    )
    return parser


def _demo(given: dict[str, Any]) -> int:
    from icas.clusterimg.demo import free_folder, run_demo

    quiet = given.get("quiet", False)
    console = Console(results=True, warnings=not quiet, bars=not quiet)
    run_demo(given.get("dst") or free_folder(), given.get("method", "orb"), console)
    return 0


DEMO = Command(_parser, _demo)

"""The command ``clusterimg decide``."""

from __future__ import annotations

import json
from pathlib import Path

from icas.common.commands import LineParser
from icas.common.errors import UsageError
from icas.common.progress import Console

SOME_LEFT = 1
DESCRIPTION = """\
Decide something about images of a result. It is remembered by the contents of the files, and
later runs over the same pictures follow it, whatever their names and folders.

  clusterimg decide DST must-link A B      the two belong in one cluster
  clusterimg decide DST cannot-link A B    the two are never in one cluster
  clusterimg decide DST reject cluster_3   no two images of it are ever in one cluster
  clusterimg decide DST --learn            files that you moved between folders of DST/result
  clusterimg decide DST list               what is remembered
  clusterimg decide DST forget N [N …]     take it back; forget all

A and B: as clusters.csv names them, or places in the result (result/cluster_0/x.jpg)."""


def decide(words: list[str]) -> int:
    """``clusterimg decide``."""
    parser = LineParser("clusterimg decide", DESCRIPTION)
    parser.add_argument("dst", type=Path, metavar="DST", help="the result folder")
    parser.add_argument("what", nargs="*", metavar="WHAT", help="see above")
    parser.add_argument(
        "--learn", action="store_true", help="take files that were moved by hand (default: off)"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="where decisions are kept (default: the cache folder that the run had)",
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object (default: off)")
    given = vars(parser.parse_intermixed_args(words))
    what = [*given.get("what", []), *(["learn"] if given.get("learn") else [])]
    if not what or (given.get("learn") and len(what) > 1):
        raise UsageError(
            "decide needs one of must-link A B, cannot-link A B, reject CLUSTER, --learn, list,"
            " forget N (see clusterimg decide --help)"
        )

    from icas.clusterimg.decide import decide as decided

    as_json = given.get("json", False)
    report = decided(given["dst"], what[0], *what[1:], cache=given.get("cache"))
    console = Console(results=not as_json, warnings=True)
    if as_json:
        print(json.dumps(report.as_dict()))
    for line in report.lines():
        console.line(line)
    for place, reason in report.left:
        console.warn(f"left: {given['dst'] / place} {reason}")
    return SOME_LEFT if report.left else 0

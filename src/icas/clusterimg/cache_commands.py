"""The command ``clusterimg cache``: what is kept, and clearing it."""

from __future__ import annotations

import json
from pathlib import Path

from icas.common.commands import LineParser
from icas.common.errors import UsageError
from icas.common.progress import printable

ACTIONS = ("info", "clear")


def cache(words: list[str]) -> int:
    """``clusterimg cache info`` and ``clusterimg cache clear``."""
    parser = LineParser(
        "clusterimg cache",
        "Features that are kept between runs: what there is (info), or remove them (clear).",
    )
    parser.add_argument("action", choices=ACTIONS, help="info tells, clear removes")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="where (default: the user's cache folder)"
    )
    parser.add_argument(
        "--json", action="store_true", help="info as a JSON object on stdout (default: off)"
    )
    given = vars(parser.parse_args(words))

    from icas.clusterimg.cache_report import cache_info, clear_cache
    from icas.common.places import cache_folder

    folder = given["cache"] if "cache" in given else cache_folder()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--cache {folder}: a folder is needed")
    if given["action"] == "clear":
        print(printable(clear_cache(folder)))
        return 0
    info = cache_info(folder)
    if given.get("json"):
        print(json.dumps(info.as_dict()))
    else:
        print("\n".join(printable(line) for line in info.words()))
    return 0

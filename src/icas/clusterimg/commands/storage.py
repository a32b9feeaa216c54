"""Commands of ``clusterimg`` for what it stores for the user: cache, weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from icas.cli.console import printable
from icas.cli.parser import INPUT, CommandParser
from icas.cli.program import Command
from icas.clusterimg.commands import flags
from icas.common.errors import UsageError
from icas.common.registry import need
from icas.onnx.command import weights_command

TEXT = "Show the size of the feature cache, or clear it."


def _parser() -> CommandParser:
    parser = CommandParser("clusterimg cache", TEXT, examples=(("clusterimg cache info", ""),))
    help = "info: print its size; clear: remove its files"
    parser.add_value(INPUT, "action", choices=("info", "clear"), metavar="info|clear", help=help)
    flags.add_cache(parser)
    flags.add_json(parser, "info: print JSON")
    return parser


def _cache(given: dict[str, Any]) -> int:
    from icas.clusterimg.cache.database import cache_info, clear_cache, info_lines
    from icas.io.folders import cache_folder

    folder = given["cache"] if "cache" in given else cache_folder()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--cache {folder} is not a folder")
    if given["action"] == "clear":
        print(printable(clear_cache(folder)))
        return 0
    info = cache_info(folder)
    if given.get("json"):
        print(json.dumps(info))
    else:
        print("\n".join(printable(line) for line in info_lines(info)))
    return 0


CACHE = Command(_parser, _cache)


def _export(model: str | None, weights: Path | None, out: Path) -> Path:
    need("the export of a network", "deep", "torch", "torchvision", "onnx")
    from icas.clusterimg.networks.onnx_export import export_onnx

    return export_onnx(model, weights, out)


WEIGHTS = weights_command("clusterimg", _export)

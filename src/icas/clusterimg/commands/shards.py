"""The command ``clusterimg shards``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from icas.cli.options import add_flags, options_of
from icas.cli.parser import CommandParser, Rows, take_source
from icas.cli.program import Command
from icas.clusterimg.commands import flags

TEXT = (
    "Cluster more images than fit memory: features in Parquet files, or a folder of images. Writes"
    " tables; images are not transferred."
)
EXAMPLES: Rows = (
    ("clusterimg shards codes --threshold 0.9 --dst by-code --memory 4GB", ""),
    ("clusterimg shards photos --method imagehash --dst by-shards", "a folder of images"),
)
COMMON = (
    "--src",
    "--recursive",
    "--column",
    "--method",
    "--cells",
    "--threshold",
    "--dst",
    "--resume",
    "--shard-size",
    "--memory",
    "--jobs",
    "--executor",
    "--scheduler",
    "--quiet",
)


def _parser() -> CommandParser:
    from icas.clusterimg.settings import ClusterSettings
    from icas.clusterimg.shards.settings import SHARED, ShardSettings

    parser = CommandParser("clusterimg shards", TEXT, common=COMMON, examples=EXAMPLES)
    parser.add_source()
    others = set(options_of(ClusterSettings)) - set(SHARED)
    add_flags(parser, ClusterSettings, skip=others)
    add_flags(parser, ShardSettings)
    flags.add_no_cache(parser)
    flags.add_json(parser)
    flags.add_method_flags(parser, set(options_of(ClusterSettings)))
    return parser


def _shards(given: dict[str, Any]) -> int:
    flags.take_cache(given)
    console, as_json = flags.take_console(given)
    source = take_source(given, "clusterimg shards")

    from icas.clusterimg.api.functions import make_settings
    from icas.clusterimg.shards.run import cluster_in_shards
    from icas.clusterimg.shards.settings import ShardSettings

    own = {name: given.pop(name, None) for name in options_of(ShardSettings)}
    settings = ShardSettings(**own, cluster=make_settings(**given))
    report = cluster_in_shards(Path(source), settings, console)
    flags.print_report(report, as_json)
    return flags.SOME_UNREADABLE if report.unreadable else 0


SHARDS = Command(_parser, _shards, flags.discover_methods)

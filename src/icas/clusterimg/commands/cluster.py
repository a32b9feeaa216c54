"""``clusterimg`` itself: sort a folder."""

from __future__ import annotations

import json
from typing import Any

from icas.cli.console import say
from icas.cli.options import add_flags, options_of
from icas.cli.parser import SAID, About, LineParser, Rows
from icas.cli.program import EXIT_CODES, Command
from icas.clusterimg.commands.flags import (
    add_json,
    add_method_flags,
    add_no_cache,
    source,
    take_cache,
    take_console,
)

SOME_UNREADABLE = 3
TEXT = "Sort a folder of mixed images into folders of similar images."
EXAMPLES: Rows = (
    ("clusterimg --src photos --method orb", ""),
    ("clusterimg photos --threshold 0.85 --dst near-copies --transfer hardlink", ""),
    ("clusterimg photos --method ssim --stage batch --dst parts", ""),
    ("clusterimg parts --stage merge --dst sorted", "once the folders are edited by hand"),
    ("clusterimg photos --reference archive --dst known", "which of them are in the archive?"),
)


def cluster_parser() -> LineParser:
    """The parser of ``clusterimg`` itself."""
    from icas.clusterimg.commands.table import PROGRAM
    from icas.clusterimg.settings import ClusterSettings

    about = About(TEXT, {}, EXAMPLES, PROGRAM.help_rows, EXIT_CODES)
    parser = LineParser("clusterimg", about)
    parser.add_source()
    add_flags(parser, ClusterSettings)
    add_no_cache(parser)
    parser.add_switch(SAID, "-v", "--verbose", help="name every file of the plan")
    add_json(parser)
    add_method_flags(parser, set(options_of(ClusterSettings)))
    return parser


def cluster(given: dict[str, Any]) -> int:
    """Sort the folder that is given."""
    given.pop("debug", None)
    take_cache(given)
    quiet = given.get("quiet", False)
    console, as_json = take_console(given)
    folder = source(given)

    from icas.clusterimg.api.functions import make_settings, run_or_resume

    if "threshold" not in given and not quiet and not as_json and _may_ask(given):
        given["threshold"] = "pick"
    report = run_or_resume(folder, make_settings(**given), console)
    say(json.dumps(report.as_dict()) if as_json else report.summary())
    return SOME_UNREADABLE if report.unreadable else 0


def _may_ask(given: dict[str, Any]) -> bool:
    """Whether a person is there to pick a threshold, for a run that looks for one."""
    from icas.clusterimg.picker.pick import should_pick

    return given.get("stage") != "merge" and not given.get("resume") and should_pick()


CLUSTER = Command(cluster_parser, cluster)

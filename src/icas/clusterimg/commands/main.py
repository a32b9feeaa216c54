"""The command ``clusterimg``: words on the command line -> one call."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from icas.cli.parser import LineParser
from icas.clusterimg.commands.cluster import cluster_parser as cluster_parser
from icas.clusterimg.commands.table import PROGRAM


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``clusterimg`` with `argv`; the exit code comes back."""
    words = list(sys.argv[1:] if argv is None else argv)
    level = logging.DEBUG if "--debug" in words else logging.NOTSET
    logging.getLogger("icas").setLevel(level)
    if any(word.startswith(("--method", "-h", "--help")) or word == "help" for word in words):
        from icas.clusterimg.methods import METHODS  # heavy, and loaded for these anyway

        METHODS.discover_for(words, "method")
    return PROGRAM.main(words)


def parsers() -> dict[str, LineParser]:
    """The parsers of ``clusterimg`` and of all its commands, by what is typed."""
    return PROGRAM.parsers()

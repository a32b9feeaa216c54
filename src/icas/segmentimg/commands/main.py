"""The command ``segmentimg``: words on the command line -> one call."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from icas.cli.parser import LineParser
from icas.segmentimg.commands.segment import segment_parser as segment_parser
from icas.segmentimg.commands.table import PROGRAM


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``segmentimg`` with `argv`; the exit code comes back."""
    words = list(sys.argv[1:] if argv is None else argv)
    if any(word.startswith(("--method", "-h", "--help")) or word == "help" for word in words):
        from icas.segmentimg.segmenters import SEGMENTERS  # heavy, and loaded for these anyway

        SEGMENTERS.discover_for(words, "method")
    return PROGRAM.main(words)


def parsers() -> dict[str, LineParser]:
    """The parsers of ``segmentimg`` and of all its commands, by what is typed."""
    return PROGRAM.parsers()

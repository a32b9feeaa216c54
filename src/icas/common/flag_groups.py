"""Titles under which flags stand: in ``--help``, on the man pages and in the reference."""

from __future__ import annotations

INPUT = "what goes in"
COMPARED = "how images are compared"
CLUSTERS = "threshold and clusters"
CUT = "how pictures are cut"
PAINT = "painting and templates"
NETWORK = "the network"
TRAINING = "the training"
OUTPUT = "what comes out"
WORKERS = "workers and memory"
KEPT = "what is kept between runs"
SAFETY = "files from strangers"
SAID = "what the command says"

ORDER = (
    INPUT,
    COMPARED,
    CLUSTERS,
    CUT,
    PAINT,
    NETWORK,
    TRAINING,
    OUTPUT,
    WORKERS,
    KEPT,
    SAFETY,
    SAID,
)
"""The order in which they stand; other titles (a method each) come after them."""

LAST = ("--debug", "--version", "--help")
"""Flags that stand last in their group: every command has them."""


def place_of(title: str) -> int:
    """Where a group called `title` stands."""
    return ORDER.index(title) if title in ORDER else len(ORDER)

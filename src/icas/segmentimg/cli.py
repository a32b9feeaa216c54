"""The command ``segmentimg``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from icas._version import __version__
from icas.common.commands import guarded
from icas.common.errors import UsageError
from icas.common.registry import Entry

SEGMENTERS: dict[str, Entry] = {}
"""The methods that are there; each release adds some."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``segmentimg`` with `argv`; the exit code comes back."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded("segmentimg", lambda: _run(words), debug="--debug" in words)


def _run(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "segmentimg",
        description=f"Cut images into segments to be painted. Methods that are there: {_there()}.",
    )
    parser.add_argument("--version", action="version", version=f"icas {__version__}")
    parser.parse_known_args(words)
    raise UsageError(
        f"segmentimg cannot cut images yet; methods that are there in icas {__version__}:"
        f" {_there()}. clusterimg, which sorts folders, is there"
    )


def _there() -> str:
    return ", ".join(SEGMENTERS) or "none"

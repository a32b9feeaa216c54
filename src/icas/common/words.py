"""Numbers in sentences."""

from __future__ import annotations


def plural(what: str, number: int) -> str:
    """`what` as it is said of one thing, or with the s of several."""
    return what if number == 1 else f"{what}s"

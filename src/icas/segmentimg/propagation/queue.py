"""The order in which carried masks are reviewed, and which are accepted without review."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T", int, str)

ACCEPT = 0.95
"""Default confidence from which carried masks are accepted."""


def review_order(confidence: Mapping[T, float]) -> list[T]:
    """Images by confidence, least sure first; equal ones in their order."""
    return sorted(confidence, key=lambda image: (round(confidence[image], 6), image))


def accepted(confidence: float, level: float = ACCEPT) -> bool:
    """Whether masks of this confidence need no review at an acceptance level."""
    return confidence >= level

"""What methods ask of the features that they are given."""

from __future__ import annotations

from icas.clusterimg.features import FeatureSet
from icas.common.errors import UsageError


def require_alike(a: FeatureSet, b: FeatureSet) -> None:
    """Make sure that features of `a` and `b` can be compared: every image's is of the same shape.

    Raises
    ------
    UsageError
        They were made with different options; the message names both shapes.
    """
    ours, theirs = a.array.shape[1:], b.array.shape[1:]
    if ours != theirs:
        raise UsageError(
            f"{a.method} features of shape {ours} cannot be compared with those of shape {theirs}: "
            "make both with the same options"
        )

"""The forest of similar images along which masks are chained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from icas.segmentimg.propagation.features import ImageFeatures
from icas.segmentimg.propagation.sources import similarities


def forest_parents(
    features: Mapping[int, ImageFeatures], sources: Sequence[int], targets: Sequence[int]
) -> dict[int, int]:
    """The image before each target in a forest of similar images, if that is a target too.

    The forest grows from the sources: always the most similar pair of an image inside and one
    outside comes next; of equal ones, the earlier images.
    """
    members = [*sources, *targets]
    matrix = similarities([features[i] for i in members])
    count = len(sources)
    best = {j: max((matrix[j, i], -i) for i in range(count)) for j in range(count, len(members))}
    parents: dict[int, int] = {}
    while best:
        j = max(best, key=lambda one: (best[one][0], -one))
        parent = -best.pop(j)[1]
        if parent >= count:
            parents[members[j]] = members[parent]
        for other in best:
            best[other] = max(best[other], (matrix[other, j], -j))
    return parents

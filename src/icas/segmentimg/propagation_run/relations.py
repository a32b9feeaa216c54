"""Which painted images masks come from, and the forest along which they are chained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from icas.segmentimg.propagation.carry import Painted
from icas.segmentimg.propagation.features import ImageFeatures
from icas.segmentimg.propagation.sources import similarities, similarity

FAR = 0.5
"""Share of the similarity of the nearest painted image below which others are of another scene."""


def sources_of(features: ImageFeatures, painted: Sequence[Painted]) -> list[int]:
    """Indices of the painted images of the sub-cluster that an image belongs to.

    It has the painted images that share a class with the most similar one, and those of other
    classes that are not far from the image. So classes of other scenes in a cluster are not
    searched in the image.
    """
    scores = [similarity(features, one.features) for one in painted]
    nearest = max(range(len(painted)), key=lambda i: (round(scores[i], 9), -i))
    classes = painted[nearest].classes()
    return [
        i
        for i, one in enumerate(painted)
        if one.classes() & classes or scores[i] >= FAR * scores[nearest]
    ]


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

"""Constraints that express how a person changed the clusters of a result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.decisions.store import APART, TOGETHER, Constraint
from icas.clusterimg.editing.manual_moves import distinct
from icas.clusterimg.editing.result_images import ResultImages
from icas.clusterimg.graph.forest import Labels

Group = NDArray[np.int64]


def changed_groups(start: Labels, end: Labels) -> Iterator[tuple[str, list[Group]]]:
    """Kind and sides of each constraint: changed clusters together, parts of earlier ones apart.

    `start` and `end` are the clusters before and after; an outlier is a part of its own.
    """
    groups = [np.flatnonzero(end == number) for number in range(int(end.max(initial=-1)) + 1)]
    earlier = [np.flatnonzero(start == one) for one in sorted({*start.tolist()} - {-1})]
    same = {members.tobytes() for members in earlier}
    for group in groups:
        if group.tobytes() not in same:
            yield TOGETHER, [group]
    for members in earlier:
        parts = [members[end[members] == label] for label in np.unique(end[members])]
        sides = [
            side
            for part in parts
            for side in ([part] if end[part[0]] >= 0 else list(part.reshape(-1, 1)))
        ]
        if len(sides) > 1:
            yield APART, sides


def constraints_of_change(
    images: ResultImages, files: Sequence[str], start: Labels, end: Labels, command: str
) -> list[Constraint]:
    """The constraints of `changed_groups`; `command` names in messages what set them."""
    constraints = []
    for kind, sides in changed_groups(start, end):
        contents = tuple(
            tuple(images.content(files[image]) for image in side.tolist()) for side in sides
        )
        names = " ".join(side[0].name for side in contents[:3])
        constraint = distinct(Constraint(kind, contents, f"{command} {names}"))
        if len(constraint.images) > 1 and (kind == TOGETHER or len(constraint.sides) > 1):
            constraints.append(constraint)
    return constraints

"""A simulated user who clicks at the centre of the largest error, in three ways to cut out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from cutout_strokes import Case, Mask, iou
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from skimage.measure import label

import icas
from icas.segmentimg.grabcut.annotation import Annotation, Point, point_strokes
from icas.segmentimg.grabcut.api import GrabCutSession
from icas.segmentimg.labels.growth import Growth
from icas.segmentimg.labels.merge_tree import segment_graph, tree_of

Click = Callable[[int, int, bool], Mask]
"""Row, column, whether it is the object's -> the mask afterwards."""


def clicks_needed(case: Case, click: Click, goals: Sequence[float], cap: int) -> list[int]:
    """Clicks until each IoU is reached; ``cap + 1`` where it is not within the cap."""
    needed = [cap + 1] * len(goals)
    mask = np.zeros(case.object.shape, bool)
    for count in range(1, cap + 1):
        place = largest_error(case, mask)
        if place is None:
            break
        row, column = place
        mask = click(row, column, bool(case.object[row, column]))
        reached = iou(case, mask)
        for k, goal in enumerate(goals):
            if reached >= goal:
                needed[k] = min(needed[k], count)
        if max(needed) <= cap:
            break
    return needed


def largest_error(case: Case, mask: Mask) -> tuple[int, int] | None:
    """The innermost pixel of the largest region that is wrong in one way; None: nothing is."""
    wrong = case.counted & (mask != case.object)
    if not wrong.any():
        return None
    regions = label(np.where(wrong, 1 + case.object.astype(int), 0), background=0, connectivity=1)
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    region = np.pad(regions == sizes.argmax(), 1)
    inner = distance_transform_edt(region)[1:-1, 1:-1]
    row, column = np.unravel_index(inner.argmax(), inner.shape)
    return int(row), int(column)


def grabcut_clicks(case: Case) -> Click:
    """Each click is a small disc; one round after each."""
    cutout, points = GrabCutSession(case.image), list[Point]()

    def click(row: int, column: int, front: bool) -> Mask:
        points.append((column, row, int(front)))
        return cutout.round(Annotation((), point_strokes(points, case.object.shape)))

    return click


def tree_clicks(case: Case) -> Click:
    """Each click paints that group around the segment, of all steps, which is best."""
    labels = icas.segment(case.image)
    graph = segment_graph(case.image, labels)
    growth = Growth(tree_of(graph, labels), graph)

    def groups(segment: int) -> list[NDArray[np.int32]]:
        return [growth.group(segment, level) for level in growth.steps(segment).tolist()]

    return _painting(case, labels, groups)


def segment_clicks(case: Case) -> Click:
    """Each click paints one segment."""
    labels = icas.segment(case.image)
    return _painting(case, labels, lambda segment: [np.array([segment], np.int32)])


def _painting(
    case: Case,
    labels: NDArray[np.int32],
    groups: Callable[[int], list[NDArray[np.int32]]],
) -> Click:
    count = int(labels.max()) + 1
    true = np.bincount(labels.ravel(), (case.object & case.counted).ravel(), count)
    other = np.bincount(labels.ravel(), (~case.object & case.counted).ravel(), count)
    painted = np.zeros(count, bool)

    def value(chosen: NDArray[np.int32], front: bool) -> float:
        after = painted.copy()
        after[chosen] = front
        return float(true[after].sum() / (true.sum() + other[after].sum()))

    def click(row: int, column: int, front: bool) -> Mask:
        best = max(groups(int(labels[row, column])), key=lambda chosen: value(chosen, front))
        painted[best] = front
        return np.asarray(painted[labels], bool)

    return click


WAYS: dict[str, Callable[[Case], Click]] = {
    "GrabCut, a disc a click": grabcut_clicks,
    "merge tree, the best level a click": tree_clicks,
    "one superpixel a click": segment_clicks,
}

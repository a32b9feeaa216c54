"""The debug window: what a picture was cut into and how it hangs together, side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icas.common.images import Image, resize
from icas.segmentimg.label_map import mottled
from icas.segmentimg.labels import Labels, count_of
from icas.segmentimg.opening import Work
from icas.segmentimg.pictures import cell_size, contact_sheet, overlay
from icas.segmentimg.segment import enlarged
from icas.segmentimg.tree import labels_at
from icas.segmentimg.windows.viewport import Shape

FEW = 30


def debug_picture(work: Work, most: Shape) -> Image:
    """(h, w, 3): picture, segments, segments before cuts, few segments, classes, edges.

    Neither side is above those of `most`, (height, width).
    """
    document = work.document
    size = cell_size(document.image)
    small = resize(document.image, size)
    now, first = enlarged(document.labels, size), enlarged(document.first, size)
    few = enlarged(labels_at(work.tree, FEW), size)
    classes = enlarged(document.class_map().astype(np.int32), size)
    colors = np.array([(60, 60, 60), *document.colors], np.uint8)
    cells = [
        (work.picture.path.name, small),
        (f"{count_of(document.labels)} segments now", overlay(small, now)),
        (f"{count_of(document.first)} before cuts", mottled(first)),
        (f"{FEW} by the merge tree", mottled(few)),
        ("painted", np.asarray(colors[classes], np.uint8)),
        ("edges", _edges(now)),
    ]
    sheet = contact_sheet(cells, columns=3)
    share = min(1.0, most[0] / sheet.shape[0], most[1] / sheet.shape[1])
    return resize(sheet, (round(share * sheet.shape[1]), round(share * sheet.shape[0])))


def _edges(labels: Labels) -> Image:
    edge: NDArray[np.uint8] = np.where(labels == 0, 255, 0).astype(np.uint8)
    return np.repeat(edge[..., None], 3, axis=2)

"""What the painting window shows while a picture is being cut, or when it cannot be opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError
from icas.io.reading import Image, resize, thumbnail
from icas.notebook.images import mottled
from icas.segmentimg.labels.labels import Labels, count_of
from icas.segmentimg.labels.merge_tree import labels_at
from icas.segmentimg.labels.overlay import cell_size, contact_sheet, overlay
from icas.segmentimg.render.viewport import Shape, Viewport
from icas.segmentimg.segmenters.segment import enlarged
from icas.segmentimg.session.open import Work
from icas.segmentimg.windows.text import ACCENT, WORDS, blank, wrapped, write

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


LEAST = (240, 420)
LETTERS = 17


def waiting_picture(path: Path, error: str, most: Shape) -> Image:
    """(h, w, 3): a dimmed picture with words on it."""
    dim = _dimmed(path, most)
    height, width = max(dim.shape[0], LEAST[0]), max(dim.shape[1], LEAST[1])
    picture = blank((width, height))
    picture[: dim.shape[0], : dim.shape[1]] = dim
    told = f"cannot be opened: {error}" if error else "is being cut into segments …"
    y = height // 2 - 2 * LETTERS
    for color, text in ((ACCENT, path.name), (WORDS, told), (WORDS, "n next, p previous, q quit")):
        for line in wrapped(text, width - 40, LETTERS):
            write(picture, (20, y), line, LETTERS, color)
            y += LETTERS + 8
    return picture


def _dimmed(path: Path, most: Shape) -> Image:
    """The picture as the window will show it, dark; an empty one where it cannot be read."""
    try:
        small = thumbnail(path, max(most))
    except IcasError:
        return blank((LEAST[1], LEAST[0]))
    size = Viewport.whole((small.shape[0], small.shape[1]), most).size
    import cv2

    shown = cv2.resize(small, size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(shown // 3, np.uint8)

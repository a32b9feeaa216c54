"""The debug window, and the painting window while an image is not open."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from icas.common.errors import IcasError
from icas.io.reading import Image, resize, thumbnail
from icas.notebook.images import mottled
from icas.segmentimg.labels.labels import count_of
from icas.segmentimg.labels.merge_tree import labels_at
from icas.segmentimg.labels.overlay import cell_size, contact_sheet, overlay
from icas.segmentimg.render.viewport import Shape, Viewport
from icas.segmentimg.segmenters.segment import enlarged
from icas.segmentimg.session.open import OpenImage
from icas.segmentimg.windows.text import ACCENT, FOREGROUND, blank, wrapped, write

FEW_SEGMENTS = 30
MIN_SIZE = (240, 420)
FONT_SIZE = 17


def debug_image(opened: OpenImage, max_size: Shape) -> Image:
    """(h, w, 3): image, segments, segments before cuts, few segments, classes, edges."""
    document = opened.document
    size = cell_size(document.image)
    small = resize(document.image, size)
    now, first = enlarged(document.labels, size), enlarged(document.first, size)
    few = enlarged(labels_at(opened.tree, FEW_SEGMENTS), size)
    classes = enlarged(document.class_map().astype(np.int32), size)
    colors = np.array([(60, 60, 60), *document.colors], np.uint8)
    cells = [
        (opened.picture.path.name, small),
        (f"{count_of(document.labels)} segments now", overlay(small, now)),
        (f"{count_of(document.first)} before cuts", mottled(first)),
        (f"{FEW_SEGMENTS} by the merge tree", mottled(few)),
        ("painted", np.asarray(colors[classes], np.uint8)),
        ("edges", np.repeat(np.where(now == 0, 255, 0).astype(np.uint8)[..., None], 3, axis=2)),
    ]
    sheet = contact_sheet(cells, columns=3)
    share = min(1.0, max_size[0] / sheet.shape[0], max_size[1] / sheet.shape[1])
    return resize(sheet, (round(share * sheet.shape[1]), round(share * sheet.shape[0])))


def waiting_image(path: Path, error: str, max_size: Shape) -> Image:
    """(h, w, 3): the image, darkened, with a message that it is not open."""
    dark = _darkened(path, max_size)
    height, width = max(dark.shape[0], MIN_SIZE[0]), max(dark.shape[1], MIN_SIZE[1])
    image = blank(width, height)
    image[: dark.shape[0], : dark.shape[1]] = dark
    status = f"cannot be opened: {error}" if error else "is being cut into segments …"
    keys = "n next, p previous, q quit"
    y = height // 2 - 2 * FONT_SIZE
    for color, text in ((ACCENT, path.name), (FOREGROUND, status), (FOREGROUND, keys)):
        for line in wrapped(text, width - 40, FONT_SIZE):
            write(image, (20, y), line, FONT_SIZE, color)
            y += FONT_SIZE + 8
    return image


def _darkened(path: Path, max_size: Shape) -> Image:
    """The image as large as it will be; an empty panel if it cannot be read."""
    try:
        small = thumbnail(path, max(max_size))
    except IcasError:
        return blank(MIN_SIZE[1], MIN_SIZE[0])
    import cv2

    size = Viewport.whole((small.shape[0], small.shape[1]), max_size).size
    shown = cv2.resize(small, size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(shown // 3, np.uint8)

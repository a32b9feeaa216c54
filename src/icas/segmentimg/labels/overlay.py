"""Images of segments: contours on the image, and contact sheets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.labels.labels import Labels, last_pixels

LINE = (255, 214, 0)
SHADE = (20, 20, 20)
WIDTH, MARGIN, CAPTION = 420, 12, 34


def overlay(image: Image, labels: Labels) -> Image:
    """The image with the contours of its segments and edge pixels (0).

    A bright line beside a dark one, so that one of the two is visible on any background.
    """
    import cv2

    line = contour(labels)
    shade = cv2.dilate(line.astype(np.uint8), np.ones((2, 2), np.uint8)).astype(bool) & ~line
    painted = image.copy()
    painted[shade] = (0.45 * painted[shade] + 0.55 * np.array(SHADE)).astype(np.uint8)
    painted[line] = LINE
    return painted


def contour(labels: Labels) -> NDArray[np.bool_]:
    """(h, w) bool: last pixels of segments before the next one, and edge pixels."""
    return np.asarray(last_pixels(labels) | (labels == 0))


def cell_size(image: Image) -> tuple[int, int]:
    """Width and height of an image in a contact sheet."""
    return WIDTH, max(1, round(WIDTH * image.shape[0] / image.shape[1]))


def contact_sheet(cells: Sequence[tuple[str, Image]], columns: int) -> Image:
    """Images of one size with captions, in a grid on white."""
    from PIL import Image as Pictures, ImageDraw, ImageFont

    height, width = cells[0][1].shape[:2]
    rows = -(-len(cells) // columns)
    size = (columns * (width + MARGIN) + MARGIN, rows * (height + CAPTION + MARGIN) + MARGIN)
    sheet = Pictures.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for number, (caption, picture) in enumerate(cells):
        left = MARGIN + number % columns * (width + MARGIN)
        top = MARGIN + number // columns * (height + CAPTION + MARGIN)
        sheet.paste(Pictures.fromarray(picture), (left, top))
        draw.text((left, top + height + 6), caption, fill=(30, 30, 30), font=font)
    return np.array(sheet)

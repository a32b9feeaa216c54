"""Label maps that notebooks show as images, and overlays of segments on an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

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


def contact_sheet(
    cells: Sequence[tuple[str, Image]],
    columns: int,
    background: tuple[int, int, int] = (255, 255, 255),
    text: tuple[int, int, int] = (30, 30, 30),
) -> Image:
    """Images of one size with captions, in a grid."""
    from PIL import Image as Pictures, ImageDraw, ImageFont

    height, width = cells[0][1].shape[:2]
    rows = -(-len(cells) // columns)
    size = (columns * (width + MARGIN) + MARGIN, rows * (height + CAPTION + MARGIN) + MARGIN)
    sheet = Pictures.new("RGB", size, background)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for number, (caption, picture) in enumerate(cells):
        left = MARGIN + number % columns * (width + MARGIN)
        top = MARGIN + number // columns * (height + CAPTION + MARGIN)
        sheet.paste(Pictures.fromarray(picture), (left, top))
        draw.text((left, top + height + 6), caption, fill=text, font=font)
    return np.array(sheet)


SHOWN = 720
"""Longest side in pixels of the image in a notebook."""


class LabelMap(np.ndarray[Any, np.dtype[Any]]):
    """Labels of pixels: an array that notebooks show as an image.

    Results of computations are plain arrays; views and copies (``labels[10:90]``,
    ``labels.T``) are label maps, too. It is pickled and saved as a plain array.
    """

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **settings: Any) -> Any:
        out = settings.get("out")
        if out is not None:
            settings["out"] = tuple(map(plain, out))
        result = getattr(ufunc, method)(*map(plain, inputs), **settings)
        # `labels += 1` has to give what it changed, not another view of it
        return out[0] if out is not None and len(out) == 1 and out[0] is not None else result

    def __array_function__(self, func: Any, types: Any, args: Any, settings: Any) -> Any:
        result = super().__array_function__(func, types, args, settings)
        if type(result) in (tuple, list):
            return type(result)(map(plain, result))
        return plain(result)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return plain(self).__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return repr(plain(self))

    def _repr_png_(self) -> bytes | None:
        """PNG, at most `SHOWN` pixels long; None for an array that is no label map."""
        if self.ndim != 2 or self.size == 0 or self.dtype.kind not in "iu":
            return None
        from icas.notebook.html import as_png, fitted, mottled

        return as_png(mottled(fitted(plain(self), (SHOWN, SHOWN))))


def plain(value: Any) -> Any:
    """A label map as a plain array that shares its memory; any other value unchanged."""
    return value.view(np.ndarray) if isinstance(value, LabelMap) else value


def label_map(labels: Labels) -> Labels:
    """The labels as a `LabelMap` that shares their memory."""
    return labels.view(LabelMap)

"""A picture at several sizes, seen through a viewport."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.document.document import PaintDocument, segments_mask
from icas.segmentimg.labels.boxes import Box, rows_of, union
from icas.segmentimg.labels.labels import Labels
from icas.segmentimg.render.viewport import Viewport


class Pyramid:
    """A picture at its own size, at half of it, a quarter …: zooming out stays smooth and fast."""

    def __init__(self, image: Image) -> None:
        self._levels = [image]

    def seen(self, viewport: Viewport) -> Image:
        """(h, w, 3): the picture through a viewport; enlarged pixels stay sharp squares."""
        import cv2

        height, width = viewport.size
        if viewport.scale >= 1:
            rows, columns = viewport.rows(0, height), viewport.columns(0, width)
            return np.ascontiguousarray(self._levels[0][rows][:, columns])
        level = self._level(int(np.floor(-np.log2(viewport.scale))))
        down = level.shape[0] / viewport.shape[0]
        right = level.shape[1] / viewport.shape[1]
        # the window's pixel -> the level's, from middle to middle
        to_level = np.array(
            [
                [right / viewport.scale, 0, right * (viewport.left + 0.5 / viewport.scale) - 0.5],
                [0, down / viewport.scale, down * (viewport.top + 0.5 / viewport.scale) - 0.5],
            ]
        )
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        shown = cv2.warpAffine(
            level, to_level, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(shown, np.uint8)

    def _level(self, number: int) -> Image:
        import cv2

        while len(self._levels) <= number:
            last = self._levels[-1]
            size = (max(1, last.shape[1] // 2), max(1, last.shape[0] // 2))
            half = cv2.resize(last, size, interpolation=cv2.INTER_AREA)
            self._levels.append(np.asarray(half, np.uint8))
        return self._levels[number]


BORDER = np.array((255, 214, 0), np.float32)
BORDER_SHARE = 0.55
LIGHT = np.array((255, 255, 255), np.float32)
LIGHT_SHARE = 0.38
NOTHING = np.empty(0, np.int32)


@dataclass(frozen=True)
class Look:
    """How the canvas is drawn: share of the paint over the picture, and whether borders show."""

    opacity: float = 0.5
    borders: bool = True


class Canvas:
    """What a window shows of a document, kept up to date rectangle by rectangle.

    Attributes
    ----------
    picture : (h, w, 3) uint8 ndarray
        RGB, as large as the window.
    """

    def __init__(self, document: PaintDocument, viewport: Viewport, look: Look) -> None:
        self._document = document
        self._pyramid = Pyramid(document.image)
        self.lit: NDArray[np.int32] = NOTHING
        self.show(viewport, look)

    def show(self, viewport: Viewport, look: Look) -> None:
        """Draw all anew, through another viewport or in another look."""
        self.viewport, self.look = viewport, look
        self._base = self._pyramid.seen(viewport)
        height, width = viewport.size
        self._labels = self._sampled(self._document.labels, (0, height, 0, width))
        self._cuts = self._document.cuts
        self.picture = np.empty_like(self._base)
        self._draw((0, height, 0, width))

    def refresh(self, box: Box) -> None:
        """Draw a rectangle of the document anew, after a command."""
        inside = self.viewport.box_in_window(box)
        if self._cuts != self._document.cuts:
            self._labels[rows_of(inside)] = self._sampled(self._document.labels, inside)
            self._cuts = self._document.cuts
        self._draw(inside)

    def light(self, segments: NDArray[np.int32]) -> bool:
        """Light some segments and no others; whether anything changed."""
        if np.array_equal(segments, self.lit):
            return False
        touched = [self._document.box_of(int(one)) for one in (*self.lit, *segments)]
        self.lit = segments
        self._draw(self.viewport.box_in_window(union(touched)))
        return True

    def _sampled(self, whole: NDArray[np.int32], box: Box) -> Labels:
        rows = self.viewport.rows(box[0], box[1])
        columns = self.viewport.columns(box[2], box[3])
        # whole rows first: they are copied at the speed of memory
        return whole[rows][:, columns]

    def _classes(self, box: Box, labels: Labels) -> NDArray[np.int16]:
        if not self._document.by_hand:
            return self._document.classes[labels]
        rows = self.viewport.rows(box[0], box[1])
        columns = self.viewport.columns(box[2], box[3])
        return self._document.classes_of(np.ix_(rows, columns))

    def _draw(self, box: Box) -> None:
        import cv2

        if box[0] >= box[1] or box[2] >= box[3]:
            return
        labels = self._labels[rows_of(box)]
        drawn = self._base[rows_of(box)].copy()
        classes = self._classes(box, labels)
        painted = classes > 0
        if self.look.opacity and painted.any():
            colors = np.array([(0, 0, 0), *self._document.colors], np.uint8)[classes]
            mixed = cv2.addWeighted(drawn, 1 - self.look.opacity, colors, self.look.opacity, 0)
            cv2.copyTo(mixed, painted.astype(np.uint8), drawn)
        if self.look.borders:
            _mix(drawn, self._borders(box), BORDER, BORDER_SHARE)
        if len(self.lit):
            lit, rim = self._lit(box)
            _mix(drawn, lit, LIGHT, LIGHT_SHARE)
            _mix(drawn, rim, LIGHT, 1.0)
        self.picture[rows_of(box)] = drawn

    def _lit(self, box: Box) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Pixels of the lit segments, and those of them with another one beside them."""
        top, left = max(0, box[0] - 1), max(0, box[2] - 1)
        # a pixel around: what lies beside the rectangle tells where the rim is
        lit = segments_mask(self._labels[top : box[1] + 1, left : box[3] + 1], self.lit)
        inside = rows_of((box[0] - top, box[1] - top, box[2] - left, box[3] - left))
        return lit[inside], (lit & _rim(lit))[inside]

    def _borders(self, box: Box) -> NDArray[np.bool_]:
        """The last pixel of a segment in the window before the next one, and edges."""
        below = self._labels[box[0] : box[1] + 1, box[2] : box[3] + 1]
        labels = self._labels[rows_of(box)]
        height, width = labels.shape
        found: NDArray[np.bool_] = labels == 0
        rows, columns = below.shape[0] - 1, below.shape[1] - 1
        found[:rows] |= below[:-1, :width] != below[1:, :width]
        found[:, :columns] |= below[:height, :-1] != below[:height, 1:]
        return found


def _mix(picture: Image, mask: NDArray[np.bool_], color: NDArray[np.float32], share: float) -> None:
    """Lay a colour over the pixels of a mask."""
    picture[mask] = picture[mask] * np.float32(1 - share) + color * np.float32(share)


def _rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels with one beside them that is not in the mask."""
    import cv2

    return np.asarray(cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)

"""Viewports, and drawing a document in one: image, paint, borders, highlighted segments."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.document.document import PaintDocument, segments_mask
from icas.segmentimg.document.objects import classes_in, numbers_in
from icas.segmentimg.document.palette import Color
from icas.segmentimg.labels.labels import Box, Labels, rows_of, union
from icas.segmentimg.render.contrast import LUMA, LineColors, is_bright, paint_opacity

Shape = tuple[int, int]
"""Height and width in pixels."""

LARGEST_PIXEL = 40.0
"""Maximum scale: window pixels per image pixel."""
MOST_OF_WINDOW = 0.8
MANY_PIXELS = 4.0
"""Scale from which enlarged pixels are shown as squares."""
MARGIN_COLOR = (24, 25, 27)
"""Around an image that does not fill its window."""


@dataclass(frozen=True)
class Viewport:
    """A window that shows an image, or a part of it.

    `shape` is that of the image, `size` the height and width of the window, `scale` the window
    pixels per image pixel; `top` and `left` are the image coordinates of the window's upper left
    corner, negative where there is a margin.
    """

    shape: Shape
    size: Shape
    scale: float
    top: float = 0.0
    left: float = 0.0
    smallest: float | None = None
    """Minimum scale; None to zoom out until the image fits or has its own size."""

    @classmethod
    def whole(cls, shape: Shape, most: Shape) -> Viewport:
        """The whole image without margins: at its own size if it fits, else smaller."""
        scale = min(1.0, most[0] / shape[0], most[1] / shape[1])
        height, width = (
            min(room, max(1, math.ceil(side * scale - 0.5)))
            for side, room in zip(shape, most, strict=True)
        )
        return cls(shape, (height, width), scale)

    @classmethod
    def fitted(cls, shape: Shape, size: Shape, smooth: bool | None = None) -> Viewport:
        """The whole image, as large as the window allows, in its middle.

        Images that are smaller than the window are enlarged to fill it if `smooth`, and by a whole
        factor if not; by default by a whole factor where that uses nearly all of the window.
        """
        scale = min(size[0] / shape[0], size[1] / shape[1], LARGEST_PIXEL)
        whole = float(int(scale))
        if scale > 1 and not (smooth or (smooth is None and whole < MOST_OF_WINDOW * scale)):
            scale = whole
        top, left = ((side - room / scale) / 2 for side, room in zip(shape, size, strict=True))
        return cls(shape, size, scale, top, left, scale)

    def is_interpolated(self, smooth: bool | None) -> bool:
        """Whether enlarged pixels are interpolated; by default where they are few, and uneven."""
        uneven = self.scale < MANY_PIXELS and self.scale != int(self.scale)
        return self.scale > 1 and (uneven if smooth is None else smooth)

    @property
    def least(self) -> float:
        """Minimum scale."""
        return self.smallest or min(1.0, self.size[0] / self.shape[0], self.size[1] / self.shape[1])

    @property
    def inside(self) -> Box:
        """The part of the window that shows the image."""
        top, bottom = self._span(self.top, self.shape[0], self.size[0])
        left, right = self._span(self.left, self.shape[1], self.size[1])
        return top, bottom, left, right

    def _span(self, first: float, side: int, room: int) -> tuple[int, int]:
        start, end = self._ends(first, side)
        return min(max(0, start), room - 1), max(1, min(room, end))

    def to_picture(self, x: int, y: int) -> tuple[int, int]:
        """Row and column of the image pixel at a window pixel; beyond the image in a margin."""
        return (
            self._index(y, self.top, self.shape[0]),
            self._index(x, self.left, self.shape[1]),
        )

    def _index(self, place: int, first: float, side: int) -> int:
        """Row or column at a place, without rounding errors at the borders of the image."""
        index = math.floor(first + (place + 0.5) / self.scale)
        start, end = self._ends(first, side)
        if place < start:
            return min(index, -1)
        return max(index, side) if place >= end else min(max(index, 0), side - 1)

    def _ends(self, first: float, side: int) -> tuple[int, int]:
        """Places where the image begins and ends, maybe outside the window."""
        start = math.ceil(-first * self.scale - 0.5)
        return start, max(start + 1, math.ceil((side - first) * self.scale - 0.5))

    def to_window(self, row: int, col: int) -> tuple[int, int]:
        """Window coordinates (x, y) of the center of an image pixel; maybe outside."""
        return (
            math.ceil((col + 0.5 - self.left) * self.scale) - 1,
            math.ceil((row + 0.5 - self.top) * self.scale) - 1,
        )

    def box_in_window(self, box: Box) -> Box:
        """A rectangle of the image in window coordinates, with a margin of one pixel."""
        inside = self.inside
        top, bottom = ((edge - self.top) * self.scale for edge in box[:2])
        left, right = ((edge - self.left) * self.scale for edge in box[2:])
        return (
            min(inside[1], max(inside[0], math.floor(top) - 1)),
            min(inside[1], max(inside[0], math.ceil(bottom) + 1)),
            min(inside[3], max(inside[2], math.floor(left) - 1)),
            min(inside[3], max(inside[2], math.ceil(right) + 1)),
        )

    def rows(self, start: int, stop: int) -> NDArray[np.intp]:
        """Image rows of the window rows from `start` to before `stop`; the nearest in a margin."""
        return _indices(start, stop, self.top, self.scale, self.shape[0])

    def columns(self, start: int, stop: int) -> NDArray[np.intp]:
        """Image columns of the window columns from `start` to before `stop`."""
        return _indices(start, stop, self.left, self.scale, self.shape[1])

    def zoomed(self, factor: float, x: int, y: int) -> Viewport:
        """Zoomed by a factor; the image under (x, y) stays there.

        Zooming out, the image moves where it would leave the place that it fills at least.
        """
        scale = min(max(self.scale * factor, self.least), max(LARGEST_PIXEL, self.least))
        row, col = self.top + (y + 0.5) / self.scale, self.left + (x + 0.5) / self.scale
        moved = replace(
            self, scale=scale, top=row - (y + 0.5) / scale, left=col - (x + 0.5) / scale
        )
        return moved._inside()

    def panned(self, right: float, down: float) -> Viewport:
        """Moved over the image by some window pixels, not beyond its edges."""
        top, left = self.top + down / self.scale, self.left + right / self.scale
        return replace(self, top=top, left=left)._inside()

    def resized(self, size: Shape) -> Viewport:
        """In a window of another size, with the same pixel in the middle."""
        rows, columns = (
            (before - now) / 2 / self.scale for before, now in zip(self.size, size, strict=True)
        )
        smallest = self.smallest and Viewport.fitted(self.shape, size).scale
        moved = Viewport(
            self.shape, size, self.scale, self.top + rows, self.left + columns, smallest
        )
        return replace(moved, scale=max(self.scale, moved.least))._inside()

    def _inside(self) -> Viewport:
        """Cover at least the place in the window that the image fills at its minimum scale."""
        corner = [
            max(
                min(first, side - (room + side * self.least) / 2 / self.scale),
                -(room - side * self.least) / 2 / self.scale,
            )
            for first, side, room in zip((self.top, self.left), self.shape, self.size, strict=True)
        ]
        return replace(self, top=corner[0], left=corner[1])


def _indices(start: int, stop: int, first: float, scale: float, count: int) -> NDArray[np.intp]:
    indices = np.floor(first + (np.arange(start, stop) + 0.5) / scale)
    return np.asarray(indices.clip(0, count - 1), np.intp)


class Pyramid:
    """An image at its own size, a half, a quarter …: zooming out stays smooth and fast."""

    def __init__(self, image: Image) -> None:
        self._levels = [image]

    def seen(self, viewport: Viewport, smooth: bool | None = None) -> Image:
        """(h, w, 3): the visible part of the image; `smooth` as for `Viewport.fitted`."""
        shown = np.empty((*viewport.size, 3), np.uint8)
        shown[:] = MARGIN_COLOR
        top, bottom, left, right = viewport.inside
        if viewport.scale >= 1 and not viewport.is_interpolated(smooth):
            rows, columns = viewport.rows(top, bottom), viewport.columns(left, right)
            part = self._levels[0][rows][:, columns]
        else:
            corner = viewport.top + top / viewport.scale, viewport.left + left / viewport.scale
            part = self._interpolated(
                replace(viewport, size=(bottom - top, right - left), top=corner[0], left=corner[1])
            )
        shown[rows_of(viewport.inside)] = part
        return shown

    def _interpolated(self, viewport: Viewport) -> Image:
        import cv2

        height, width = viewport.size
        level = self._level(max(0, int(np.floor(-np.log2(viewport.scale)))))
        down = level.shape[0] / viewport.shape[0]
        right = level.shape[1] / viewport.shape[1]
        # window pixel -> pixel of the level, from center to center
        to_level = np.array(
            [
                [right / viewport.scale, 0, right * (viewport.left + 0.5 / viewport.scale) - 0.5],
                [0, down / viewport.scale, down * (viewport.top + 0.5 / viewport.scale) - 0.5],
            ]
        )
        enlarged = cv2.INTER_CUBIC if viewport.scale > 1 else cv2.INTER_LINEAR
        how = enlarged | cv2.WARP_INVERSE_MAP
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


BORDER_SHARE = 0.65
"""Opacity of segment borders; less where segments are small in the window."""
WIDE_SEGMENT, LEAST_SHARE = 18.0, 0.3
OUTLINE_SHARE = 0.9
"""Opacity of the outline of paint."""
HIGHLIGHT = np.array((255, 255, 255), np.float32)
SHADOW = np.array((10, 20, 40), np.float32)
"""Highlights a bright segment."""
HIGHLIGHT_SHARE = 0.38
BRIGHT_SEGMENT = 165
OBJECT_BORDER = np.array((255, 255, 255), np.float32)
SHADES = (0.0, 0.3, -0.3, 0.15, -0.15)
"""Share of white, or of black if negative, in the colors of objects 1, 2, 3, …, by turns."""
NOTHING = np.empty(0, np.int32)


DEFAULT_OPACITY = 0.5
OUTLINES = LineColors(np.array((255, 255, 255), np.float32), np.array((0, 0, 0), np.float32))


@dataclass(frozen=True)
class CanvasStyle:
    """Opacity of the paint over the image, and whether borders are drawn.

    At the default opacity, colors that are hard to see on the image are more opaque.
    """

    opacity: float = DEFAULT_OPACITY
    borders: bool = True
    smooth: bool | None = None
    """Interpolate enlarged pixels; None to decide by their size."""


class Canvas:
    """The view of a document in a window, updated rectangle by rectangle.

    Attributes
    ----------
    picture : (h, w, 3) uint8 ndarray
        RGB, as large as the window.
    """

    def __init__(self, document: PaintDocument, viewport: Viewport, style: CanvasStyle) -> None:
        self._document = document
        self._pyramid = Pyramid(document.image)
        self.highlighted: NDArray[np.int32] = NOTHING
        self._lines = LineColors.on(document.image, BORDER_SHARE)
        self._shares: dict[tuple[Color, float], float] = {}
        self._side = math.sqrt(document.labels.size / max(1, int(document.first.max())))
        self.show(viewport, style)

    def show(self, viewport: Viewport, style: CanvasStyle) -> None:
        """Redraw everything, with another viewport or style."""
        self.viewport, self.style = viewport, style
        self._base = self._pyramid.seen(viewport, style.smooth)
        height, width = viewport.size
        self._labels = self._sampled(self._document.labels, (0, height, 0, width))
        self._cuts = self._document.cuts
        self.picture = self._base.copy()
        self._choose_highlight()
        self._draw(viewport.inside)

    def refresh(self, box: Box) -> None:
        """Redraw a rectangle of the document, after a command."""
        inside = self.viewport.box_in_window(box)
        if self._cuts != self._document.cuts:
            self._labels[rows_of(inside)] = self._sampled(self._document.labels, inside)
            self._cuts = self._document.cuts
        self._draw(inside)

    def highlight(self, segments: NDArray[np.int32]) -> bool:
        """Highlight these segments only; whether anything changed."""
        if np.array_equal(segments, self.highlighted):
            return False
        touched = [
            self._document.box_of(int(segment)) for segment in (*self.highlighted, *segments)
        ]
        self.highlighted = segments
        self._choose_highlight()
        self._draw(self.viewport.box_in_window(union(touched)))
        return True

    def _choose_highlight(self) -> None:
        """Highlight dark segments in white, and bright ones in black."""
        self._light = HIGHLIGHT
        if len(self.highlighted):
            boxes = [self._document.box_of(int(segment)) for segment in self.highlighted]
            place = rows_of(self.viewport.box_in_window(union(boxes)))
            mask = segments_mask(self._labels[place][::3, ::3], self.highlighted)
            pixels = self._base[place][::3, ::3][mask]
            if len(pixels) and float((pixels @ LUMA).mean()) > BRIGHT_SEGMENT:
                self._light = SHADOW

    def outline(self, picture: Image, segments: NDArray[np.int32], dash: int) -> None:
        """Draw the outline of segments into a copy of `picture`, in black and white dashes."""
        inside = rows_of(self.viewport.inside)
        mask = segments_mask(self._labels[inside], segments)
        rows, columns = np.nonzero(mask & _rim(mask))
        light = (rows + columns) // dash % 2 == 0
        picture[inside][rows, columns] = np.where(light[:, None], np.uint8(255), np.uint8(0))

    def _sampled(self, whole: NDArray[np.int32], box: Box) -> Labels:
        rows = self.viewport.rows(box[0], box[1])
        columns = self.viewport.columns(box[2], box[3])
        # rows first: whole rows are copied fastest
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
        several = self._document.several_objects
        if several:
            colors, classes, between = self._objects(box)
        else:
            classes = self._classes(box, labels)
        painted = classes > 0
        if self.style.opacity and painted.any():
            if not several:
                colors = np.array([(0, 0, 0), *self._document.colors], np.uint8)[classes]
            mixed = self._mixed(drawn, colors, classes)
            cv2.copyTo(mixed, painted.astype(np.uint8), drawn)
        if self.style.borders:
            side = self._side * self.viewport.scale / WIDE_SEGMENT
            share = BORDER_SHARE * min(1.0, max(LEAST_SHARE, side))
            _mix_lines(drawn, self._borders(box), self._lines, share)
            if 0 < self.style.opacity < 1 and painted.any():
                _mix_lines(drawn, self._paint_outline(box), OUTLINES, OUTLINE_SHARE)
        if several and self.style.opacity:
            _mix(drawn, between, OBJECT_BORDER, 1.0)
        if len(self.highlighted):
            highlighted, rim = self._highlight(box)
            _mix(drawn, highlighted, self._light, HIGHLIGHT_SHARE)
            _mix(drawn, rim, self._light, 1.0)
        self.picture[rows_of(box)] = drawn

    def _mixed(self, drawn: Image, colors: Image, classes: NDArray[np.int16]) -> Image:
        """Paint over an image, more opaque in colors that are hard to see on it."""
        import cv2

        opacity = self.style.opacity
        mixed = cv2.addWeighted(drawn, 1 - opacity, colors, opacity, 0)
        used = np.flatnonzero(np.bincount(classes.ravel()))
        for number in used[used > 0]:
            share = self._share(self._document.colors[number - 1])
            if share > opacity:
                stronger = cv2.addWeighted(drawn, 1 - share, colors, share, 0)
                cv2.copyTo(stronger, (classes == number).astype(np.uint8), mixed)
        return np.asarray(mixed, np.uint8)

    def _share(self, color: Color) -> float:
        """Opacity of a color."""
        opacity = self.style.opacity
        if opacity != DEFAULT_OPACITY:
            return opacity
        if (color, opacity) not in self._shares:
            self._shares[color, opacity] = paint_opacity(self._document.image, color, opacity)
        return self._shares[color, opacity]

    def _paint_outline(self, box: Box) -> NDArray[np.bool_]:
        """Pixels next to one of another class below or to the right."""
        inside = self.viewport.inside
        wider = box[0], min(inside[1], box[1] + 1), box[2], min(inside[3], box[3] + 1)
        classes = self._classes(wider, self._labels[rows_of(wider)])
        return _steps(classes, (box[1] - box[0], box[3] - box[2]))

    def _objects(self, box: Box) -> tuple[Image, NDArray[np.int16], NDArray[np.bool_]]:
        """Colors in a shade for each object, classes, and pixels between two objects.

        Those are next to another object of their class below or to the right.
        """
        _, bottom, _, right = self.viewport.inside
        rows = self.viewport.rows(box[0], min(bottom, box[1] + 1))
        columns = self.viewport.columns(box[2], min(right, box[3] + 1))
        codes = self._document.codes_of(np.ix_(rows, columns))
        classes, numbers = classes_in(codes), numbers_in(codes)
        between = np.zeros(codes.shape, bool)
        for now, after in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
            same_class = (classes[now] == classes[after]) & (classes[now] > 0)
            between[now] |= same_class & (numbers[now] != numbers[after])
        inside = np.s_[: box[1] - box[0], : box[3] - box[2]]
        classes, numbers = classes[inside], numbers[inside]
        shades = (numbers + np.uint16(len(SHADES) - 1)) % np.uint16(len(SHADES))
        colors = _shaded(self._document.colors)[shades, classes]
        return colors, classes, between[inside]

    def _highlight(self, box: Box) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Pixels of the highlighted segments, and those of them at the border."""
        inside = self.viewport.inside
        top, left = max(inside[0], box[0] - 1), max(inside[2], box[2] - 1)
        bottom, right = min(inside[1], box[1] + 1), min(inside[3], box[3] + 1)
        # with a margin of one pixel, which the border depends on
        highlighted = segments_mask(self._labels[top:bottom, left:right], self.highlighted)
        within = rows_of((box[0] - top, box[1] - top, box[2] - left, box[3] - left))
        return highlighted[within], (highlighted & _rim(highlighted))[within]

    def _borders(self, box: Box) -> NDArray[np.bool_]:
        """Pixels next to another segment below or to the right, and edges."""
        inside = self.viewport.inside
        bottom, right = min(inside[1], box[1] + 1), min(inside[3], box[3] + 1)
        wider = self._labels[box[0] : bottom, box[2] : right]
        labels = self._labels[rows_of(box)]
        return np.asarray(_steps(wider, labels.shape) | (labels == 0))


def _steps(wider: NDArray[Any], shape: Shape) -> NDArray[np.bool_]:
    """Pixels with another value below or to the right; `wider` may have a row and column more."""
    height, width = shape
    found = np.zeros(shape, bool)
    rows, columns = wider.shape[0] - 1, wider.shape[1] - 1
    found[:rows] |= wider[:-1, :width] != wider[1:, :width]
    found[:, :columns] |= wider[:height, :-1] != wider[:height, 1:]
    return found


def _mix_lines(picture: Image, mask: NDArray[np.bool_], colors: LineColors, share: float) -> None:
    """Blend lines over an image: light ones on dark pixels, dark ones on bright pixels."""
    pixels = picture[mask]
    color = np.where(is_bright(pixels)[:, None], colors.dark, colors.light)
    picture[mask] = pixels * np.float32(1 - share) + color * np.float32(share)


def _shaded(colors: list[Color]) -> NDArray[np.uint8]:
    """(shades, classes + 1, 3): each color in all shades, 0 for no class."""
    table = np.array([(0, 0, 0), *colors], np.float32)
    shades = [
        table + abs(share) * (np.float32(255 if share > 0 else 0) - table) for share in SHADES
    ]
    return np.rint(shades).astype(np.uint8)


def _mix(picture: Image, mask: NDArray[np.bool_], color: NDArray[np.float32], share: float) -> None:
    """Blend a color over the pixels of a mask."""
    picture[mask] = picture[mask] * np.float32(1 - share) + color * np.float32(share)


def _rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of the mask at its border."""
    import cv2

    return np.asarray(cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)

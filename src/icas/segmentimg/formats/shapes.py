"""Pixels of the shapes that annotation programs draw: polygons, rectangles, ellipses, masks."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError, UnreadableImageError, UsageError

if TYPE_CHECKING:
    from PIL import ImageDraw

Mask = NDArray[np.bool_]
Point = tuple[float, float]
Draw = Callable[["ImageDraw.ImageDraw", Sequence[Point]], None]
NO_AREA = ("line", "linestrip", "point", "points")
"""Kinds of shapes without an area."""
MAX_COORDINATE = 1e6


class Shape(NamedTuple):
    """The pixels of a shape."""

    mask: Mask
    """(h, w) bool."""
    clipped: bool = False
    """A part of a mask is outside the image."""


class _Kind(NamedTuple):
    draw: Draw
    least: int
    """Number of points."""
    most: int | None = None


def shape_of(kind: str, entry: dict[str, Any], size: tuple[int, int]) -> Shape:
    """The pixels of a shape of labelme or X-AnyLabeling, of an image of `size` (h, w).

    UsageError, or any of ValueError, TypeError, KeyError and OverflowError, for an invalid one.
    """
    points = _points(entry["points"])
    if not all(math.isfinite(part) and abs(part) < MAX_COORDINATE for p in points for part in p):
        raise UsageError("points far outside the image")
    if kind == "mask":
        shape = _placed_mask(entry.get("mask"), points, size)
    else:
        shape = Shape(_drawn(kind, points, size))
    if not shape.mask.any():
        raise UsageError(f"{kind} without pixels in the image")
    return shape


def _points(given: Any) -> list[Point]:
    try:
        return [(float(point[0]), float(point[1])) for point in given]
    except (TypeError, ValueError, KeyError, IndexError):
        raise UsageError("points are not pairs of numbers") from None


def _drawn(kind: str, points: list[Point], size: tuple[int, int]) -> Mask:
    from PIL import Image as Pictures, ImageDraw

    if kind not in _KINDS:
        raise UsageError(f"unknown type {kind[:40]!r}")
    draw, least, most = _KINDS[kind]
    count = len(points)
    if count < least or (most is not None and count > most) or (kind == "cuboid" and count % 4):
        raise UsageError(f"{kind} with {count} {'point' if count == 1 else 'points'}")
    canvas = Pictures.new("L", (size[1], size[0]), 0)
    draw(ImageDraw.Draw(canvas), points)
    return np.asarray(canvas) > 0


def _polygon(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    draw.polygon(list(points), fill=1, outline=1)


def _rectangle(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    """Two opposite corners, or all four, perhaps rotated."""
    if len(points) == 3:
        raise UsageError("rectangle with 3 points")
    if len(points) == 4:
        return _polygon(draw, points)
    (x0, y0), (x1, y1) = points
    box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    return draw.rectangle(box, fill=1, outline=1)


def _circle(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    """The centre and a point of the rim."""
    (x, y), rim = points
    reach = math.dist((x, y), rim)
    draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=1, outline=1)


def _ellipse(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    """Two opposite corners of its box; the ends of its axes or the corners; or points of the rim.

    Four points are ends of axes where the lines that join opposite ones are perpendicular.
    """
    if len(points) == 2:
        (x0, y0), (x1, y1) = points
        box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        return draw.ellipse(box, fill=1, outline=1)
    if len(points) != 4:
        return _polygon(draw, points)
    corners = np.array(points)
    centre = corners.mean(axis=0)
    first, second = (corners[2] - corners[0]) / 2, (corners[3] - corners[1]) / 2
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    upright = min(map(abs, corners[1] - corners[0])) <= 1e-6 * max(1.0, lengths**0.5)
    if upright or abs(float(first @ second)) > 1e-3 * lengths:
        first, second = (first + second) / 2, (first - second) / 2
    turn = np.linspace(0, 2 * math.pi, 360, endpoint=False)[:, None]
    rim = centre + np.cos(turn) * first + np.sin(turn) * second
    return _polygon(draw, [(float(x), float(y)) for x, y in rim])


def _cuboid(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    """The front, which is given by the first four of its corners."""
    _polygon(draw, points[:4])


_KINDS: dict[str, _Kind] = {
    "polygon": _Kind(_polygon, 3),
    "rectangle": _Kind(_rectangle, 2, 4),
    "oriented_rectangle": _Kind(_polygon, 4, 4),
    "rotation": _Kind(_polygon, 4, 4),
    "quadrilateral": _Kind(_polygon, 4, 4),
    "circle": _Kind(_circle, 2, 2),
    "ellipse": _Kind(_ellipse, 2),
    "cuboid": _Kind(_cuboid, 4, 8),
}


def _placed_mask(text: Any, points: list[Point], size: tuple[int, int]) -> Shape:
    """The mask in `text`, a PNG in base64, with its first pixel at the first point."""
    if not points:
        raise UsageError("mask without a position")
    crop = _decoded_mask(text, size)
    left, top = (int(part) for part in points[0])  # truncated, as labelme does
    bottom, right = top + crop.shape[0], left + crop.shape[1]
    rows = slice(max(top, 0), max(min(bottom, size[0]), 0))
    columns = slice(max(left, 0), max(min(right, size[1]), 0))
    mask = np.zeros(size, bool)
    inside = crop[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    if rows.start < rows.stop and columns.start < columns.stop:
        mask[rows, columns] = inside
    return Shape(mask, bool(mask.sum() < crop.sum()))


def _decoded_mask(text: Any, size: tuple[int, int]) -> Mask:
    """(h, w) bool: pixels of a PNG that are neither black nor transparent."""
    from PIL import PngImagePlugin

    if not isinstance(text, str) or not text:
        raise UsageError("no mask")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        png = PngImagePlugin.PngImageFile(io.BytesIO(base64.b64decode(text)))
        if png.size[0] > 2 * size[1] or png.size[1] > 2 * size[0]:
            raise UsageError("mask larger than the image")
        clear = png.has_transparency_data
        pixels = np.asarray(png.convert("RGBA") if clear else png)
    except IcasError:
        raise
    except Exception as error:  # Pillow raises almost any exception for a broken PNG
        raise UnreadableImageError(f"mask is damaged: {error}") from None
    if clear:
        return np.asarray(pixels[..., :3].any(axis=2) & (pixels[..., 3] > 0))
    return np.asarray(pixels.reshape(*pixels.shape[:2], -1).any(axis=2))

"""Tiles that `icas.show` draws for documents, segments and templates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.notebook.html import counted
from icas.notebook.show import MARK, Tile, fit, label_count
from icas.segmentimg.document.document import PaintDocument
from icas.segmentimg.render.canvas import Canvas, CanvasStyle, Viewport
from icas.segmentimg.segmenters.kmeans import KMeansColors
from icas.segmentimg.templates.paint import TemplatePaint
from icas.segmentimg.templates.templates import Template

PAINT = 0.6
"""Opacity of the paint over the image."""


def document_tile(document: PaintDocument, width: int) -> Tile:
    """The image with its paint and thin segment borders, as in the painting window."""
    segments = counted(label_count(document.labels), "segment")
    colors = counted(len(document.masks()), "colour")
    return Tile(f"{segments}, {colors}", _canvas(document, width))


def segments_overlay(image: Image, labels: NDArray[Any], width: int) -> Tile:
    """The image with the borders of its segments."""
    values, index = np.unique(np.where(labels > 0, labels, 0), return_inverse=True)
    dense = np.asarray(index.reshape(labels.shape) + int(values[0] > 0), np.int32)
    title = counted(label_count(labels), "segment")
    return Tile(title, _canvas(PaintDocument(image, dense), width))


def _canvas(document: PaintDocument, width: int) -> Image:
    height, own = document.labels.shape
    view = Viewport.whole((height, own), (2 * width, min(own, width)))
    return Canvas(document, view, CanvasStyle(PAINT)).picture


def kmeans_tile(colors: KMeansColors, width: int) -> Tile:
    """The image painted with the cluster centres."""
    return Tile(counted(len(colors.centres), "colour"), fit(colors.picture, width))


def template_tile(template: Template, width: int) -> Tile:
    """The image of the template."""
    return Tile(template.name, fit(template.image, width))


def template_paint_tile(paint: TemplatePaint, width: int) -> Tile:
    """Painted templates on black."""
    return template_overlay(np.zeros((*paint.painted.shape, 3), np.uint8), paint, width)


def template_overlay(image: Image, paint: TemplatePaint, width: int) -> Tile:
    """The image with the painted templates and a frame around every match."""
    import cv2

    colors = np.array([(0, 0, 0), *paint.colors], np.float32)[paint.painted]
    painted = (paint.painted > 0)[..., None]
    shown = np.where(painted, (1 - PAINT) * image + PAINT * colors, image).astype(np.uint8)
    thickness = max(1, round(max(shown.shape[:2]) / 400))
    for match in paint.places:
        corner = (match.col + match.width - 1, match.row + match.height - 1)
        cv2.rectangle(shown, (match.col, match.row), corner, MARK, thickness)
    count = len(paint.places)
    return Tile("1 match" if count == 1 else f"{count:,} matches", fit(shown, width))

"""Images and label maps prepared for a page: sizes, colors, and encoding as PNG or JPEG."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image

QUALITY = 85
"""Default JPEG quality: for photographs in a cell."""


def as_png(image: Image) -> bytes:
    """A PNG file: (h, w, 3) RGB or (h, w) gray, uint8."""
    return _encoded(image, "PNG", optimize=True)


def as_jpeg(image: Image, quality: int = QUALITY, subsampling: int = 0) -> bytes:
    """A JPEG file; by default without chroma subsampling, so that thin lines stay clear."""
    return _encoded(image, "JPEG", quality=quality, subsampling=subsampling)


def _encoded(image: Image, kind: str, **settings: object) -> bytes:
    from PIL import Image as Pillow

    stream = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(image)).save(stream, kind, **settings)
    return stream.getvalue()


def data_uri(content: bytes) -> str:
    """``data:image/…;base64,…`` of a PNG or JPEG file."""
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def mottled(labels: NDArray[np.integer[Any]]) -> Image:
    """(h, w, 3): a fixed color for each label; 0 and below black."""
    values, index = np.unique(labels, return_inverse=True)
    colors = _label_colors(values.astype(np.int64))
    return np.asarray(colors[index.reshape(labels.shape)], np.uint8)


def _label_colors(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """An RGB row for each label: hues a golden section apart, so that near numbers differ."""
    import cv2

    hue = np.mod(values * 0.61803398875, 1.0) * 180
    saturation = 110 + (values * 53) % 110
    value = 150 + (values * 89) % 106
    hsv = np.stack([hue, saturation, value], axis=1).astype(np.uint8)
    colors = np.asarray(cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0], np.uint8)
    colors[values <= 0] = 0
    return colors


def fitted(labels: NDArray[Any], most: tuple[int, int]) -> NDArray[Any]:
    """`labels` no larger than `most` (width, height), by nearest neighbor."""
    height, width = labels.shape[:2]
    share = min(1.0, most[0] / width, most[1] / height)
    return at_size(labels, (max(1, round(width * share)), max(1, round(height * share))))


def at_size(labels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """`labels` at `size` (width, height), by nearest neighbor."""
    height, width = labels.shape[:2]
    if (width, height) == size:
        return labels
    return labels[_samples(height, size[1])][:, _samples(width, size[0])]


def _samples(length: int, count: int) -> NDArray[np.int64]:
    """`count` indices among `length`: the middle of each part."""
    return np.minimum(((np.arange(count) + 0.5) * length / count).astype(np.int64), length - 1)

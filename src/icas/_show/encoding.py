"""Pictures as files in memory, and as ``data:`` addresses inside HTML."""

from __future__ import annotations

import base64
import io

import numpy as np

from icas.common.images import Image

QUALITY = 85
"""Of JPEG: photographs in a cell are to be looked at, not to be kept."""


def as_png(image: Image) -> bytes:
    """A PNG file: (h, w, 3) RGB or (h, w) gray, uint8."""
    return _encoded(image, "PNG", optimize=True)


def as_jpeg(image: Image) -> bytes:
    """A JPEG file of a picture, with colours as fine as brightness: thin lines stay clear."""
    return _encoded(image, "JPEG", quality=QUALITY, subsampling=0)


def _encoded(image: Image, kind: str, **settings: object) -> bytes:
    from PIL import Image as Pictures

    stream = io.BytesIO()
    Pictures.fromarray(np.ascontiguousarray(image)).save(stream, kind, **settings)
    return stream.getvalue()


def as_uri(image: Image, *, flat: bool) -> str:
    """``data:image/…``: PNG of a picture with `flat` colours, else JPEG."""
    kind, content = ("png", as_png(image)) if flat else ("jpeg", as_jpeg(image))
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"

"""HTML for notebooks: escaping, counts, small tables, and images as data URIs."""

from __future__ import annotations

import base64
import html
import io
import unicodedata
from collections.abc import Iterable
from math import isnan
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


def plural(what: str, number: int) -> str:
    """`what`, with an s unless there is one."""
    return what if number == 1 else f"{what}s"


_JOINERS = "\u200c\u200d"  # they make one sign of several letters or emoji


def text(value: object) -> str:
    """`value` as text of a page, also inside quotes; see `visible`."""
    return html.escape(visible(str(value)), quote=True)


def visible(value: Any) -> Any:
    """`value` as text without invisible characters; markup stays as it is.

    Line breaks, bytes that are no UTF-8 and characters that change the direction of writing become
    escapes, so that every name can be encoded and none can pose as another.
    """
    if hasattr(value, "__html__"):
        return value
    plain = str(value)
    return plain if plain.isprintable() else "".join(map(_visible, plain))


def _visible(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # how Python holds a byte that is no UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    hidden = unicodedata.category(letter) in ("Cc", "Cf", "Cn", "Cs", "Zl", "Zp")
    if not hidden or letter in _JOINERS:
        return letter
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")


def counted(number: int, what: str) -> str:
    """`number` things, as in "1 cluster" and "1,200 images"."""
    return f"{number:,} {plural(what, number)}"


def similarity(value: float) -> str:
    """A similarity with three decimals; a dash for NaN."""
    return "–" if isnan(value) else f"{value:.3f}"


CELL = "text-align:left;padding:2px 16px 2px 0;border:0"
NUMBER = "text-align:right;padding:2px 0;border:0;font-variant-numeric:tabular-nums"


def table(caption: str, rows: Iterable[tuple[str, object]]) -> str:
    """A table of two columns: what it is, and how much."""
    lines = "".join(
        f'<tr style="background:none"><th scope="row" style="font-weight:normal;{CELL}">'
        f'{text(name)}</th><td style="{NUMBER}">{text(_shown(value))}</td></tr>'
        for name, value in rows
    )
    return (
        '<table style="border-collapse:collapse;width:auto;margin:0">'
        f'<caption style="font-weight:bold;{CELL};white-space:nowrap">{text(caption)}</caption>'
        f"<tbody>{lines}</tbody></table>"
    )


def _shown(value: object) -> str:
    """Shares with three decimals, numbers with commas."""
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) <= 1 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)

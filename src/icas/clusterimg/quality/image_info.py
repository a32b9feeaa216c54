"""What the file of an image says of it: size, bytes, time, and whether its format is lossless."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from icas.io.reading import image_size, open_image

_LOSSLESS = frozenset(("PNG", "BMP", "PPM", "PSD", "TGA", "ICO", "RAW"))
"""Formats that keep every pixel; GIF, which keeps 256 colors, is not among them."""
_TIFF_JPEG = (6, 7)
"""Compressions of TIFF that lose detail."""
_COMPRESSION = 259
_HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class ImageInfo:
    """Width and height of the upright image, bytes and mtime of its file, and its format."""

    width: int
    height: int
    bytes: int
    mtime_ns: int
    lossless: bool

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def bytes_per_pixel(self) -> float:
        return self.bytes / self.pixels


def image_info(path: Path, max_pixels: int) -> ImageInfo:
    """The information on the image in `path`; raises UnreadableImageError."""
    width, height = image_size(path, max_pixels=max_pixels)
    with open_image(path, max_pixels) as pil:
        kind, tags = pil.format, getattr(pil, "tag_v2", {})
        status = path.stat()
        lossless = kind in _LOSSLESS
        if kind == "TIFF":
            lossless = tags.get(_COMPRESSION, 1) not in _TIFF_JPEG
        elif kind == "WEBP":
            lossless = _is_lossless_webp(path)
    return ImageInfo(width, height, status.st_size, status.st_mtime_ns, lossless)


def _is_lossless_webp(path: Path) -> bool:
    with path.open("rb") as file:
        return b"VP8L" in file.read(_HEAD_BYTES)

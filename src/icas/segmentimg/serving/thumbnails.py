"""Thumbnails of the images of a painting session, by number."""

from __future__ import annotations

from collections.abc import Sequence

from icas.common.byte_cache import ByteCache
from icas.common.errors import UnreadableImageError, UsageError
from icas.io.reading import thumbnail
from icas.notebook.html import as_jpeg, visible
from icas.segmentimg.formats.inputs import ImageFile

SIZES = (128, 256)
"""Longest sides of thumbnails in pixels."""
_QUALITY = 75
_MEMORY = 48 << 20
"""Bytes of thumbnails in memory."""


class ThumbnailFiles:
    """Makes thumbnails of files; used by several threads."""

    def __init__(self, pictures: Sequence[ImageFile], max_pixels: int) -> None:
        self._pictures, self._max_pixels = pictures, max_pixels
        self._made = ByteCache(_MEMORY)

    def thumb(self, number: int, size: int) -> bytes:
        """A JPEG with sides of at most `size` pixels; UsageError for an unreadable file."""
        if size not in SIZES:
            raise UsageError(f"size {size}: choose from {', '.join(map(str, SIZES))}")
        key = number, size
        made = self._made.get(key)
        if made is not None:
            return made
        try:
            image = thumbnail(self._pictures[number].path, size, max_pixels=self._max_pixels)
        except (UnreadableImageError, OSError) as error:
            name = visible(self._pictures[number].path.name)
            raise UsageError(f"{name} cannot be read: {error}") from error
        data = as_jpeg(image, _QUALITY)
        self._made.put(key, data)
        return data

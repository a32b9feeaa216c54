"""Thumbnails of the images of a painting session, by number."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from icas.common.errors import IcasError, UnreadableImageError, UsageError
from icas.io.reading import thumbnail
from icas.notebook.html import as_jpeg
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
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._bytes = 0

    def thumb(self, number: int, size: int) -> bytes:
        """A JPEG with sides of at most `size` pixels; IcasError for an unreadable file."""
        if size not in SIZES:
            raise UsageError(f"size {size}: choose from {', '.join(map(str, SIZES))}")
        key = number, size
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        try:
            image = thumbnail(self._pictures[number].path, size, max_pixels=self._max_pixels)
        except (UnreadableImageError, OSError) as error:
            raise IcasError(f"image {number} cannot be read: {error}") from error
        data = as_jpeg(image, _QUALITY)
        with self._lock:
            if key not in self._made:
                self._made[key] = data
                self._bytes += len(data)
            while self._bytes > _MEMORY:
                self._bytes -= len(self._made.popitem(last=False)[1])
        return data

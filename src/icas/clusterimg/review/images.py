"""The images of a review: their table, thumbnails, and whole images that a browser can show."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from icas.clusterimg.cache.cache import cache_of
from icas.clusterimg.features.extraction import isolation_of
from icas.clusterimg.html.thumbnails import thumbnail_file
from icas.clusterimg.quality.image_info import image_info
from icas.clusterimg.quality.measures import laplacian_variance, reduced
from icas.clusterimg.results.saved import FinishedRun
from icas.clusterimg.review.session import ReviewSession
from icas.common.byte_cache import ByteCache
from icas.common.errors import IcasError, UnreadableImageError, UsageError
from icas.io.reading import MAX_PIXELS, image_size, read_image
from icas.notebook.html import as_jpeg, as_png, visible

SIZES = (128, 256)
"""Longest sides of thumbnails in pixels."""
MOST_SIZES = 2_000
"""Images of which width and height are read at once."""
_MEMORY = 48 << 20
"""Bytes of thumbnails in memory."""
_LOSSLESS = 512 * 512
"""Pixels up to which a whole image is sent without loss."""


class ReviewImages:
    """Reads the images of a review, by number; used by several threads."""

    def __init__(self, session: ReviewSession) -> None:
        self._session = session
        self._paths_lock = threading.Lock()
        self._thumbs = ByteCache(_MEMORY)
        self._table: dict[str, Any] | None = None
        settings = session.finished.run["settings"]
        self._max_pixels = int(settings.get("max_pixels") or MAX_PIXELS)
        self._isolation = isolation_of(settings)
        self._cache = cache_of(settings)
        self._paths: tuple[FinishedRun, list[Path]] | None = None

    def close(self) -> None:
        """Close the cache."""
        self._cache.__exit__()

    def path(self, number: int) -> Path:
        """The path of an image now."""
        finished = self._session.finished
        with self._paths_lock:  # the first thumbnails are asked for at the same time
            if self._paths is None or self._paths[0] is not finished:
                self._paths = finished, self._session.paths()
            paths = self._paths[1]
        if not 0 <= number < len(paths):
            raise UsageError(f"no image {number}")
        return paths[number]

    def table(self) -> dict[str, Any]:
        """Names of all images, bytes, and for few images width and height."""
        if self._table is None:
            state = self._session.finished.state
            count = len(state.files)
            known = [-1] * count if state.states is None else state.states[:, 0].tolist()
            sizes = [
                size if size >= 0 else _bytes_of(self.path(number))
                for number, size in enumerate(known)
            ]
            shapes: list[tuple[int, int] | None] = []
            if count <= MOST_SIZES:
                shapes = [self._shape(number) for number in range(count)]
            self._table = {
                "files": [visible(file) for file in state.files],
                "width": [shape and shape[0] for shape in shapes] or None,
                "height": [shape and shape[1] for shape in shapes] or None,
                "bytes": sizes,
            }
        return self._table

    def _shape(self, number: int) -> tuple[int, int] | None:
        try:
            return image_size(self.path(number), max_pixels=self._max_pixels)
        except (UnreadableImageError, OSError):
            return None

    def thumb(self, number: int, size: int) -> bytes:
        """A JPEG with sides of at most `size` pixels."""
        if size not in SIZES:
            raise UsageError(f"size {size}: choose from {', '.join(map(str, SIZES))}")
        key, path = (number, size), self.path(number)
        made = self._thumbs.get(key)
        if made is not None:
            return made
        data = thumbnail_file(path, size, self._max_pixels, self._isolation, self._cache)
        if data is None:
            raise IcasError(f"image {number} cannot be read")
        self._thumbs.put(key, data)
        return data

    def whole(self, number: int) -> tuple[bytes, str]:
        """An image in full size, turned as its EXIF entry says, and its media type."""
        path = self.path(number)
        try:
            image = read_image(path, max_pixels=self._max_pixels)
        except (UnreadableImageError, OSError) as error:
            raise IcasError(f"image {number} cannot be read: {error}") from error
        if image.shape[0] * image.shape[1] <= _LOSSLESS:
            return as_png(image), "image/png"
        return as_jpeg(image, 92), "image/jpeg"

    def info(self, number: int) -> Mapping[str, Any]:
        """What is known of one image: size, bytes, sharpness."""
        path = self.path(number)
        try:
            info = image_info(path, self._max_pixels)
            image = reduced(read_image(path, max_pixels=self._max_pixels, at_least=512))
        except (UnreadableImageError, OSError) as error:
            raise IcasError(f"image {number} cannot be read: {error}") from error
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return {
            "file": visible(self._session.finished.state.files[number]),
            "path": visible(str(path)),
            "width": info.width,
            "height": info.height,
            "bytes": info.bytes,
            "lossless": info.lossless,
            "mtime": info.mtime_ns / 1e9,
            "sharpness": round(float(laplacian_variance(gray)), 1),
        }


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1

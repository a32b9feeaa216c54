"""Thumbnails for the picker: read by other threads when they are wanted, kept while they last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UnreadableImageError
from icas.common.images import MAX_PIXELS, Image, resize, thumbnail
from icas.common.isolated import Isolation

SIDE = 192
"""Longest side in pixels at which thumbnails are kept: enough for a large window."""
KEPT = 600
"""Thumbnails in memory: some 60 MB."""
READERS = 3
"""Threads that read; the window's own stays free."""

Reader = Callable[[int], "Image | None"]
"""Number of an image of the sample -> its thumbnail; None where it cannot be read."""


def reader_of_files(
    paths: Sequence[Path | None],
    max_pixels: int = MAX_PIXELS,
    isolation: Isolation | None = None,
) -> Reader:
    """Reads the thumbnail of each file; None stands for an image that is no file."""

    def read(image: int) -> Image | None:
        path = paths[image]
        if path is None:
            return None
        try:
            if isolation is not None:
                return isolation.call(thumbnail, path, SIDE, max_pixels=max_pixels)
            return thumbnail(path, SIDE, max_pixels=max_pixels)
        except UnreadableImageError:
            return None

    return read


def reader_of_arrays(images: Sequence[Image]) -> Reader:
    """Makes thumbnails of pictures in memory, (h, w, 3) uint8 RGB."""

    def read(image: int) -> Image | None:
        picture = images[image]
        height, width = picture.shape[:2]
        scale = min(1.0, SIDE / max(height, width))
        return resize(picture, (max(1, round(width * scale)), max(1, round(height * scale))))

    return read


class Thumbnails:
    """Thumbnails by the number of the image; those wanted last are read first.

    Only what is wanted now waits to be read: pairs that the pointer merely passed do not.
    """

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._kept: OrderedDict[int, Image | None] = OrderedDict()
        self._reading: dict[int, Future[Image | None]] = {}
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="thumbnails")

    def poll(self, wanted: Sequence[int]) -> bool:
        """Have the `wanted` read, in their order; whether one of them has come."""
        come = {image for image, future in self._reading.items() if future.done()}
        for image in come:
            self._keep(image, self._reading.pop(image).result())
        missing = [one for one in wanted if one not in self._kept and one not in self._reading]
        for image in missing[: READERS - len(self._reading)]:
            self._reading[image] = self._readers.submit(self._read, image)
        return not come.isdisjoint(wanted)

    def read_now(self, wanted: Sequence[int]) -> None:
        """Read the `wanted` before this returns."""
        for image in wanted:
            if image not in self._kept:
                self._keep(image, self._read(image))

    def all_there(self, wanted: Sequence[int]) -> bool:
        """Whether none of the `wanted` is still to come."""
        return all(image in self._kept for image in wanted)

    def those_there(self, wanted: Sequence[int]) -> Mapping[int, Image | None]:
        """Those of the `wanted` that have come; None = cannot be read."""
        for image in wanted:
            if image in self._kept:
                self._kept.move_to_end(image)
        return {image: self._kept[image] for image in wanted if image in self._kept}

    def close(self) -> None:
        """Read no more."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _keep(self, image: int, picture: Image | None) -> None:
        self._kept[image] = picture
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)


def fitted(picture: Image, side: int) -> NDArray[np.uint8]:
    """`picture` with its longest side at `side` pixels; tiny pictures a whole number of times."""
    height, width = picture.shape[:2]
    longest = max(height, width)
    if longest <= side:
        times = max(1, side // longest)
        return picture.repeat(times, axis=0).repeat(times, axis=1)
    scale = side / longest
    return resize(picture, (max(1, round(width * scale)), max(1, round(height * scale))))

"""The pairs next to a threshold, and their thumbnails, read by other threads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from icas.clusterimg.data.links import Links
from icas.clusterimg.picker.curve import FONT
from icas.clusterimg.thresholds.sample import Sample
from icas.common.errors import UnreadableImageError
from icas.io.reading import MAX_PIXELS, Image, resize, thumbnail
from icas.io.sandbox import Isolation

SIDE = 192
"""Longest side in pixels of thumbnails: enough for a large window."""
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
    """Reads the thumbnail of each file; None for an image without a file."""

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
    """Makes thumbnails of images in memory, (h, w, 3) uint8 RGB."""

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
        """Start to read the `wanted`, in their order; whether one of them has arrived."""
        arrived = {image for image, future in self._reading.items() if future.done()}
        for image in arrived:
            self._keep(image, self._reading.pop(image).result())
        missing = [one for one in wanted if one not in self._kept and one not in self._reading]
        for image in missing[: READERS - len(self._reading)]:
            self._reading[image] = self._readers.submit(self._read, image)
        return not arrived.isdisjoint(wanted)

    def read_now(self, wanted: Sequence[int]) -> None:
        """Read the `wanted` before this returns."""
        for image in wanted:
            if image not in self._kept:
                self._keep(image, self._read(image))

    def all_there(self, wanted: Sequence[int]) -> bool:
        """Whether all of the `wanted` have arrived."""
        return all(image in self._kept for image in wanted)

    def those_there(self, wanted: Sequence[int]) -> Mapping[int, Image | None]:
        """Those of the `wanted` that have arrived; None = cannot be read."""
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


@dataclass(frozen=True)
class Pair:
    """Two images of the sample and their similarity."""

    a: int
    b: int
    similarity: float


@dataclass(frozen=True)
class Nearest:
    """The pairs next to a threshold, the nearest first: linked ones, and ones that are not."""

    above: tuple[Pair, ...]
    below: tuple[Pair, ...]

    @classmethod
    def of(cls, sample: Sample, threshold: float, count: int) -> Nearest:
        """At most `count` pairs on each side of `threshold`."""
        above, below = sample.pairs_around(threshold, count)
        return cls(_pairs(above), _pairs(below))

    @property
    def images(self) -> tuple[int, ...]:
        """Images in the order in which their thumbnails are wanted; each once."""
        pairs = (*self.above, *self.below)
        return tuple(dict.fromkeys(image for pair in pairs for image in (pair.a, pair.b)))


def _pairs(links: Links) -> tuple[Pair, ...]:
    rows = zip(links.a.tolist(), links.b.tolist(), links.similarity.tolist(), strict=True)
    return tuple(Pair(*row) for row in rows)


def shortened(name: str, length: int) -> str:
    """`name` without its folders, its middle left out where it is longer than `length`."""
    short = name.rpartition("/")[2]
    if len(short) <= length:
        return short
    if length < 5:
        return short[: max(length, 0)]
    behind = (length - 1) // 2
    return f"{short[: length - 1 - behind]}…{short[len(short) - behind :]}"


def drawable(name: str) -> str:
    """`name` with a box for every letter that the font lacks: matplotlib would warn of each."""
    known = _letters()
    return "".join(one if one.isprintable() and ord(one) in known else "□" for one in name)


@cache
def _letters() -> frozenset[int]:
    """Letters that the font has."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties(family=list(FONT)))).get_charmap())

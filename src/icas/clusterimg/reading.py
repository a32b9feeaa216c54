"""Files -> features: read by many workers; every worker holds few pictures at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from icas.clusterimg.features import FeatureSet, Unreadable, concatenate
from icas.clusterimg.methods.base import Image, Method, WholeFolder, settings_of
from icas.clusterimg.scan import ImageRef, sampled
from icas.clusterimg.similarity import ALONE
from icas.common.errors import UnreadableImageError
from icas.common.executors import Workers
from icas.common.images import MAX_PIXELS, read_image, resize
from icas.common.options import Size
from icas.common.progress import Bar

CHUNK = 32
"""Images a task: enough to hide what a task costs, few enough for a bar that moves."""
READ_CHUNK = 8
"""Images a task where they are only read: they wait in memory until the method takes them."""
LOOKED_AT = 5000
"""Images by which a method learns what a folder is like: all of most folders."""


@dataclass(frozen=True)
class Reading:
    """How images become features.

    Attributes
    ----------
    method : Method
    workers : Workers
    max_pixels : int
        Pictures that claim more are not read.
    scale : float or None
        Bring images to this share of their size.
    bar : Bar or None
    """

    method: Method
    workers: Workers = ALONE
    max_pixels: int = MAX_PIXELS
    scale: float | None = None
    bar: Bar | None = None

    def raw(self, images: Sequence[ImageRef]) -> FeatureSet:
        """Features of all `images` that can be read, in their order; the others are listed.

        Features of a `WholeFolder` have not been through its `fit`.
        """
        if isinstance(self.method, WholeFolder):
            return self._by_one_process(self.method, images)
        parts = []
        tasks = (
            (self.method, chunk, self.max_pixels, self.scale) for chunk in _chunks(images, CHUNK)
        )
        for part in self.workers.ordered(_extract_chunk, tasks):
            parts.append(part)
            self._count(len(part) + len(part.unreadable))
        if parts:
            return concatenate(parts)
        return _extract_chunk(self.method, [], self.max_pixels, self.scale)

    def _by_one_process(self, method: WholeFolder, images: Sequence[ImageRef]) -> FeatureSet:
        size = method.input_size()
        tasks = (
            (chunk, self.max_pixels, self.scale, size) for chunk in _chunks(images, READ_CHUNK)
        )
        files: list[str] = []
        unreadable: list[Unreadable] = []

        def read() -> Iterator[Image]:
            for pictures, readable, others in self.workers.ordered(_read_chunk, tasks):
                files.extend(readable)
                unreadable.extend(others)
                self._count(len(others))
                for picture in pictures:
                    yield picture
                    self._count(1)

        features = method.embed(read())
        return replace(features, files=tuple(files), unreadable=tuple(unreadable))

    def _count(self, images: int) -> None:
        if self.bar is not None:
            self.bar.update(images)

    def look_over(
        self, images: Sequence[ImageRef], seed: int = 0, sample: int | None = None
    ) -> LookedOver:
        """What has to be known of the folder before its images are compared.

        Of many images a sample is read, drawn with `seed`; its features are kept.

        Parameters
        ----------
        images : sequence of ImageRef
        seed : int
        sample : int, optional
            How many images are wanted as a sample by a method that is no `WholeFolder`; None:
            none are read.
        """
        whole = isinstance(self.method, WholeFolder)
        if not whole and sample is None:
            return LookedOver(self, None, {}, {}, _as_they_are)
        known = self.raw(sampled(images, LOOKED_AT if whole else sample or 0, seed))
        places = {file: place for place, file in enumerate(known.files)}
        unreadable = {one.file: one for one in known.unreadable}
        ready = self.method.fit(known) if isinstance(self.method, WholeFolder) else _as_they_are
        return LookedOver(self, known, places, unreadable, ready)


def _as_they_are(features: FeatureSet) -> FeatureSet:
    return features


@dataclass(frozen=True)
class LookedOver:
    """A folder that was looked over: its images' features can be had, batch by batch.

    Attributes
    ----------
    reading : Reading
    known : FeatureSet or None
        Raw features that are there already.
    places : mapping of str to int
        Where in `known` a file is.
    unreadable : mapping of str to Unreadable
        Files that could not be read already.
    ready : callable
        Raw features -> features to compare.
    """

    reading: Reading
    known: FeatureSet | None
    places: Mapping[str, int]
    unreadable: Mapping[str, Unreadable]
    ready: Callable[[FeatureSet], FeatureSet]

    def sample(self, most: int, seed: int = 0) -> FeatureSet:
        """Features of at most `most` of the images that were looked at."""
        if self.known is None:
            raise ValueError("nothing was looked at")
        rows = np.array(sampled(range(len(self.known)), most, seed), np.int64)
        return self.ready(self.known[rows])

    def features(self, images: Sequence[ImageRef]) -> FeatureSet:
        """Features of all `images` that can be read, in their order; the others are listed."""
        if self.known is None:
            return self.ready(self.reading.raw(images))
        missing = [
            ref for ref in images if ref.file not in self.places and ref.file not in self.unreadable
        ]
        fresh = self.reading.raw(missing) if missing else self.known[:0]
        both = concatenate([self.known, fresh])
        where = {**self.places}
        where.update({file: len(self.known) + row for row, file in enumerate(fresh.files)})
        bad = {**self.unreadable, **{one.file: one for one in fresh.unreadable}}
        rows = [where[ref.file] for ref in images if ref.file in where]
        told = tuple(bad[ref.file] for ref in images if ref.file in bad)
        return self.ready(replace(both[rows], unreadable=told))


def _chunks(images: Sequence[ImageRef], size: int) -> Iterator[Sequence[ImageRef]]:
    for start in range(0, len(images), size):
        yield images[start : start + size]


def _read_chunk(
    images: Sequence[ImageRef], max_pixels: int, scale: float | None, size: Size
) -> tuple[list[Image], list[str], list[Unreadable]]:
    """The images that can be read, brought to `size`; their names; and the others."""
    pictures: list[Image] = []
    unreadable: list[Unreadable] = []
    files: list[str] = []
    for ref, image in _readable(images, max_pixels, scale, unreadable):
        pictures.append(resize(image, size))
        files.append(ref.file)
    return pictures, files, unreadable


def _readable(
    images: Sequence[ImageRef],
    max_pixels: int,
    scale: float | None,
    unreadable: list[Unreadable],
) -> Iterator[tuple[ImageRef, Image]]:
    """Each image that can be read; the others are put into `unreadable`."""
    for ref in images:
        try:
            image = read_image(ref.path, max_pixels=max_pixels)
        except UnreadableImageError as error:
            unreadable.append(Unreadable(ref.file, str(error)))
            continue
        yield ref, image if scale is None else scaled(image, scale)


def _extract_chunk(
    method: Method, images: Sequence[ImageRef], max_pixels: int, scale: float | None
) -> FeatureSet:
    files: list[str] = []
    unreadable: list[Unreadable] = []

    def readable() -> Iterator[Image]:
        for ref, image in _readable(images, max_pixels, scale, unreadable):
            files.append(ref.file)
            yield image

    features = method.extract(readable())
    return replace(
        features,
        files=tuple(files),
        unreadable=tuple(unreadable),
        settings=settings_of(method),
    )


def scaled(image: Image, scale: float) -> Image:
    """`image` with both sides times `scale`, at least one pixel."""
    height, width = image.shape[:2]
    return resize(image, (max(1, round(width * scale)), max(1, round(height * scale))))

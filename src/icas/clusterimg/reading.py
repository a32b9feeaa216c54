"""Files -> features: read by many workers; every worker holds few pictures at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from icas.clusterimg.enough import enough_for
from icas.clusterimg.features import FeatureSet, Unreadable, concatenate
from icas.clusterimg.memory import UNLIMITED, MemoryBudget
from icas.clusterimg.methods.base import Image, Method, WholeFolder, settings_of
from icas.clusterimg.scan import ImageRef, sampled
from icas.clusterimg.similarity import ALONE
from icas.common.errors import UnreadableImageError
from icas.common.executors import Workers
from icas.common.images import MAX_PIXELS, read_image, resize
from icas.common.options import Size
from icas.common.progress import Bar
from icas.common.silence import PILLOW_IS_QUIET

CHUNK = 100
"""Images a task: enough to hide what a task costs, few enough for a bar that moves."""
TASKS_EACH = 4
"""Tasks that every worker has at the least, so that none waits long for the last one."""
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
    budget : MemoryBudget
        Where features go that are many.
    """

    method: Method
    workers: Workers = ALONE
    max_pixels: int = MAX_PIXELS
    scale: float | None = None
    bar: Bar | None = None
    budget: MemoryBudget = UNLIMITED

    def raw(self, images: Sequence[ImageRef], known: Known | None = None) -> FeatureSet:
        """Features of all `images` that can be read, in their order; the others are listed.

        Features of a `WholeFolder` have not been through its `fit`.

        Parameters
        ----------
        known : Known, optional
            What was read already and is not read again.
        """
        if isinstance(self.method, WholeFolder):
            missing = _missing(images, known)
            if known is None:
                return self._by_one_process(self.method, missing)
            fresh = self._by_one_process(self.method, missing) if missing else known.features[:0]
            return known.among(images, fresh)
        how = self._how(enough_for(self.method))
        store = self.budget.store(len(images))
        chunks = list(_chunks(images, self._chunk_size(len(images)))) or [()]
        tasks = ((self.method, _missing(chunk, known), how) for chunk in chunks)
        workers = self.workers.reading(ref.path for ref in images)
        results = workers.ordered(_extract_chunk, tasks)
        for chunk, part in zip(chunks, results, strict=True):
            store.add(part if known is None else known.among(chunk, part))
            self._count(len(part) + len(part.unreadable))
        return store.features()

    def _how(self, enough: Size | int | None) -> Decoding:
        # Who asks for a share of an image's size means that of the whole image.
        return Decoding(self.max_pixels, self.scale, enough if self.scale is None else None)

    def _chunk_size(self, count: int) -> int:
        """Images a task of `count`."""
        size = min(CHUNK, -(-count // (TASKS_EACH * self.workers.jobs)))
        if self.budget.limit is not None:
            like = self.method.extract([np.zeros((64, 64, 3), np.uint8)])
            size = min(size, self.budget.chunk(like, self.workers.jobs))
        return max(1, size)

    def _by_one_process(self, method: WholeFolder, images: Sequence[ImageRef]) -> FeatureSet:
        size = method.input_size()
        how = self._how(enough_for(method, size))
        tasks = ((chunk, how, size) for chunk in _chunks(images, READ_CHUNK))
        workers = self.workers.reading(ref.path for ref in images)
        files: list[str] = []
        unreadable: list[Unreadable] = []

        def read() -> Iterator[Image]:
            for pictures, readable, others in workers.ordered(_read_chunk, tasks):
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
            return LookedOver(self, None, _as_they_are)
        raw = self.raw(sampled(images, LOOKED_AT if whole else sample or 0, seed))
        ready = self.method.fit(raw) if isinstance(self.method, WholeFolder) else _as_they_are
        return LookedOver(self, Known.of(raw), ready)


def _as_they_are(features: FeatureSet) -> FeatureSet:
    return features


@dataclass(frozen=True)
class Known:
    """Files that were read already.

    Attributes
    ----------
    features : FeatureSet
        Raw features of those that could be read.
    places : mapping of str to int
        Where in them a file is.
    unreadable : mapping of str to Unreadable
        Those that could not be read.
    """

    features: FeatureSet
    places: Mapping[str, int]
    unreadable: Mapping[str, Unreadable]

    @classmethod
    def of(cls, features: FeatureSet) -> Known:
        places = {file: place for place, file in enumerate(features.files)}
        return cls(features, places, {one.file: one for one in features.unreadable})

    def has(self, file: str) -> bool:
        return file in self.places or file in self.unreadable

    def among(self, images: Sequence[ImageRef], fresh: FeatureSet) -> FeatureSet:
        """Features of `images`, in their order: known ones, and the `fresh` ones of the others."""
        ours = [self.places[ref.file] for ref in images if ref.file in self.places]
        both = concatenate([self.features[ours], fresh])
        rows = {file: row for row, file in enumerate(both.files)}
        order = [rows[ref.file] for ref in images if ref.file in rows]
        bad = {**self.unreadable, **{one.file: one for one in fresh.unreadable}}
        told = tuple(bad[ref.file] for ref in images if ref.file in bad)
        return replace(both[order], unreadable=told)


@dataclass(frozen=True)
class LookedOver:
    """A folder that was looked over: its images' features can be had, batch by batch.

    Attributes
    ----------
    reading : Reading
    known : Known or None
        What was read of it.
    ready : callable
        Raw features -> features to compare.
    """

    reading: Reading
    known: Known | None
    ready: Callable[[FeatureSet], FeatureSet]

    def sample(self, most: int, seed: int = 0) -> FeatureSet:
        """Features of at most `most` of the images that were looked at."""
        if self.known is None:
            raise ValueError("nothing was looked at")
        known = self.known.features
        rows = np.array(sampled(range(len(known)), most, seed), np.int64)
        return self.ready(self.reading.budget.chosen(known, rows))

    def features(self, images: Sequence[ImageRef]) -> FeatureSet:
        """Features of all `images` that can be read, in their order; the others are listed."""
        return self.ready(self.reading.raw(images, self.known))


@dataclass(frozen=True)
class Decoding:
    """How pictures are read.

    Attributes
    ----------
    max_pixels : int
        Pictures that claim more are not read.
    scale : float or None
        Bring them to this share of their size.
    enough : (int, int) or int or None
        Width and height, or the longer side, below which no picture is decoded.
    """

    max_pixels: int
    scale: float | None
    enough: Size | int | None


def _missing(images: Sequence[ImageRef], known: Known | None) -> Sequence[ImageRef]:
    return images if known is None else [ref for ref in images if not known.has(ref.file)]


def _chunks(images: Sequence[ImageRef], size: int) -> Iterator[Sequence[ImageRef]]:
    for start in range(0, len(images), size):
        yield images[start : start + size]


def _read_chunk(
    images: Sequence[ImageRef], how: Decoding, size: Size
) -> tuple[list[Image], list[str], list[Unreadable]]:
    """The images that can be read, brought to `size`; their names; and the others."""
    pictures: list[Image] = []
    unreadable: list[Unreadable] = []
    files: list[str] = []
    for ref, image in _readable(images, how, unreadable):
        pictures.append(resize(image, size))
        files.append(ref.file)
    return pictures, files, unreadable


def _readable(
    images: Sequence[ImageRef], how: Decoding, unreadable: list[Unreadable]
) -> Iterator[tuple[ImageRef, Image]]:
    """Each image that can be read; the others are put into `unreadable`."""
    with PILLOW_IS_QUIET:
        for ref in images:
            try:
                image = read_image(ref.path, max_pixels=how.max_pixels, at_least=how.enough)
            except UnreadableImageError as error:
                unreadable.append(Unreadable(ref.file, str(error)))
                continue
            yield ref, image if how.scale is None else scaled(image, how.scale)


def _extract_chunk(method: Method, images: Sequence[ImageRef], how: Decoding) -> FeatureSet:
    files: list[str] = []
    unreadable: list[Unreadable] = []

    def readable() -> Iterator[Image]:
        for ref, image in _readable(images, how, unreadable):
            files.append(ref.file)
            yield image

    features = method.extract(readable())
    return replace(
        features,
        files=tuple(files),
        unreadable=tuple(unreadable),
        settings=features.settings or settings_of(method),
    )


def scaled(image: Image, scale: float) -> Image:
    """`image` with both sides times `scale`, at least one pixel."""
    height, width = image.shape[:2]
    return resize(image, (max(1, round(width * scale)), max(1, round(height * scale))))

"""Files -> features: decoding and extraction in chunks on many workers."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from icas.cli.console import Bar
from icas.cli.options import Size
from icas.clusterimg.cache.cache import NO_CACHE, FeatureCache, Lookup, MethodCache
from icas.clusterimg.data.featureset import FeatureIndex, FeatureSet, concatenate, merged
from icas.clusterimg.data.images import ImageRef, Unreadable, sampled
from icas.clusterimg.data.memory import UNLIMITED, MemoryBudget
from icas.clusterimg.methods.base import Image, Method, settings_of, unchanged
from icas.common.errors import UnreadableImageError
from icas.io.reading import MAX_PIXELS, QUIET_PILLOW, image_size, read_image, resize
from icas.io.sandbox import TIMEOUT, Isolation, Lost, Marker
from icas.parallel.executors import ALONE, Workers

T = TypeVar("T")
Decoded = tuple[list[Image], list[str], list[Unreadable]]
"""Images that could be read, their names, and the unreadable files."""


@dataclass(frozen=True)
class Decoding:
    """How images are decoded.

    max_pixels: larger images are not read; scale: factor by which images are resized; at_least:
    width and height, or the longer side, below which no image is decoded; isolation: decode in
    processes that can be killed; None = in this one.
    """

    max_pixels: int
    scale: float | None
    at_least: Size | int | None
    isolation: Isolation | None = None

    def read(self, path: str | os.PathLike[str]) -> Image:
        """The image in `path`; raises UnreadableImageError."""
        image = self._call(read_image, path, at_least=self.at_least)
        return image if self.scale is None else scaled(image, self.scale)

    def size_of(self, path: str | os.PathLike[str]) -> Size:
        """Width and height of the upright image in `path`; raises UnreadableImageError."""
        return self._call(image_size, path)

    def _call(self, decode: Callable[..., T], path: str | os.PathLike[str], **given: Any) -> T:
        if self.isolation is None:
            return decode(path, max_pixels=self.max_pixels, **given)
        return self.isolation.call(decode, path, max_pixels=self.max_pixels, **given)

    @property
    def in_process(self) -> Decoding:
        """The same without isolation."""
        return replace(self, isolation=None)


def isolation_of(settings: Mapping[str, Any]) -> Isolation | None:
    """Isolation of a run with these settings, also as ``run.json`` has them."""
    isolate = settings.get("isolate")
    if isolate is None:
        isolate = settings.get("executor") in ("processes", "dask")
    if not isolate:
        return None
    return Isolation.of(settings.get("decode_timeout", TIMEOUT), settings["max_pixels"])


def scaled(image: Image, scale: float) -> Image:
    """`image` with both sides times `scale`, at least one pixel."""
    height, width = image.shape[:2]
    return resize(image, (max(1, round(width * scale)), max(1, round(height * scale))))


def extract_chunk(method: Method, images: Sequence[ImageRef], how: Decoding) -> FeatureSet:
    """Features of the `images` that can be read; the others are listed in it."""
    # A method of a script cannot be imported by another process.
    if how.isolation is None or not type(method).__module__.startswith("icas."):
        return _extract(images, method, how, nullcontext)
    empty = partial(_extract, (), method, how.in_process, nullcontext)
    parts = []
    for part in how.isolation.each(_extract, images, method, how.in_process):
        if isinstance(part, Lost):
            part = replace(empty(), unreadable=(_unreadable(images, part),))
        parts.append(part)
    return concatenate(parts or [empty()])


def _unreadable(images: Sequence[ImageRef], lost: Lost) -> Unreadable:
    return Unreadable(images[lost.index].file, lost.reason)


def _extract(images: Sequence[ImageRef], method: Method, how: Decoding, mark: Marker) -> FeatureSet:
    files: list[str] = []
    unreadable: list[Unreadable] = []

    def readable() -> Iterator[Image]:
        for ref, image in _readable(images, how, unreadable, mark):
            files.append(ref.file)
            yield image

    features = method.extract(readable())
    settings = features.settings or settings_of(method)
    return replace(features, files=tuple(files), unreadable=tuple(unreadable), settings=settings)


def read_chunk(images: Sequence[ImageRef], how: Decoding, size: Size) -> Decoded:
    """The `images` that can be read, resized to `size`; their names; and the others."""
    if how.isolation is None:
        return _read(images, how, size, nullcontext)
    decoded: Decoded = ([], [], [])
    for part in how.isolation.each(_read, images, how.in_process, size):
        if isinstance(part, Lost):
            part = ([], [], [_unreadable(images, part)])
        decoded[0].extend(part[0])
        decoded[1].extend(part[1])
        decoded[2].extend(part[2])
    return decoded


def _read(images: Sequence[ImageRef], how: Decoding, size: Size, mark: Marker) -> Decoded:
    decoded: Decoded = ([], [], [])
    for ref, image in _readable(images, how, decoded[2], mark):
        decoded[0].append(resize(image, size))
        decoded[1].append(ref.file)
    return decoded


def _readable(
    images: Sequence[ImageRef], how: Decoding, unreadable: list[Unreadable], mark: Marker
) -> Iterator[tuple[ImageRef, Image]]:
    """Each image that can be read; the others are appended to `unreadable`."""
    with QUIET_PILLOW:
        for ref in images:
            try:
                with mark():
                    image = how.read(ref.path)
            except UnreadableImageError as error:
                unreadable.append(Unreadable(ref.file, error.message))
                continue
            yield ref, image


CHUNK = 100
"""Images a task: enough to hide the cost of a task, few enough for a bar that moves."""
TASKS_EACH = 4
"""Least number of tasks of each worker, so that none waits long for the last one."""
READ_CHUNK = 8
"""Images a task where they are only read: they wait in memory until the method takes them."""
EMBEDDED = 256
"""Images that one process embeds before the features are stored: whole batches of a network."""
FITTED_TO = 5000
"""Images to which a method that reads whole folders is fitted: all of most folders."""


@dataclass
class Counts:
    """Images whose features came from the cache, and images whose features were computed."""

    cached: int = 0
    computed: int = 0

    def words(self) -> str:
        """A line to print."""
        return f"features: {self.cached} images from the cache, {self.computed} computed"


@dataclass(frozen=True)
class Reading:
    """How images become features.

    max_pixels: larger images are not read; scale: factor by which images are resized; budget: holds
    large features; counts: what was read so far; isolation: decode in processes that can be killed;
    None = in the workers.
    """

    method: Method
    workers: Workers = ALONE
    max_pixels: int = MAX_PIXELS
    scale: float | None = None
    bar: Bar | None = None
    budget: MemoryBudget = UNLIMITED
    cache: FeatureCache = NO_CACHE
    counts: Counts = field(default_factory=Counts)
    isolation: Isolation | None = None

    def raw(self, images: Sequence[ImageRef], index: FeatureIndex | None = None) -> FeatureSet:
        """Features of all readable `images`, in their order, before `Method.fit`.

        The others are listed in it. What `index` has is not read again.
        """
        if self.method.reads_whole_folder:
            read = self._by_parts if self.method.parts else self._by_one_process
            if index is None:
                return read(images)
            missing = index.missing(images)
            fresh = read(missing) if missing else index.features[:0]
            return index.among(images, fresh)
        how = self._decoding(self.method.decode_size())
        store = self.budget.store(len(images))
        chunks = list(_chunks(images, self._chunk_size(len(images)))) or [()]
        wanted = chunks if index is None else [index.missing(chunk) for chunk in chunks]
        for chunk, part in zip(chunks, self._by_workers(wanted, how), strict=True):
            store.add(part if index is None else index.among(chunk, part))
        return store.features()

    def _by_parts(self, images: Sequence[ImageRef]) -> FeatureSet:
        """Features of each part of the method, combined; the bar follows the last of them."""
        *others, last = self.method.parts
        counts = [Counts() for _ in self.method.parts]
        readings = [replace(self, method=part, bar=None) for part in others]
        readings.append(replace(self, method=last))
        parts = [
            replace(reading, counts=one).raw(images)
            for reading, one in zip(readings, counts, strict=True)
        ]
        self.counts.cached += min(one.cached for one in counts)
        self.counts.computed += max(one.computed for one in counts)
        return self.method.combined(parts)

    def _by_workers(
        self, chunks: Sequence[Sequence[ImageRef]], how: Decoding
    ) -> Iterator[FeatureSet]:
        """Features of each chunk, from the cache and from the workers."""
        cache = self._method_cache(how)
        lookups: deque[Lookup] = deque()

        def tasks() -> Iterator[tuple[Method, Sequence[ImageRef], Decoding]]:
            for chunk in chunks:
                lookups.append(cache.look_up(chunk))
                yield self.method, lookups[-1].missing, how

        workers = self.workers.reading(ref.path for chunk in chunks for ref in chunk)
        fresh = workers.ordered(extract_chunk, tasks())
        for chunk, part in zip(chunks, fresh, strict=True):
            lookup = lookups.popleft()
            cache.store(lookup, part)
            whole = merged(lookup.features, chunk, part)
            self._count(lookup.features, part)
            self._advance(len(whole) + len(whole.unreadable))
            yield whole

    def _method_cache(self, how: Decoding) -> MethodCache:
        return self.cache.of(self.method, how.max_pixels, how.scale, how.at_least)

    def _count(self, cached: FeatureSet | None, computed: FeatureSet) -> None:
        self.counts.cached += 0 if cached is None else len(cached)
        self.counts.computed += len(computed)

    def _advance(self, images: int) -> None:
        if self.bar is not None:
            self.bar.update(images)

    def _decoding(self, at_least: Size | int | None) -> Decoding:
        # A scale refers to the size of the whole image.
        at_least = at_least if self.scale is None else None
        return Decoding(self.max_pixels, self.scale, at_least, self.isolation)

    def _chunk_size(self, count: int) -> int:
        """Images a task of `count`."""
        size = min(CHUNK, -(-count // (TASKS_EACH * self.workers.jobs)))
        if self.budget.limit is not None:
            like = self.method.extract([np.zeros((64, 64, 3), np.uint8)])
            size = min(size, self.budget.chunk(like, self.workers.jobs))
        return max(1, size)

    def _by_one_process(self, images: Sequence[ImageRef]) -> FeatureSet:
        size = self.method.input_size()
        how = self._decoding(self.method.decode_size(size))
        cache = self._method_cache(how)
        lookup = _look_up(cache, images)
        cached = lookup.features
        self._advance(0 if cached is None else len(cached))
        if cached is not None and not lookup.missing:
            fresh = cached[:0]
        else:
            fresh = self._embed(cache, lookup, how, size)
        self._count(cached, fresh)
        return merged(cached, images, fresh)

    def _embed(self, cache: MethodCache, lookup: Lookup, how: Decoding, size: Size) -> FeatureSet:
        """Features of the missing images; they are stored part by part."""
        tasks = ((chunk, how, size) for chunk in _chunks(lookup.missing, READ_CHUNK))
        workers = self.workers.reading(ref.path for ref in lookup.missing)
        files: list[str] = []
        unreadable: list[Unreadable] = []

        def read() -> Iterator[Image]:
            for images, names, failed in workers.ordered(read_chunk, tasks):
                files.extend(names)
                unreadable.extend(failed)
                self._advance(len(failed))
                for image in images:
                    yield image
                    self._advance(1)

        images, done = read(), 0
        parts: list[FeatureSet] = []
        while not parts or len(parts[-1]) == EMBEDDED:
            part = self.method.embed(islice(images, EMBEDDED))
            part = replace(part, files=tuple(files[done : done + len(part)]))
            cache.store(lookup, part)
            parts.append(part)
            done += len(part)
        return replace(concatenate(parts), unreadable=tuple(unreadable))

    def scan_features(
        self, images: Sequence[ImageRef], seed: int = 0, sample: int | None = None
    ) -> FolderFeatures:
        """Read what is needed of a folder before its images are compared.

        Of many images a sample is read, drawn with `seed`; its features are kept. `sample` is its
        size for a method that does not read whole folders; None: nothing is read.
        """
        whole = self.method.reads_whole_folder
        if not whole and sample is None:
            return FolderFeatures(self, None, unchanged)
        raw = self.raw(sampled(images, FITTED_TO if whole else sample or 0, seed))
        return FolderFeatures(self, FeatureIndex.of(raw), self.method.fit(raw))


@dataclass(frozen=True)
class FolderFeatures:
    """Gives the features of a folder batch by batch.

    index: features that were read already; transform: raw features -> features to compare.
    """

    reading: Reading
    index: FeatureIndex | None
    transform: Callable[[FeatureSet], FeatureSet]

    def sample(self, most: int, seed: int = 0) -> FeatureSet:
        """Features of at most `most` of the images that were read already."""
        if self.index is None:
            raise ValueError("no images were read")
        raw = self.index.features
        rows = np.array(sampled(range(len(raw)), most, seed), np.int64)
        return self.transform(self.reading.budget.chosen(raw, rows))

    def features(self, images: Sequence[ImageRef]) -> FeatureSet:
        """Features of all `images` that can be read, in their order; the others are listed."""
        return self.transform(self.reading.raw(images, self.index))


def _look_up(cache: MethodCache, images: Sequence[ImageRef]) -> Lookup:
    """`MethodCache.look_up` of many images, part by part."""
    parts = [cache.look_up(chunk) for chunk in _chunks(images, CHUNK)]
    cached = [part.features for part in parts if part.features is not None]
    missing = [ref for part in parts for ref in part.missing]
    states = {file: state for part in parts for file, state in part.states.items()}
    since = min((part.since for part in parts), default=0)
    return Lookup(missing, concatenate(cached) if cached else None, states, since)


def _chunks(images: Sequence[ImageRef], size: int) -> Iterator[Sequence[ImageRef]]:
    for start in range(0, len(images), size):
        yield images[start : start + size]

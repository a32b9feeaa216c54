"""Files -> features: read by many workers; every worker holds few pictures at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from icas.cli.console import Bar
from icas.cli.options import Size
from icas.clusterimg.cache.cache import NO_CACHE, FeatureCache, Lookup, MethodCache
from icas.clusterimg.data.featureset import FeatureSet, Known, concatenate, missing_of, with_found
from icas.clusterimg.data.images import ImageRef, Unreadable, sampled
from icas.clusterimg.data.memory import UNLIMITED, MemoryBudget
from icas.clusterimg.features.decoding import Decoding, extract_chunk, read_chunk
from icas.clusterimg.methods.base import Image, Method, unchanged
from icas.io.reading import MAX_PIXELS
from icas.io.sandbox import Isolation
from icas.parallel.executors import ALONE, Workers

CHUNK = 100
"""Images a task: enough to hide what a task costs, few enough for a bar that moves."""
TASKS_EACH = 4
"""Tasks that every worker has at the least, so that none waits long for the last one."""
READ_CHUNK = 8
"""Images a task where they are only read: they wait in memory until the method takes them."""
EMBEDDED = 256
"""Images whose features one process makes before they are kept: whole batches of a network."""
LOOKED_AT = 5000
"""Images by which a method learns what a folder is like: all of most folders."""


@dataclass
class Counts:
    """Where features came from.

    cached, computed: images whose features were kept from an earlier run, and whose were made.
    """

    cached: int = 0
    computed: int = 0

    def words(self) -> str:
        """A line for people."""
        return f"features: {self.cached} images from the cache, {self.computed} computed"


@dataclass(frozen=True)
class Reading:
    """How images become features.

    max_pixels: pictures that claim more are not read; scale: bring images to this share of their
    size; budget: where features go that are many; cache: where features are kept between runs;
    counts: what was read so far; isolation: decode in processes that can be killed; None = in the
    workers.
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

    def raw(self, images: Sequence[ImageRef], known: Known | None = None) -> FeatureSet:
        """Features of all `images` that can be read, in their order; the others are listed.

        Features have not been through `Method.fit`.

        known: what was read already and is not read again.
        """
        if self.method.reads_whole_folder:
            missing = missing_of(images, known)
            if known is None:
                return self._by_one_process(self.method, missing)
            fresh = self._by_one_process(self.method, missing) if missing else known.features[:0]
            return known.among(images, fresh)
        how = self._how(self.method.decode_size())
        store = self.budget.store(len(images))
        chunks = list(_chunks(images, self._chunk_size(len(images)))) or [()]
        wanted = [missing_of(chunk, known) for chunk in chunks]
        for chunk, part in zip(chunks, self._extracted(wanted, how), strict=True):
            store.add(part if known is None else known.among(chunk, part))
        return store.features()

    def _extracted(
        self, chunks: Sequence[Sequence[ImageRef]], how: Decoding
    ) -> Iterator[FeatureSet]:
        """Features of each chunk: those that are kept, and the others from the workers."""
        cache = self._cached(how)
        looked: deque[Lookup] = deque()

        def tasks() -> Iterator[tuple[Method, Sequence[ImageRef], Decoding]]:
            for chunk in chunks:
                looked.append(cache.look_up(chunk))
                yield self.method, looked[-1].missing, how

        workers = self.workers.reading(ref.path for chunk in chunks for ref in chunk)
        fresh = workers.ordered(extract_chunk, tasks())
        for chunk, part in zip(chunks, fresh, strict=True):
            known = looked.popleft()
            cache.store(known, part)
            whole = with_found(known.features, chunk, part)
            self._tally(known.features, part)
            self._count(len(whole) + len(whole.unreadable))
            yield whole

    def _cached(self, how: Decoding) -> MethodCache:
        return self.cache.of(self.method, how.max_pixels, how.scale, how.enough)

    def _tally(self, found: FeatureSet | None, fresh: FeatureSet) -> None:
        self.counts.cached += 0 if found is None else len(found)
        self.counts.computed += len(fresh)

    def _how(self, enough: Size | int | None) -> Decoding:
        # Who asks for a share of an image's size means that of the whole image.
        enough = enough if self.scale is None else None
        return Decoding(self.max_pixels, self.scale, enough, self.isolation)

    def _chunk_size(self, count: int) -> int:
        """Images a task of `count`."""
        size = min(CHUNK, -(-count // (TASKS_EACH * self.workers.jobs)))
        if self.budget.limit is not None:
            like = self.method.extract([np.zeros((64, 64, 3), np.uint8)])
            size = min(size, self.budget.chunk(like, self.workers.jobs))
        return max(1, size)

    def _by_one_process(self, method: Method, images: Sequence[ImageRef]) -> FeatureSet:
        size = method.input_size()
        how = self._how(method.decode_size(size))
        cache = self._cached(how)
        found, looked = _looked_up(cache, images)
        self._count(0 if found is None else len(found))
        if found is not None and not looked.missing:
            fresh = found[:0]
        else:
            fresh = self._embedded(method, cache, looked, how, size)
        self._tally(found, fresh)
        return with_found(found, images, fresh)

    def _embedded(
        self, method: Method, cache: MethodCache, looked: Lookup, how: Decoding, size: Size
    ) -> FeatureSet:
        """Features of the images that are missing; they are kept part by part as they are made."""
        tasks = ((chunk, how, size) for chunk in _chunks(looked.missing, READ_CHUNK))
        workers = self.workers.reading(ref.path for ref in looked.missing)
        files: list[str] = []
        unreadable: list[Unreadable] = []

        def read() -> Iterator[Image]:
            for pictures, readable, others in workers.ordered(read_chunk, tasks):
                files.extend(readable)
                unreadable.extend(others)
                self._count(len(others))
                for picture in pictures:
                    yield picture
                    self._count(1)

        pictures, done = read(), 0
        parts: list[FeatureSet] = []
        while not parts or len(parts[-1]) == EMBEDDED:
            part = method.embed(islice(pictures, EMBEDDED))
            part = replace(part, files=tuple(files[done : done + len(part)]))
            cache.store(looked, part)
            parts.append(part)
            done += len(part)
        return replace(concatenate(parts), unreadable=tuple(unreadable))

    def _count(self, images: int) -> None:
        if self.bar is not None:
            self.bar.update(images)

    def look_over(
        self, images: Sequence[ImageRef], seed: int = 0, sample: int | None = None
    ) -> LookedOver:
        """What has to be known of the folder before its images are compared.

        Of many images a sample is read, drawn with `seed`; its features are kept.

        sample: size of the sample for a method that does not read whole folders; None: none are
        read.
        """
        whole = self.method.reads_whole_folder
        if not whole and sample is None:
            return LookedOver(self, None, unchanged)
        raw = self.raw(sampled(images, LOOKED_AT if whole else sample or 0, seed))
        return LookedOver(self, Known.of(raw), self.method.fit(raw))


@dataclass(frozen=True)
class LookedOver:
    """A folder that was looked over: its images' features can be had, batch by batch.

    known: what was read of it; ready: raw features -> features to compare.
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


def _looked_up(cache: MethodCache, images: Sequence[ImageRef]) -> tuple[FeatureSet | None, Lookup]:
    """What is kept of all `images`, and what is missing."""
    parts = [cache.look_up(chunk) for chunk in _chunks(images, CHUNK)]
    found = [part.features for part in parts if part.features is not None]
    missing = [ref for part in parts for ref in part.missing]
    states = {file: state for part in parts for file, state in part.states.items()}
    since = min((part.since for part in parts), default=0)
    return concatenate(found) if found else None, Lookup(missing, None, states, since)


def _chunks(images: Sequence[ImageRef], size: int) -> Iterator[Sequence[ImageRef]]:
    for start in range(0, len(images), size):
        yield images[start : start + size]

"""Features kept between runs: a file that has not changed is not read again."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from icas.cli.options import Size
from icas.clusterimg.cache.key import Recipe, recipe_of, recipe_of_thumbnails
from icas.clusterimg.cache.schema import Found, Kept, Row, features_from, rows_of
from icas.clusterimg.cache.store import Store
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.methods.base import Method
from icas.common.errors import IcasError
from icas.io.paths import cache_folder

LOG = logging.getLogger(__name__)
DEFAULT_BYTES = 2_000_000_000
"""Size that the cache is kept to, unless told otherwise."""
LEAST_BYTES = 1_000_000
KEY_BYTES = 16
TICK_NS = 100_000_000
"""A file that changed so shortly before it was read could change again without its time telling."""
COARSE_TICK_NS = 2_000_000_000
"""The same where times are kept in whole seconds, as FAT does."""


class Stamp(NamedTuple):
    """What tells of a file that it has not changed."""

    size: int
    mtime_ns: int


class Asked(NamedTuple):
    """A file that was looked for.

    Attributes
    ----------
    name : bytes
        Its absolute path.
    key : bytes
        What its features are kept under.
    stamp : Stamp or None
        As it was then; None where the system told nothing.
    """

    name: bytes
    key: bytes
    stamp: Stamp | None


@dataclass(frozen=True)
class Looked:
    """What the cache knows of some images.

    Attributes
    ----------
    missing : sequence of ImageRef
        Those whose features have to be made, in their order.
    found : FeatureSet or None
        Features of the others, in their order; None = of none.
    asked : dict of str to Asked
        The files, before they are read.
    since : int
        When that was, in nanoseconds.
    """

    missing: Sequence[ImageRef]
    found: FeatureSet | None = None
    asked: dict[str, Asked] = field(default_factory=dict)
    since: int = 0


class FeatureCache:
    """Features kept in a folder; a context manager. Without a store it keeps nothing.

    Parameters
    ----------
    store : Store, optional
    """

    def __init__(self, store: Store | None = None) -> None:
        self._store = store

    def of(
        self, method: Method, max_pixels: int, scale: float | None, enough: Size | int | None
    ) -> MethodCache:
        """The part of it with the features of `method`, of pictures decoded in that way."""
        if self._store is None:
            return MethodCache(None, None)
        return MethodCache(self._store, recipe_of(method, max_pixels, scale, enough))

    def of_thumbnails(self, side: int, max_pixels: int) -> MethodCache:
        """The part of it with thumbnails no side of which is above `side` pixels."""
        return MethodCache(self._store, recipe_of_thumbnails(side, max_pixels))

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._store is not None:
            self._store.close()


NO_CACHE = FeatureCache()
"""Keeps nothing."""


def open_cache(place: str | Path | bool | None, limit: int = DEFAULT_BYTES) -> FeatureCache:
    """The cache in the folder `place`.

    Parameters
    ----------
    place : path or bool or None
        None and True: the user's cache folder; False: no cache.
    limit : int
        Bytes that it may take.
    """
    if place is False:
        return NO_CACHE
    try:
        folder = cache_folder() if place is None or place is True else Path(place)
    except IcasError as error:
        LOG.warning("features are not kept: %s", error)
        return NO_CACHE
    return FeatureCache(Store(folder, limit))


def cache_of(settings: Mapping[str, Any]) -> FeatureCache:
    """The cache of a run, by its settings as ``run.json`` holds them."""
    if "cache" not in settings:
        return NO_CACHE  # of an older version
    return open_cache(settings["cache"], settings.get("cache_size") or DEFAULT_BYTES)


@dataclass(frozen=True)
class MethodCache:
    """Kept features of one method with its settings.

    Attributes
    ----------
    store : Store or None
    recipe : Recipe or None
        None: features of this method are not kept.
    """

    store: Store | None
    recipe: Recipe | None

    def look(self, images: Sequence[ImageRef]) -> Looked:
        """What is known of `images`; files that changed since are not known."""
        looked, rows = self._find(images)
        found = None if self.recipe is None else _features(self.recipe, rows)
        if self.store is None or found is None:
            return looked
        self.store.mark(rows[file].id for file in found.files)
        return replace(looked, missing=_others(images, set(found.files)), found=found)

    def look_at_rows(self, images: Sequence[ImageRef]) -> tuple[Looked, dict[str, Row]]:
        """The rows of `images`, by file; for what is of no common size."""
        looked, found = self._find(images)
        if self.store is not None:
            self.store.mark(one.id for one in found.values())
        rows = {file: one.row for file, one in found.items()}
        return replace(looked, missing=_others(images, rows)), rows

    def _find(self, images: Sequence[ImageRef]) -> tuple[Looked, dict[str, Found]]:
        """What is asked for, all of it missing yet, and what is kept of it, undamaged."""
        if self.store is None or self.recipe is None or not images:
            return Looked(images), {}
        since = time.time_ns()
        asked = _asked(self.recipe, images)
        kept = self.store.get([one.key for one in asked.values()])
        rows = {
            file: kept[one.key]
            for file, one in asked.items()
            if one.key in kept and _holds(kept[one.key], self.recipe, one)
        }
        return Looked(images, None, asked, since), rows

    def keep(self, looked: Looked, fresh: FeatureSet) -> None:
        """Keep the features of files that were missing and have not changed while they were read.

        Parameters
        ----------
        looked : Looked
            From before they were read.
        fresh : FeatureSet
            Features of some of ``looked.missing``.
        """
        if self.store is not None and self.recipe is not None and len(fresh):
            self.keep_rows(looked, dict(zip(fresh.files, rows_of(fresh), strict=False)))

    def keep_rows(self, looked: Looked, rows: Mapping[str, Row]) -> None:
        """As `keep`, with a row for each of some files."""
        if self.store is None or self.recipe is None:
            return
        kept = []
        for file, row in rows.items():
            one = looked.asked[file]
            if one.stamp is None or not _settled(one.stamp, looked.since):
                continue
            if _stamp_of(one.name) == one.stamp:
                check = _sum_of(row, self.recipe, one.name, one.stamp)
                kept.append(Kept(one.key, *one.stamp, check, row))
        self.store.put(self.recipe.digest, self.recipe.method, kept)


def _others(images: Sequence[ImageRef], known: Container[str]) -> Sequence[ImageRef]:
    return [ref for ref in images if ref.file not in known]


def _asked(recipe: Recipe, images: Sequence[ImageRef]) -> dict[str, Asked]:
    """Name, key and stamp of every file."""
    here = os.getcwdb()  # noqa: PTH109 - as bytes
    asked = {}
    for ref in images:
        name = os.path.join(here, os.fsencode(ref.path))  # noqa: PTH118 - ten times as fast
        key = hashlib.blake2b(recipe.digest + name, digest_size=KEY_BYTES).digest()
        asked[ref.file] = Asked(name, key, _stamp_of(name))
    return asked


def _stamp_of(name: bytes) -> Stamp | None:
    """Size and time of a file; None where it cannot be told."""
    try:
        status = os.stat(name)  # noqa: PTH116 - as above
    except (OSError, ValueError):
        return None
    return Stamp(status.st_size, status.st_mtime_ns)


def _settled(stamp: Stamp, since: int) -> bool:
    """Whether the file was old enough at `since` for a later change to have another time."""
    coarse = stamp.mtime_ns % 1_000_000_000 == 0
    return since - stamp.mtime_ns >= (COARSE_TICK_NS if coarse else TICK_NS)


def _sum_of(row: Row, recipe: Recipe, name: bytes, stamp: Stamp) -> bytes:
    """Checksum over a row and all that it is kept under."""
    return row.sum(recipe.digest, name, *stamp)


def _holds(found: Found, recipe: Recipe, asked: Asked) -> bool:
    """Whether a row is of this very file as it is now, and undamaged."""
    if asked.stamp is None or (found.size, found.mtime_ns) != asked.stamp:
        return False
    try:
        return _sum_of(found.row, recipe, asked.name, asked.stamp) == found.sum
    except TypeError:  # damage made another type of it
        return False


def _features(recipe: Recipe, rows: dict[str, Found]) -> FeatureSet | None:
    """Features of the files that have one layout: that of the first of them; None of none."""
    if not rows:
        return None
    layout = next(iter(rows.values())).row.layout
    alike = {file: one.row for file, one in rows.items() if one.row.layout == layout}
    try:
        return features_from(recipe, list(alike.values()), list(alike))
    except (TypeError, ValueError):
        return None

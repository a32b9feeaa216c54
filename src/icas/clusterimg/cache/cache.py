"""Features kept between runs: a file that has not changed is not read again.

An entry's key is a digest of the file's path and of the `Recipe`: the method, its settings and
version, how images are decoded, and the versions of the packages that do it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import Size
from icas.clusterimg.cache.database import Database, Entry
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.methods.base import Method, settings_of
from icas.common.errors import IcasError
from icas.io.folders import cache_folder

LOG = logging.getLogger(__name__)
DEFAULT_BYTES = 2_000_000_000
"""Default of the maximum size."""
LEAST_BYTES = 1_000_000
READING_VERSION = 2
"""Raise it when decoding gives other pixels than before."""
THUMBNAIL_VERSION = 1
"""Raise it when thumbnails change."""
NUMERIC_KINDS = "biuf"
"""Kinds of arrays that are stored: bool, integers, floats; never objects."""
TICK_NS, COARSE_TICK_NS = 100_000_000, 2_000_000_000
"""A file modified so shortly before it is read may change again without another mtime.

The longer time holds where mtimes are whole seconds, as on FAT.
"""


@dataclass(frozen=True)
class Recipe:
    """Everything that features depend on beside the image, as a digest."""

    method: str
    digest: bytes
    settings: dict[str, Any]


def recipe_of(
    method: Method, max_pixels: int, scale: float | None, size: Size | int | None
) -> Recipe | None:
    """The recipe of `method` with this decoding; None where a setting has no digest."""
    method = method.extractor
    settings = settings_of(method)
    names = settings.keys() - method.only_compared
    content = {
        "method": method.name,
        "version": method.features_version,
        "settings": {name: getattr(method, name) for name in names},
        "reading": [READING_VERSION, max_pixels, scale, size],
        "packages": _versions(method.packages),
    }
    try:
        return Recipe(method.name, _digest(content), settings)
    except TypeError:
        return None


def _digest(content: dict[str, Any]) -> bytes:
    text = json.dumps(content, sort_keys=True, default=_file_digest)
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _file_digest(value: Any) -> list[str]:
    """Digest of a file among the settings; its name where there is no such file."""
    if not isinstance(value, Path):
        raise TypeError(f"a {type(value).__name__} cannot be part of a cache key")
    try:
        status = value.stat()
        return ["file", _content_digest(value, status.st_size, status.st_mtime_ns)]
    except OSError:
        return ["name", str(value)]


@lru_cache(maxsize=16)
def _content_digest(path: Path, size: int, mtime_ns: int) -> str:
    state = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    import cv2
    import PIL

    versions = {"Pillow": PIL.__version__, "OpenCV": cv2.__version__}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = ""
    return versions


class Row(NamedTuple):
    """Features of one image; the layout is ``name:dtype:shape`` of each array, by semicolons."""

    layout: str
    data: bytes


def rows_of(features: FeatureSet) -> list[Row]:
    """The features of each image as bytes; none where an array is not numeric."""
    arrays = {name: np.ascontiguousarray(array) for name, array in features.arrays.items()}
    if any(array.dtype.kind not in NUMERIC_KINDS for array in arrays.values()):
        return []
    layout = ";".join(
        f"{name}:{array.dtype.str}:{'x'.join(map(str, array.shape[1:]))}"
        for name, array in arrays.items()
    )
    flat = [_as_bytes(array) for array in arrays.values()]
    return [Row(layout, row.tobytes()) for row in np.concatenate(flat, axis=1)]


def _as_bytes(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    """(n, bytes) uint8 of an array whose first axis has length n."""
    width = array.itemsize * math.prod(array.shape[1:])
    return np.frombuffer(array.tobytes(), np.uint8).reshape(len(array), width)


def features_from(recipe: Recipe, rows: Sequence[Row], files: Sequence[str]) -> FeatureSet:
    """The features of `files` from one row each; ValueError where a row does not fit its layout."""
    parts = [_part(text) for text in rows[0].layout.split(";")]
    widths = [dtype.itemsize * math.prod(shape) for _, dtype, shape in parts]
    flat = np.frombuffer(b"".join(row.data for row in rows), np.uint8)
    columns = np.split(flat.reshape(len(rows), sum(widths)), np.cumsum(widths)[:-1], axis=1)
    arrays = {
        name: np.ascontiguousarray(column).reshape(-1).view(dtype).reshape(len(rows), *shape)
        for (name, dtype, shape), column in zip(parts, columns, strict=True)
    }
    return FeatureSet(recipe.method, arrays, recipe.settings, tuple(files))


def _part(text: str) -> tuple[str, np.dtype[np.generic], tuple[int, ...]]:
    """Name, dtype and shape of one array of a layout."""
    name, kind, shape = text.split(":")
    dtype = np.dtype(kind)
    if dtype.kind not in NUMERIC_KINDS:
        raise ValueError(f"{kind} is not a numeric dtype")
    return name, dtype, tuple(int(side) for side in shape.split("x") if side)


class FileState(NamedTuple):
    """A file that was looked up: path, key, and size and mtime where they can be read."""

    path: bytes
    key: bytes
    stamp: tuple[int, int] | None


@dataclass(frozen=True)
class Lookup:
    """Result of looking images up in the cache: both parts are in the order of the images."""

    missing: Sequence[ImageRef]
    features: FeatureSet | None = None
    states: dict[str, FileState] = field(default_factory=dict)  # before the files are read
    since: int = 0  # time of the lookup in nanoseconds


@dataclass(frozen=True)
class MethodCache:
    """The entries of one recipe; stores nothing without a database or a recipe."""

    database: Database | None
    recipe: Recipe | None

    def look_up(self, images: Sequence[ImageRef]) -> Lookup:
        """Stored features of `images`, except of files that changed since."""
        lookup, entries = self._find(images)
        features = self._features(entries)
        if self.database is None or features is None:
            return lookup
        self.database.mark_used(entries[file].id for file in features.files)
        known = set(features.files)
        missing = [ref for ref in images if ref.file not in known]
        return Lookup(missing, features, lookup.states, lookup.since)

    def look_up_rows(self, images: Sequence[ImageRef]) -> tuple[Lookup, dict[str, Row]]:
        """The rows of `images` by file, for data of different sizes."""
        lookup, entries = self._find(images)
        if self.database is not None:
            self.database.mark_used(entry.id for entry in entries.values())
        rows = {file: Row(entry.layout, entry.data) for file, entry in entries.items()}
        missing = [ref for ref in images if ref.file not in rows]
        return Lookup(missing, None, lookup.states, lookup.since), rows

    def _find(self, images: Sequence[ImageRef]) -> tuple[Lookup, dict[str, Entry]]:
        """The valid entries of `images`, by file."""
        if self.database is None or self.recipe is None or not images:
            return Lookup(images), {}
        since = time.time_ns()
        states = _states(self.recipe, images)
        stored = self.database.get([state.key for state in states.values()])
        entries = {
            file: stored[state.key]
            for file, state in states.items()
            if state.key in stored and _is_valid(stored[state.key], self.recipe, state)
        }
        return Lookup(images, None, states, since), entries

    def _features(self, entries: dict[str, Entry]) -> FeatureSet | None:
        """Features of the files whose layout is that of the first."""
        if self.recipe is None or not entries:
            return None
        layout = next(iter(entries.values())).layout
        rows = {
            file: Row(one.layout, one.data) for file, one in entries.items() if one.layout == layout
        }
        try:
            return features_from(self.recipe, list(rows.values()), list(rows))
        except (TypeError, ValueError):
            return None

    def store(self, lookup: Lookup, features: FeatureSet) -> None:
        """Store features of some of ``lookup.missing`` whose files did not change meanwhile."""
        if self.database is not None and self.recipe is not None and len(features):
            self.store_rows(lookup, dict(zip(features.files, rows_of(features), strict=False)))

    def store_rows(self, lookup: Lookup, rows: Mapping[str, Row]) -> None:
        """As `store`, with a row for each file."""
        if self.database is None or self.recipe is None:
            return
        entries = []
        for file, row in rows.items():
            path, key, stamp = lookup.states[file]
            if stamp is None or not _is_settled(stamp[1], lookup.since):
                continue
            if _stamp(path) == stamp:
                checksum = _checksum(self.recipe, path, stamp, *row)
                entries.append(Entry(key, *stamp, checksum, *row))
        self.database.put(self.recipe.digest, self.recipe.method, entries)


def _states(recipe: Recipe, images: Sequence[ImageRef]) -> dict[str, FileState]:
    folder = os.getcwdb()  # noqa: PTH109 - as bytes
    states = {}
    for ref in images:
        path = os.path.join(folder, os.fsencode(ref.path))  # noqa: PTH118 - ten times as fast
        key = hashlib.blake2b(recipe.digest + path, digest_size=16).digest()
        states[ref.file] = FileState(path, key, _stamp(path))
    return states


def _stamp(path: bytes) -> tuple[int, int] | None:
    """Size and mtime of a file; None where they cannot be read."""
    try:
        status = os.stat(path)  # noqa: PTH116 - as above
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def _is_settled(mtime_ns: int, since: int) -> bool:
    """Whether a change after `since` would give the file another mtime."""
    tick = COARSE_TICK_NS if mtime_ns % 1_000_000_000 == 0 else TICK_NS
    return since - mtime_ns >= tick


def _checksum(
    recipe: Recipe, path: bytes, stamp: tuple[int, int], layout: str, data: bytes
) -> bytes:
    """Checksum of an entry with its file and recipe."""
    size, mtime_ns = stamp
    text = str(layout).encode("utf-8", "replace")
    content = b"%d:%b%d:%b" % (len(recipe.digest), recipe.digest, len(path), path)
    content += b"%d;%d;%d:%b" % (size, mtime_ns, len(text), text)
    state = hashlib.blake2b(content, digest_size=16)
    state.update(data)
    return state.digest()


def _is_valid(entry: Entry, recipe: Recipe, state: FileState) -> bool:
    """Whether the entry is of the file as it is now, and undamaged."""
    if state.stamp is None or (entry.size, entry.mtime_ns) != state.stamp:
        return False
    try:
        checksum = _checksum(recipe, state.path, state.stamp, entry.layout, entry.data)
    except TypeError:  # damage changed a type
        return False
    return checksum == entry.checksum


class FeatureCache:
    """Features stored in a database; a context manager. Stores nothing without a database."""

    def __init__(self, database: Database | None = None) -> None:
        self._database = database

    def of(
        self, method: Method, max_pixels: int, scale: float | None, size: Size | int | None
    ) -> MethodCache:
        """The entries of `method` with images decoded in this way."""
        if self._database is None:
            return MethodCache(None, None)
        return MethodCache(self._database, recipe_of(method, max_pixels, scale, size))

    def of_thumbnails(self, side: int, max_pixels: int) -> MethodCache:
        """Thumbnails of at most `side` pixels."""
        content = {
            "thumbnails": THUMBNAIL_VERSION,
            "reading": [READING_VERSION, max_pixels, side],
            "packages": _versions(()),
        }
        return MethodCache(self._database, Recipe("thumbnail", _digest(content), {}))

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(self, *_: object) -> None:
        if self._database is not None:
            self._database.close()


NO_CACHE = FeatureCache()


def open_cache(folder: str | Path | bool | None, limit: int = DEFAULT_BYTES) -> FeatureCache:
    """The cache in `folder` (None, True: the user's; False: none) with at most `limit` bytes."""
    if folder is False:
        return NO_CACHE
    try:
        path = cache_folder() if folder is None or folder is True else Path(folder)
    except IcasError as error:
        LOG.warning("features are not cached: %s", error)
        return NO_CACHE
    return FeatureCache(Database(path, limit))


def cache_of(settings: Mapping[str, Any]) -> FeatureCache:
    """The cache of a run with these settings in ``run.json``."""
    if "cache" not in settings:
        return NO_CACHE  # of an older version
    return open_cache(settings["cache"], settings.get("cache_size") or DEFAULT_BYTES)

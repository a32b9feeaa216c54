"""Thumbnails of a run as JPEG data URIs: how many each group of images gets, and making them."""

from __future__ import annotations

import base64
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from icas.cli.console import Console, counted
from icas.clusterimg.cache.cache import NO_CACHE, FeatureCache, Row, cache_of
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.features.extraction import isolation_of
from icas.common.errors import UnreadableImageError
from icas.io.reading import thumbnail
from icas.io.sandbox import DECODERS, Isolation
from icas.notebook.html import as_jpeg, data_uri
from icas.parallel.executors import start_workers

SIDE = 112
"""Longest side in CSS pixels at which a thumbnail is shown."""

QUALITY = 70
MOST = 5_000
"""Thumbnails in one page, where `BYTES` allows."""

BYTES = 22_000_000
"""Bytes of all thumbnails of a page: with 10,000 names it stays below 30 MB."""

SMALL_FROM = 2_000
"""So many thumbnails, and more, are no larger than they are shown."""

SIDES = (224, 192, 160, 136, SIDE)
"""Sizes of thumbnails: few, so that cached ones fit after some images are added."""


@dataclass(frozen=True)
class Thumbnail:
    """A JPEG as a ``data:`` URI, and the size in CSS pixels at which it is shown."""

    uri: str
    width: int
    height: int


def fair_shares(wanted: Sequence[int], total: int) -> list[int]:
    """How many of `total` things each group gets: as equal as can be, never more than it wants.

    A remainder goes to the first groups.
    """
    wants = np.asarray(wanted, dtype=np.int64)
    if wants.sum() <= total:
        return [int(want) for want in wants]
    levels = range(int(wants.max()) + 1)
    level = bisect_right(levels, total, key=lambda each: int(np.minimum(wants, each).sum())) - 1
    shares = np.minimum(wants, level)
    hungry = np.flatnonzero(wants > level)
    shares[hungry[: total - int(shares.sum())]] += 1
    return [int(share) for share in shares]


def side_for(count: int) -> int:
    """Longest side in pixels of each of `count` thumbnails: their pixels together stay bounded."""
    most = SIDE * math.sqrt(SMALL_FROM / max(1, count))
    return next((side for side in SIDES if side <= most), SIDE)


def make_thumbnails(
    paths: Sequence[Path],
    max_pixels: int,
    jobs: int | None,
    console: Console,
    isolation: Isolation | None = None,
    cache: FeatureCache = NO_CACHE,
) -> list[Thumbnail | None]:
    """A thumbnail of every file, made by `jobs` threads; None where a file cannot be read.

    With `isolation` files are decoded in processes that can be killed. Cached ones are reused.
    """
    side = side_for(len(paths))
    store = cache.of_thumbnails(side, max_pixels)
    names = [str(path) for path in paths]
    refs = [ImageRef(path, name) for path, name in zip(paths, names, strict=True)]
    with console.bar(len(paths), "report", "thumbnails") as bar:
        lookup, rows = store.look_up_rows(refs)
        found: dict[str, Thumbnail | None] = {name: _of_row(row) for name, row in rows.items()}
        bar.update(len(found))
        with start_workers("threads", jobs) as workers, DECODERS:
            tasks = ((ref.path, side, max_pixels, isolation) for ref in lookup.missing)
            made = counted(workers.ordered(_thumbnail, tasks), bar)
            fresh = dict(zip((ref.file for ref in lookup.missing), made, strict=True))
        store.store_rows(lookup, {name: _row_of(one) for name, one in fresh.items() if one})
    found |= fresh
    return [found[name] for name in names]


def thumbnails_of(
    settings: Mapping[str, Any], paths: Sequence[Path], max_pixels: int, console: Console
) -> list[Thumbnail | None]:
    """A thumbnail of every file, read with the settings of a run."""
    jobs, isolation = settings.get("jobs"), isolation_of(settings)
    with cache_of(settings) as cache:
        return make_thumbnails(paths, max_pixels, jobs, console, isolation, cache)


def thumbnail_file(
    path: Path,
    side: int,
    max_pixels: int,
    isolation: Isolation | None = None,
    cache: FeatureCache = NO_CACHE,
) -> bytes | None:
    """The image in `path` as a JPEG file with no side above `side` pixels; None if unreadable."""
    store, ref = cache.of_thumbnails(side, max_pixels), ImageRef(path, str(path))
    lookup, rows = store.look_up_rows([ref])
    found = _of_row(rows[ref.file]) if ref.file in rows else None
    if found is None:
        found = _thumbnail(path, side, max_pixels, isolation)
        if found is None:
            return None
        store.store_rows(lookup, {ref.file: _row_of(found)})
    return base64.b64decode(found.uri.partition(",")[2])


def _row_of(thumbnail: Thumbnail) -> Row:
    return Row(f"{thumbnail.width}x{thumbnail.height}", thumbnail.uri.encode("ascii"))


def _of_row(row: Row) -> Thumbnail:
    width, height = row.layout.split("x")
    return Thumbnail(row.data.decode("ascii"), int(width), int(height))


def _thumbnail(
    path: Path, side: int, max_pixels: int, isolation: Isolation | None
) -> Thumbnail | None:
    try:
        if isolation is not None:
            return isolation.call(make_thumbnail, path, side, max_pixels)
    except UnreadableImageError:
        return None
    return make_thumbnail(path, side, max_pixels)


def make_thumbnail(path: Path, side: int, max_pixels: int) -> Thumbnail | None:
    """The image in `path` with no side above `side` pixels; None if it cannot be read."""
    try:
        image = thumbnail(path, side, max_pixels=max_pixels)
    except UnreadableImageError:
        return None
    width, height = _shown_size(image.shape[1], image.shape[0])
    return Thumbnail(data_uri(as_jpeg(image, QUALITY, -1)), width, height)


def _shown_size(width: int, height: int) -> tuple[int, int]:
    """Size on the page; tiny images are enlarged by a whole factor."""
    longest = max(width, height)
    scale = SIDE // longest if longest <= SIDE else SIDE / longest
    return max(1, round(width * scale)), max(1, round(height * scale))

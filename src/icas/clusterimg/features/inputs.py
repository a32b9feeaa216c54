"""A folder, a list of paths, or arrays -> FeatureSet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Bar, Console
from icas.clusterimg.cache.cache import NO_CACHE, FeatureCache
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.images import ImageRef, Unreadable, sampled, scan
from icas.clusterimg.data.links import Links
from icas.clusterimg.features.extraction import FITTED_TO, Decoding, Reading, scaled
from icas.clusterimg.graph.forest import Forest, Labels
from icas.clusterimg.methods.base import Method, settings_of
from icas.common.errors import UnreadableImageError, UsageError
from icas.io.reading import MAX_PIXELS, as_image
from icas.io.sandbox import DECODERS, Isolation
from icas.parallel.executors import ALONE, Workers

LEAST_SIDE = 7
"""The window of ssim, the widest that a method lays over images of a common size."""


def extract(
    method: Method,
    images: Sequence[ImageRef],
    workers: Workers = ALONE,
    *,
    max_pixels: int = MAX_PIXELS,
    bar: Bar | None = None,
    cache: FeatureCache = NO_CACHE,
) -> FeatureSet:
    """Features of all `images` that can be read, in their order; the others are listed in it."""
    reading = Reading(method, workers, max_pixels, bar=bar, cache=cache)
    return reading.scan_features(images).features(images)


def with_common_scale(
    method: Method,
    images: Sequence[ImageRef],
    scale: float,
    max_pixels: int,
    isolation: Isolation | None = None,
) -> Method:
    """`method` with a common size of `scale` times the median size of `images`.

    Methods without a common size come back unchanged: their images are scaled one by one.
    """
    if settings_of(method)["size"] is None:
        return method
    sizes, how = [], Decoding(max_pixels, None, None, isolation)
    with DECODERS:
        for ref in images:
            try:
                sizes.append(how.size_of(ref.path))
            except UnreadableImageError:
                continue
    median = np.median(np.array(sizes or [(1, 1)]), axis=0)
    width, height = (max(LEAST_SIDE, round(side * scale)) for side in median)
    resized: Method = replace(method, size=(width, height))  # type: ignore[call-arg]
    return resized


def features_of(
    method: Method,
    source: str | Path | Iterable[Any],
    workers: Workers = ALONE,
    *,
    recursive: bool = False,
    max_pixels: int = MAX_PIXELS,
    scale: float | None = None,
    cache: FeatureCache = NO_CACHE,
    fitted: bool = True,
) -> FeatureSet:
    """Features of a folder, of paths, or of images; without `fitted` before `Method.fit`.

    Raises UsageError: no such folder, paths and images mixed, or something that is no image.
    """
    outside: tuple[Unreadable, ...] = ()
    if isinstance(source, (str, Path)):
        result = scan(Path(source), recursive=recursive)
        refs, outside = result.images, result.unreadable
    else:
        items = image_items(source)
        if not all(isinstance(item, (str, Path)) for item in items):
            raw = _features_of_arrays(method, items, scale)
            return fitted_together(method, [raw])[0] if fitted else raw
        refs = tuple(ImageRef(Path(item), Path(item).as_posix()) for item in items)
    if scale is not None:
        method = with_common_scale(method, refs, scale, max_pixels)
    with Console().bar(len(refs), "features", "images") as bar:
        raw = Reading(method, workers, max_pixels, scale, bar, cache=cache).raw(refs)
    raw = replace(raw, unreadable=(*raw.unreadable, *outside))
    return fitted_together(method, [raw])[0] if fitted else raw


def fitted_together(method: Method, parts: Sequence[FeatureSet]) -> list[FeatureSet]:
    """Raw features after `Method.fit` to all of them: they are comparable with one another."""
    if not method.reads_whole_folder:
        return list(parts)
    together = concatenate(list(parts))
    rows = np.array(sampled(range(len(together)), FITTED_TO, 0), np.int64)
    transform = method.fit(together[rows])
    return [transform(part) for part in parts]


def image_items(source: Any) -> list[Any]:
    """The images of a list, tuple, Series, generator or (n, h, w, 3) array, one by one.

    Raises UsageError: something that holds no images one by one, such as a single image.
    """
    if hasattr(source, "columns"):
        raise UsageError("images: a table was given: give its column of paths, table['file']")
    if hasattr(source, "__array__") and getattr(source, "ndim", None) in (2, 3):
        shape = tuple(source.shape)
        stack = len(shape) == 3 and shape[2] not in (1, 3, 4)
        cure = "list(images) makes gray images of it" if stack else "put it in a list, [image]"
        raise UsageError(f"images: a single array of shape {shape} was given: {cure}")
    if hasattr(source, "getexif"):
        raise UsageError("images: a single PIL image was given: put it in a list, [image]")
    if isinstance(source, (bytes, Mapping)) or not isinstance(source, Iterable):
        kind = "None" if source is None else f"a {type(source).__name__}"
        raise UsageError(
            f"images: {kind} was given: expected a folder, or a list of paths, arrays or PIL images"
        )
    return [os.fspath(item) if _is_path(item) else item for item in source]


def _is_path(item: Any) -> bool:
    """Whether it is a path that is neither text nor a Path."""
    return isinstance(item, os.PathLike) and not isinstance(item, Path)


@dataclass(frozen=True)
class Inputs:
    """Images as they were given, and those that have features.

    Attributes
    ----------
    count : int
        Images given; of a folder the readable ones.
    rows : (k,) int64
        Number of each image with features among those given.
    files : tuple of str
        Files given; empty for arrays.
    lost : tuple of Unreadable
        Files of a list that could not be read.
    """

    count: int
    rows: NDArray[np.int64]
    files: tuple[str, ...]
    lost: tuple[Unreadable, ...] = ()

    @classmethod
    def of(
        cls, source: str | Path | list[Any], read: tuple[str, ...], unreadable: Sequence[Unreadable]
    ) -> Inputs:
        """Of a source as `features_of` takes it; `read`: the files with features, in order."""
        if isinstance(source, (str, Path)) or (not read and not unreadable):
            count = len(read) if isinstance(source, (str, Path)) else len(source)
            return cls(count, np.arange(count), read)
        files = tuple(Path(item).as_posix() for item in source)
        reasons = {one.file for one in unreadable}
        rows = [row for row, file in enumerate(files) if file not in reasons]
        return cls(len(files), np.array(rows, np.int64), files, tuple(unreadable))

    def labels(self, labels: Labels) -> Labels:
        """Labels of all images given; -1 for those without features."""
        whole = np.full(self.count, -1, np.int64)
        whole[self.rows] = labels
        return whole

    def links(self, links: Links) -> Links:
        """The same links between the images given."""
        return links.renumbered(self.rows)

    def forest(self, forest: Forest) -> Forest:
        """The same forest on the images given."""
        if not self.lost:
            return forest
        return replace(forest, count=self.count, a=self.rows[forest.a], b=self.rows[forest.b])

    def warning(self) -> str:
        """What to say of the files that could not be read."""
        first = self.lost[0]
        more = f", and {len(self.lost) - 1} more" if len(self.lost) > 1 else ""
        return f"cannot read {first.file} ({first.reason}){more}: labelled -1, see unreadable_"


def _features_of_arrays(method: Method, items: list[Any], scale: float | None) -> FeatureSet:
    if any(isinstance(item, (str, Path)) for item in items):
        place, odd = next(
            (place, item) for place, item in enumerate(items) if not isinstance(item, (str, Path))
        )
        if odd is None or (np.ndim(odd) == 0 and not hasattr(odd, "getexif")):
            raise UsageError(f"image {place} is {odd!r}: expected a path, as the others")
        raise UsageError("paths and arrays cannot be mixed: give all images in one form")
    images = (as_image(item, f"image {position}") for position, item in enumerate(items))
    if scale is not None:
        images = (scaled(image, scale) for image in images)
    return replace(method.extract(images), settings=settings_of(method))

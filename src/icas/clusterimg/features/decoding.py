"""Files -> images or features, in the process that calls or in one that can be killed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from icas.cli.options import Size
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.images import ImageRef, Unreadable
from icas.clusterimg.methods.base import Image, Method, settings_of
from icas.common.errors import UnreadableImageError
from icas.io.reading import QUIET_PILLOW, image_size, read_image, resize
from icas.io.sandbox import TIMEOUT, Isolation, Lost, Marker

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
                unreadable.append(Unreadable(ref.file, str(error)))
                continue
            yield ref, image

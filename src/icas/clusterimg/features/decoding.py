"""How large a picture has to be decoded for a method that makes it small anyway."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from icas.cli.options import Size
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.images import ImageRef, Unreadable
from icas.clusterimg.methods.base import Image, Method, settings_of
from icas.common.errors import UnreadableImageError
from icas.io.reading import QUIET_PILLOW, image_size, read_image, resize
from icas.io.sandbox import TIMEOUT, Isolation, Lost, Marker

Pictures = tuple[list[Image], list[str], list[Unreadable]]
"""Images that could be read, their names, and the others."""


@dataclass(frozen=True)
class Decoding:
    """How pictures are read.

    max_pixels: pictures that claim more are not read; scale: bring them to this share of their
    size; enough: (int, int) or int or None, width and height, or the longer side, below which no
    picture is decoded; isolation: in processes that can be killed; None = right here.
    """

    max_pixels: int
    scale: float | None
    enough: Size | int | None
    isolation: Isolation | None = None

    def read(self, path: str | os.PathLike[str]) -> Image:
        """The picture in `path`.

        Raises UnreadableImageError.
        """
        if self.isolation is None:
            image = read_image(path, max_pixels=self.max_pixels, at_least=self.enough)
        else:
            image = self.isolation.call(
                read_image, path, max_pixels=self.max_pixels, at_least=self.enough
            )
        return image if self.scale is None else scaled(image, self.scale)

    def size(self, path: str | os.PathLike[str]) -> Size:
        """Width and height of the upright picture in `path`.

        Raises UnreadableImageError.
        """
        if self.isolation is None:
            return image_size(path, max_pixels=self.max_pixels)
        return self.isolation.call(image_size, path, max_pixels=self.max_pixels)

    @property
    def here(self) -> Decoding:
        """The same, in the process that asks."""
        return replace(self, isolation=None)


def isolation_of(settings: Mapping[str, Any]) -> Isolation | None:
    """How images are decoded by a run with these settings, as ``run.json`` has them too."""
    asked = settings.get("isolate")
    if not (settings.get("executor") in ("processes", "dask") if asked is None else asked):
        return None
    return Isolation.of(settings.get("decode_timeout", TIMEOUT), settings["max_pixels"])


def scaled(image: Image, scale: float) -> Image:
    """`image` with both sides times `scale`, at least one pixel."""
    height, width = image.shape[:2]
    return resize(image, (max(1, round(width * scale)), max(1, round(height * scale))))


def extract_chunk(method: Method, images: Sequence[ImageRef], how: Decoding) -> FeatureSet:
    """Features of the `images` that can be read; the others are listed in it."""
    if how.isolation is None or not _is_ours(method):
        return _extracted(images, method, how, nullcontext)
    here = how.here
    parts = []
    for part in how.isolation.each(_extracted, images, method, here):
        if isinstance(part, Lost):
            lost = Unreadable(images[part.index].file, part.reason)
            part = replace(_extracted((), method, here, nullcontext), unreadable=(lost,))
        parts.append(part)
    return concatenate(parts) if parts else _extracted((), method, here, nullcontext)


def _is_ours(method: Method) -> bool:
    """Whether another process can compute its features: one's own may be of a script."""
    return type(method).__module__.startswith("icas.")


def _extracted(
    images: Sequence[ImageRef], method: Method, how: Decoding, mark: Marker
) -> FeatureSet:
    files: list[str] = []
    unreadable: list[Unreadable] = []

    def readable() -> Iterator[Image]:
        for ref, image in _readable(images, how, unreadable, mark):
            files.append(ref.file)
            yield image

    features = method.extract(readable())
    return replace(
        features,
        files=tuple(files),
        unreadable=tuple(unreadable),
        settings=features.settings or settings_of(method),
    )


def read_chunk(images: Sequence[ImageRef], how: Decoding, size: Size) -> Pictures:
    """The `images` that can be read, brought to `size`; their names; and the others."""
    if how.isolation is None:
        return _read(images, how, size, nullcontext)
    pictures: list[Image] = []
    files: list[str] = []
    unreadable: list[Unreadable] = []
    for part in how.isolation.each(_read, images, how.here, size):
        if isinstance(part, Lost):
            unreadable.append(Unreadable(images[part.index].file, part.reason))
            continue
        pictures += part[0]
        files += part[1]
        unreadable += part[2]
    return pictures, files, unreadable


def _read(images: Sequence[ImageRef], how: Decoding, size: Size, mark: Marker) -> Pictures:
    pictures: list[Image] = []
    unreadable: list[Unreadable] = []
    files: list[str] = []
    for ref, image in _readable(images, how, unreadable, mark):
        pictures.append(resize(image, size))
        files.append(ref.file)
    return pictures, files, unreadable


def _readable(
    images: Sequence[ImageRef], how: Decoding, unreadable: list[Unreadable], mark: Marker
) -> Iterator[tuple[ImageRef, Image]]:
    """Each image that can be read; the others are put into `unreadable`."""
    with QUIET_PILLOW:
        for ref in images:
            try:
                with mark():
                    image = how.read(ref.path)
            except UnreadableImageError as error:
                unreadable.append(Unreadable(ref.file, str(error)))
                continue
            yield ref, image

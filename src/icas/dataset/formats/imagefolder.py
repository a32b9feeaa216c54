"""``SPLIT/CLASS/image``: torchvision's ImageFolder, Keras' image_dataset_from_directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from icas.dataset.formats.base import Dataset, DatasetFormat, DatasetImage


class ImageFolder(DatasetFormat):
    """A folder for each split, in it a folder for each class."""

    suffixes: ClassVar[frozenset[str]] = frozenset(
        (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
    )  # torchvision's

    def folder(self, image: DatasetImage, dataset: Dataset) -> str | None:
        return f"{image.split}/{dataset.classes[image.label].folder}"

    def tables(self, dataset: Dataset, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        yield from ()

"""``SPLIT/CLASS/image``: torchvision's ImageFolder, Keras' image_dataset_from_directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from icas.dataset.formats.base import Dataset, DatasetFormat, DatasetImage


class ImageFolder(DatasetFormat):
    """A folder for each split, in it a folder for each class.

    A class without images in a split has a folder there too: readers number classes by their
    folders, and would otherwise number those of each split differently.
    """

    suffixes: ClassVar[frozenset[str]] = frozenset(
        (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
    )  # torchvision's
    absent_class: ClassVar[str] = "load such splits with ImageFolder(..., allow_empty=True)"

    def folder(self, image: DatasetImage, dataset: Dataset) -> str | None:
        return f"{image.split}/{dataset.classes[image.label].folder}"

    def tables(self, dataset: Dataset, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        present = {(one.split, one.label) for one in dataset.images}
        for split in dataset.splits:
            for one in dataset.classes.values():
                if (split, one.name) not in present:
                    yield f"{split}/{one.folder}/.gitkeep", b""

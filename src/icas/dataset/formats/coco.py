"""COCO files with the category of each image: ``annotations/SPLIT.json``, ``SPLIT/image``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, ClassVar

from icas.dataset.formats.base import Dataset, DatasetFormat, DatasetImage, json_file


class Coco(DatasetFormat):
    """One annotation an image, without a box: its ``category_id`` is the class of the image.

    Numbers begin at 1 and are unique over all splits; ``file_name`` is relative to the folder of
    the split.
    """

    needs_sizes: ClassVar[bool] = True

    def folder(self, image: DatasetImage, dataset: Dataset) -> str | None:
        return image.split

    def tables(self, dataset: Dataset, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        categories = [{"id": one.number + 1, "name": one.name} for one in dataset.classes.values()]
        numbers = {one.name: one.number + 1 for one in dataset.classes.values()}
        for split in dataset.splits:
            images: list[dict[str, Any]] = []
            annotations: list[dict[str, Any]] = []
            pairs = zip(dataset.images, paths, strict=True)
            for number, (image, path) in enumerate(pairs, 1):
                if image.split != split:
                    continue
                width, height = image.size or (0, 0)
                name = PurePosixPath(path).name
                images.append({"id": number, "file_name": name, "width": width, "height": height})
                annotations.append(
                    {
                        "id": number,
                        "image_id": number,
                        "category_id": numbers[image.label],
                        "iscrowd": 0,
                        "score": round(image.confidence, 4),
                        "cluster": image.cluster,
                    }
                )
            content = {"images": images, "annotations": annotations, "categories": categories}
            yield f"annotations/{split}.json", json_file(content)

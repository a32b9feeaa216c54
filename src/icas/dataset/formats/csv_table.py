"""``dataset.csv``: one line an image, with the names of images in ``clusters.csv``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from icas.dataset.formats.base import Dataset, DatasetFormat, DatasetImage
from icas.io.files import table

COLUMNS = ("file", "label", "split", "cluster", "confidence")


class CsvTable(DatasetFormat):
    """A table only: ``file`` is relative to the source folder, no image is copied."""

    def folder(self, image: DatasetImage, dataset: Dataset) -> str | None:
        return None

    def tables(self, dataset: Dataset, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        rows = (
            (one.file, one.label, one.split, one.cluster, f"{one.confidence:.4g}")
            for one in dataset.images
        )
        yield "dataset.csv", table(COLUMNS, rows)

"""The base class of formats, and the data set that they write."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from icas.dataset.classes import DatasetClass


@dataclass(frozen=True)
class DatasetImage:
    """One labelled image.

    Attributes
    ----------
    file : str
        Its name in ``clusters.csv``.
    label, split : str
    cluster : int
        Number of its cluster; -1 = outlier.
    confidence : float
        Of the label, 0 to 1.
    size : (int, int), optional
        Width and height in pixels, where a format needs them.
    """

    file: str
    label: str
    split: str
    cluster: int
    confidence: float
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Dataset:
    """Labelled images with their classes, by name in the order of their numbers, and splits."""

    images: tuple[DatasetImage, ...]
    classes: Mapping[str, DatasetClass]
    splits: tuple[str, ...]


class DatasetFormat(ABC):
    """A format of data sets: where each image is placed, and the tables beside the images."""

    suffixes: ClassVar[frozenset[str]] = frozenset()
    """Suffixes of files that readers of the format load, in lower case; empty: any."""
    needs_sizes: ClassVar[bool] = False
    """Whether its tables hold the size of each image."""

    absent_class: ClassVar[str] = ""
    """What to do where a split lacks a class; empty: nothing."""

    @abstractmethod
    def folder(self, image: DatasetImage, dataset: Dataset) -> str | None:
        """Folder of an image, relative to the data set; None where it is not copied."""

    @abstractmethod
    def tables(self, dataset: Dataset, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Name and content of each table, whatever images the data set has.

        Parameters
        ----------
        dataset : Dataset
        paths : sequence of str
            Path of each image, relative to the data set; "" where it is not copied.
        """


def json_file(content: Any) -> bytes:
    """A JSON file in ASCII, so that it is valid whatever bytes file names have."""
    return (json.dumps(content, indent=1) + "\n").encode()

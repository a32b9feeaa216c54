"""Data sets of objects: export of saved paintings, and import of those of other programs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from icas.common.registry import Entry, Registry

if TYPE_CHECKING:
    from icas.segmentimg.datasets.objects import InstanceImage, InstanceObject, Size
    from icas.segmentimg.document.palette import Color

_PACKAGE = "icas.segmentimg.datasets."
WRITERS = Registry(
    "icas.dataset_writers",
    {
        "coco": Entry(_PACKAGE + "coco:CocoWriter", "COCO instances, masks as run lengths"),
        "yolo": Entry(_PACKAGE + "yolo:YoloWriter", "Ultralytics segmentation, polygons"),
        "voc": Entry(_PACKAGE + "voc:VocWriter", "PASCAL VOC, class and object PNGs"),
        "labelme": Entry(_PACKAGE + "labelme:LabelmeWriter", "a labelme file per image"),
        "hf": Entry(_PACKAGE + "hf:HfWriter", "Hugging Face image folder with metadata.jsonl"),
    },
    member="add",
)
READERS = Registry(
    "icas.dataset_readers",
    {
        "coco": Entry(_PACKAGE + "coco:CocoReader", "a COCO file, or a folder with some"),
        "yolo": Entry(_PACKAGE + "yolo:YoloReader", "a folder with data.yaml and labels/"),
        "voc": Entry(_PACKAGE + "voc:VocReader", "a folder with SegmentationObject/"),
        "labelme": Entry(_PACKAGE + "labelme:LabelmeReader", "a labelme file, or a folder"),
        "cvat": Entry(_PACKAGE + "cvat:CvatReader", "CVAT for images 1.1 (XML), or its COCO"),
    },
    member="pages",
)


@dataclass(frozen=True)
class WriterOptions:
    """How objects are written; each format uses those that concern it.

    Attributes
    ----------
    polygons : bool
        Polygons in place of masks.
    borders : bool
        VOC: pixels beside a border between objects get the value 255.
    """

    polygons: bool = False
    borders: bool = False


class DatasetWriter(ABC):
    """A format that data sets are written in; it only encodes, `export` writes the files.

    Parameters
    ----------
    names : sequence of str
        Names of the classes, in their order; `add` appends those that are new.
    colors : mapping of str to (int, int, int)
        Their colors.
    options : WriterOptions
    splits : sequence of str
        Names of the splits; ("",) where the data set is not split.
    """

    by_stem: ClassVar[bool] = False
    """Files of an image have its name without the suffix, so that must be unique."""

    def __init__(
        self,
        names: Sequence[str],
        colors: Mapping[str, Color],
        options: WriterOptions,
        splits: Sequence[str] = ("",),
    ) -> None:
        self.names, self.colors = list(names), dict(colors)
        self.options, self.splits = options, tuple(splits)
        self.keyholes = 0
        """Objects with holes or several parts, which a polygon connects by bridges."""

    @abstractmethod
    def image_path(self, split: str, name: str) -> str:
        """Where an image is in the data set."""

    @abstractmethod
    def add(self, split: str, image: InstanceImage) -> dict[str, bytes]:
        """Files of one image; UsageError if the format cannot hold it."""

    @abstractmethod
    def finish(self) -> dict[str, bytes]:
        """Files of the whole data set."""

    def number(self, name: str) -> int:
        """Number of a class, from 0."""
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)


@dataclass
class Page:
    """The annotations of one image in a data set that is read."""

    file: str
    """Path of the image as the data set has it; perhaps without suffix, or only its name."""
    where: str
    """The annotation file, for messages."""
    content: Any = None
    """What the reader needs to know to make the objects."""
    size: Size | None = None
    """Height and width that the data set states."""
    has_suffix: bool = True
    second: str = ""
    """Path without suffix to look for, where there is no image `file`."""


@dataclass
class ReadObjects:
    """Objects of one image."""

    objects: list[InstanceObject] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """A line for each annotation that cannot be used, with file and number."""
    notes: list[str] = field(default_factory=list)
    """A line for each annotation without an area."""


class DatasetReader(ABC):
    """A format that data sets are read in; UsageError if `path` is none of it."""

    colors: Mapping[str, Color]
    """Colors of classes, where the data set has them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.colors = {}
        self.left_out: list[str] = []
        """A line for each annotation of no image, or file that cannot be read."""

    @classmethod
    @abstractmethod
    def accepts(cls, path: Path) -> bool:
        """Whether `path` looks like a data set of this format."""

    @abstractmethod
    def names(self) -> list[str]:
        """Names of the listed classes, in their order."""

    @abstractmethod
    def pages(self) -> Iterator[Page]:
        """The annotated images."""

    @abstractmethod
    def read(self, page: Page, size: Size) -> ReadObjects:
        """Objects of an image of `size`; UsageError if none of them can be read."""

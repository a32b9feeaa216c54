"""Segmentation methods: the registry and the base class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import check_options, construct
from icas.common.errors import UsageError
from icas.common.registry import Entry, Registry, lookup
from icas.io.reading import Image
from icas.segmentimg.labels.labels import Labels

_HERE = "icas.segmentimg.segmenters."
SEGMENTERS = Registry(
    "icas.segmenters",
    {
        "superpixel": Entry(
            _HERE + "superpixels:Superpixels", "small segments of similar size that follow edges"
        ),
        "edge": Entry(_HERE + "edges:Edges", "regions enclosed by strong gradients"),
        "kmeans": Entry(_HERE + "kmeans:KMeans", "k-means of colour and position"),
        "slickmeans": Entry(_HERE + "kmeans:SlicKMeans", "k-means of SLIC superpixels"),
        "chanvese": Entry(_HERE + "chanvese:ChanVese", "Chan-Vese level set"),
        "felzenszwalb": Entry(
            _HERE + "regions:Felzenszwalb", "graph-based, by contrast (scikit-image)"
        ),
        "quickshift": Entry(_HERE + "regions:Quickshift", "mode seeking in colour and position"),
        "graph": Entry(_HERE + "regions:Graph", "graph-based, by contrast (OpenCV); fast"),
        "grabcut": Entry(
            _HERE + "grabcut:GrabCut", "one object, selected by boxes, strokes and clicks"
        ),
        "sam": Entry(_HERE + "sam:SamSegmenter", "Segment Anything; automatic or prompted"),
    },
    member="automatic",
)


class Segmenter(ABC):
    """A segmentation method: a frozen dataclass whose fields are its options.

    A method that takes boxes and points overrides `prompted`, `needs_annotation`, `object_mask`
    and `annotator`.
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other spellings of the name."""
    automatic: ClassVar[bool] = True
    """Whether it needs neither annotations nor weights."""
    annotation: ClassVar[str] = ""
    """Kind of annotation in a window that `annotator` takes: strokes or prompts."""
    saves: ClassVar[tuple[str, ...]] = ()
    """Additional values of ``--save`` for this method; see `extra_files`."""

    def __post_init__(self) -> None:
        check_options(self)

    @abstractmethod
    def groups(self, image: Image) -> Labels:
        """(h, w) int32: a number for each group of pixels, connected or not; 0 = edge."""

    @property
    def full_size(self) -> bool:
        """Whether it takes large images at full size."""
        return False

    @property
    def prompted(self) -> bool:
        """Whether there are boxes or points among the options."""
        return False

    @property
    def needs_annotation(self) -> bool:
        """Whether an image has to be annotated in a window before it can be segmented."""
        return False

    @property
    def segments_are_objects(self) -> bool:
        """Whether each segment that is painted becomes an object of its own."""
        return False

    def object_mask(self, image: Image) -> NDArray[np.bool_]:
        """(h, w) bool: the object that the boxes and points among the options select."""
        raise UsageError(f"method {self.name!r} takes no boxes or points")

    def annotator(self, image: Image) -> Any:
        """Object that computes masks from annotations in a window; may be slow to create."""
        raise UsageError(f"method {self.name!r} takes no annotations")

    def extra_files(self, image: Image) -> tuple[dict[str, Image], dict[str, Any]]:
        """Images by their name in `saves`, and entries of NAME.json."""
        return {}, {}


def segmenter_class(name: str) -> type[Segmenter]:
    """The class of the method `name`, in any case; UsageError if there is none."""
    folded = name.casefold()
    if folded not in set(SEGMENTERS):
        classes: list[type[Segmenter]] = [entry.load() for entry in SEGMENTERS.values()]
        name = next((cls.name for cls in classes if folded in cls.aliases), name)
    cls: type[Segmenter] = lookup(SEGMENTERS, name, "method")[1].load()
    return cls


def make_segmenter(name: str, **options: Any) -> Segmenter:
    """The method `name` with options, default where not given; UsageError for a wrong one."""
    segmenter: Segmenter = construct(
        segmenter_class(name), name, options, lambda: map(segmenter_class, SEGMENTERS)
    )
    return segmenter


def automatic_segmenters() -> list[str]:
    """Names of the methods that need neither annotations nor weights."""
    return [name for name in SEGMENTERS if segmenter_class(name).automatic]

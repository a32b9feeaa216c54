"""The segmenters: one row a method, one file a family."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import construct
from icas.common.registry import Entry, Registry, lookup
from icas.io.reading import Image
from icas.segmentimg.labels.labels import Labels

_HERE = "icas.segmentimg.segmenters."
SEGMENTERS = Registry(
    "icas.segmenters",
    {
        "superpixel": Entry(_HERE + "superpixels:Superpixels", "small even pieces along the edges"),
        "edge": Entry(_HERE + "edges:Edges", "closed regions between strong gradients"),
        "kmeans": Entry(_HERE + "kmeans:KMeans", "colours, with a weighted place"),
        "slickmeans": Entry(
            _HERE + "kmeans:SlicKMeans", "superpixels, grouped by colour and place"
        ),
        "chanvese": Entry(_HERE + "chanvese:ChanVese", "level set between light and dark"),
        "felzenszwalb": Entry(
            _HERE + "regions:Felzenszwalb", "regions by contrast, scikit-image's"
        ),
        "quickshift": Entry(_HERE + "regions:Quickshift", "modes of colour and place"),
        "graph": Entry(_HERE + "regions:Graph", "regions by contrast, OpenCV's, fast"),
        "grabcut": Entry(_HERE + "grabcut:GrabCut", "one object, by boxes, strokes and clicks"),
        "sam": Entry(_HERE + "sam:SamSegmenter", "Segment Anything: what is there, or pointed at"),
    },
    member="groups",
)
AUTOMATIC = tuple(name for name in SEGMENTERS if name not in ("grabcut", "sam"))
"""Methods that need neither a person nor weights."""

OTHER_SPELLINGS = {"chanvase": "chanvese"}


class Segmenter(Protocol):
    """A way to cut a picture. Its dataclass fields are its options; it holds no other state."""

    name: ClassVar[str]

    def groups(self, image: Image) -> Labels:
        """Groups of pixels, numbered anyhow; pieces need not hang together; 0 = edge."""
        ...


@runtime_checkable
class AsksFirst(Protocol):
    """A way to cut a picture that a person tells what is meant."""

    @property
    def asks(self) -> bool:
        """Whether a person has to say it first, for the options do not."""
        ...

    @property
    def told(self) -> bool:
        """Whether there are boxes or points among the options."""
        ...

    def meant(self, image: Image) -> NDArray[np.bool_]:
        """(h, w) bool: what the boxes and points among the options mean."""
        ...

    def guide(self, image: Image) -> Any:
        """What makes segments of a person's marks on a picture; may take a while to make."""
        ...


def segmenter_class(name: str) -> type[Any]:
    """The class of the method called `name`; case does not matter.

    Raises
    ------
    UsageError
        No such method; the message names the choices.
    """
    folded = OTHER_SPELLINGS.get(name.casefold(), name)
    cls: type[Any] = lookup(SEGMENTERS, folded, "method")[1].load()
    return cls


def make_segmenter(name: str, **options: Any) -> Segmenter:
    """The method called `name` with its options; those not given keep their defaults.

    Raises
    ------
    UsageError
        No such method, an option that it does not have, or a value outside its limits.
    """
    made: Segmenter = construct(segmenter_class(name), name, options)
    return made

"""File formats of paintings: the registry and the base class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from icas.common.registry import Entry, Registry

if TYPE_CHECKING:
    from icas.segmentimg.document.palette import Painting
    from icas.segmentimg.formats.inputs import ImageFile

Contents = dict[str, Callable[[], bytes]]
"""File names in the output folder, and functions that encode their content."""

_PACKAGE = "icas.segmentimg.formats."
FORMATS = Registry(
    "icas.formats",
    {
        "masks": Entry(_PACKAGE + "masks:MaskFiles", "a black and white PNG per class"),
        "labels": Entry(_PACKAGE + "masks:LabelMap", "a 16-bit PNG of class numbers"),
        "coco": Entry(_PACKAGE + "coco:Coco", "one COCO file per folder, masks as run lengths"),
        "labelme": Entry(_PACKAGE + "labelme:Labelme", "a labelme file with mask shapes"),
        "instances": Entry(_PACKAGE + "masks:InstanceMap", "a 16-bit PNG of object numbers"),
    },
    member="files",
)


class PaintFormat(ABC):
    """A format in which paintings are saved; it only encodes, `save_painting` writes the files."""

    keeps_classes: ClassVar[bool] = True
    """The classes can be read back from its files."""
    keeps_objects: ClassVar[bool] = False
    """The object numbers can be read back from its files."""
    polygons = False
    """Whether outlines are wanted in place of masks, where the format has both."""

    def check(self, image: ImageFile) -> None:
        """Raise ConflictError where a file of another program has the name of one to be written."""
        return None

    @abstractmethod
    def files(self, image: ImageFile, painting: Painting, portable: bool) -> Contents:
        """Files of one painted image; `portable`: no colons in their names."""

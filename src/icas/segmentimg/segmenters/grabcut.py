"""GrabCut as a segmenter: object and background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import option
from icas.common.errors import UsageError
from icas.io.reading import Image
from icas.segmentimg.grabcut import annotation as marks
from icas.segmentimg.grabcut.annotation import Corners, Point, parse_box, parse_point
from icas.segmentimg.labels.labels import Labels
from icas.segmentimg.segmenters import Segmenter

if TYPE_CHECKING:
    from icas.segmentimg.grabcut.api import GrabCutSession

T = TypeVar("T")


def box_option(text: str) -> Any:
    """The option ``--box``."""
    return _repeated("--box", f"{text}; repeatable", parse_box, "X0,Y0,X1,Y1")


def point_option() -> Any:
    """The option ``--point``."""
    text = "point on the object (label 1) or background (0); repeatable"
    return _repeated("--point", text, parse_point, "X,Y,LABEL")


def _repeated(flag: str, text: str, parse: Callable[[str], Any], metavar: str) -> Any:
    return option(
        (), text, parse=parse, metavar=metavar, default_text="none", flag=flag, repeat=True
    )


@dataclass(frozen=True)
class GrabCut(Segmenter):
    """``icas.grabcut`` with rectangles and clicks; see there.

    Source: C. Rother, V. Kolmogorov, A. Blake, "GrabCut": interactive foreground extraction using
    iterated graph cuts, SIGGRAPH 2004.
    """

    boxes: tuple[Corners, ...] = box_option("rectangle around the object")
    points: tuple[Point, ...] = point_option()
    rounds: int = option(5, "maximum number of GrabCut iterations", minimum=1, maximum=1000)
    seed: int = option(0, "random seed", minimum=0, maximum=2**31 - 1)

    name: ClassVar[str] = "grabcut"
    automatic: ClassVar[bool] = False
    annotation: ClassVar[str] = "strokes"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "boxes", _parsed("--box", self.boxes, parse_box))
        object.__setattr__(self, "points", _parsed("--point", self.points, parse_point))

    @property
    def full_size(self) -> bool:
        """Boxes and points are in pixels of the full image; `object_mask` reduces it itself."""
        return True

    @property
    def prompted(self) -> bool:
        return bool(self.boxes or self.points)

    @property
    def needs_annotation(self) -> bool:
        return not self.prompted

    def annotator(self, image: Image) -> GrabCutSession:
        from icas.segmentimg.grabcut.api import GrabCutSession

        return GrabCutSession(image, seed=self.seed)

    def groups(self, image: Image) -> Labels:
        """2 on the object, 1 around it; UsageError for no or wrong boxes and points."""
        return np.where(self.object_mask(image), 2, 1).astype(np.int32)

    def object_mask(self, image: Image) -> NDArray[np.bool_]:
        if not self.prompted:
            raise UsageError("method 'grabcut' needs --box X0,Y0,X1,Y1 or --point X,Y,LABEL")
        shape = (image.shape[0], image.shape[1])
        boxes = marks.boxes_of(self.boxes, shape)
        strokes = marks.point_strokes(self.points, shape)
        return self.annotator(image).run(marks.Annotation(boxes, strokes), self.rounds)


def _parsed(flag: str, given: Any, parse: Callable[[Any], T]) -> tuple[T, ...]:
    """One value or several, as texts or as numbers."""
    first_is_number = len(given) > 0 and np.ndim(given[0]) == 0 and not isinstance(given[0], str)
    if isinstance(given, str) or first_is_number:
        given = (given,)
    try:
        return tuple(parse(value) for value in given)
    except ValueError as error:
        raise UsageError(f"{flag} {given!r}: expected {error}") from None

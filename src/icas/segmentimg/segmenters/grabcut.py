"""GrabCut as a way to cut a picture: the object and what is around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import check_options, option
from icas.common.errors import UsageError
from icas.io.reading import Image
from icas.segmentimg.grabcut.annotation import (
    Annotation,
    Corners,
    Point,
    boxes_of,
    parse_box,
    parse_point,
    point_strokes,
)
from icas.segmentimg.labels.labels import Labels

if TYPE_CHECKING:
    from icas.segmentimg.grabcut.api import CutOut

T = TypeVar("T")


@dataclass(frozen=True)
class GrabCut:
    """``icas.grabcut`` with rectangles and clicks; see there.

    Source: C. Rother, V. Kolmogorov, A. Blake, "GrabCut": interactive foreground extraction using
    iterated graph cuts, SIGGRAPH 2004.

    Raises
    ------
    UsageError
        An option is outside its limits, or no box and no point.
    """

    boxes: tuple[Corners, ...] = option(
        (),
        "rectangle around what is meant; may be given again",
        parse=parse_box,
        metavar="X0,Y0,X1,Y1",
        default_text="none",
        flag="--box",
        repeat=True,
    )
    points: tuple[Point, ...] = option(
        (),
        "on what is meant (label 1) or not (0); may be given again",
        parse=parse_point,
        metavar="X,Y,LABEL",
        default_text="none",
        flag="--point",
        repeat=True,
    )
    rounds: int = option(5, "most rounds of GrabCut", minimum=1, maximum=1000)
    seed: int = option(0, "of the colour mixtures", minimum=0, maximum=2**31 - 1)

    name: ClassVar[str] = "grabcut"
    full_size: ClassVar[bool] = True
    """Boxes and points count the pixels of the whole picture, and it is cut smaller anyway."""

    def __post_init__(self) -> None:
        check_options(self)
        object.__setattr__(self, "boxes", _parsed("--box", self.boxes, parse_box))
        object.__setattr__(self, "points", _parsed("--point", self.points, parse_point))

    @property
    def told(self) -> bool:
        """Whether there are boxes or points among the options."""
        return bool(self.boxes or self.points)

    @property
    def asks(self) -> bool:
        """Whether a person has to draw something first."""
        return not self.told

    def guide(self, image: Image) -> CutOut:
        """What makes an object of a person's boxes and strokes on a picture."""
        from icas.segmentimg.grabcut.api import CutOut

        return CutOut(image, seed=self.seed)

    def groups(self, image: Image) -> Labels:
        """2 where the object is, 1 around it.

        Raises
        ------
        UsageError
            No box and no point, or one outside the picture.
        """
        return np.where(self.meant(image), 2, 1).astype(np.int32)

    def meant(self, image: Image) -> NDArray[np.bool_]:
        """(h, w) bool: the object that boxes and points mean.

        Raises
        ------
        UsageError
            No box and no point, or one outside the picture.
        """

        shape = (image.shape[0], image.shape[1])
        boxes, strokes = boxes_of(self.boxes, shape), point_strokes(self.points, shape)
        return self.guide(image).run(Annotation(boxes, strokes), self.rounds)


def _parsed(flag: str, given: Any, parse: Callable[[Any], T]) -> tuple[T, ...]:
    """One value or several, as texts or as numbers."""
    if isinstance(given, str) or (len(given) and np.ndim(given[0]) == 0 and not _text(given[0])):
        given = (given,)
    try:
        return tuple(parse(one) for one in given)
    except ValueError as error:
        raise UsageError(f"{flag} {given!r}: {error} is needed") from None


def _text(value: Any) -> bool:
    return isinstance(value, str)

"""Tools that compute on the images of a session: growing, masks of prompts, and templates."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

import numpy as np

from icas.common.errors import UsageError
from icas.io.reading import Image, read_image
from icas.segmentimg.labels.labels import union
from icas.segmentimg.segmenters.sam import SamSegmenter
from icas.segmentimg.serving.commands import NEW, Args, Done, Target
from icas.segmentimg.serving.embeddings import Report
from icas.segmentimg.serving.prompts import LivePrompts
from icas.segmentimg.session.open import OpenImage
from icas.segmentimg.session.session import Session
from icas.segmentimg.templates.files import TemplateSet
from icas.segmentimg.templates.paint import TemplatePaint

KEPT = 4
"""Images whose template matches are kept."""
NO_TEMPLATES = "no templates: start segmentimg serve with --templates DIR"


def growth_steps(opened: OpenImage, row: int, col: int) -> list[list[int]]:
    """Segments that each step of growing adds around a pixel, as in the painting window.

    The first step is the segment at the pixel, the last one reaches the whole image. On an edge
    and outside the image there are none.
    """
    document, growth = opened.document, opened.growth
    segment = document.segment_at(row, col)
    if segment == 0:
        return []
    origin = document.origin_of(segment)
    steps, before = [[segment]], np.array([segment], np.int32)
    for level in growth.steps(origin).tolist():
        group = document.pieces_of(growth.group(origin, level))
        added = np.setdiff1d(group, before, assume_unique=True)
        if len(added):
            steps.append(added.tolist())
            before = group
    return steps


class Tools:
    """The tools of a session; several threads may use them, also while documents are locked.

    Parameters
    ----------
    session : Session
    max_pixels : int
        Limit for reading images that are not open.
    sam : SamSegmenter or str
        The model of Segment Anything; or the reason why there is none.
    templates : TemplateSet
        Templates to find; possibly none.
    report : callable
        Takes an image and the progress of its embedding, 0 to 1.

    Attributes
    ----------
    operations : dict
        Commands that use results of the tools, by name.
    """

    def __init__(
        self,
        session: Session,
        max_pixels: int,
        sam: SamSegmenter | str,
        templates: TemplateSet,
        report: Report,
    ) -> None:
        self._session, self._max_pixels, self._templates = session, max_pixels, templates
        self.prompts = LivePrompts(self._image, len(session.pictures), sam, report)
        self._searching = Lock()
        self._found: OrderedDict[int, TemplatePaint] = OrderedDict()
        self.operations: Mapping[str, Callable[[Target, Args], Done]] = {
            "mask": self._mask,
            "template": self._template,
        }

    def state(self) -> dict[str, Any]:
        """What the page shows: which tools there are."""
        return {"tools": self.prompts.tools(), "templates": bool(self._templates.templates)}

    def search(self, number: int) -> None:
        """Search the templates in an image, for the command ``template``."""
        if self._templates.templates:
            self._matches(number, self._image(number))

    def close(self) -> None:
        """Compute nothing more."""
        self.prompts.close()

    def _image(self, number: int) -> Image:
        opened = self._session.store.images.get(number)
        if opened is not None:
            return opened.document.image
        return read_image(self._session.pictures[number].path, max_pixels=self._max_pixels)

    def _matches(self, number: int, image: Image) -> TemplatePaint:
        with self._searching:
            if number not in self._found:
                self._found[number] = self._templates.find(image)
            self._found.move_to_end(number)
            while len(self._found) > KEPT:
                self._found.popitem(last=False)
            return self._found[number]

    def _mask(self, target: Target, args: Args) -> Done:
        """``mask {prompt, class, number?, replace?}``: paint the mask of a prompt.

        It is a new object of the class unless there is a `number`. With `replace`, the paint that
        the class has is cleared: the mask takes the place of a wrong one.
        """
        result = self.prompts.result(args.get("prompt"), target.number)
        color = target.chosen_color(args)
        document, at = target.document, (result.box[0], result.box[2])
        if args.get("replace") is not True:
            instance = target.instance({"number": NEW, **args}, color)
            return target.painted(color, "mask"), target.stamp(result.mask(), color, instance, at)
        numbers = [one.number for one in document.objects() if one.color == color]
        instance = target.instance({"number": min(numbers, default=1), **args}, color)
        before = document.masks().get(color)
        with document.stroke():
            cleared = None if before is None else document.stamp(before, None)
            painted = target.stamp(result.mask(), color, instance, at)
        boxes = [box for box in (cleared, painted) if box is not None]
        return f"replace by {target.painted(color, 'mask')}", union(boxes) if boxes else None

    def _template(self, target: Target, _: Args) -> Done:
        """Paint all matches of the templates, each as a new object."""
        if not self._templates.templates:
            raise UsageError(NO_TEMPLATES)
        if target.locked:
            raise UsageError("a class is locked: unlock all classes to paint templates")
        found = self._matches(target.number, target.document.image)
        box = target.document.stamp_objects(found.objects())
        count = len(found.places)
        return f"paint {count:,} template {'match' if count == 1 else 'matches'}", box

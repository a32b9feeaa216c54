"""Live prompts: masks by GrabCut and Segment Anything while a person annotates an image."""

from __future__ import annotations

import base64
import gzip
import hashlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError, UsageError
from icas.io.reading import Image
from icas.segmentimg.grabcut import annotation as strokes
from icas.segmentimg.grabcut.api import GrabCutSession
from icas.segmentimg.labels.labels import Box, bounding_box, rows_of
from icas.segmentimg.sam.predictor import Step
from icas.segmentimg.segmenters.sam import SamSegmenter
from icas.segmentimg.serving.embeddings import Embeddings, Report
from icas.segmentimg.session.annotations import AnnotationLayer, Click, Drawn, Stroke

ROUNDS = 5
"""Rounds of GrabCut, as `icas.grabcut` runs by default, unless one changes nothing."""
ROUND_SECONDS = 0.2
"""Time after which a request is answered with the rounds so far."""
SESSIONS = 3
"""Images whose rounds of GrabCut stay in memory."""
RESULTS = 48
"""Masks that can be accepted; older ones are forgotten."""
MOST_MARKS, MOST_PIXELS, MOST_RADIUS = 1000, 100_000, 2000
SUPERSEDED = {"superseded": True}


@dataclass(frozen=True)
class PromptRequest:
    """Annotations of an image, and the tool that makes a mask of them."""

    image: int
    tool: str
    drawn: tuple[Drawn, ...]
    """The box, then strokes and points."""
    candidates: tuple[int, ...]
    """For each annotation, which candidate of Segment Anything is shown after it."""
    serial: int

    @classmethod
    def of(cls, body: Mapping[str, Any], shape: tuple[int, int]) -> PromptRequest:
        """A request to an image of `shape`, checked; UsageError for a wrong one."""
        tool = body.get("tool")
        if tool not in ("grabcut", "sam"):
            raise UsageError("tool: expected grabcut or sam")
        lines, points = _rows(body, "strokes"), _rows(body, "points")
        drawn: list[Drawn] = []
        if body.get("box") is not None:
            drawn.append(_box(body["box"], shape))
        if lines and tool == "sam":
            raise UsageError("strokes: Segment Anything takes a box and points")
        drawn += [_stroke(line, shape) for line in lines]
        if sum(len(one.pixels) for one in drawn if isinstance(one, Stroke)) > MOST_PIXELS:
            raise UsageError(f"strokes: expected at most {MOST_PIXELS:,} points")
        drawn += [_click(point, shape) for point in points]
        candidates = tuple(_whole(k, "candidates", 0, 99) for k in _rows(body, "candidates"))
        serial = _whole(body.get("serial", 0), "serial", 0, 1 << 53)
        return cls(image_in(body), tool, tuple(drawn), candidates, serial)

    def layer(self, shape: tuple[int, int]) -> AnnotationLayer:
        """The annotations; for GrabCut points are small discs."""
        layer = AnnotationLayer(shape, self.drawn)
        if self.tool == "grabcut" and layer.clicks:
            points = [(click.col, click.row, click.label) for click in layer.clicks]
            discs = strokes.point_strokes(points, shape)
            layer.strokes[discs > 0] = discs[discs > 0]
        return layer

    def steps(self, layer: AnnotationLayer) -> list[Step]:
        """What is predicted one after the other: each annotation refines the mask before."""
        shown = [*self.candidates, *[0] * len(self.drawn)]
        before = [0, *shown]  # each annotation refines what was shown after the one before
        chosen = zip(layer.prompts(), before, strict=False)
        return [(prompts, number) for prompts, number in chosen if prompts is not None]

    @property
    def candidate(self) -> int:
        """The candidate that is wanted."""
        last = len(self.drawn) - 1
        return self.candidates[last] if 0 <= last < len(self.candidates) else 0


@dataclass(frozen=True)
class PromptMask:
    """A mask that can be accepted."""

    image: int
    box: Box
    packed: bytes
    """Bits of the mask in the box, each row from a new byte on."""

    @classmethod
    def of(cls, image: int, mask: NDArray[np.bool_]) -> PromptMask:
        """The part of a mask of an image that is not empty."""
        box = bounding_box(mask)
        return cls(image, box, np.packbits(mask[rows_of(box)], axis=1).tobytes())

    @property
    def number(self) -> str:
        """Identifies it."""
        about = repr((self.image, self.box)).encode()
        return hashlib.blake2b(about + self.packed, digest_size=9).hexdigest()

    def mask(self) -> NDArray[np.bool_]:
        """(n, m) bool: the pixels in the box."""
        top, bottom, left, right = self.box
        rows = np.frombuffer(self.packed, np.uint8).reshape(bottom - top, -1)
        return np.unpackbits(rows, axis=1, count=right - left).astype(bool)

    def shown(self) -> dict[str, Any]:
        """What the page gets."""
        top, bottom, left, right = self.box
        data = base64.b64encode(gzip.compress(self.packed, 1, mtime=0)).decode()
        area = int(np.bitwise_count(np.frombuffer(self.packed, np.uint8)).sum())
        return {
            "prompt": self.number,
            "box": [top, left, bottom, right],
            "data": data,
            "area": area,
        }


@dataclass
class _Rounds:
    """GrabCut of one image, and the rounds of the annotations that it has now."""

    session: GrabCutSession
    lock: threading.Lock = field(default_factory=threading.Lock)
    drawn: tuple[Drawn, ...] = ()
    done: int = 0
    mask: NDArray[np.bool_] | None = None
    more: bool = True

    def restart(self, drawn: tuple[Drawn, ...]) -> None:
        """Start with other annotations; superpixels are kept."""
        if drawn != self.drawn:
            self.session.reset()
            self.drawn, self.done, self.mask, self.more = drawn, 0, None, True

    def round(self, annotation: strokes.Annotation) -> None:
        """One more round, if it can change the mask."""
        mask = self.session.round(annotation)
        same = self.mask is not None and np.array_equal(mask, self.mask)
        self.mask, self.done = mask, self.done + 1
        self.more = not same and self.done < ROUNDS


class LivePrompts:
    """Answers prompts on numbered images; several threads may ask at once.

    The mask depends on the annotations only, not on those before: of GrabCut it is that of
    `icas.grabcut` once no more rounds follow. Of one tab, a newer request ends the older ones.

    Parameters
    ----------
    image_of : callable
        Number of an image -> the image, (h, w, 3) uint8.
    count : int
        Number of images.
    sam : SamSegmenter or str
        The model; or the reason why there is none.
    report : callable, optional
        Takes an image and the progress of its embedding, 0 to 1.
    """

    def __init__(
        self,
        image_of: Callable[[int], Image],
        count: int,
        sam: SamSegmenter | str,
        report: Report = lambda image, progress: None,
    ) -> None:
        self._image_of, self._count = image_of, count
        self._missing = sam if isinstance(sam, str) else ""
        self._embeddings: Embeddings | None = None
        if isinstance(sam, SamSegmenter):
            self._embeddings = Embeddings(sam, image_of, count, report)
        self._lock = threading.Lock()
        self._predicting = threading.Lock()
        self._rounds: OrderedDict[int, _Rounds] = OrderedDict()
        self._results: OrderedDict[str, PromptMask] = OrderedDict()
        self._arrivals = 0
        self._latest: dict[str, tuple[int, int]] = {}

    def tools(self) -> dict[str, Any]:
        """The tools; of a missing one the reason."""
        return {"grabcut": True, "sam": self._missing or True}

    def answer(self, body: Mapping[str, Any], tab: str | None = None) -> tuple[int, dict[str, Any]]:
        """HTTP status and content of the answer to a request.

        Raises UsageError for a wrong request, IcasError where the image cannot be read.
        """
        number = image_in(body)
        if not 0 <= number < self._count:
            raise UsageError(f"no image {number}")
        image = self._image_of(number)
        shape = (image.shape[0], image.shape[1])
        request = PromptRequest.of(body, shape)
        superseded = self._arrived(request, tab or "")
        if request.tool == "sam":
            status, content = self._segment_anything(request, shape, superseded)
        else:
            status, content = 200, self._grabcut(request, image, superseded)
        return status, {"serial": request.serial, **content}

    def result(self, prompt: Any, image: int) -> PromptMask:
        """A mask by its number; UsageError where it is unknown or of another image."""
        with self._lock:
            found = self._results.get(prompt) if isinstance(prompt, str) else None
        if found is None or found.image != image:
            raise UsageError("prompt: no such mask of this image; draw it again")
        return found

    def close(self) -> None:
        """Compute nothing more."""
        if self._embeddings is not None:
            self._embeddings.close()

    def _arrived(self, request: PromptRequest, tab: str) -> Callable[[], bool]:
        """Note a request; returns whether a newer one of the tab has come meanwhile."""
        with self._lock:
            self._arrivals += 1
            order = self._arrivals
            self._latest[tab] = order, request.serial
            while len(self._latest) > SESSIONS * 100:
                self._latest.pop(next(iter(self._latest)))

        def superseded() -> bool:
            latest, serial = self._latest.get(tab, (order, request.serial))
            return latest > order and serial >= request.serial

        return superseded

    def _segment_anything(
        self, request: PromptRequest, shape: tuple[int, int], superseded: Callable[[], bool]
    ) -> tuple[int, dict[str, Any]]:
        embeddings = self._embeddings
        if embeddings is None:
            raise UsageError(self._missing)
        refinement = embeddings.take(request.image)
        if refinement is None:
            return 202, {"wait": True, "progress": round(embeddings.progress(request.image), 2)}
        if not request.drawn:
            return 200, {"ready": True}
        steps = request.steps(request.layer(shape))
        if not steps:
            return 200, _nothing("add a point on the object, or a box")
        with self._predicting:
            if superseded():
                return 200, SUPERSEDED
            prediction = refinement.predict(steps)
            count = len(prediction.quality)
            chosen = request.candidate % count
            mask = prediction.candidate(chosen)
        score = float(prediction.quality[chosen])
        found = {"score": round(score, 3) if math.isfinite(score) else None, "candidates": count}
        return 200, self._keep(request, mask) | found

    def _grabcut(
        self, request: PromptRequest, image: Image, superseded: Callable[[], bool]
    ) -> dict[str, Any]:
        rounds = self._rounds_of(request.image, image)
        if not request.drawn:
            return {"ready": True}
        annotation = request.layer(rounds.session.shape).annotation()
        with rounds.lock:
            rounds.restart(request.drawn)
            start = time.monotonic()
            try:
                while rounds.more:
                    if superseded():
                        return SUPERSEDED
                    rounds.round(annotation)
                    if time.monotonic() - start > ROUND_SECONDS:
                        break
            except IcasError as error:  # annotations without an object, say
                return _nothing(error.message)
            mask, more = rounds.mask, rounds.more
        if mask is None:
            return _nothing("draw a box or strokes")
        return self._keep(request, mask) | {"score": None, "more": more}

    def _rounds_of(self, number: int, image: Image) -> _Rounds:
        with self._lock:
            rounds = self._rounds.get(number)
            if rounds is None:
                rounds = self._rounds[number] = _Rounds(GrabCutSession(image))
            self._rounds.move_to_end(number)
            while len(self._rounds) > SESSIONS:
                self._rounds.popitem(last=False)
        return rounds

    def _keep(self, request: PromptRequest, mask: NDArray[np.bool_]) -> dict[str, Any]:
        if not mask.any():
            return _nothing("nothing found: move the box or add a point")
        result = PromptMask.of(request.image, mask)
        with self._lock:
            self._results[result.number] = result
            self._results.move_to_end(result.number)
            while len(self._results) > RESULTS:
                self._results.popitem(last=False)
        return result.shown()


def image_in(body: Mapping[str, Any]) -> int:
    """The number of the image in a request."""
    return _whole(body.get("image"), "image", 0, 1 << 31)


def _nothing(note: str) -> dict[str, Any]:
    return {"prompt": None, "note": note}


def _whole(given: Any, name: str, low: int, high: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
        raise UsageError(f"{name}: expected a whole number, {low} to {high}")
    return given


def _rows(body: Mapping[str, Any], name: str) -> list[Any]:
    rows = body.get(name)
    if rows is None:
        return []
    if not isinstance(rows, list) or len(rows) > MOST_MARKS:
        raise UsageError(f"{name}: expected a list of at most {MOST_MARKS:,}")
    return rows


def _place(given: Any, name: str, shape: tuple[int, int]) -> tuple[int, int]:
    """A pixel [row, col]; outside the image the nearest one inside."""
    if not isinstance(given, list) or len(given) < 2:
        raise UsageError(f"{name}: expected [row, col]")
    row, col = (_whole(part, name, -MOST_PIXELS, MOST_PIXELS) for part in given[:2])
    return min(max(row, 0), shape[0] - 1), min(max(col, 0), shape[1] - 1)


def _box(given: Any, shape: tuple[int, int]) -> Box:
    if not isinstance(given, list) or len(given) != 4:
        raise UsageError("box: expected [row0, col0, row1, col1]")
    row0, col0, row1, col1 = (_whole(v, "box", -MOST_PIXELS, MOST_PIXELS) for v in given)
    return strokes.box_of((col0, row0, col1, row1), shape)


def _click(given: Any, shape: tuple[int, int]) -> Click:
    row, col = _place(given, "points", shape)
    if len(given) != 3:
        raise UsageError("points: expected [row, col, label]")
    return Click(row, col, _whole(given[2], "points", 0, 1))


def _stroke(given: Any, shape: tuple[int, int]) -> Stroke:
    if not isinstance(given, dict):
        raise UsageError("strokes: expected points, radius and label")
    pixels = given.get("points")
    if not isinstance(pixels, list) or not 0 < len(pixels) <= MOST_PIXELS:
        raise UsageError("strokes: expected points")
    label = _whole(given.get("label"), "strokes", 0, 1)
    probable = given.get("probable") is True
    values = (
        (strokes.PROBABLE_BACKGROUND, strokes.PROBABLE_FOREGROUND)
        if probable
        else (strokes.BACKGROUND, strokes.FOREGROUND)
    )
    radius = _whole(given.get("radius"), "strokes", 0, MOST_RADIUS)
    places = tuple(_place(pixel, "strokes", shape) for pixel in pixels)
    return Stroke(values[label], radius, places)

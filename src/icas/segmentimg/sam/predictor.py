"""Prompts, and masks from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.reading import Image
from icas.segmentimg.sam.embedding import Embedder, Embedding

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels of the image: left, top, right, bottom."""
Point = tuple[float, float, int]
"""x, y, label: 1 = foreground, 0 = background."""


@dataclass(frozen=True)
class Prompt:
    """One input of the model: at most one box, and points."""

    box: Box | None
    points: tuple[Point, ...]

    def arrays(self) -> dict[str, NDArray[Any] | None]:
        """Arguments of `SamPredictor.predict`."""
        places = np.array([(x, y) for x, y, _ in self.points], float) if self.points else None
        labels = np.array([label for _, _, label in self.points]) if self.points else None
        box = None if self.box is None else np.array(self.box, float)
        return {"point_coords": places, "point_labels": labels, "box": box}

    def extends(self, other: Prompt) -> bool:
        """Whether it is `other` with points added."""
        return self.box == other.box and set(self.points) >= set(other.points)


@dataclass(frozen=True)
class Prompts:
    """Boxes and points in any combination; checked, UsageError for wrong ones."""

    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "boxes", tuple(map(as_box, self.boxes)))
        object.__setattr__(self, "points", tuple(map(as_point, self.points)))

    def __bool__(self) -> bool:
        return bool(self.boxes or self.points)

    def split(self) -> tuple[Prompt, ...]:
        """Inputs of the model, whose masks are to be united; UsageError without foreground.

        Each box is a prompt with the points in it; a point in several boxes belongs to each. The
        foreground points outside of all boxes are one more prompt. Background points outside of
        all boxes belong to every prompt. Points keep their order.
        """
        outside = [p for p in self.points if not any(in_box(p, box) for box in self.boxes)]
        everywhere = {p for p in outside if p[2] == 0}
        prompts = [
            Prompt(box, tuple(p for p in self.points if p in everywhere or in_box(p, box)))
            for box in self.boxes
        ]
        if any(label == 1 for _, _, label in outside):
            prompts.append(Prompt(None, tuple(outside)))
        if not prompts:
            raise UsageError("no prompt: give a box or a foreground point")
        return tuple(prompts)

    def within(self, size: tuple[int, int]) -> Prompts:
        """Clipped to an image of `size` (h, w); UsageError for a point or a box outside of it."""
        height, width = size
        for x, y, _ in self.points:
            if not (0 <= x < width and 0 <= y < height):
                raise UsageError(f"point {x:g},{y:g} is outside the image ({width}x{height})")
        boxes = []
        for x0, y0, x1, y1 in self.boxes:
            if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
                raise UsageError(
                    f"box {x0:g},{y0:g},{x1:g},{y1:g} is outside the image ({width}x{height})"
                )
            boxes.append((max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)))
        return Prompts(tuple(boxes), self.points)


def in_box(point: Point, box: Box) -> bool:
    """Whether a point is in a box or on its border."""
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def as_box(given: Sequence[Any]) -> Box:
    """A box of four numbers, corners in any order; UsageError for wrong ones."""
    numbers = _numbers(given, 4, "box", "x0,y0,x1,y1")
    (x0, x1), (y0, y1) = sorted(numbers[0::2]), sorted(numbers[1::2])
    if x0 == x1 or y0 == y1:
        raise UsageError(f"box {_text(given)} has no area")
    return x0, y0, x1, y1


def as_point(given: Sequence[Any]) -> Point:
    """A point of three numbers, or two for foreground; UsageError for wrong ones."""
    whole = (*given, 1) if _length(given) == 2 else given
    x, y, label = _numbers(whole, 3, "point", "x,y,label")
    if label not in (0, 1):
        raise UsageError(f"point {_text(given)}: label must be 1 (foreground) or 0 (background)")
    return x, y, int(label)


def _numbers(given: Sequence[Any], count: int, what: str, form: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(value) for value in given)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UsageError(f"{what} {_text(given)}: expected {count} numbers {form}")
    return numbers


def _length(given: Any) -> int:
    return len(given) if hasattr(given, "__len__") else -1


def _text(given: Any) -> str:
    if isinstance(given, Iterable) and not isinstance(given, str):
        return ",".join(str(value) for value in given)
    return str(given)


Mask = NDArray[np.bool_]
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class PromptResult:
    """Masks of one prompt, best first."""

    prompt: Prompt
    masks: Mask
    """(n, h, w) bool."""
    quality: NDArray[np.float32]
    """(n,) overlap (IoU) with the object, estimated by the model, falling."""
    logits: Logits
    """(n, side, side) masks as an input of the model."""


@dataclass(frozen=True)
class Prediction:
    """Candidate masks, best first; the union of the results of all prompts."""

    results: tuple[PromptResult, ...]

    @cached_property
    def masks(self) -> Mask:
        """(n, h, w) bool: candidate k is the union of the k-th masks of all prompts."""
        if len(self.results) == 1:
            return self.results[0].masks
        return np.asarray(np.logical_or.reduce([result.masks for result in self.results]), bool)

    @cached_property
    def quality(self) -> NDArray[np.float32]:
        """(n,) float32: estimated overlap, mean over all prompts."""
        means = np.mean([result.quality for result in self.results], axis=0, dtype=np.float32)
        return np.asarray(means, np.float32)

    @property
    def logits(self) -> Logits:
        """(prompts, n, side, side) float32; ``logits[:, k]`` is a mask input."""
        return np.stack([result.logits for result in self.results])

    def candidate(self, number: int) -> Mask:
        """(h, w) bool: a candidate, modulo their number."""
        return np.asarray(self.masks[number % len(self.masks)], bool)


class Predictor:
    """Masks of one image after another.

    `set_image` may run in the background; until it is done, `predict` uses the image before.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._embedding: Embedding | None = None

    def set_image(self, image: Image) -> None:
        """Load the embedding of an RGB image from the cache, or compute it."""
        self._embedding = self.embedder.embed(image)

    @property
    def nbytes(self) -> int:
        """Size of the embedding in bytes."""
        return 0 if self._embedding is None else self._embedding.features.nbytes

    def predict(self, prompts: Prompts, mask_input: Logits | None = None) -> Prediction:
        """Candidate masks of the prompts; for one prompt those of `SamPredictor.predict`, sorted.

        `mask_input`: (prompts, side, side), ``prediction.logits[:, k]`` of an earlier prediction.
        """
        embedding = self._current()
        parts = prompts.within(embedding.size).split()
        inputs: Sequence[Logits | None] = [None] * len(parts)
        if mask_input is not None:
            if len(mask_input) != len(parts):
                raise ValueError(f"{len(mask_input)} mask inputs for {len(parts)} prompts")
            inputs = list(mask_input)
        return Prediction(
            tuple(self._result(embedding, *pair) for pair in zip(parts, inputs, strict=True))
        )

    def refine(self, prompts: Prompts, last: Prediction, number: int = 0) -> Prediction:
        """Candidate masks after prompts were added to those of `last`, a prediction of this image.

        Results of unchanged prompts are reused. Where points were added to a prompt, its mask, of
        the candidate `number`, is an input; other prompts start again.
        """
        embedding = self._current()
        known = {result.prompt: result for result in last.results}
        results = []
        for prompt in prompts.within(embedding.size).split():
            if prompt in known:
                results.append(known[prompt])
                continue
            logits = [old.logits for old in last.results if prompt.extends(old.prompt)]
            mask_input = logits[0][number % len(logits[0])] if logits else None
            results.append(self._result(embedding, prompt, mask_input))
        return Prediction(tuple(results))

    def _current(self) -> Embedding:
        if self._embedding is None:
            raise RuntimeError("no image is set: call set_image first")
        return self._embedding

    def _result(
        self, embedding: Embedding, prompt: Prompt, mask_input: Logits | None
    ) -> PromptResult:
        masks, quality, logits = self.embedder.loaded.predict(
            embedding.features, embedding.size, prompt.arrays(), mask_input
        )
        order = np.argsort(-quality, kind="stable")
        return PromptResult(prompt, masks[order], quality[order], logits[order])


Step = tuple[Prompts, int]
"""Prompts after an annotation, and the candidate of the prediction before that is refined."""

_KEPT = 4
"""Predictions kept by `Refinement`: they hold masks at the size of the image."""


class Refinement:
    """Predictions after one annotation after the other, each of which refines the one before.

    The result depends on the steps only, not on which of them were predicted before.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._steps: list[Step] = []
        self._predictions: list[Prediction | None] = []

    def predict(self, steps: Sequence[Step]) -> Prediction:
        """The prediction after the last of these steps, at least one."""
        same = 0
        while same < min(len(steps), len(self._steps)) and steps[same] == self._steps[same]:
            same += 1
        if same and self._predictions[same - 1] is None:
            same = 0
        del self._steps[same:], self._predictions[same:]
        last = self._predictions[-1] if same else None
        for prompts, candidate in steps[same:]:
            if last is None:
                last = self._predictor.predict(prompts)
            else:
                last = self._predictor.refine(prompts, last, candidate)
            self._steps.append((prompts, candidate))
            self._predictions.append(last)
            if len(self._predictions) > _KEPT:
                self._predictions[-_KEPT - 1] = None
        if last is None:
            raise ValueError("no steps")
        return last

"""Masks from prompts, best first, by ``segment_anything.SamPredictor``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.sam.embedding import Embedder, Embedding
from icas.segmentimg.sam.prompts import Prompt, Prompts

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
            raise RuntimeError("no picture is set: call set_image first")
        return self._embedding

    def _result(
        self, embedding: Embedding, prompt: Prompt, mask_input: Logits | None
    ) -> PromptResult:
        return self.embedder.loaded.run(lambda sam: _predict(sam, embedding, prompt, mask_input))


def _predict(
    sam: Any, embedding: Embedding, prompt: Prompt, mask_input: Logits | None
) -> PromptResult:
    from segment_anything import SamPredictor

    predictor = SamPredictor(sam)
    embedding.place(predictor)
    mask = None if mask_input is None else mask_input[None]
    masks, quality, logits = predictor.predict(**prompt.arrays(), mask_input=mask)
    order = np.argsort(-quality, kind="stable")
    return PromptResult(prompt, masks[order], quality[order], logits[order])

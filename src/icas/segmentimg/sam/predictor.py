"""Prompts -> masks, the best first, over ``segment_anything.SamPredictor``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.sam.checkpoints import FilePath
from icas.segmentimg.sam.embedding import Embedder, Embedding, EmbeddingCache, default_cache_folder
from icas.segmentimg.sam.model import load_shared
from icas.segmentimg.sam.prompts import Prompt, Prompts

Mask = NDArray[np.bool_]
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Answer:
    """What the model makes of one prompt, the best first."""

    prompt: Prompt
    masks: Mask
    quality: NDArray[np.float32]
    logits: Logits


@dataclass(frozen=True)
class Prediction:
    """Candidates for what is meant, the best first; the answers to all prompts united."""

    answers: tuple[Answer, ...]

    @cached_property
    def masks(self) -> Mask:
        """(n, h, w) bool: candidate k unites the k-th masks of all prompts."""
        if len(self.answers) == 1:
            return self.answers[0].masks
        return np.asarray(np.logical_or.reduce([one.masks for one in self.answers]), bool)

    @cached_property
    def quality(self) -> NDArray[np.float32]:
        """(n,) float32: the model's guess of the overlap, the mean of all prompts."""
        means = np.mean([one.quality for one in self.answers], axis=0, dtype=np.float32)
        return np.asarray(means, np.float32)

    @property
    def logits(self) -> Logits:
        """(prompts, n, side, side) float32; ``logits[:, k]`` is a mask input."""
        return np.stack([one.logits for one in self.answers])

    def candidate(self, number: int) -> Mask:
        """(h, w) bool: a candidate; after the last one comes the first."""
        return np.asarray(self.masks[number % len(self.masks)], bool)


class Predictor:
    """Masks of one picture after the other.

    `set_image` may run in the background; `predict` then still speaks of the picture before.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._embedding: Embedding | None = None

    def set_image(self, image: Image) -> None:
        """Take the embedding of an RGB picture from the cache, or compute it."""
        self._embedding = self.embedder.embed(image)

    @property
    def nbytes(self) -> int:
        """Bytes that the picture's embedding takes."""
        return 0 if self._embedding is None else self._embedding.features.nbytes

    def predict(self, prompts: Prompts, mask_input: Logits | None = None) -> Prediction:
        """Candidates for what the prompts mean.

        A single prompt gives what `SamPredictor.predict` gives, in another order.
        """
        embedding = self._set()
        asked = prompts.within(embedding.size).split()
        inputs: Sequence[Logits | None] = [None] * len(asked)
        if mask_input is not None:
            if len(mask_input) != len(asked):
                raise ValueError(f"{len(mask_input)} mask inputs for {len(asked)} prompts")
            inputs = list(mask_input)
        return Prediction(
            tuple(self._answer(embedding, *one) for one in zip(asked, inputs, strict=True))
        )

    def refine(self, prompts: Prompts, last: Prediction, number: int = 0) -> Prediction:
        """Candidates after more was pointed at."""
        embedding = self._set()
        known = {one.prompt: one for one in last.answers}
        answers = []
        for prompt in prompts.within(embedding.size).split():
            if prompt in known:
                answers.append(known[prompt])
                continue
            grown = [one.logits for one in last.answers if prompt.extends(one.prompt)]
            before = grown[0][number % len(grown[0])] if grown else None
            answers.append(self._answer(embedding, prompt, before))
        return Prediction(tuple(answers))

    def _set(self) -> Embedding:
        if self._embedding is None:
            raise RuntimeError("no picture is set: call set_image first")
        return self._embedding

    def _answer(self, embedding: Embedding, prompt: Prompt, mask_input: Logits | None) -> Answer:
        return self.embedder.loaded.run(lambda sam: _answered(sam, embedding, prompt, mask_input))


def _answered(sam: Any, embedding: Embedding, prompt: Prompt, mask_input: Logits | None) -> Answer:
    from segment_anything import SamPredictor

    predictor = SamPredictor(sam)
    embedding.place(predictor)
    before = None if mask_input is None else mask_input[None]
    masks, quality, logits = predictor.predict(**prompt.arrays(), mask_input=before)
    order = np.argsort(-quality, kind="stable")
    return Answer(prompt, masks[order], quality[order], logits[order])


def open_predictor(
    checkpoint: FilePath,
    model: str | None = None,
    device: str = "auto",
    cache_dir: FilePath | None = None,
) -> Predictor:
    """A predictor with the model of a checkpoint."""
    folder = default_cache_folder() if cache_dir is None else Path(cache_dir)
    return Predictor(Embedder(load_shared(checkpoint, model, device), EmbeddingCache(folder)))

"""Embeddings of images: computed once, cached on disk by image and model."""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from icas.common.devices import choose_device
from icas.common.errors import UsageError
from icas.io.files import write_whole
from icas.io.folders import cache_folder
from icas.io.formats import os_reason
from icas.io.reading import Image
from icas.segmentimg.sam.checkpoints import (
    LOG,
    FilePath,
    LoadedSam,
    checkpoint_file,
    identity_of,
    load_sam,
    need_sam,
)

CACHE_BYTES = 2 << 30
"""Default maximum size of the folder of embeddings; one takes 4 MiB."""
_FORMAT, _SUFFIX = "sam1", ".embedding"
_SUM_BYTES = 16
_LOADING = threading.Lock()


@dataclass(frozen=True)
class Embedding:
    """Features of an image of `size` (h, w) by the image encoder."""

    features: NDArray[np.float32]
    """(1, channels, side, side)."""
    size: tuple[int, int]

    def place(self, predictor: Any) -> None:
        """Set it in a `SamPredictor`, as if that had computed it."""
        import torch

        predictor.reset_image()
        predictor.original_size = self.size
        predictor.input_size = input_size(predictor.transform, self.size)
        predictor.features = torch.from_numpy(self.features).to(predictor.device)
        predictor.is_image_set = True


def input_size(transform: Any, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width to which the encoder resizes an image of `size`; UsageError for 0."""
    return resized_to(transform.target_length, size)


def resized_to(side: int, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of an image of `size` with a longer side of `side`; UsageError for 0."""
    scale = side / max(size)
    height, width = (int(length * scale + 0.5) for length in size)
    if min(height, width) < 1:
        raise UsageError(
            f"an image of {size[1]}x{size[0]} pixels is too narrow for Segment Anything"
        )
    return height, width


def default_cache_folder() -> Path:
    """The folder of embeddings of this user."""
    return cache_folder() / "sam"


class EmbeddingCache:
    """A folder of embeddings, of `limit` bytes at most; least recently used ones are evicted.

    Several programs may use it at once. Missing and damaged files are computed again; a folder
    that cannot be written to is reported once.
    """

    def __init__(self, folder: Path, limit: int = CACHE_BYTES) -> None:
        self.folder, self._limit = folder, limit
        self._warned = False

    def path_of(self, key: str) -> Path:
        """The file of an embedding."""
        return self.folder / f"{_FORMAT}-{key}{_SUFFIX}"

    def load(self, key: str, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
        """The features of `key`; None where there are none of `shape`, or damaged ones."""
        path = self.path_of(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        held = content[_SUM_BYTES:]
        if content[:_SUM_BYTES] != _sum_of(held) or len(held) != 4 * math.prod(shape):
            return None
        self._mark_used(path)
        return np.frombuffer(held, "<f4").reshape(shape).astype(np.float32)

    def save(self, key: str, features: NDArray[np.float32]) -> None:
        """Store features under `key`, atomically."""
        held = np.ascontiguousarray(features, "<f4").tobytes()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.path_of(key), _sum_of(held) + held)
            self._shrink()
        except OSError as error:
            if not self._warned:
                LOG.warning("cannot cache embeddings in %s: %s", self.folder, os_reason(error))
            self._warned = True

    def _mark_used(self, path: Path) -> None:
        try:
            os.utime(path)
        except OSError:
            return  # a read-only cache is useful, too

    def _shrink(self) -> None:
        """Delete least recently used files until the rest is within the limit."""
        held = []
        for path in self.folder.glob(f"{_FORMAT}-*{_SUFFIX}"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # deleted by another program
            held.append((status.st_mtime_ns, path, status.st_size))
        total = sum(size for _, _, size in held)
        for _, path, size in sorted(held)[:-1]:
            if total <= self._limit:
                return
            path.unlink(missing_ok=True)
            total -= size


Masks = tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]
"""Candidate masks (k, h, w), their estimated quality (k,), and their logits (k, side, side)."""


class SamModel(Protocol):
    """A loaded model that several threads may use.

    Attributes
    ----------
    identity : str
        Depends on the weights of the encoder.
    alone : lock
        Held by work that needs much memory.
    """

    identity: str
    alone: Any

    def features_shape(self) -> tuple[int, ...]:
        """Shape of the features of an image."""

    def features(self, image: Image) -> NDArray[np.float32]:
        """Features of an RGB image by the encoder."""

    def predict(
        self,
        features: NDArray[np.float32],
        size: tuple[int, int],
        prompt: Mapping[str, NDArray[Any] | None],
        mask_input: NDArray[np.float32] | None,
    ) -> Masks:
        """Masks of an image of `size` (h, w), given as the arguments of `SamPredictor.predict`."""


class TorchSam(LoadedSam):
    """A model of torch as a `SamModel`."""

    def features_shape(self) -> tuple[int, ...]:
        """Shape of the features of an image."""
        return self.run(features_shape)

    def features(self, image: Image) -> NDArray[np.float32]:
        """Features of an RGB image by the encoder."""
        return self.run(lambda sam: _features(sam, image), alone=True)

    def predict(
        self,
        features: NDArray[np.float32],
        size: tuple[int, int],
        prompt: Mapping[str, NDArray[Any] | None],
        mask_input: NDArray[np.float32] | None,
    ) -> Masks:
        """Masks of an image of `size` (h, w), by `SamPredictor.predict`."""
        embedding = Embedding(features, size)
        return self.run(lambda sam: _predict(sam, embedding, prompt, mask_input))


def load_shared(path: FilePath | None, model: str | None = None, device: str = "auto") -> TorchSam:
    """The model of a checkpoint; the last one of this process is cached."""
    file = checkpoint_file(path)
    need_sam()
    status = file.stat()
    with _LOADING:
        stamp = (status.st_size, status.st_mtime_ns)
        return _load(file, file.resolve(), stamp, model, choose_device(device))


@lru_cache(maxsize=1)
def _load(
    file: Path, resolved: Path, stamp: tuple[int, int], model: str | None, device: str
) -> TorchSam:
    """The model of `file`, named so in messages; `resolved` and `stamp` identify it."""
    sam = load_sam(file, model, device)
    return TorchSam(sam, identity_of(resolved), lambda: load_sam(resolved, model, "cpu"))


def _predict(
    sam: Any,
    embedding: Embedding,
    prompt: Mapping[str, NDArray[Any] | None],
    mask_input: NDArray[np.float32] | None,
) -> Masks:
    from segment_anything import SamPredictor

    predictor = SamPredictor(sam)
    embedding.place(predictor)
    mask = None if mask_input is None else mask_input[None]
    masks, quality, logits = predictor.predict(**prompt, mask_input=mask)
    return masks, quality, logits


class Embedder:
    """Embeds images, by the cache where possible; for several threads at once.

    `computed`: number of embeddings that were not cached.
    """

    def __init__(self, loaded: SamModel, cache: EmbeddingCache | None = None) -> None:
        self.loaded, self._cache = loaded, cache
        self.computed = 0

    def embed(self, image: Image) -> Embedding:
        """The embedding of an RGB image."""
        key = f"{self.loaded.identity}-{image_key(image)}"
        size = (image.shape[0], image.shape[1])
        shape = self.loaded.features_shape()
        features = self._cached(key, shape)
        if features is None:
            with self.loaded.alone:
                features = self._compute(image, key, shape)
        return Embedding(features, size)

    def _compute(self, image: Image, key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        cached = self._cached(key, shape)
        if cached is not None:  # by another thread, while this one waited
            return cached
        features = self.loaded.features(image)
        self.computed += 1
        if self._cache is not None:
            self._cache.save(key, features)
        return features

    def _cached(self, key: str, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
        return None if self._cache is None else self._cache.load(key, shape)


def image_key(image: Image) -> str:
    """A hash of the pixels and the size of an image, as hex digits."""
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def _sum_of(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_SUM_BYTES).digest()


def features_shape(sam: Any) -> tuple[int, ...]:
    """Shape of the features of a model's encoder."""
    encoder = sam.prompt_encoder
    return (1, encoder.embed_dim, *encoder.image_embedding_size)


def _features(sam: Any, image: Image) -> NDArray[np.float32]:
    from segment_anything import SamPredictor

    predictor = SamPredictor(sam)
    input_size(predictor.transform, (image.shape[0], image.shape[1]))
    predictor.set_image(image)
    return np.asarray(predictor.get_image_embedding().cpu().numpy(), np.float32)

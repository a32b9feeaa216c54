"""Embeddings of pictures: computed once, kept on disk by picture and model."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.files import write_whole
from icas.io.folders import cache_folder
from icas.io.formats import os_reason
from icas.io.reading import Image
from icas.segmentimg.sam.checkpoints import LOG
from icas.segmentimg.sam.model import LoadedSam

CACHE_BYTES = 2 << 30
"""Size that the folder of embeddings is kept to, unless told otherwise; one takes 4 MiB."""
_FORMAT, _SUFFIX = "sam1", ".embedding"
_SUM_BYTES = 16


@dataclass(frozen=True)
class Embedding:
    """What the image encoder makes of a picture."""

    features: NDArray[np.float32]
    size: tuple[int, int]

    def place(self, predictor: Any) -> None:
        """Give it to a `SamPredictor`, as if that had computed it."""
        import torch

        predictor.reset_image()
        predictor.original_size = self.size
        predictor.input_size = input_size(predictor.transform, self.size)
        predictor.features = torch.from_numpy(self.features).to(predictor.device)
        predictor.is_image_set = True


def input_size(transform: Any, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width at which the encoder sees a picture of `size`."""
    height, width = transform.get_preprocess_shape(*size, transform.target_length)
    if min(height, width) < 1:
        raise UsageError(
            f"a picture of {size[1]}x{size[0]} pixels is too narrow for Segment Anything"
        )
    return height, width


def default_cache_folder() -> Path:
    """Where embeddings are kept for this user."""
    return cache_folder() / "sam"


class EmbeddingCache:
    """A folder of embeddings. Several programs may use it at once.

    It never stands in the way: a file that is missing or damaged is computed again, and a folder
    that cannot be written to is told once.
    """

    def __init__(self, folder: Path, limit: int = CACHE_BYTES) -> None:
        self.folder, self._limit = folder, limit
        self._told = False

    def place_of(self, key: str) -> Path:
        """The file that an embedding is kept in."""
        return self.folder / f"{_FORMAT}-{key}{_SUFFIX}"

    def load(self, key: str, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
        """The features kept under `key`; None where there are none of `shape`, or damaged ones."""
        place = self.place_of(key)
        try:
            content = place.read_bytes()
        except OSError:
            return None
        held = content[_SUM_BYTES:]
        if content[:_SUM_BYTES] != _sum_of(held) or len(held) != 4 * math.prod(shape):
            return None
        self._mark_used(place)
        return np.frombuffer(held, "<f4").reshape(shape).astype(np.float32)

    def save(self, key: str, features: NDArray[np.float32]) -> None:
        """Keep features under `key`, whole or not at all."""
        held = np.ascontiguousarray(features, "<f4").tobytes()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.place_of(key), _sum_of(held) + held)
            self._shrink()
        except OSError as error:
            if not self._told:
                LOG.warning("embeddings are not kept in %s: %s", self.folder, os_reason(error))
            self._told = True

    def _mark_used(self, place: Path) -> None:
        try:
            os.utime(place)
        except OSError:
            return  # a cache that may only be read is of use too

    def _shrink(self) -> None:
        """Delete what was used longest ago, until the rest is within the limit."""
        held = []
        for place in self.folder.glob(f"{_FORMAT}-*{_SUFFIX}"):
            try:
                status = place.stat()
            except FileNotFoundError:
                continue  # another program was faster
            held.append((status.st_mtime_ns, place, status.st_size))
        total = sum(size for _, _, size in held)
        for _, place, size in sorted(held)[:-1]:
            if total <= self._limit:
                return
            place.unlink(missing_ok=True)
            total -= size


class Embedder:
    """Pictures -> embeddings, from the cache where it has them; for several threads at once."""

    def __init__(self, loaded: LoadedSam, cache: EmbeddingCache | None = None) -> None:
        self.loaded, self._cache = loaded, cache
        self.computed = 0

    def embed(self, image: Image) -> Embedding:
        """The embedding of an RGB picture."""
        key = f"{self.loaded.identity}-{image_key(image)}"
        size = (image.shape[0], image.shape[1])
        shape = self.loaded.run(features_shape)
        found = self._kept(key, shape)
        if found is None:
            found = self.loaded.run(lambda sam: self._compute(sam, image, key), alone=True)
        return Embedding(found, size)

    def _compute(self, sam: Any, image: Image, key: str) -> NDArray[np.float32]:
        kept = self._kept(key, features_shape(sam))
        if kept is not None:  # by another thread, while this one waited
            return kept
        features = _features(sam, image)
        self.computed += 1
        if self._cache is not None:
            self._cache.save(key, features)
        return features

    def _kept(self, key: str, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
        return None if self._cache is None else self._cache.load(key, shape)


def image_key(image: Image) -> str:
    """A hash of the pixels and the size of a picture, as hex digits."""
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def _sum_of(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_SUM_BYTES).digest()


def features_shape(sam: Any) -> tuple[int, ...]:
    """Shape of the features that a model's encoder makes."""
    encoder = sam.prompt_encoder
    return (1, encoder.embed_dim, *encoder.image_embedding_size)


def _features(sam: Any, image: Image) -> NDArray[np.float32]:
    from segment_anything import SamPredictor

    predictor = SamPredictor(sam)
    input_size(predictor.transform, (image.shape[0], image.shape[1]))
    predictor.set_image(image)
    return np.asarray(predictor.get_image_embedding().cpu().numpy(), np.float32)

"""Segment Anything as a segmenter: automatic, or prompted by boxes and points."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import alternatives, option
from icas.common.devices import check_device
from icas.common.errors import UsageError
from icas.io.reading import Image
from icas.onnx.weights import recommended, resolve
from icas.segmentimg.labels.labels import Labels
from icas.segmentimg.sam.architecture import MODELS
from icas.segmentimg.sam.automatic import AutomaticOptions, automatic_labels
from icas.segmentimg.sam.checkpoints import checkpoint_file, need_sam
from icas.segmentimg.sam.embedding import (
    Embedder,
    EmbeddingCache,
    default_cache_folder,
    load_shared,
)
from icas.segmentimg.sam.onnx_model import load_onnx_sam, onnx_pair
from icas.segmentimg.sam.predictor import Predictor, Prompts
from icas.segmentimg.segmenters import Segmenter
from icas.segmentimg.segmenters.grabcut import box_option, point_option

NO_CACHE = "none"


@dataclass(frozen=True)
class SamSegmenter(AutomaticOptions, Segmenter):
    """Segment Anything, or MobileSAM.

    Source: A. Kirillov et al., Segment Anything, ICCV 2023.
    """

    checkpoint: str | None = option(
        None,
        "checkpoint of Segment Anything or MobileSAM, or ENCODER.onnx,DECODER.onnx",
        parse=str,
        metavar="FILE",
        default_text="that of segmentimg weights get mobile_sam",
        flag="--sam-checkpoint",
    )
    model: str | None = option(
        None,
        f"model of the checkpoint: {alternatives(MODELS)}",
        parse=str,
        choices=MODELS,
        metavar="NAME",
        default_text="read from the file",
        flag="--sam-model",
    )
    mode: str | None = option(
        None,
        "auto: all segments; prompt: the object of the boxes and points",
        parse=str,
        choices=("prompt", "auto"),
        metavar="MODE",
        default_text="prompt with boxes or points, else auto",
        flag="--sam-mode",
    )
    device: str = option(
        "auto",
        "compute device: cpu, cuda, cuda:N or auto",
        metavar="DEVICE",
        words=("cpu", "cuda", "auto"),
    )
    boxes: tuple[Any, ...] = box_option("rectangle around the object")
    points: tuple[Any, ...] = point_option()
    cache: str | None = option(
        None,
        "folder of the embedding cache, or none",
        parse=str,
        metavar="DIR",
        default_text="sam in the user's cache folder",
    )

    name: ClassVar[str] = "sam"
    automatic: ClassVar[bool] = False
    annotation: ClassVar[str] = "prompts"

    def __post_init__(self) -> None:
        for field in ("checkpoint", "cache"):
            if getattr(self, field) is not None:
                object.__setattr__(self, field, os.fspath(getattr(self, field)))
        prompts = Prompts(
            *(() if given is None else tuple(given) for given in (self.boxes, self.points))
        )
        object.__setattr__(self, "boxes", prompts.boxes)
        object.__setattr__(self, "points", prompts.points)
        super().__post_init__()
        check_device(self.device)
        if prompts and self.mode == "auto":
            raise UsageError("--sam-mode auto takes no boxes or points: use --sam-mode prompt")
        self._check_checkpoint()

    def _check_checkpoint(self) -> None:
        """Check that there is a checkpoint, and what it needs; by default the installed one."""
        pair = onnx_pair(self.checkpoint)
        if pair is not None:
            for file in pair:
                checkpoint_file(file)
            if self.device not in ("cpu", "auto"):
                raise UsageError(f"--device {self.device}: ONNX networks run on the CPU only")
            return
        found = recommended("sam") if self.checkpoint is None else resolve(self.checkpoint)
        if found is not None:
            object.__setattr__(self, "checkpoint", str(found))
        checkpoint_file(self.checkpoint)
        need_sam()

    @property
    def prompts(self) -> Prompts:
        """Boxes and points among the options."""
        return Prompts(self.boxes, self.points)

    @property
    def full_size(self) -> bool:
        """Boxes and points are in pixels of the full image."""
        return self.mode == "prompt" or self.prompted

    @property
    def needs_annotation(self) -> bool:
        return self.mode != "auto" and not self.prompted

    @property
    def segments_are_objects(self) -> bool:
        return self.mode == "auto"

    @property
    def prompted(self) -> bool:
        return bool(self.prompts)

    def annotator(self, image: Image) -> Predictor:
        """A predictor with the embedding of an image; UsageError for a bad checkpoint."""
        predictor = Predictor(self.embedder())
        predictor.set_image(image)
        return predictor

    def embedder(self) -> Embedder:
        """The model, loaded at first use, with its cache; UsageError for a bad checkpoint."""
        cache = None
        if self.cache != NO_CACHE:
            cache = EmbeddingCache(Path(self.cache) if self.cache else default_cache_folder())
        pair = onnx_pair(self.checkpoint)
        if pair is not None:
            return Embedder(load_onnx_sam(*pair), cache)
        return Embedder(load_shared(self.checkpoint, self.model, self.device), cache)

    def groups(self, image: Image) -> Labels:
        """Segments of the image; with prompts 2 = selected, 1 = the rest."""
        if not self.full_size:
            return automatic_labels(self.embedder(), image, self)
        return np.where(self.object_mask(image), 2, 1).astype(np.int32)

    def object_mask(self, image: Image) -> NDArray[np.bool_]:
        prompts = self.prompts.within((image.shape[0], image.shape[1]))
        prompts.split()  # raises for missing prompts before the embedding is computed
        return self.annotator(image).predict(prompts).candidate(0)

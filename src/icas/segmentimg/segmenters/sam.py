"""Segment Anything: what a picture shows, unasked, or what boxes and points mean."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import option
from icas.common.devices import check_device
from icas.common.errors import UsageError
from icas.io.reading import Image
from icas.segmentimg.grabcut.annotation import parse_box, parse_point
from icas.segmentimg.labels.labels import Labels
from icas.segmentimg.sam.architecture import MODELS
from icas.segmentimg.sam.automatic import AutomaticOptions, automatic_labels
from icas.segmentimg.sam.checkpoints import checkpoint_file, need_sam
from icas.segmentimg.sam.embedding import Embedder, EmbeddingCache, default_cache_folder
from icas.segmentimg.sam.model import load_shared
from icas.segmentimg.sam.predictor import Predictor
from icas.segmentimg.sam.prompts import Prompts

NO_CACHE = "none"


@dataclass(frozen=True)
class SamSegmenter(AutomaticOptions):
    """Segment Anything, or MobileSAM.

    Source: A. Kirillov et al., Segment Anything, ICCV 2023.

    Raises
    ------
    UsageError
        No checkpoint is given, there is no such file, or an option is outside its limits.
    MissingExtraError
        The extra is not installed.
    """

    checkpoint: str | None = option(
        None,
        "weights of Segment Anything or MobileSAM",
        parse=str,
        metavar="FILE",
        flag="--sam-checkpoint",
    )
    model: str | None = option(
        None,
        "which model they are of",
        parse=str,
        choices=MODELS,
        default_text="the file tells",
        flag="--sam-model",
    )
    mode: str | None = option(
        None,
        "prompt: what boxes and points mean; auto: all that is there",
        parse=str,
        choices=("prompt", "auto"),
        default_text="prompt where there are boxes or points, else auto",
        flag="--sam-mode",
    )
    device: str = option(
        "auto",
        "what computes: cpu, cuda, cuda:N; auto: cuda where there is one",
        metavar="DEVICE",
        words=("cpu", "cuda", "auto"),
    )
    boxes: tuple[Any, ...] = option(
        (),
        "what is meant lies in here; may be given again",
        parse=parse_box,
        metavar="X0,Y0,X1,Y1",
        default_text="none",
        flag="--box",
        repeat=True,
    )
    points: tuple[Any, ...] = option(
        (),
        "on what is meant (label 1) or not (0); may be given again",
        parse=parse_point,
        metavar="X,Y,LABEL",
        default_text="none",
        flag="--point",
        repeat=True,
    )
    cache: str | None = option(
        None,
        "folder in which embeddings of pictures are kept, or none",
        parse=str,
        metavar="DIR",
        default_text="sam in the user's cache folder",
    )

    name: ClassVar[str] = "sam"

    def __post_init__(self) -> None:
        for field in ("checkpoint", "cache"):
            if getattr(self, field) is not None:
                object.__setattr__(self, field, os.fspath(getattr(self, field)))
        prompts = Prompts(*(() if one is None else tuple(one) for one in (self.boxes, self.points)))
        object.__setattr__(self, "boxes", prompts.boxes)
        object.__setattr__(self, "points", prompts.points)
        super().__post_init__()
        check_device(self.device)
        if prompts and self.mode == "auto":
            raise UsageError("--sam-mode auto takes no boxes and points; choose prompt")
        checkpoint_file(self.checkpoint)
        need_sam()

    @property
    def prompts(self) -> Prompts:
        """What is pointed at."""
        return Prompts(self.boxes, self.points)

    @property
    def full_size(self) -> bool:
        """Whether pictures are to come in full size: boxes and points count its pixels."""
        return self.mode == "prompt" or bool(self.prompts)

    @property
    def asks(self) -> bool:
        """Whether a person has to point at something first."""
        return self.mode != "auto" and not self.told

    @property
    def told(self) -> bool:
        """Whether there are boxes or points among the options."""
        return bool(self.prompts)

    def guide(self, image: Image) -> Predictor:
        """What takes a person's points and boxes on a picture; its embedding is made here.

        Raises
        ------
        UsageError
            The checkpoint is none, or of another model.
        """
        predictor = Predictor(self.embedder())
        predictor.set_image(image)
        return predictor

    def embedder(self) -> Embedder:
        """The model, loaded at first use, with its cache.

        Raises
        ------
        UsageError
            The checkpoint is none, or of another model.
        """
        cache = None
        if self.cache != NO_CACHE:
            cache = EmbeddingCache(default_cache_folder() if not self.cache else Path(self.cache))
        return Embedder(load_shared(self.checkpoint, self.model, self.device), cache)

    def groups(self, image: Image) -> Labels:
        """Segments of the picture; of prompts 2 = what is meant, 1 = the rest.

        Raises
        ------
        UsageError
            Nothing is pointed at, or something outside the picture.
        """
        if not self.full_size:
            return automatic_labels(self.embedder(), image, self)
        return np.where(self.meant(image), 2, 1).astype(np.int32)

    def meant(self, image: Image) -> NDArray[np.bool_]:
        """(h, w) bool: what boxes and points mean.

        Raises
        ------
        UsageError
            Nothing is pointed at, or something outside the picture.
        """
        prompts = self.prompts.within((image.shape[0], image.shape[1]))
        prompts.split()  # what is missing is told before the embedding is computed
        return self.guide(image).predict(prompts).candidate(0)

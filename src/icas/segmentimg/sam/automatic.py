"""Automatic masks of Segment Anything, and the partition of an image by overlapping masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import check_options, option
from icas.common.errors import UsageError
from icas.io.reading import Image
from icas.segmentimg.labels.labels import (
    Box,
    Labels,
    bounding_box,
    connected,
    filled,
    rows_of,
    sizes_of,
)
from icas.segmentimg.sam.embedding import Embedder, TorchSam

POINTS_PER_SIDE = {"cuda": 32, "cpu": 8}
POINTS_PER_BATCH = {"cuda": 64, "cpu": 16}
MOSTLY = 0.9
"""A mask is part of another if at least this share of its pixels is in it …"""
SMALLER = 0.8
"""… and its area is at most this share of the other's."""


@dataclass(frozen=True)
class AutomaticOptions:
    """Options of ``SamAutomaticMaskGenerator``, under its names."""

    points_per_side: int | None = option(
        None,
        "sampling points per side",
        parse=int,
        minimum=1,
        maximum=512,
        default_text="32 on cuda, 8 on the CPU",
    )
    points_per_batch: int | None = option(
        None,
        "sampling points per batch; fewer need less memory",
        parse=int,
        minimum=1,
        maximum=4096,
        default_text="64 on cuda, 16 on the CPU",
    )
    pred_iou_thresh: float = option(
        0.88, "minimum predicted IoU of a mask", minimum=-1000, maximum=1000
    )
    stability_score_thresh: float = option(
        0.95, "minimum stability score of a mask", minimum=-1, maximum=1
    )
    stability_score_offset: float = option(
        1.0, "threshold offset of the stability score", minimum=0, maximum=1000
    )
    box_nms_thresh: float = option(
        0.7, "IoU threshold of non-maximum suppression", minimum=0, maximum=1
    )
    crop_n_layers: int = option(
        0, "number of crop layers; layer n has 4^n crops", minimum=0, maximum=4
    )
    crop_nms_thresh: float = option(
        0.7, "IoU threshold of suppression between crops", minimum=0, maximum=1
    )
    crop_overlap_ratio: float = option(
        512 / 1500,
        "overlap of crops, as a fraction of the image",
        minimum=0,
        maximum=0.9,
        default_text="0.341",
    )
    crop_n_points_downscale_factor: int = option(
        1, "divide points per side by this in each layer", minimum=1, maximum=16
    )
    min_mask_region_area: int = option(
        0, "remove smaller islands and holes of masks", unit="pixels", minimum=0, maximum=1_000_000
    )
    min_size: int = option(
        60,
        "minimum segment size",
        unit="pixels",
        minimum=1,
        maximum=1_000_000,
    )

    def __post_init__(self) -> None:
        check_options(self)
        fewest = self.crop_n_points_downscale_factor**self.crop_n_layers
        if self.points_per_side is not None and self.points_per_side < fewest:
            raise UsageError(
                f"--points-per-side {self.points_per_side}: must be at least {fewest} with this"
                " --crop-n-points-downscale-factor and --crop-n-layers"
            )


def automatic_labels(embedder: Embedder, image: Image, options: AutomaticOptions) -> Labels:
    """Connected segments 1…K of an RGB image by the automatic masks of the model."""
    masks = [mask.cropped for mask in automatic_masks(embedder, image, options)]
    return partition(masks, (image.shape[0], image.shape[1]), options.min_size)


@dataclass(frozen=True)
class AutomaticMask:
    """A mask and its quality: the overlap (IoU) with an object, estimated by the model."""

    cropped: CroppedMask
    quality: float


def automatic_masks(
    embedder: Embedder, image: Image, options: AutomaticOptions
) -> list[AutomaticMask]:
    """Masks of a grid of points, best first, then largest first.

    Those of ``SamAutomaticMaskGenerator``; with ONNX networks, its method without crops.
    """
    if isinstance(embedder.loaded, TorchSam):
        masks = _torch_masks(embedder.loaded, embedder, image, options)
    else:
        masks = grid_masks(embedder, image, options)
    return sorted(masks, key=lambda mask: (-mask.quality, -mask.cropped.area))


def grid_masks(embedder: Embedder, image: Image, options: AutomaticOptions) -> list[AutomaticMask]:
    """Masks of the points of a grid, by predicted IoU, stability and non-maximum suppression.

    Raises UsageError: options that need the checkpoint of torch.
    """
    for name in ("crop_n_layers", "min_mask_region_area"):
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')}: not available with ONNX networks")
    embedding = embedder.embed(image)
    height, width = embedding.size
    count = options.points_per_side or POINTS_PER_SIDE["cpu"]
    places = (np.arange(count) + 0.5) / count
    masks = []
    for y in places * height:
        for x in places * width:
            point = {"point_coords": np.array([[x, y]]), "point_labels": np.array([1])}
            candidates, quality, logits = embedder.loaded.predict(
                embedding.features, embedding.size, point, None
            )
            masks += [
                AutomaticMask(CroppedMask.of(mask), float(iou))
                for mask, iou, values in zip(candidates, quality, logits, strict=True)
                if iou > options.pred_iou_thresh
                and mask.any()
                and stability(values, options.stability_score_offset)
                >= options.stability_score_thresh
            ]
    return suppressed(masks, options.box_nms_thresh)


def stability(logits: NDArray[np.float32], offset: float) -> float:
    """Overlap (IoU) of the masks at thresholds of `offset` and -`offset`."""
    inner = int(np.count_nonzero(logits > offset))
    outer = int(np.count_nonzero(logits > -offset))
    return inner / outer if outer else 0.0


def suppressed(masks: Sequence[AutomaticMask], overlap: float) -> list[AutomaticMask]:
    """The masks whose bounding box overlaps (IoU) with that of no better mask by more."""
    import cv2

    boxes = [
        (left, top, right - left, bottom - top)
        for top, bottom, left, right in (mask.cropped.box for mask in masks)
    ]
    qualities = [mask.quality for mask in masks]
    kept = cv2.dnn.NMSBoxes(boxes, qualities, 0, overlap) if masks else ()
    return [masks[int(number)] for number in kept]


def _torch_masks(
    loaded: TorchSam, embedder: Embedder, image: Image, options: AutomaticOptions
) -> list[AutomaticMask]:
    from segment_anything.utils.amg import rle_to_mask

    records = loaded.run(lambda sam: _generate(sam, embedder, image, options), alone=True)
    # as run lengths: the masks as images would not fit into memory together
    return [
        AutomaticMask(
            CroppedMask.of(np.asarray(rle_to_mask(record["segmentation"]), bool)),
            record["predicted_iou"],
        )
        for record in records
    ]


def _generate(
    sam: Any, embedder: Embedder, image: Image, options: AutomaticOptions
) -> list[dict[str, Any]]:
    from segment_anything import SamAutomaticMaskGenerator

    kind = "cpu" if sam.device.type == "cpu" else "cuda"
    size = (image.shape[0], image.shape[1])
    layers = layers_with_pixels(size, options.crop_n_layers, options.crop_overlap_ratio)
    least = options.crop_n_points_downscale_factor**layers
    per_side = options.points_per_side or max(POINTS_PER_SIDE[kind], least)
    per_batch = options.points_per_batch or POINTS_PER_BATCH[kind]
    names = {field.name for field in fields(AutomaticOptions)} - {"min_size"}
    arguments = {name: getattr(options, name) for name in names} | {"crop_n_layers": layers}
    generator = SamAutomaticMaskGenerator(
        sam,
        **(arguments | {"points_per_side": per_side, "points_per_batch": per_batch}),
        output_mode="uncompressed_rle",
    )
    predictor = generator.predictor
    # the generator gets the embedding of each crop here; use the cache
    predictor.set_image = lambda crop: embedder.embed(crop).place(predictor)
    records: list[dict[str, Any]] = generator.generate(image)
    return records


def layers_with_pixels(size: tuple[int, int], layers: int, overlap: float) -> int:
    """Number of layers of crops, at most `layers`, without an empty crop; `size`: (h, w)."""
    from segment_anything.utils.amg import generate_crop_boxes

    boxes, numbers = generate_crop_boxes(size, layers, overlap)
    empty = [
        number
        for (left, top, right, bottom), number in zip(boxes, numbers, strict=True)
        if left >= right or top >= bottom
    ]
    return min(empty, default=layers + 1) - 1


@dataclass(frozen=True)
class CroppedMask:
    """A mask in its bounding box."""

    box: Box
    pixels: NDArray[np.bool_]
    area: int

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> CroppedMask:
        """Crop an (h, w) bool mask of the whole image."""
        box = bounding_box(mask)
        pixels = np.ascontiguousarray(mask[rows_of(box)])
        return cls(box, pixels, int(np.count_nonzero(pixels)))

    def is_part_of(self, other: CroppedMask) -> bool:
        """Whether it is a part of another mask, not the same object or another one."""
        if self.area > SMALLER * other.area:
            return False
        return self._overlap(other) >= MOSTLY * self.area

    def _overlap(self, other: CroppedMask) -> int:
        top, left = max(self.box[0], other.box[0]), max(self.box[2], other.box[2])
        bottom, right = min(self.box[1], other.box[1]), min(self.box[3], other.box[3])
        if top >= bottom or left >= right:
            return 0
        a, b = (
            mask.pixels[
                top - mask.box[0] : bottom - mask.box[0], left - mask.box[2] : right - mask.box[2]
            ]
            for mask in (self, other)
        )
        return int(np.count_nonzero(a & b))


def owners(masks: Sequence[CroppedMask], shape: tuple[int, int]) -> NDArray[np.int32]:
    """(h, w) int32: the mask that each pixel is assigned to, from 1, or 0; best mask first.

    Each mask in turn takes pixels that are free, and those of masks that it is a part of: a part
    stays visible on the whole, and else the better mask wins.
    """
    owner = np.zeros(shape, np.int32)
    for number, mask in enumerate(masks, 1):
        part = owner[rows_of(mask.box)]
        takes = np.zeros(number, bool)
        takes[0] = True
        for rival in np.flatnonzero(np.bincount(part[mask.pixels], minlength=1)[1:]) + 1:
            takes[rival] = mask.is_part_of(masks[int(rival) - 1])
        part[mask.pixels & takes[part]] = number
    return owner


def partition(masks: Sequence[CroppedMask], shape: tuple[int, int], min_size: int = 1) -> Labels:
    """Connected segments 1…K by masks, best first, and of what no mask covers.

    Uncovered segments of fewer than `min_size` pixels are joined with the nearest segments.
    """
    owner = owners(masks, shape)
    labels = connected(owner)
    small = (owner == 0) & (sizes_of(labels)[labels] < min_size)
    if not small.any() or small.all():
        return labels
    labels[small] = 0
    return connected(filled(labels))

"""All that a picture shows, unasked: ``SamAutomaticMaskGenerator`` and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import check_options, option
from icas.common.errors import UsageError
from icas.io.reading import Image
from icas.segmentimg.labels.labels import Labels
from icas.segmentimg.sam.embedding import Embedder
from icas.segmentimg.sam.partition import Piece, partition

POINTS_PER_SIDE = {"cuda": 32, "cpu": 8}
POINTS_PER_BATCH = {"cuda": 64, "cpu": 16}


@dataclass(frozen=True)
class AutomaticOptions:
    """Options of ``SamAutomaticMaskGenerator``, under its names."""

    points_per_side: int | None = option(
        None,
        "the model is asked at this many points a side",
        parse=int,
        minimum=1,
        maximum=512,
        default_text="32 on cuda, 8 on the CPU",
    )
    points_per_batch: int | None = option(
        None,
        "points that the model is asked at once; fewer need less memory",
        parse=int,
        minimum=1,
        maximum=4096,
        default_text="64 on cuda, 16 on the CPU",
    )
    pred_iou_thresh: float = option(
        0.88, "least quality of a mask, as the model guesses it", minimum=-1000, maximum=1000
    )
    stability_score_thresh: float = option(
        0.95, "least overlap of a mask with itself at other cut-offs", minimum=-1, maximum=1
    )
    stability_score_offset: float = option(
        1.0, "how far those cut-offs lie off", minimum=0, maximum=1000
    )
    box_nms_thresh: float = option(
        0.7, "of masks whose boxes overlap by more, the best is kept", minimum=0, maximum=1
    )
    crop_n_layers: int = option(
        0, "layers of crops that are looked at too; layer n has 4 to the n", minimum=0, maximum=4
    )
    crop_nms_thresh: float = option(0.7, "as --box-nms-thresh, between crops", minimum=0, maximum=1)
    crop_overlap_ratio: float = option(
        512 / 1500,
        "how far crops overlap, as a share of the picture",
        minimum=0,
        maximum=0.9,
        default_text="0.341",
    )
    crop_n_points_downscale_factor: int = option(
        1, "points a side are divided by this from layer to layer", minimum=1, maximum=16
    )
    min_mask_region_area: int = option(
        0, "smaller islands and holes of masks go", unit="pixels", minimum=0, maximum=1_000_000
    )
    min_size: int = option(
        60,
        "least segment of what no mask covers",
        unit="pixels",
        minimum=1,
        maximum=1_000_000,
    )

    def __post_init__(self) -> None:
        check_options(self)
        fewest = self.crop_n_points_downscale_factor**self.crop_n_layers
        if self.points_per_side is not None and self.points_per_side < fewest:
            raise UsageError(
                f"--points-per-side {self.points_per_side}: at least {fewest} with this"
                " --crop-n-points-downscale-factor and --crop-n-layers"
            )


def automatic_labels(embedder: Embedder, image: Image, options: AutomaticOptions) -> Labels:
    """The partition of an RGB picture that the model's masks make: 1…K, connected."""
    pieces = [one.piece for one in automatic_masks(embedder, image, options)]
    return partition(pieces, (image.shape[0], image.shape[1]), options.min_size)


@dataclass(frozen=True)
class AutomaticMask:
    """A mask and what the model thinks of it."""

    piece: Piece
    quality: float


def automatic_masks(
    embedder: Embedder, image: Image, options: AutomaticOptions
) -> list[AutomaticMask]:
    """The masks of ``SamAutomaticMaskGenerator``, the best first; of equals the largest."""
    records = embedder.loaded.run(lambda sam: _generate(sam, embedder, image, options), alone=True)
    found = [AutomaticMask(Piece.of(_mask(one)), one["predicted_iou"]) for one in records]
    return sorted(found, key=lambda one: (-one.quality, -one.piece.area))


def _mask(record: dict[str, Any]) -> NDArray[np.bool_]:
    """Masks come as run lengths: as pictures they would not fit into memory together."""
    from segment_anything.utils.amg import rle_to_mask

    return np.asarray(rle_to_mask(record["segmentation"]), bool)


def _generate(
    sam: Any, embedder: Embedder, image: Image, options: AutomaticOptions
) -> list[dict[str, Any]]:
    from segment_anything import SamAutomaticMaskGenerator

    kind = "cpu" if sam.device.type == "cpu" else "cuda"
    size = (image.shape[0], image.shape[1])
    layers = layers_with_pixels(size, options.crop_n_layers, options.crop_overlap_ratio)
    least = options.crop_n_points_downscale_factor**layers
    made = SamAutomaticMaskGenerator(
        sam,
        points_per_side=options.points_per_side or max(POINTS_PER_SIDE[kind], least),
        points_per_batch=options.points_per_batch or POINTS_PER_BATCH[kind],
        pred_iou_thresh=options.pred_iou_thresh,
        stability_score_thresh=options.stability_score_thresh,
        stability_score_offset=options.stability_score_offset,
        box_nms_thresh=options.box_nms_thresh,
        crop_n_layers=layers,
        crop_nms_thresh=options.crop_nms_thresh,
        crop_overlap_ratio=options.crop_overlap_ratio,
        crop_n_points_downscale_factor=options.crop_n_points_downscale_factor,
        min_mask_region_area=options.min_mask_region_area,
        output_mode="uncompressed_rle",
    )
    predictor = made.predictor
    # the generator asks for each crop's embedding here; ours come from the cache
    predictor.set_image = lambda crop: embedder.embed(crop).place(predictor)
    records: list[dict[str, Any]] = made.generate(image)
    return records


def layers_with_pixels(size: tuple[int, int], layers: int, overlap: float) -> int:
    """How many layers of crops a picture of `size` (height, width) has without an empty crop."""
    from segment_anything.utils.amg import generate_crop_boxes

    boxes, numbers = generate_crop_boxes(size, layers, overlap)
    empty = [
        number
        for (left, top, right, bottom), number in zip(boxes, numbers, strict=True)
        if left >= right or top >= bottom
    ]
    return min(empty, default=layers + 1) - 1

"""Models of Segment Anything and MobileSAM, built from the shapes of a checkpoint's tensors.

MobileSAM's image encoder is timm's TinyViT under other names. Source: C. Zhang et al., Faster
Segment Anything: towards lightweight SAM for mobile applications, 2023, arXiv:2306.14289.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from icas.common.registry import need

Shapes = Mapping[str, tuple[int, ...]]
"""Name of a tensor -> its shape."""

MODELS = ("vit_b", "vit_l", "vit_h", "vit_t")
OTHER_SIZE = "vit"
"""Name of an image encoder of the same structure in another size."""
PIXEL_MEAN, PIXEL_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)

_PUBLISHED = {(768, 12, 12): "vit_b", (1024, 24, 16): "vit_l", (1280, 32, 16): "vit_h"}
_DECODER_HEADS = 8  # no shape depends on it; all published models have 8

TINY_VIT_MARK = "image_encoder.patch_embed.seq.0.c.weight"
"""A tensor that only MobileSAM checkpoints have."""
_IMAGE_SIZE, _SIDE, _CHANNELS = 1024, 64, 320
TINY_VIT_UNUSED: Shapes = {
    "image_encoder.norm_head.weight": (_CHANNELS,),
    "image_encoder.norm_head.bias": (_CHANNELS,),
    "image_encoder.head.weight": (1000, _CHANNELS),
    "image_encoder.head.bias": (1000,),
}
"""The classifier that TinyViT was trained with; stored in the file, but unused."""

_TRUNK = "image_encoder."
_SWAPS = {
    "patch_embed.seq.0.": "patch_embed.conv1.",
    "patch_embed.seq.2.": "patch_embed.conv2.",
}


@dataclass(frozen=True)
class EncoderShape:
    """Arguments of ``segment_anything.modeling.ImageEncoderViT``."""

    img_size: int
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    mlp_ratio: float
    out_chans: int
    qkv_bias: bool
    window_size: int
    global_attn_indexes: tuple[int, ...]

    @property
    def name(self) -> str:
        """``vit_b``, ``vit_l``, ``vit_h``; ``vit`` for other sizes."""
        return _PUBLISHED.get((self.embed_dim, self.depth, self.num_heads), OTHER_SIZE)


@dataclass(frozen=True)
class DecoderShape:
    """Sizes of the prompt encoder and the mask decoder."""

    width: int
    mask_channels: int
    masks: int
    depth: int
    mlp_width: int
    downsample: int
    quality_depth: int
    quality_width: int


def encoder_shape(shapes: Shapes) -> EncoderShape:
    """Sizes of the image encoder; ValueError where a tensor is missing."""
    width, _, patch_size, _ = _shape(shapes, "image_encoder.patch_embed.proj.weight", 4)
    side = _shape(shapes, "image_encoder.pos_embed", 4)[1]
    depth = _count(shapes, "image_encoder.blocks.")
    reaches = []
    for block in range(depth):
        length, head_width = _shape(shapes, f"image_encoder.blocks.{block}.attn.rel_pos_h", 2)
        reaches.append((length + 1) // 2)
    windows = {reach for reach in reaches if reach != side}
    if len(windows) > 1 or 0 in (width, head_width) or width % head_width:
        raise ValueError(f"has attention windows of {sorted(windows)} patches")
    return EncoderShape(
        img_size=side * patch_size,
        patch_size=patch_size,
        embed_dim=width,
        depth=depth,
        num_heads=width // head_width,
        mlp_ratio=_shape(shapes, "image_encoder.blocks.0.mlp.lin1.weight", 2)[0] / width,
        out_chans=_shape(shapes, "image_encoder.neck.0.weight", 4)[0],
        qkv_bias="image_encoder.blocks.0.attn.qkv.bias" in shapes,
        window_size=windows.pop() if windows else 0,
        global_attn_indexes=tuple(block for block, reach in enumerate(reaches) if reach == side),
    )


def decoder_shape(shapes: Shapes) -> DecoderShape:
    """Sizes of prompt encoder and mask decoder; ValueError where a tensor is missing."""
    decoder = "mask_decoder."
    transformer = decoder + "transformer."
    inner, width = _shape(shapes, transformer + "final_attn_token_to_image.q_proj.weight", 2)
    if inner == 0 or width % inner:
        raise ValueError(f"has a mask decoder of {width} and {inner} channels")
    return DecoderShape(
        width=width,
        mask_channels=_shape(shapes, "prompt_encoder.mask_downscaling.3.weight", 4)[0],
        masks=_shape(shapes, decoder + "mask_tokens.weight", 2)[0] - 1,
        depth=_count(shapes, transformer + "layers."),
        mlp_width=_shape(shapes, transformer + "layers.0.mlp.lin1.weight", 2)[0],
        downsample=width // inner,
        quality_depth=_count(shapes, decoder + "iou_prediction_head.layers."),
        quality_width=_shape(shapes, decoder + "iou_prediction_head.layers.0.weight", 2)[0],
    )


def build_vit(encoder: EncoderShape, decoder: DecoderShape) -> Any:
    """A ``segment_anything`` model of these sizes, on torch's default device."""
    import torch
    from segment_anything.modeling import ImageEncoderViT

    image_encoder = ImageEncoderViT(
        **asdict(encoder), norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), use_rel_pos=True
    )
    side = encoder.img_size // encoder.patch_size
    return assemble(image_encoder, decoder, encoder.img_size, side)


def assemble(image_encoder: Any, decoder: DecoderShape, image_size: int, side: int) -> Any:
    """A ``Sam`` around an image encoder with `side` x `side` features."""
    from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    return Sam(
        image_encoder,
        PromptEncoder(
            embed_dim=decoder.width,
            image_embedding_size=(side, side),
            input_image_size=(image_size, image_size),
            mask_in_chans=decoder.mask_channels,
        ),
        MaskDecoder(
            transformer_dim=decoder.width,
            transformer=TwoWayTransformer(
                depth=decoder.depth,
                embedding_dim=decoder.width,
                num_heads=_DECODER_HEADS,
                mlp_dim=decoder.mlp_width,
                attention_downsample_rate=decoder.downsample,
            ),
            num_multimask_outputs=decoder.masks,
            iou_head_depth=decoder.quality_depth,
            iou_head_hidden_dim=decoder.quality_width,
        ),
        pixel_mean=list(PIXEL_MEAN),
        pixel_std=list(PIXEL_STD),
    )


def timm_name(name: str) -> str:
    """The name in timm's model of a tensor of a MobileSAM checkpoint.

    timm counts a downsampling to the stage after it, MobileSAM to the stage before.
    """
    if not name.startswith(_TRUNK) or name.startswith(_TRUNK + "neck."):
        return name
    rest = name[len(_TRUNK) :]
    for mobile, timm in _SWAPS.items():
        rest = rest.replace(mobile, timm)
    rest = re.sub(
        r"^layers\.(\d+)\.downsample\.",
        lambda match: f"stages.{int(match[1]) + 1}.downsample.",
        rest,
    )
    rest = re.sub(r"^layers\.", "stages.", rest)
    return _TRUNK + rest.replace(".c.", ".conv.")


def timm_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors of a MobileSAM checkpoint by the names of timm's model, without the classifier."""
    return {timm_name(name): value for name, value in state.items() if name not in TINY_VIT_UNUSED}


def build_tiny_vit(decoder: DecoderShape) -> Any:
    """The model of MobileSAM, with timm's TinyViT-5M as its trunk."""
    need("MobileSAM (vit_t)", "sam", "timm")
    from collections import OrderedDict

    import timm
    from segment_anything.modeling.common import LayerNorm2d
    from torch import nn

    vit = timm.create_model("tiny_vit_5m_224", pretrained=False)
    # MobileSAM keeps 64x64 features to the end, where TinyViT halves them once more
    vit.stages[3].downsample.conv2.conv.stride = (1, 1)
    neck = nn.Sequential(
        nn.Conv2d(_CHANNELS, decoder.width, 1, bias=False),
        LayerNorm2d(decoder.width),
        nn.Conv2d(decoder.width, decoder.width, 3, padding=1, bias=False),
        LayerNorm2d(decoder.width),
    )
    parts = OrderedDict(patch_embed=vit.patch_embed, stages=vit.stages, neck=neck)
    encoder = nn.Sequential(parts)
    encoder.img_size = _IMAGE_SIZE  # SamPredictor and Sam read it
    return assemble(encoder, decoder, _IMAGE_SIZE, _SIDE)


def _shape(shapes: Shapes, name: str, dimensions: int) -> tuple[int, ...]:
    if name not in shapes or len(shapes[name]) != dimensions:
        raise ValueError(f"has no {name} of {dimensions} dimensions")
    return shapes[name]


def _count(shapes: Shapes, prefix: str) -> int:
    """Number of parts ``prefix0.…``, ``prefix1.…``."""
    numbers = {
        int(name[len(prefix) :].split(".")[0])
        for name in shapes
        if name.startswith(prefix) and name[len(prefix) :].split(".")[0].isdigit()
    }
    if not numbers:
        raise ValueError(f"has no {prefix}0")
    return max(numbers) + 1

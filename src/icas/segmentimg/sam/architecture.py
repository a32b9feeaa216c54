"""What a Segment Anything checkpoint is a checkpoint of, told by the shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]
"""Name of a tensor -> its shape."""

MODELS = ("vit_b", "vit_l", "vit_h", "vit_t")
OTHER_SIZE = "vit"
"""What an image encoder is called that is built like these, in another size."""
PIXEL_MEAN, PIXEL_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)

_PUBLISHED = {(768, 12, 12): "vit_b", (1024, 24, 16): "vit_l", (1280, 32, 16): "vit_h"}
_DECODER_HEADS = 8  # no shape depends on it; all published models have 8


@dataclass(frozen=True)
class EncoderShape:
    """Sizes of ``segment_anything.modeling.ImageEncoderViT``."""

    image_size: int
    patch_size: int
    width: int
    depth: int
    heads: int
    mlp_width: int
    window: int
    global_blocks: tuple[int, ...]
    channels: int
    qkv_bias: bool

    @property
    def name(self) -> str:
        """``vit_b``, ``vit_l``, ``vit_h``; ``vit`` for other sizes."""
        return _PUBLISHED.get((self.width, self.depth, self.heads), OTHER_SIZE)


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
    """Sizes of the image encoder."""
    width, _, patch_size, _ = _shape(shapes, "image_encoder.patch_embed.proj.weight", 4)
    side = _shape(shapes, "image_encoder.pos_embed", 4)[1]
    depth = _count(shapes, "image_encoder.blocks.")
    reaches = []
    for block in range(depth):
        length, head_width = _shape(shapes, f"image_encoder.blocks.{block}.attn.rel_pos_h", 2)
        reaches.append((length + 1) // 2)
    windows = {reach for reach in reaches if reach != side}
    if len(windows) > 1 or head_width == 0 or width % head_width:
        raise ValueError(f"has attention windows of {sorted(windows)} patches")
    return EncoderShape(
        image_size=side * patch_size,
        patch_size=patch_size,
        width=width,
        depth=depth,
        heads=width // head_width,
        mlp_width=_shape(shapes, "image_encoder.blocks.0.mlp.lin1.weight", 2)[0],
        window=windows.pop() if windows else 0,
        global_blocks=tuple(block for block, reach in enumerate(reaches) if reach == side),
        channels=_shape(shapes, "image_encoder.neck.0.weight", 4)[0],
        qkv_bias="image_encoder.blocks.0.attn.qkv.bias" in shapes,
    )


def decoder_shape(shapes: Shapes) -> DecoderShape:
    """Sizes of the prompt encoder and the mask decoder."""
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

    made = ImageEncoderViT(
        img_size=encoder.image_size,
        patch_size=encoder.patch_size,
        embed_dim=encoder.width,
        depth=encoder.depth,
        num_heads=encoder.heads,
        mlp_ratio=encoder.mlp_width / encoder.width,
        out_chans=encoder.channels,
        qkv_bias=encoder.qkv_bias,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=encoder.window,
        global_attn_indexes=encoder.global_blocks,
    )
    return assemble(made, decoder, encoder.image_size, encoder.image_size // encoder.patch_size)


def assemble(image_encoder: Any, decoder: DecoderShape, image_size: int, side: int) -> Any:
    """A ``Sam`` around `image_encoder`, which makes `side` x `side` features of a picture."""
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


def _shape(shapes: Shapes, name: str, dimensions: int) -> tuple[int, ...]:
    if name not in shapes or len(shapes[name]) != dimensions:
        raise ValueError(f"has no {name} of {dimensions} dimensions")
    return shapes[name]


def _count(shapes: Shapes, prefix: str) -> int:
    """How many numbered parts there are: ``prefix0.…``, ``prefix1.…``."""
    numbers = {
        int(name[len(prefix) :].split(".")[0])
        for name in shapes
        if name.startswith(prefix) and name[len(prefix) :].split(".")[0].isdigit()
    }
    if not numbers:
        raise ValueError(f"has no {prefix}0")
    return max(numbers) + 1

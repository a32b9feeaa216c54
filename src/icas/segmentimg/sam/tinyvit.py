"""MobileSAM's model (``vit_t``): timm's TinyViT under other names, and Segment Anything's rest.

Source: C. Zhang et al., Faster Segment Anything: towards lightweight SAM for mobile applications,
2023, arXiv:2306.14289.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from icas.common.registry import need
from icas.segmentimg.sam.architecture import DecoderShape, Shapes, assemble

MARK = "image_encoder.patch_embed.seq.0.c.weight"
"""A tensor that MobileSAM's checkpoints have and others do not."""
IMAGE_SIZE, SIDE, CHANNELS = 1024, 64, 320
UNUSED: Shapes = {
    "image_encoder.norm_head.weight": (CHANNELS,),
    "image_encoder.norm_head.bias": (CHANNELS,),
    "image_encoder.head.weight": (1000, CHANNELS),
    "image_encoder.head.bias": (1000,),
}
"""The classifier that TinyViT was trained with; in the file, of no use here."""

_TRUNK = "image_encoder."
_SWAPS = {
    "patch_embed.seq.0.": "patch_embed.conv1.",
    "patch_embed.seq.2.": "patch_embed.conv2.",
}


def our_name(name: str) -> str:
    """The name that one of MobileSAM's tensors has in our model.

    timm counts a downsampling to the stage after it, MobileSAM to the one before.
    """
    if not name.startswith(_TRUNK) or name.startswith(_TRUNK + "neck."):
        return name
    rest = name[len(_TRUNK) :]
    for theirs, ours in _SWAPS.items():
        rest = rest.replace(theirs, ours)
    rest = re.sub(r"^layers\.(\d+)\.downsample\.", _after, rest)
    rest = re.sub(r"^layers\.", "stages.", rest)
    return _TRUNK + rest.replace(".c.", ".conv.")


def their_name(name: str) -> str:
    """The name that a tensor of our model has in MobileSAM's checkpoints."""
    if not name.startswith(_TRUNK) or name.startswith(_TRUNK + "neck."):
        return name
    rest = name[len(_TRUNK) :].replace(".conv.", ".c.")
    for theirs, ours in _SWAPS.items():
        rest = rest.replace(ours, theirs)
    rest = re.sub(r"^stages\.(\d+)\.downsample\.", _before, rest)
    return _TRUNK + re.sub(r"^stages\.", "layers.", rest)


def _after(match: re.Match[str]) -> str:
    return f"stages.{int(match[1]) + 1}.downsample."


def _before(match: re.Match[str]) -> str:
    return f"layers.{int(match[1]) - 1}.downsample."


def renamed(state: Mapping[str, Any]) -> dict[str, Any]:
    """A MobileSAM checkpoint's tensors under our names, without the classifier."""
    return {our_name(name): value for name, value in state.items() if name not in UNUSED}


def build_tiny_vit(decoder: DecoderShape) -> Any:
    """MobileSAM's model, with timm's TinyViT-5M as its trunk."""
    need("MobileSAM (vit_t)", "sam", "timm")
    from collections import OrderedDict

    import timm
    from segment_anything.modeling.common import LayerNorm2d
    from torch import nn

    vit = timm.create_model("tiny_vit_5m_224", pretrained=False)
    # MobileSAM keeps 64x64 features to the end, where TinyViT halves them once more
    vit.stages[3].downsample.conv2.conv.stride = (1, 1)
    neck = nn.Sequential(
        nn.Conv2d(CHANNELS, decoder.width, 1, bias=False),
        LayerNorm2d(decoder.width),
        nn.Conv2d(decoder.width, decoder.width, 3, padding=1, bias=False),
        LayerNorm2d(decoder.width),
    )
    parts = OrderedDict(patch_embed=vit.patch_embed, stages=vit.stages, neck=neck)
    encoder = nn.Sequential(parts)
    encoder.img_size = IMAGE_SIZE  # SamPredictor and Sam read it
    return assemble(encoder, decoder, IMAGE_SIZE, SIDE)

"""A tiny Segment Anything with random weights, saved as its checkpoints are."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

PACKAGES = ("torch", "torchvision", "segment_anything")
TINY = {"image_size": 128, "patch": 8, "width": 32, "depth": 2, "heads": 2, "window": 3}


@pytest.fixture(scope="session")
def torch():
    """torch; tests that use it are left out where the extra is not installed."""
    for name in PACKAGES:
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'icas[sam]'")
    return pytest.importorskip("torch")


def tiny_sam(torch, seed=0, *, image_size, patch, width, depth, heads, window, whole=(1,)):
    """A Sam of any size; every weight is random, also those that begin as zeros."""
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    side = image_size // patch
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sam = Sam(
            ImageEncoderViT(
                img_size=image_size,
                patch_size=patch,
                embed_dim=width,
                depth=depth,
                num_heads=heads,
                out_chans=64,
                norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
                use_rel_pos=True,
                window_size=window,
                global_attn_indexes=whole,
            ),
            PromptEncoder(64, (side, side), (image_size, image_size), mask_in_chans=8),
            MaskDecoder(
                transformer_dim=64,
                transformer=TwoWayTransformer(depth=2, embedding_dim=64, num_heads=8, mlp_dim=48),
                iou_head_depth=2,
                iou_head_hidden_dim=24,
            ),
        )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in sam.state_dict().values():
            noise = torch.randn(value.shape, generator=generator)
            value.add_(noise * (0.05 if value.ndim < 2 else 0.2))
    return sam.eval()


@pytest.fixture(scope="session")
def make_sam(torch):
    """`tiny_sam`, in the size of `reference` unless told otherwise."""
    return lambda seed=0, **size: tiny_sam(torch, seed, **(size or TINY))


@pytest.fixture(scope="session")
def reference(make_sam):
    """The model that `checkpoint` holds, as segment_anything itself made it."""
    return make_sam()


@pytest.fixture(scope="session")
def checkpoint(torch, reference, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "tiny.pth"
    torch.save(reference.state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A landscape picture of uneven sides."""
    return np.array(Image.fromarray(samples.coffee()).resize((201, 133)))

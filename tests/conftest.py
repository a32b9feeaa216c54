"""Fixtures that the whole suite shares."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

from icas.io.folders import VARIABLE

SEEN = ("gui", "web")
"""Folders of tests that wait for a window or a browser."""


def pytest_collection_modifyitems(items):
    """Repeat tests of windows and browsers that fail, up to twice: other tests run meanwhile."""
    for item in items:
        if item.path.relative_to(Path(__file__).parent).parts[0] in SEEN:
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=2))


if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A suite started in the background is deaf to Ctrl+C, and so would be what it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent

# laws are tried on some examples each time, on more by HYPOTHESIS_PROFILE=default
settings.register_profile("some", max_examples=40, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "some"))


@pytest.fixture(scope="session", autouse=True)
def _cache_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's own cache is never written: what the suite starts inherits another folder."""
    folders = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folders / "shared"))
        patch.setenv("ICAS_WEIGHTS", str(folders / "weights"))  # nothing is installed there
        yield folders


@pytest.fixture(autouse=True)
def _own_cache_folder(_cache_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with an empty cache: else it would depend on which tests ran before."""
    monkeypatch.setenv(VARIABLE, str(_cache_folders / secrets.token_hex(8)))


def data_folder() -> Path:
    """Where the real image sets lie: ICAS_DATA, else ../shared/data beside the checkout."""
    given = os.environ.get("ICAS_DATA")
    return Path(given) if given else ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def data() -> Path:
    folder = data_folder()
    if not folder.is_dir():
        pytest.skip(f"no image sets at {folder}: set ICAS_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def bad_inputs(data: Path) -> Path:
    folder = data / "badinputs"
    if not folder.is_dir():
        pytest.skip(f"no bad inputs at {folder}")
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small mixed folder: four variants of three pictures, two singles; the name tells which."""
    from PIL import Image
    from skimage import data as samples

    folder = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "coffee", "rocket"):
        picture = Image.fromarray(getattr(samples, name)()).resize((240, 180))
        picture.save(folder / f"{name}-1.png")
        picture.save(folder / f"{name}-2.jpg", quality=60)
        picture.resize((120, 90)).save(folder / f"{name}-3.png")
        picture.point(lambda value: min(255, value + 20)).save(folder / f"{name}-10.bmp")
    for name in ("moon", "page"):
        Image.fromarray(getattr(samples, name)()).resize((240, 180)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def own_photos(photos: Path, tmp_path: Path) -> Path:
    """A copy of `photos` that a test may change."""
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    return folder


TINY = {"image_size": 128, "patch": 8, "width": 32, "depth": 2, "heads": 2, "window": 3}


@pytest.fixture(scope="session")
def torch():
    """torch; tests that use it are left out where the extra is not installed."""
    pytest.importorskip("torchvision", reason="torch is not installed: pip install 'icas[deep]'")
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
    pytest.importorskip("segment_anything", reason="not installed: pip install 'icas[sam]'")
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

"""The folder in which the blocks of a page run."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

import icas


def lay_out(folder: Path, photos: Path) -> None:
    """Photos, their hash codes, an archive, labels, classes and a template."""
    shutil.copytree(photos, folder / "photos")
    shutil.copy(photos / "coffee-1.png", folder / "img.png")
    labels = [f"{path.name},{path.name.split('-')[0]}" for path in sorted(photos.iterdir())]
    (folder / "labels.csv").write_text("file,label\n" + "\n".join(labels) + "\n")
    (folder / "classes.txt").write_text("cup,#cc0000\ntable,#00aa44\n")
    (folder / "archive").mkdir()
    for name in ("astronaut-1.png", "coffee-2.jpg"):
        shutil.copy(photos / name, folder / "archive" / f"kept-{name}")
    (folder / "coins").mkdir()
    with Image.open(photos / "coffee-1.png") as picture:
        picture.crop((90, 60, 150, 100)).save(folder / "coins" / "cup.png")
    (folder / "codes").mkdir()
    icas.features(folder / "photos", method="imagehash").to_parquet(folder / "codes" / "a.parquet")


def add_networks(folder: Path, torch_home: Path, torch) -> None:
    """Random weights, where the pages and torchvision expect them."""
    from torchvision import models

    torch.manual_seed(0)
    torch.save(models.mobilenet_v2().state_dict(), folder / "mobilenet_v2.pth")
    kept = torch_home / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    address = models.MobileNet_V3_Small_Weights.DEFAULT.url
    torch.save(models.mobilenet_v3_small().state_dict(), kept / Path(address).name)


def add_checkpoints(folder: Path, checkpoint: Path) -> None:
    """Tiny random checkpoints with the names that the pages use."""
    for name in ("sam_vit_b_01ec64.pth", "mobile_sam.pt"):
        shutil.copy(checkpoint, folder / name)

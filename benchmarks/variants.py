"""Folders of known groups: every image of a folder several times, cropped, relit, resized, as JPEG.

``python benchmarks/variants.py SRC DST [--images 140] [--variants 20] [--alone 0] [--seed 0]``
draws images from the folder SRC and writes `variants` versions of each to ``DST/images``; `alone`
more images are written once. ``DST/labels.csv`` has file,label. A seed writes the same files.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from icas.clusterimg.data.images import scan

CROP = 0.08
"""Most that is cropped from each side length."""
LIGHT = 0.25
"""Most by which brightness and contrast change."""
SMALLEST = 0.6
"""Least factor by which an image is resized."""
QUALITY = (50, 95)
"""Qualities of JPEG."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("src", type=Path)
    parser.add_argument("dst", type=Path)
    parser.add_argument("--images", type=int, help="images with variants (default: all)")
    parser.add_argument("--variants", type=int, default=20, help="versions of each")
    parser.add_argument("--alone", type=int, default=0, help="images that are written once")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    given = parser.parse_args()
    count = write_variants(
        given.src, given.dst, given.images, given.variants, given.alone, given.seed
    )
    print(f"{count} images -> {given.dst}")
    return 0


def write_variants(
    src: Path, dst: Path, images: int | None, variants: int, alone: int = 0, seed: int = 0
) -> int:
    """Write the folder; return its number of images."""
    rng = np.random.default_rng(seed)
    refs = scan(src).images
    drawn = rng.permutation(len(refs))[: len(refs) if images is None else images + alone]
    grouped = len(drawn) - alone
    jobs = [(ref, label) for label, ref in enumerate(drawn) for _ in range(variants)]
    jobs = jobs[: grouped * variants] + [(drawn[n], n) for n in range(grouped, len(drawn))]
    (dst / "images").mkdir(parents=True)
    lines = ["file,label"]
    for number, job in enumerate(rng.permutation(len(jobs))):
        ref, label = jobs[job]
        name = f"{number:05d}.jpg"
        with Image.open(refs[ref].path) as opened:
            image = opened.convert("RGB")
        varied(image, rng).save(dst / "images" / name, quality=int(rng.integers(*QUALITY)))
        lines.append(f"{name},{label}")
    (dst / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(jobs)


def varied(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A crop of `image` in other light and of another size."""
    width, height = image.size
    left, right, top, bottom = rng.uniform(0, CROP / 2, 4)
    box = (left * width, top * height, width - right * width, height - bottom * height)
    scale = rng.uniform(SMALLEST, 1)
    size = (max(1, round((box[2] - box[0]) * scale)), max(1, round((box[3] - box[1]) * scale)))
    image = image.resize(size, Image.Resampling.BICUBIC, box=box)
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(1 - LIGHT, 1 + LIGHT))
    return ImageEnhance.Contrast(image).enhance(rng.uniform(1 - LIGHT, 1 + LIGHT))


if __name__ == "__main__":
    sys.exit(main())

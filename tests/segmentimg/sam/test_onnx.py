"""Segment Anything from ONNX files: real MobileSAM on photographs with true objects."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import icas
from icas import UsageError
from icas.io.find import find_images
from icas.io.reading import read_image
from icas.segmentimg.commands.main import main
from icas.segmentimg.labels.labels import bounding_box
from icas.segmentimg.sam.automatic import AutomaticOptions, grid_masks
from icas.segmentimg.sam.embedding import Embedder, EmbeddingCache
from icas.segmentimg.sam.onnx_model import load_onnx_sam
from icas.segmentimg.sam.predictor import Predictor, Prompts


@pytest.fixture(scope="module")
def pair(data):
    """Encoder and decoder of MobileSAM."""
    files = [data / "weights" / f"mobile_sam_{part}.onnx" for part in ("encoder", "decoder")]
    for file in files:
        if not file.is_file():
            pytest.skip(f"no {file}")
    return files


@pytest.fixture(scope="module")
def checkpoint(pair):
    return ",".join(map(str, pair))


@pytest.fixture(scope="module")
def embedder(pair, tmp_path_factory):
    return Embedder(load_onnx_sam(*pair), EmbeddingCache(tmp_path_factory.mktemp("embeddings")))


def photographs(data, every):
    for path in find_images(data / "seg-grabcut" / "images")[::every]:
        truth = read_image(data / "seg-grabcut" / "masks" / f"{path.stem}.png")[..., 0]
        yield path, read_image(path), truth


def iou(mask, truth):
    counted, true = truth != 128, truth == 255
    return (mask & true).sum() / ((mask | true) & counted).sum()


def box_of(mask):
    top, bottom, left, right = bounding_box(mask)
    return left, top, right, bottom


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_boxes_and_clicks_find_the_objects(data, embedder, every):
    by_box, by_click = [], []
    for _, image, truth in photographs(data, every):
        predictor = Predictor(embedder)
        predictor.set_image(image)
        rows, columns = np.nonzero(truth == 255)
        click = (float(np.median(columns)), float(np.median(rows)), 1)
        by_box.append(iou(predictor.predict(Prompts((box_of(truth == 255),))).candidate(0), truth))
        by_click.append(iou(predictor.predict(Prompts((), (click,))).candidate(0), truth))
    assert np.mean(by_box) >= 0.85
    assert np.mean(by_click) >= 0.60


def test_masks_are_those_of_torch(data, torch, embedder):
    weights = data / "weights" / "mobile_sam_fp16.pt"
    _, image, truth = next(photographs(data, 1))
    prompts = Prompts((box_of(truth == 255),))
    predictor = Predictor(embedder)
    predictor.set_image(image)
    found = predictor.predict(prompts).candidate(0)
    options = {"checkpoint": weights, "boxes": prompts.boxes, "cache": "none", "device": "cpu"}
    expected = icas.segment(image, "sam", **options) == 2
    assert (found & expected).sum() / (found | expected).sum() > 0.9


def test_points_refine_a_box_and_embeddings_are_cached(data, embedder):
    path, image, truth = next(photographs(data, 1))
    predictor = Predictor(embedder)
    predictor.set_image(image)
    computed = embedder.computed
    predictor.set_image(image)
    assert embedder.computed == computed
    prompts = Prompts((box_of(truth == 255),))
    first = predictor.predict(prompts)
    inside = np.argwhere(truth == 255)[0]
    more = Prompts(prompts.boxes, ((float(inside[1]), float(inside[0]), 1),))
    refined = predictor.refine(more, first)
    assert refined.masks.shape == first.masks.shape == (1, *image.shape[:2])
    assert refined.logits.shape == (1, 1, 256, 256)
    assert path.exists()


def test_a_grid_of_points_covers_the_image(data, embedder):
    _, image, _ = next(photographs(data, 1))
    masks = grid_masks(embedder, image, AutomaticOptions(points_per_side=4))
    assert len(masks) >= 3
    boxes = {mask.cropped.box for mask in masks}
    assert len(boxes) == len(masks)
    with pytest.raises(UsageError, match="crop_n_layers: not available with ONNX networks"):
        grid_masks(embedder, image, AutomaticOptions(crop_n_layers=1))


WITHOUT_TORCH = """
import sys
for name in ("torch", "torchvision", "segment_anything", "timm"):
    sys.modules[name] = None
from icas.segmentimg.commands.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("prompt", ["--box", "automatic"])
def test_the_command_needs_no_torch(data, checkpoint, tmp_path, prompt):
    path, _, truth = next(photographs(data, 1))
    words = [str(path), "--method", "sam", "--sam-checkpoint", checkpoint, "--no-gui"]
    words += ["--out", str(tmp_path / "out")]
    if prompt == "--box":
        words += ["--box", ",".join(map(str, box_of(truth == 255)))]
    else:
        words += ["--points-per-side", "3"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = icas.read_image(tmp_path / "out" / f"{path.stem}_segments.png")
    assert found.shape[:2] == truth.shape


def test_wrong_checkpoints_are_one_line(pair, tmp_path, capsys, photos):
    encoder, decoder = map(str, pair)
    image = next(iter(sorted(photos.glob("*.png"))))
    for checkpoint, message in (
        (encoder, "give ENCODER.onnx,DECODER.onnx"),
        (f"{decoder},{encoder}", "is not an encoder of Segment Anything"),
        (f"{encoder},{encoder}", "is not a decoder of Segment Anything"),
        (f"{encoder},{tmp_path / 'no.onnx'}", "no such file"),
        ("mobile_sam", "weights get mobile_sam"),
    ):
        words = ["--method", "sam", "--no-gui", "--out", str(tmp_path), "--box", "1,1,20,20"]
        assert main([str(image), *words, "--sam-checkpoint", checkpoint]) == 2, checkpoint
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1

"""The recipes of CONTRIBUTING.md, each in a package of its own outside the tree."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

CONTRIBUTING = Path(__file__).resolve().parent.parent / "CONTRIBUTING.md"
ENTRY_POINTS = {
    "histogram_method": "[icas.methods]\nhistogram = histogram_method:Histogram\n",
    "watershed_segmenter": "[icas.segmenters]\nwatershed = watershed_segmenter:Watershed\n",
    "ward_linkage": "[icas.linkages]\nward = ward_linkage:Ward\n",
    "areas_format": "[icas.formats]\nareas = areas_format:Areas\n",
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables with four packages installed, made of the blocks of the recipes."""
    site = tmp_path_factory.mktemp("site")
    text = CONTRIBUTING.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n# (\w+)\.py\n(.*?)^```", text, flags=re.M | re.S)
    assert dict(blocks).keys() == ENTRY_POINTS.keys()
    for name, code in blocks:
        (site / f"{name}.py").write_text(code, encoding="utf-8")
        described = site / f"{name}-1.0.dist-info"
        described.mkdir()
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (described / "entry_points.txt").write_text(ENTRY_POINTS[name])
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def run(environment: dict[str, str], *words: object) -> str:
    """Standard output of a Python process that must end with 0."""
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_method(environment, photos, tmp_path) -> None:
    words = ["-m", "icas.clusterimg", photos, "--method", "histogram", "--bins", "4"]
    printed = run(environment, *words, "--batch-size", "5", "--dst", tmp_path / "out")
    assert printed.splitlines()[-1].startswith("14 images, ")
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert (record["method"], record["options"]) == ("histogram", {"bins": 4})
    assert "--bins N" in run(environment, "-m", "icas.clusterimg", "--help-all")
    code = (
        "import icas, sys\n"
        "one, *rest = icas.find_images(sys.argv[1])\n"
        "found = icas.similarity_matrix([one, *rest], method='histogram', bins=8)\n"
        "assert abs(found.diagonal() - 1).max() < 1e-6 and (found == found.T).all()\n"
    )
    run(environment, "-c", code, photos)


def test_segmenter(environment, tmp_path) -> None:
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (4, 5, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    assert cv2.imwrite(str(tmp_path / "image.png"), pixels)
    words = ["-m", "icas.segmentimg", tmp_path / "image.png", "--no-gui", "--method", "watershed"]
    run(environment, *words, "--markers", "20", "--out", tmp_path / "out")
    labels = cv2.imread(str(tmp_path / "out" / "image_segments.png"), cv2.IMREAD_UNCHANGED)
    assert labels.shape == pixels.shape[:2]
    assert 2 <= labels.max() <= 40


def test_linkage(environment, photos, tmp_path) -> None:
    code = (
        "import icas, json, sys\n"
        "photos, out = sys.argv[1:]\n"
        "given = {'method': 'ssim', 'threshold': 0.3, 'linkage': 'ward'}\n"
        "whole = icas.cluster(photos, dst=f'{out}/whole', **given)\n"
        "parts = icas.cluster(photos, dst=f'{out}/parts', batch_size=5, merge='exact', **given)\n"
        "model = icas.ImageClusterer('ssim', 0.3, linkage='ward').fit(photos)\n"
        "print(json.dumps([one.tolist() for one in (whole.labels, parts.labels, model.labels_)]))\n"
    )
    whole, parts, model = json.loads(run(environment, "-c", code, photos, tmp_path))
    assert whole == parts == model
    assert max(whole) >= 1
    words = ["-m", "icas.clusterimg", photos, "--method", "ssim", "--threshold", "0.3"]
    run(environment, *words, "--linkage", "ward", "--batch-size", "5", "--dst", tmp_path / "out")
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert record["settings"]["linkage"] == "ward"


def test_export_format(environment, tmp_path) -> None:
    image, template = np.full((60, 80, 3), 40, np.uint8), np.full((20, 20, 3), 200, np.uint8)
    template[5:15, 5:15] = (10, 90, 160)
    image[20:40, 30:50] = template
    (tmp_path / "templates").mkdir()
    assert cv2.imwrite(str(tmp_path / "image.png"), image)
    assert cv2.imwrite(str(tmp_path / "templates" / "box.png"), template)
    words = ["-m", "icas.segmentimg", tmp_path / "image.png", "--no-gui", "--save", "masks,areas"]
    words += ["--templates", tmp_path / "templates", "--out", tmp_path / "out"]
    run(environment, *words)
    with (tmp_path / "out" / "image_areas.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    (mask,) = (tmp_path / "out").glob("image_mask_*.png")
    assert int(row["pixels"]) == int((cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE) > 0).sum()) > 0

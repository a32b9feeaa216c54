"""A segmenter of another installed package: one file and one entry point."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

GRADIENTS = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from skimage.color import rgb2gray
from skimage.filters import sobel
from skimage.segmentation import watershed

from icas.cli.options import check_options, option


@dataclass(frozen=True)
class Watershed:
    """Watershed of the gradient."""

    markers: int = option(300, "basins to begin with", minimum=1, maximum=1_000_000)

    name: ClassVar[str] = "watershed"

    def __post_init__(self):
        check_options(self)

    def groups(self, image):
        return watershed(sobel(rgb2gray(image)), self.markers).astype(np.int32)
'''
ROWS = """[icas.segmenters]
watershed = gradient_watershed:Watershed
broken = not_there:Segmenter
"""


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """Environment with a package that adds a segmenter, and a broken one."""
    site = tmp_path / "site"
    described = site / "gradient_watershed-1.0.dist-info"
    described.mkdir(parents=True)
    (site / "gradient_watershed.py").write_text(GRADIENTS)
    (described / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: gradient-watershed\nVersion: 1.0\n"
    )
    (described / "entry_points.txt").write_text(ROWS)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    typed = [sys.executable, "-m", "icas.segmentimg", *words]
    return subprocess.run(typed, env=environment, capture_output=True, text=True, check=False)


def test_the_command_takes_it_with_its_flags(installed, tmp_path):
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (4, 5, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    assert cv2.imwrite(str(tmp_path / "image.png"), pixels)
    words = [str(tmp_path / "image.png"), "--no-gui", "--method", "watershed", "--markers", "20"]
    done = run(installed, *words, "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    labels = cv2.imread(str(tmp_path / "out/image_segments.png"), cv2.IMREAD_UNCHANGED)
    assert labels.shape == pixels.shape[:2]
    assert 2 <= labels.max() <= 40


def test_help_lists_it_and_a_broken_one_is_one_line(installed, tmp_path):
    done = run(installed, "--help")
    assert done.returncode == 0
    assert "--markers N" in done.stdout
    assert "method 'broken': not_there:Segmenter of gradient-watershed" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    done = run(installed, str(tmp_path), "--no-gui", "--method", "broken")
    assert done.returncode == 2
    assert "method 'broken': not_there:Segmenter of gradient-watershed" in done.stderr
    assert len(done.stderr.splitlines()) == 1

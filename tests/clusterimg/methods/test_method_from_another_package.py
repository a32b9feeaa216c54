"""A method of another installed package: one file and one entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HISTOGRAM = '''
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

import icas
from icas.cli.options import check_options, option
from icas.clusterimg.methods.base import Image, Method, require_same_shape, settings_of


@dataclass(frozen=True)
class Histogram(Method):
    """Intersection of two colour histograms."""

    bins: int = option(8, "bins a colour", minimum=2, maximum=32)

    name: ClassVar[str] = "histogram"
    default_threshold: ClassVar[float] = 0.8

    def __post_init__(self):
        check_options(self)

    def extract(self, images: Iterable[Image]) -> icas.FeatureSet:
        edges = [self.bins] * 3, [0, 256] * 3
        counts = [cv2.calcHist([image], [0, 1, 2], None, *edges).reshape(-1) for image in images]
        shares = np.array([one / one.sum() for one in counts], np.float32)
        shares = shares.reshape(-1, self.bins**3)
        return icas.FeatureSet(self.name, {"shares": shares}, settings_of(self))

    def similarity(self, a, b):
        require_same_shape(a, b)
        shared = [np.minimum(one, b.array).sum(axis=1) for one in a.array]
        return np.minimum(np.array(shared, np.float32).reshape(len(a), len(b)), 1)
'''
ROWS = """[icas.methods]
histogram = color_histogram:Histogram
broken = not_there:Method
number = color_histogram:HISTOGRAMS
"""


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """Environment with a package that adds a method, and two broken ones."""
    site = tmp_path / "site"
    described = site / "color_histogram-1.0.dist-info"
    described.mkdir(parents=True)
    (site / "color_histogram.py").write_text(HISTOGRAM + "\nHISTOGRAMS = 3\n")
    (described / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: color-histogram\nVersion: 1.0\n"
    )
    (described / "entry_points.txt").write_text(ROWS)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def run(
    environment: dict[str, str], *words: str, module: str = "icas.clusterimg"
) -> subprocess.CompletedProcess[str]:
    typed = [sys.executable, *(("-m", module) if module else ()), *words]
    return subprocess.run(typed, env=environment, capture_output=True, text=True, check=False)


def test_the_command_takes_it_with_its_flags(installed, photos, tmp_path):
    words = [str(photos), "--method", "histogram", "--threshold", "0.5", "--cache", str(tmp_path)]
    for out, more in (("four", ["--bins", "4"]), ("again", ["--bins", "4"]), ("two", ["--bins=2"])):
        done = run(installed, *words, *more, "--batch-size", "5", "--dst", str(tmp_path / out))
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1].startswith("14 images, ")
    about = json.loads((tmp_path / "four/run.json").read_text())
    assert about["options"] == {"bins": 4}
    for name in ("clusters.csv", "certificate.csv"):
        assert (tmp_path / "four" / name).read_text() == (tmp_path / "again" / name).read_text()
    refused = run(installed, *words, "--bins", "1", "--dst", str(tmp_path / "none"))
    assert refused.returncode == 2
    assert "--bins 1: must be between 2 and 32" in refused.stderr


def test_help_lists_it_and_says_which_are_broken(installed):
    done = run(installed, "--help")
    assert done.returncode == 0
    assert "--bins N" in done.stdout
    assert "tm, deep, histogram" in " ".join(done.stdout.split())
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "method 'broken': not_there:Method of color-histogram cannot be loaded" in lines[0]
    assert "method 'number': color_histogram:HISTOGRAMS of color-histogram" in lines[1]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "not_there:Method of color-histogram cannot be loaded (ModuleNotFoundError"),
        (
            "number",
            "color_histogram:HISTOGRAMS of color-histogram cannot be loaded (AttributeError",
        ),
    ],
)
def test_a_broken_one_is_one_line(installed, photos, tmp_path, name, reason):
    done = run(installed, str(photos), "--method", name, "--dst", str(tmp_path / "out"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert reason in done.stderr


def test_python_takes_it(installed, photos, tmp_path):
    script = (
        "import icas, sys\n"
        "report = icas.cluster(sys.argv[1], method='histogram', bins=4, dst=sys.argv[2])\n"
        "model = icas.ImageClusterer('HISTOGRAM', 'auto', bins=4)\n"
        "print(model.fit(sys.argv[1]).labels_.tolist())\n"
        "print(len(report.labels), report.method)\n"
    )
    done = run(installed, "-c", script, str(photos), str(tmp_path / "out"), module="")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "14 histogram"

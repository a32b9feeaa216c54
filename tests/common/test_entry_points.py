"""Broken entry points of other installed packages are one line each; the rest works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = """[icas.methods]
broken = not_there:Method
number = other_package:NUMBER
[icas.segmenters]
broken = not_there:Segmenter
[icas.dataset_formats]
broken = not_there:Format
names = other_package:Names
"""
PACKAGE = """
NUMBER = 3

class Names:
    suffixes, needs_sizes, absent_class = (), False, ""

    def folder(self, image, dataset):
        return None

    def tables(self, dataset, paths):
        yield "names.txt", "".join(sorted(one.file + "\\n" for one in dataset.images)).encode()
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Environment variables with a package whose entry points cannot be loaded."""
    site = tmp_path / "site"
    described = site / "other_package-1.0.dist-info"
    described.mkdir(parents=True)
    (site / "other_package.py").write_text(PACKAGE)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: other-package\nVersion: 1\n")
    (described / "entry_points.txt").write_text(ROWS)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def run(
    environment: dict[str, str], command: str, *words: object
) -> subprocess.CompletedProcess[str]:
    typed = [sys.executable, "-m", f"icas.{command}", *map(str, words)]
    return subprocess.run(typed, env=environment, capture_output=True, text=True, check=False)


def test_help_names_those_that_are_broken(environment) -> None:
    done = run(environment, "clusterimg", "--help")
    assert done.returncode == 0
    first, second = done.stderr.splitlines()
    assert "method 'broken': not_there:Method of other-package cannot be loaded" in first
    assert "method 'number': other_package:NUMBER of other-package" in second
    done = run(environment, "segmentimg", "--help")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert "method 'broken': not_there:Segmenter of other-package" in line


@pytest.mark.parametrize(
    ("command", "name", "reason"),
    [
        ("clusterimg", "broken", "not_there:Method of other-package cannot be loaded (Module"),
        ("clusterimg", "number", "other_package:NUMBER of other-package cannot be loaded (Attr"),
        ("segmentimg", "broken", "not_there:Segmenter of other-package cannot be loaded"),
    ],
)
def test_a_broken_one_is_one_line(environment, photos, command, name, reason) -> None:
    done = run(environment, command, photos, "--method", name)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert reason in line


def test_the_rest_works(environment, photos, tmp_path) -> None:
    done = run(environment, "clusterimg", photos, "--method", "tm", "--dst", tmp_path / "out")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("14 images, ")


def test_a_data_set_format_of_a_package_is_written(environment, photos, tmp_path) -> None:
    dst, out = tmp_path / "sorted", tmp_path / "dataset"
    assert (
        run(environment, "clusterimg", photos, "--dst", dst, "--threshold", "0.75").returncode == 0
    )
    (dst / "labels.csv").write_text(
        "file,label,source,confidence\ncoffee-1.png,cup,image,1\ncoffee-2.jpg,cup,image,1\n"
    )
    done = run(environment, "clusterimg", "export", dst, out, "--format", "names")
    assert done.returncode == 0
    assert (out / "names.txt").read_text() == "coffee-1.png\ncoffee-2.jpg\n"
    done = run(environment, "clusterimg", "export", dst, out, "--format", "broken")
    assert done.returncode == 2
    assert "data set format 'broken': not_there:Format of other-package" in done.stderr
    done = run(environment, "clusterimg", "export", "--help")
    assert "hf, fiftyone, names" in " ".join(done.stdout.split())

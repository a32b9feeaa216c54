"""A linkage of another installed package: one file and one entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WARD = '''
from icas.clusterimg.clustering.dense_linkage import DenseLinkage


class Ward(DenseLinkage):
    """Groups are joined while the within-cluster variance stays small."""

    kind = "ward"
'''
ROW = "[icas.linkages]\nward = ward_linkage:Ward\n"
SCRIPT = """
import sys
import icas

photos, out = sys.argv[1:]
whole = icas.cluster(photos, method="ssim", threshold=0.3, linkage="ward", dst=f"{out}/whole")
print(whole.labels.tolist())
for merge in ("exact", "representatives"):
    given = {"method": "ssim", "threshold": 0.3, "linkage": "ward", "merge": merge}
    parts = icas.cluster(photos, batch_size=5, dst=f"{out}/{merge}", **given)
    print(parts.labels.tolist())
model = icas.ImageClusterer("ssim", 0.3, linkage="ward").fit(photos)
print(model.labels_.tolist())
"""


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """Environment with a package that adds the linkage."""
    site = tmp_path / "site"
    described = site / "ward_linkage-1.0.dist-info"
    described.mkdir(parents=True)
    (site / "ward_linkage.py").write_text(WARD)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: ward-linkage\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(ROW)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def run(environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_functions_and_the_estimator_take_it(installed, photos, tmp_path):
    printed = run(installed, "-c", SCRIPT, str(photos), str(tmp_path))
    whole, exact, merged, fitted = map(json.loads, printed.splitlines())
    assert whole == exact == fitted
    assert max(whole) >= 1
    assert max(merged) >= 1


def test_the_command_takes_it(installed, photos, tmp_path):
    words = ["-m", "icas.clusterimg", str(photos), "--method", "ssim", "--threshold", "0.3"]
    words += ["--linkage", "ward", "--batch-size", "5", "--dst", str(tmp_path / "out")]
    assert "linkage ward: " in run(installed, *words)
    assert json.loads((tmp_path / "out/run.json").read_text())["settings"]["linkage"] == "ward"
    merged = run(installed, *words[:-1], str(tmp_path / "exact"), "--merge", "exact")
    assert "14 images, " in merged

"""--method deep with ONNX networks: without torch, and equal to torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import icas
from icas.clusterimg.commands.main import main
from icas.common.errors import UsageError

SIZE = (96, 96)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (96, 96, 3), dtype=np.uint8) for _ in range(4)]


@pytest.fixture(scope="module")
def exported(torch, tmp_path_factory):
    """squeezenet1_0 with random weights."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    out = tmp_path_factory.mktemp("onnx") / "squeezenet.onnx"
    names = ["--model", "squeezenet1_0", "--weights", "random", "--out", str(out)]
    assert main(["weights", "export", *names]) == 0
    return out


@pytest.mark.deep
def test_features_are_those_of_torch(exported, images):
    found = icas.features(images, "deep", weights=exported, dims=0, size=SIZE).array
    torchs = icas.features(
        images, "deep", model="squeezenet1_0", weights="random", dims=0, size=SIZE
    ).array
    np.testing.assert_allclose(found, torchs, atol=1e-5)


@pytest.mark.deep
def test_features_do_not_depend_on_the_other_images(exported, images):
    options = {"weights": exported, "dims": 0, "size": SIZE}
    together = icas.features(images, "deep", **options).array
    alone = [icas.features([image], "deep", **options).array[0] for image in images]
    assert (together == np.stack(alone)).all()


WITHOUT_TORCH = """
import sys
for name in ("torch", "torchvision", "sklearn", "onnx"):
    sys.modules[name] = None
from icas.clusterimg.commands.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.deep
def test_a_run_needs_no_torch(exported, photos, tmp_path):
    words = [str(photos), "--method", "deep", "--weights", str(exported)]
    words += ["--dst", str(tmp_path / "sorted"), "--threshold", "auto", "--recursive"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "-> " in done.stdout.splitlines()[-1]


@pytest.mark.deep
def test_trained_networks_are_exported_too(torch, exported, images, tmp_path):
    from icas.clusterimg.networks.autoencoder import Autoencoder
    from icas.clusterimg.networks.model_files import write_model

    own, out = tmp_path / "own.pt", tmp_path / "own.onnx"
    write_model(own, Autoencoder(64, 16, 8), {})
    assert main(["weights", "export", "--weights", str(own), "--out", str(out)]) == 0
    found = icas.features(images, "deep", weights=out, dims=0).array
    expected = icas.features(images, "deep", weights=own, dims=0).array
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_options_that_do_not_go_together(tmp_path):
    file = tmp_path / "any.onnx"
    for options, message in (
        ({"weights": file, "model": "resnet18"}, "holds its network"),
        ({"weights": file, "device": "cuda"}, "run on the CPU only"),
        ({"mean": (0.5, 0.5, 0.5), "model": "resnet18"}, "for an ONNX network"),
        ({"weights": file, "std": "1,1"}, "three numbers"),
        ({"weights": file}, "no such file"),
    ):
        with pytest.raises(UsageError, match=message):
            icas.features([np.zeros((8, 8, 3), np.uint8)], "deep", **options)

"""Without a network one is trained on the folder first, and used again; a dry run leaves none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import icas
from icas.clusterimg.commands.main import main
from icas.io.reading import read_image

pytestmark = pytest.mark.deep
LEFT = ["folder_model.pt", "folder_model_loss.csv", "folder_model_loss.png"]


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """Small pictures: threads would only wait for each other."""


@pytest.fixture
def folder(photos, tmp_path):
    """Eight pictures of two kinds, and one file that is none."""
    place = tmp_path / "folder"
    place.mkdir()
    for path in icas.find_images(photos):
        if Path(path).name.startswith(("coffee", "rocket")):
            shutil.copy(path, place)
    (place / "broken.png").write_bytes(b"no picture")
    return place


@pytest.fixture
def trained_once(monkeypatch):
    """The settings of every training."""
    from icas.clusterimg.training import train as training

    calls, real = [], training.train

    def counted(folder, settings, console):
        calls.append(settings)
        return real(folder, settings, console)

    monkeypatch.setattr(training, "train", counted)
    return calls


def content(place):
    """Every file under `place` and what is in it."""
    return {path: path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def test_a_network_is_trained_once_and_used_again(folder, tmp_path, capsys, trained_once):
    before = content(folder)
    runs = []
    for name in ("one", "two"):
        assert main([str(folder), "--method", "deep", "--dst", str(tmp_path / name)]) == 3
        told = capsys.readouterr()
        assert told.err.count("broken.png") == 1
        runs.append((json.loads((tmp_path / name / "run.json").read_text()), told.out))
    assert len(trained_once) == 1
    assert content(folder) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["folder", *LEFT, "one", "two"])
    assert "train a network on the images first" in runs[0][1]
    assert "trained: 8 images, 1 unreadable" in runs[0][1]
    assert "using the trained network" in runs[1][1]
    for told, _ in runs:
        assert told["options"]["weights"] == str(tmp_path / "folder_model.pt")
        assert told["images"] == 8
        assert told["models"][0]["kind"] in ("kmeans", "hierarchy", "hdbscan")
    tables = [(tmp_path / name / "clusters.csv").read_bytes() for name in ("one", "two")]
    assert tables[0] == tables[1]


def test_python_trains_too_and_a_number_links(folder, tmp_path, trained_once):
    report = icas.cluster(folder, method="deep", threshold=0.9, dst=tmp_path / "out", seed=3)
    assert report.threshold == 0.9
    assert report.models == ()
    assert [one.seed for one in trained_once] == [3]
    assert (tmp_path / "folder_model.pt").exists()
    # The file is a network for other folders too.
    found = icas.features(
        [read_image(path) for path in icas.find_images(folder) if "broken" not in str(path)],
        method="deep",
        weights=tmp_path / "folder_model.pt",
        dims=0,
    )
    assert found.array.shape == (8, 64)


@pytest.mark.parametrize("options", [[], ["--threshold", "0.5"], ["--clusters", "2"]])
def test_a_dry_run_leaves_nothing(folder, tmp_path, capsys, options):
    before = content(tmp_path)
    assert main([str(folder), "--method", "deep", "--dry-run", *options]) == 3
    assert content(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]
    told = capsys.readouterr()
    assert "not kept after this dry run" in told.out
    assert "nothing written" in told.out
    assert "model.pt\n" not in told.out
    assert told.err.count("broken.png") == 1


def test_a_dry_run_tells_what_the_run_does(folder, tmp_path):
    dry = icas.cluster(folder, method="deep", dry_run=True)
    wet = icas.cluster(folder, method="deep", dst=tmp_path / "out")
    assert (dry.labels == wet.labels).all()
    assert dry.threshold_reason == wet.threshold_reason


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--threshold", "0.5", "--clusters", "3"], "give only one"),
        (["--size", "64x40"], "--size 64x40: training needs square images"),
        (["--size", "50x50"], "--size 50"),
        (["--device", "cuda:77"], "--device cuda:77"),
    ],
)
def test_what_cannot_go_on_is_refused_before_the_training(
    folder, tmp_path, capsys, trained_once, words, told
):
    assert main([str(folder), "--method", "deep", *words]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert told in lines[0]


def test_the_size_asked_for_is_trained(folder, tmp_path, trained_once):
    icas.cluster(folder, method="deep", size=(32, 32), dst=tmp_path / "out", overwrite=True)
    assert [one.size for one in trained_once] == [32]
    with pytest.raises(icas.UsageError, match="size 64x64: this network requires 32x32 pixels"):
        icas.cluster(folder, method="deep", size=(64, 64), dst=tmp_path / "other")


def test_too_little_to_learn_from(folder, tmp_path, capsys):
    images = sorted(path for path in folder.iterdir() if path.name != "broken.png")
    for path in images[1:]:
        path.unlink()
    assert main([str(folder), "--method", "deep"]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "unexpected error" not in lines[0]
    for number in range(4):
        shutil.copy(images[0], folder / f"copy-{number}{images[0].suffix}")
    assert main([str(folder), "--method", "deep"]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "unexpected error" not in lines[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


def test_other_methods_and_given_networks_train_nothing(folder, tmp_path, trained_once):
    icas.cluster(folder, method="ssim", dst=tmp_path / "ssim")
    icas.cluster(
        folder, method="deep", model="squeezenet1_0", weights="random", dst=tmp_path / "deep"
    )
    assert trained_once == []


def test_a_merge_needs_to_know_the_network(torch, photos, tmp_path, capsys):
    parts = tmp_path / "parts"
    assert main([str(photos), "--stage", "batch", "--dst", str(parts), "-q"]) == 0
    capsys.readouterr()
    assert main([str(parts), "--stage", "merge", "--method", "deep"]) == 2
    assert "needs --model or --weights" in capsys.readouterr().err

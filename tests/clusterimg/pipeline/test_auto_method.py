"""--method auto, the default: which method it is, and how later commands treat its results."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

import icas
from icas.clusterimg.commands.main import main
from icas.clusterimg.methods import choose, make_method
from icas.common.errors import UsageError
from icas.onnx import weights

ORB = "method orb (no network weights are given or installed)\n"
HINT = "for better clusters, install a network: clusterimg weights get mobilenet_v2 (14 MB)\n"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a file of weights that no network is in."""
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path / "weights"))

    def install():
        path = tmp_path / "weights" / "mobilenet_v2.onnx"
        path.parent.mkdir()
        path.write_bytes(b"")
        return path

    return install


def run_of(folder):
    return json.loads((folder / "run.json").read_text())


def members(folder):
    with (folder / "clusters.csv").open(newline="") as table:
        return {row["file"]: row["cluster"] for row in csv.DictReader(table)}


# The choice


def test_a_network_is_used_if_there_is_one(installed):
    assert choose({}).method == "orb"
    assert choose({"weights": "any.onnx"}).method == "deep+orb"
    assert choose({"model": "resnet18"}).method == "deep+orb"
    assert make_method("Auto", keypoints=20).keypoints == 20
    path = installed()
    assert choose({}).method == "deep+orb"
    assert choose({}).hint == ""
    assert make_method("auto").parts[0].weights == path
    assert make_method("deep+orb").with_installed_weights().weights == path
    assert make_method("deep").with_installed_weights().weights == path
    assert make_method("deep", model="resnet18").with_installed_weights().weights is None
    assert make_method("orb+deep").parts[1].needs_training


@pytest.mark.parametrize("words", [[], ["--method", "auto"], ["--method", "AUTO"]])
def test_a_run_prints_which_method_and_why(photos, tmp_path, capsys, words):
    assert main([str(photos), *words, "--dry-run", "--dst", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.startswith(ORB + HINT)


def test_the_given_method_is_not_announced(photos, tmp_path, capsys):
    flags = ["--method", "tm", "--dry-run", "--dst", str(tmp_path / "out")]
    assert main([str(photos), *flags]) == 0
    assert not capsys.readouterr().out.startswith("method")


def test_options_of_other_methods_name_their_method(photos, tmp_path, capsys):
    assert main([str(photos), "--hash-size", "16", "--dst", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        "clusterimg: --hash-size is an option of method 'imagehash', and --method auto chose"
        " 'orb': add --method imagehash\n"
    )
    for call in (icas.cluster, icas.features, icas.ImageClusterer(corners=9).fit):
        given = {"corners": 9} if call in (icas.cluster, icas.features) else {}
        with pytest.raises(UsageError, match="corners is an option of method 'minhash'"):
            call(str(photos), **given)


def test_every_face_has_the_same_default(photos, tmp_path, capsys):
    report = icas.cluster(photos, dst=tmp_path / "a", threshold="auto")
    model = icas.ImageClusterer().fit(icas.find_images(photos))
    features = icas.features(photos)
    assert report.method == model.method_ == features.method == "orb"
    assert model.get_params()["method"] == "auto"
    assert report.threshold == model.threshold_
    np.testing.assert_array_equal(report.labels, model.labels_)
    assert len(icas.links(features, report.threshold)) == len(model.links_)
    np.testing.assert_array_equal(
        icas.similarity_matrix(photos), icas.similarity_matrix(features, features)
    )
    assert main(["thresholds", str(photos), "--out", str(tmp_path / "curve.csv")]) == 0
    assert capsys.readouterr().out.startswith(ORB + HINT)


def test_a_fixed_method_for_matrices(installed, photos):
    files = icas.find_images(photos)[:3]
    before = icas.similarity_matrix(files)
    installed()
    np.testing.assert_array_equal(icas.similarity_matrix(files), before)


# Few images


@pytest.mark.parametrize("count", [2, 3, 7, 8, 14])
def test_small_folders(photos, tmp_path, count):
    files = sorted(icas.find_images(photos), key=lambda path: path.stem.partition("-")[2])
    chosen = files[-count:]  # copies of one photograph are far apart in this order
    report = icas.cluster(chosen, dst=tmp_path / "out", threshold="auto", transfer="none")
    kinds = [path.name.partition("-")[0] for path in map(photos.joinpath, report.files)]
    pairs = [(a, b) for a in range(len(kinds)) for b in range(a)]
    same = np.array([kinds[a] == kinds[b] for a, b in pairs])
    labels = report.labels
    together = np.array([labels[a] == labels[b] != -1 for a, b in pairs])
    assert not (together & ~same).any()
    assert together[same].all()


def test_one_image_is_an_outlier(photos, tmp_path):
    report = icas.cluster([photos / "moon.png"], dst=tmp_path / "out", threshold="auto")
    assert report.labels.tolist() == [-1]


def test_images_of_other_sizes_and_flat_ones(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (700, 30, 3), np.uint8)).save(source / "tall.png")
    Image.fromarray(rng.integers(0, 256, (3, 5, 3), np.uint8)).save(source / "tiny.png")
    for name, value in (("black", 0), ("white", 255)):
        Image.new("RGB", (90, 60), (value,) * 3).save(source / f"{name}.png")
    report = icas.cluster(source, dst=tmp_path / "out", threshold="auto")
    assert report.labels.tolist() == [-1] * 4


# Candidates


@pytest.fixture
def slow(monkeypatch):
    """As if comparing all pairs took long."""
    monkeypatch.setattr("icas.clusterimg.pipeline.steps.MOST_SECONDS", 0)
    monkeypatch.setattr("icas.clusterimg.pipeline.steps.CANDIDATES", 20)


def test_candidates_where_all_pairs_take_long(slow, crowd, tmp_path, capsys):
    flags = ["--threshold", "0.2", "--transfer", "none", "--no-report"]
    dst = tmp_path / "out"
    assert main([str(crowd), *flags, "--dst", str(dst)]) == 0
    out = capsys.readouterr().out
    assert "candidates: 20 per image, because comparing all pairs of 48 images takes" in out
    assert "recall" in out
    assert run_of(dst)["candidates"]["k"] == run_of(dst)["settings"]["candidates"] == 20
    assert main([str(crowd), *flags, "--method", "orb", "--dst", str(tmp_path / "all")]) == 0
    assert "candidates" not in run_of(tmp_path / "all")
    model = icas.ImageClusterer(threshold=0.2).fit(crowd)
    np.testing.assert_array_equal(model.labels_, [int(it) for it in members(dst).values()])


def test_merging_batches_uses_the_candidates_of_their_stage(slow, crowd, tmp_path, capsys):
    parts, out = tmp_path / "parts", tmp_path / "out"
    flags = ["--threshold", "0.2", "--batch-size", "24", "--stage", "batch"]
    assert main([str(crowd), *flags, "--dst", str(parts)]) == 0
    assert main([str(parts), "--stage", "merge", "--dst", str(out)]) == 0
    assert "candidates: 20 per image, as in the batch stage\n" in capsys.readouterr().out
    exact = tmp_path / "exact"
    assert main([str(crowd), *flags, "--method", "orb", "--dst", str(exact)]) == 0
    assert main([str(exact), "--stage", "merge", "--dst", str(tmp_path / "joined")]) == 0
    assert "candidates" not in run_of(tmp_path / "joined")


# Later commands use the method of the run


@pytest.fixture(params=[[], ["--method", "auto"]], ids=["default", "auto"])
def again(request):
    return request.param


def test_resume_uses_the_method_of_the_run(installed, own_photos, tmp_path, capsys, again):
    dst = tmp_path / "out"
    assert main([str(own_photos), *again, "--threshold", "0.1", "--dst", str(dst)]) == 0
    run = run_of(dst)
    assert run["method"] == "orb"
    assert run["options"]["keypoints"] == 200
    installed()  # a new run would use another method
    flags = ["--dst", str(dst), "--resume", *again]
    assert main([str(own_photos), *flags]) == 0
    assert "is already finished" in capsys.readouterr().out
    assert main([str(own_photos), *flags, "--threshold", "0.3", "--keypoints", "200"]) == 0
    assert run_of(dst)["method"] == "orb"
    assert run_of(dst)["threshold"] == 0.3
    assert main([str(own_photos), *flags, "--keypoints", "100"]) == 2
    assert "--keypoints 100: the run in" in capsys.readouterr().err


def test_resume_of_a_run_with_another_method(own_photos, tmp_path, again):
    dst = tmp_path / "out"
    flags = ["--method", "imagehash", "--hash-size", "8", "--threshold", "0.5"]
    assert main([str(own_photos), *flags, "--dst", str(dst)]) == 0
    flags = [*again, "--hash-size", "8", "--threshold", "0.8", "--resume"]
    assert main([str(own_photos), *flags, "--dst", str(dst)]) == 0
    assert run_of(dst)["method"] == "imagehash"
    given = {"hash_size": 8, "threshold": 0.9, "resume": True}
    assert icas.cluster(own_photos, dst=dst, **given).method == "imagehash"


def test_batches_are_merged_by_their_method(installed, photos, tmp_path, capsys, again):
    parts, out = tmp_path / "parts", tmp_path / "out"
    flags = ["--batch-size", "7", "--stage", "batch", "--dst", str(parts)]
    assert main([str(photos), "--method", "tm", "--threshold", "0.9", *flags]) == 0
    installed()
    capsys.readouterr()
    assert main([str(parts), *again, "--stage", "merge", "--dst", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("threshold 0.9 (as in the batch stage)\n")
    assert run_of(out)["method"] == "tm"


def test_recut_and_decisions(installed, own_photos, tmp_path):
    dst = tmp_path / "out"
    icas.cluster(own_photos, dst=dst, threshold=0.1)
    installed()
    icas.decide(dst, "must-link", "moon.png", "page.png")
    report = icas.recut(dst, 0.3)
    assert report.method == "orb"
    found = members(dst)
    assert found["moon.png"] == found["page.png"] != "-1"


def test_reference(photos, own_photos, tmp_path, capsys):
    dst = tmp_path / "out"
    flags = ["--reference", str(photos), "--threshold", "0.3", "--dst", str(dst)]
    assert main([str(own_photos), *flags]) == 0
    assert capsys.readouterr().out.startswith(ORB + HINT)
    assert run_of(dst)["method"] == "orb"

"""What users of clusterimg rely on, name by name."""

from __future__ import annotations

import csv
import inspect
import json
import re
import subprocess
import sys

import numpy as np
import pytest

import icas
from icas.clusterimg.commands.main import PROGRAM, main

FLAGS = [
    "--src",
    "--dst",
    "--method",
    "--threshold",
    "--batch-size",
    "--size",
    "--scale",
    "--stage",
    "--merge",
    "--transfer",
    "--dry-run",
    "--jobs",
    "--executor",
    "--scheduler",
    "--device",
    "--no-cache",
    "--report",
    "--no-report",
    "--seed",
    "-q",
    "-v",
    "--debug",
    "--json",
    "--recursive",
    "--overwrite",
    "--keep-batches",
    "--hash-size",
    "--corners",
    "--permutations",
    "--keypoints",
    "--weights",
    "--model",
    "--cluster-model",
    "--clusters",
    "--max-iter",
    "--eps",
    "--min-samples",
    "--min-cluster-size",
    "--max-cluster-size",
    "--max-pixels",
    "--version",
    "--help",
    "--help-all",
]
COLUMNS = {
    "clusters.csv": ["file", "cluster", "batch", "representative"],
    "certificate.csv": ["cluster", "images", "weakest_link", "least_similar_pair", "medoid"],
    "unreadable.csv": ["file", "reason"],
    "similarities/batch_0.csv": ["a", "b", "similarity"],
    "similarities/merge.csv": ["a", "b", "similarity"],
}
RUN_KEYS = {
    "icas",
    "method",
    "threshold",
    "settings",
    "images",
    "clusters",
    "outliers",
    "unreadable",
    "comparisons",
    "seconds",
    "peak_memory_mb",
}


@pytest.fixture(scope="module")
def result(photos, tmp_path_factory):
    dst = tmp_path_factory.mktemp("run") / "sorted"
    assert (
        main(["--src", str(photos), "--dst", str(dst), "--method", "orb", "--batch-size", "8"]) == 0
    )
    return dst


def test_every_flag_is_there():
    known = {
        flag for action in PROGRAM.parser("cluster")._actions for flag in action.option_strings
    }
    assert set(FLAGS) <= known


@pytest.mark.parametrize(("table", "columns"), COLUMNS.items())
def test_columns(result, table, columns):
    with (result / table).open(newline="") as stream:
        assert next(csv.reader(stream)) == columns


def test_files_and_folders(result):
    assert {path.name for path in result.iterdir()} == {
        ".icas", "result", "similarities", "clusters.csv", "certificate.csv", "unreadable.csv",
        "run.json", "report.html",
    }  # fmt: skip
    assert {path.name for path in (result / "result").iterdir()} == {
        "cluster_0", "cluster_1", "cluster_2", "outliers",
    }  # fmt: skip
    assert {path.name for path in (result / "similarities").iterdir()} == {
        "batch_0.csv", "batch_1.csv", "merge.csv",
    }  # fmt: skip


def test_best_and_quality(photos, tmp_path, capsys):
    dst = tmp_path / "sorted"
    words = ["--src", str(photos), "--dst", str(dst), "--method", "imagehash", "-q"]
    assert main([*words, "--threshold", "0.8", "--transfer", "none"]) == 0
    assert main(["best", str(dst), "--by", "sharpest,largest,newest"]) == 0
    with (dst / "best.csv").open(newline="") as stream:
        assert next(csv.reader(stream))[:4] == ["file", "cluster", "keep", "reason"]
    assert main(["quality", str(photos), "--out", str(tmp_path / "quality")]) == 0
    with (tmp_path / "quality" / "quality.csv").open(newline="") as stream:
        columns = next(csv.reader(stream))
    issues = ["blurred", "dark", "bright", "low_contrast", "odd_size", "odd_aspect", "grayscale"]
    assert {"file", "score", "duplicate_of", *issues} <= set(columns)
    assert (tmp_path / "quality" / "quality.html").is_file()
    assert capsys.readouterr().out.splitlines()[-1].endswith("quality.csv")


def test_run_json(result):
    told = json.loads((result / "run.json").read_text())
    assert set(told) >= RUN_KEYS
    assert set(told["comparisons"]) == {"possible", "made", "skipped"}
    assert set(told["seconds"]) == {"scan", "features", "links", "merge", "transfer"}
    made, skipped = told["comparisons"]["made"], told["comparisons"]["skipped"]
    assert made + skipped == told["comparisons"]["possible"] == 14 * 13 // 2


def test_batch_folders(photos, tmp_path):
    dst = tmp_path / "parts"
    words = [str(photos), "--stage", "batch", "--batch-size", "7", "--dst", str(dst), "-q"]
    assert main([*words, "--method", "orb"]) == 0
    assert {path.name for path in (dst / "batches").iterdir()} == {"batch_0", "batch_1"}
    inside = {path.name for path in (dst / "batches" / "batch_0").iterdir()}
    assert "cluster_0" in inside
    assert inside <= {"cluster_0", "cluster_1", "cluster_2", "outliers"}


def test_the_last_line(photos, tmp_path, capsys):
    main([str(photos), "--dst", str(tmp_path / "out"), "--method", "IMAGEHASH"])
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"14 images, \d+ clusters?, \d+ outliers?, 0 unreadable -> .*out", last)


def test_python(photos, tmp_path):
    report = icas.cluster(photos, method="orb", threshold=0.25, dst=tmp_path / "sorted")
    assert isinstance(report, icas.ClusterReport)
    model = icas.ImageClusterer(method="ssim", threshold=0.8).fit(icas.find_images(photos))
    assert model.labels_.shape == (14,)
    assert model.labels_.min() == -1
    assert model.links_.dtype.names == ("a", "b", "similarity")
    features = icas.features(photos, method="imagehash")
    assert features.files
    assert features.unreadable == ()
    assert features.array.dtype == np.uint8
    links = icas.links(features, threshold=0.8)
    assert links.dtype.names == ("a", "b", "similarity")
    assert (links["a"] < links["b"]).all()
    given = icas.FeatureSet.from_bits(features.array, method="imagehash")
    assert len(given) == 14
    paths = icas.find_images(photos)
    matrix = icas.similarity_matrix(paths[:3], paths[3:], method="tm")
    assert matrix.shape == (3, 11)
    assert matrix.dtype == np.float32
    assert icas.labels_at(model.forest_, threshold=0.9).shape == (14,)
    assert "hash_size" in icas.ImageClusterer(hash_size=16).get_params()


def test_the_default_method_is_auto(photos, tmp_path, capsys):
    dst = tmp_path / "sorted"
    assert main([str(photos), "--dst", str(dst)]) == 0
    line, hint, *_ = capsys.readouterr().out.splitlines()
    assert line == "method orb (no network weights are given or installed)"
    assert "clusterimg weights get mobilenet_v2" in hint
    assert json.loads((dst / "run.json").read_text())["method"] == "orb"
    assert icas.cluster(photos, dst=tmp_path / "other").method == "orb"
    model = icas.ImageClusterer()
    assert model.method == "auto"
    assert model.fit(photos).n_clusters_ == 3
    assert icas.features(photos).method == "orb"
    for function in (icas.features, icas.pick_threshold):
        assert inspect.signature(function).parameters["method"].default == "auto"
    fixed = inspect.signature(icas.similarity_matrix).parameters["method"]
    assert fixed.default == "orb"  # of two images only, on every machine


DEEP_DEFAULTS = {
    "--model NAME": "that of --weights, else mobilenet_v2 if installed, else one trained on the",
    "--weights FILE": "downloaded by the library",
    "--dims N": "128",
    "--cluster-model NAME,...": "links by cosine; ",
    "--clusters N,...": "2, 3, 4, 6, 8, 11, 16, ... up to half the images",
    "--max-iter N,...": "300",
    "--eps F,...": "10, 30, 50, 70 and 90 % quantiles ",
    "--min-samples N,...": "2, 3 and 5; hdbscan: the minimum cluster size",
    "--min-cluster-size N,...": "2, 3, 5 and 10",
    "--max-cluster-size N,...": "no limit",
}


def test_help_tells_the_flags_of_deep_and_their_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["--help-all"])
    words = " ".join(capsys.readouterr().out.split())
    told = words[words.index("Method deep:") :]
    for flag, default in DEEP_DEFAULTS.items():
        assert f"{flag} " in told
        assert f"(default: {default}" in told[told.index(f"{flag} ") :]


def test_neither_import_nor_help_loads_torch():
    code = (
        "import sys, icas\n"
        "from icas.clusterimg.commands.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'torchvision', 'sklearn', 'timm'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("words", [[], ["--model", "resnet18"], ["--clusters", "3"]])
@pytest.mark.parametrize("absent", ["torch", "sklearn"])
def test_a_missing_extra_is_told_in_one_line(photos, tmp_path, monkeypatch, capsys, words, absent):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *p: None if name == absent else find(name, *p)
    )
    dst = tmp_path / "sorted"
    line = "method 'deep' needs torch and scikit-learn: pip install 'icas[deep]'"
    assert main([str(photos), "--method", "deep", "--dst", str(dst), *words]) == 2
    assert capsys.readouterr().err == f"clusterimg: {line}\n"
    assert not dst.exists()
    with pytest.raises(icas.MissingExtraError) as told:
        icas.features(photos, method="deep", model="resnet18")
    assert str(told.value) == line


@pytest.mark.deep
def test_deep_from_python(torch, data, photos):
    path = data / "weights" / "mobilenet_v2_dequantized_fp16.pth"
    options = {"method": "deep", "model": "mobilenet_v2", "weights": path}
    model = icas.ImageClusterer(threshold="auto", **options).fit(icas.find_images(photos))
    assert model.labels_.shape == (14,)
    assert model.links_.dtype.names == ("a", "b", "similarity")
    features = icas.features(photos, **options)
    assert features.array.dtype == np.float32
    assert icas.similarity_matrix(features).dtype == np.float32
    grouped = icas.ImageClusterer(cluster_model="kmeans", clusters=[3, 5], **options).fit(photos)
    assert grouped.n_clusters_ in (3, 5)
    assert np.isnan(grouped.threshold_)


def test_names_and_a_data_set(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ICAS_CACHE", str(tmp_path / "cache"))
    icas.cluster(photos, method="imagehash", threshold=0.75, dst="sorted")
    icas.label("sorted", {"cluster_0": "cat"})
    table = (tmp_path / "sorted" / "labels.csv").read_text()
    assert table.startswith("file,label,source,confidence\n")
    report = icas.export(
        "sorted", "dataset", format="imagefolder", split={"train": 0.8, "test": 0.2}
    )
    images = list((tmp_path / "dataset" / "train" / "cat").iterdir())
    assert len(images) == report.counts["cat"]["train"] == 4
    formats, shares = "csv,imagefolder,coco,yolo,hf,fiftyone", "train=0.8,val=0.1,test=0.1"
    words = ["export", "sorted", "all", "--format", formats, "--split", shares]
    assert main([*words, "--seed", "0", "--transfer", "copy", "-q"]) == 0
    assert {path.name for path in (tmp_path / "all").iterdir()} >= set(formats.split(","))
    assert main(["undo", "all", "-q"]) == 0
    assert not (tmp_path / "all").exists()


def test_errors_are_a_family():
    assert issubclass(icas.UsageError, ValueError)
    assert issubclass(icas.MissingExtraError, ImportError)
    assert issubclass(icas.UnreadableImageError, OSError)
    for name in ("UsageError", "MissingExtraError", "UnreadableImageError", "ConflictError"):
        assert issubclass(getattr(icas, name), icas.IcasError)


def test_public_functions_are_documented():
    for name in icas.__all__:
        thing = getattr(icas, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), name

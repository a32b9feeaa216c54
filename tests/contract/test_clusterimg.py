"""What users of clusterimg rely on, name by name."""

from __future__ import annotations

import csv
import inspect
import json
import re

import numpy as np
import pytest

import icas
from icas.clusterimg.cli import cluster_parser, main

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
    "--max-pixels",
    "--version",
    "--help",
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
    known = {flag for action in cluster_parser()._actions for flag in action.option_strings}
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

"""A+B: laws of the fused similarity, and whole runs with it."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

import icas
from icas.clusterimg.commands.main import main
from icas.clusterimg.data.featureset import concatenate
from icas.clusterimg.data.images import scan
from icas.clusterimg.features.extraction import Reading
from icas.clusterimg.linking.tiles import all_links
from icas.clusterimg.methods import make_method, method_class
from icas.clusterimg.methods.fusion_scale import Scale, curves
from icas.common.errors import UsageError
from icas.io.reading import read_image

PAIRS = ["orb+tm", "ssim+imagehash", "minhash+orb+tm"]
RANDOM = {"model": "squeezenet1_0", "weights": "random", "size": (64, 64)}


@pytest.fixture(scope="module")
def pictures(crowd):
    return [read_image(path) for path in icas.find_images(crowd)]


@pytest.fixture(scope="module", params=PAIRS)
def fused(request, pictures):
    """A method and the features of 48 pictures."""
    return make_method(request.param), icas.features(pictures, request.param)


def rows(path):
    with path.open(newline="") as file:
        return [(row["file"], row["cluster"]) for row in csv.DictReader(file)]


# Laws


def test_similarities_are_symmetric_at_most_1_and_1_for_the_image_itself(fused):
    method, features = fused
    found = method.similarity(features, features)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 1)
    assert found.min() >= -1
    assert (found[~np.eye(len(found), dtype=bool)] < 1).all()  # the pictures all differ


def test_equal_images_have_similarity_1(pictures):
    found = icas.similarity_matrix([*pictures[:6], pictures[0]], method="orb+tm")
    assert found[0, 6] == 1
    assert (found[0, 1:6] < 1).all()


def test_no_similarity_depends_on_the_tile(fused):
    method, features = fused
    whole = method.similarity(features, features)
    for rows_of, columns in ((slice(0, 1), slice(0, 48)), (slice(5, 20), slice(17, 18))):
        part = method.similarity(features[rows_of], features[columns])
        np.testing.assert_array_equal(part, whole[rows_of, columns])
    links = all_links(method, features, 0.3)
    a, b = np.nonzero(np.triu(whole >= np.float32(0.3), 1))
    np.testing.assert_array_equal(links.a, a)
    np.testing.assert_array_equal(links.b, b)
    np.testing.assert_array_equal(links.similarity, whole[a, b])


@pytest.mark.parametrize("name", PAIRS)
def test_features_do_not_depend_on_batches(name, crowd):
    reading, images = Reading(make_method(name)), scan(crowd).images
    folder = reading.scan_features(images)
    whole = folder.features(images)
    parts = concatenate([folder.features(images[at : at + 10]) for at in range(0, 48, 10)])
    assert parts.files == whole.files
    for array in whole.arrays:
        np.testing.assert_array_equal(parts.arrays[array], whole.arrays[array])


def test_similarities_are_on_the_scale_of_the_first_method(pictures):
    above = np.triu_indices(48, 1)
    fused = np.sort(icas.similarity_matrix(pictures, method="tm+orb")[above])
    first = np.sort(icas.similarity_matrix(pictures, method="tm")[above])
    assert np.abs(fused - first).mean() < 0.03
    assert make_method("tm+orb").default_threshold == make_method("tm").default_threshold


def test_a_pair_that_all_methods_find_more_similar_is_more_similar(pictures):
    fused = icas.similarity_matrix(pictures, method="tm+orb")
    parts = [icas.similarity_matrix(pictures, method=name) for name in ("tm", "orb")]
    row = [matrix[0, 1:] for matrix in parts]
    order = np.argsort(row[0] + row[1])
    both = [(a, b) for a in order for b in order if all(one[a] > one[b] for one in row)]
    larger = sum(fused[0, 1 + a] >= fused[0, 1 + b] for a, b in both)
    assert larger >= 0.95 * len(both)  # ranks of the other image may differ


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 12), flat=st.booleans())
def test_any_similarities_give_finite_ones(seed, count, flat):
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(2):
        one = np.zeros((count, count)) if flat else rng.uniform(-1, 1, (count, count))
        one = np.minimum(one, one.T).astype(np.float32)
        np.fill_diagonal(one, 1)
        values.append(one)
    scale = Scale.unpacked(Scale.fit(values).packed())
    kept = np.stack([curves(one) for one in values], axis=1)
    found = scale.fused(values, kept, kept)
    assert found.shape == (count, count)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 1)


def test_golden():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (40, 40, 3), dtype=np.uint8) for _ in range(3)]
    images.append((images[0] // 2 + 20).astype(np.uint8))
    found = icas.similarity_matrix(images, method="tm+ssim")
    np.testing.assert_allclose(found, GOLDEN, atol=1e-5)


GOLDEN = [
    [1.0, 0.813018, 0.952856, 0.960657],
    [0.813018, 1.0, 0.958127, 0.765886],
    [0.952856, 0.958127, 1.0, 0.772862],
    [0.960657, 0.765886, 0.772862, 1.0],
]


# Options and what is refused


def test_options_go_to_the_methods_that_have_them():
    method = make_method("ORB+Minhash", keypoints=50, permutations=64, seed=3)
    assert method.name == "orb+minhash"
    orb, minhash = method.parts
    assert (orb.keypoints, minhash.permutations, minhash.seed) == (50, 64, 3)
    assert make_method("ssim+tm", size=(20, 20)).parts[1].size == (20, 20)
    assert make_method("ssim+tm").parts[1] == make_method("tm")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("orb+nothing", {}, "unknown method 'nothing'"),
        ("orb+orb", {}, "different methods"),
        ("orb+", {}, "unknown method ''"),
        ("orb+tm", {"hash_size": 8}, "no option of method 'orb\\+tm'"),
        ("orb+tm", {"keypoints": 0}, "keypoints 0"),
        ("deep+orb", {"weights": "random", "model": "x", "eps": 0.5}, "eps"),
    ],
)
def test_refused(name, options, message):
    with pytest.raises(UsageError, match=message):
        make_method(name, **options)


def test_features_of_different_folders_are_not_compared(pictures):
    first, second = (icas.features(part, "orb+tm") for part in (pictures[:20], pictures[20:]))
    with pytest.raises(UsageError):
        icas.similarity_matrix(first, second)
    method = make_method("orb+tm")
    with pytest.raises(UsageError, match="fitted to different images"):
        method.similarity(first, second)
    raw = method.extract(pictures[:3])
    with pytest.raises(UsageError, match="not fitted"):
        method.similarity(raw, raw)


# Whole runs


@pytest.mark.parametrize(
    "more",
    [
        ["--batch-size", "10", "--merge", "exact"],
        ["--executor", "processes", "--jobs", "2"],
        ["--memory", "64MB", "--jobs", "3"],
        ["--candidates", "30"],
    ],
    ids=lambda more: more[0],
)
def test_runs_give_the_same_clusters(more, crowd, tmp_path):
    base = ["--src", str(crowd), "--method", "orb+tm", "--threshold", "0.25", "-q", "--no-report"]
    for dst, flags in (("whole", []), ("other", more)):
        assert main([*base, *flags, "--transfer", "none", "--dst", str(tmp_path / dst)]) == 0
    assert rows(tmp_path / "whole" / "clusters.csv") == rows(tmp_path / "other" / "clusters.csv")


def test_merge_of_representatives_threshold_changed_later_and_run_json(crowd, tmp_path):
    flags = ["--method", "ORB+tm", "--keypoints", "100", "--batch-size", "12", "-q"]
    dst = tmp_path / "out"
    assert main(["--src", str(crowd), *flags, "--threshold", "auto", "--dst", str(dst)]) == 0
    run = json.loads((dst / "run.json").read_text())
    assert (run["method"], run["options"]["keypoints"]) == ("orb+tm", 100)
    assert run["features"] == {"cached": 0, "computed": 48}
    assert "orb+tm" in (dst / "report.html").read_text()
    higher = str(min(0.99, run["threshold"] + 0.1))
    assert main(["--src", str(crowd), "--threshold", higher, "--dst", str(dst), "--resume"]) == 0
    assert json.loads((dst / "run.json").read_text())["threshold"] == float(higher)


def test_batches_are_merged_later(crowd, tmp_path):
    batch = ["--stage", "batch", "--batch-size", "16", "--threshold", "0.25", "--keypoints", "100"]
    parts, whole = str(tmp_path / "parts"), tmp_path / "whole"
    assert main(["--src", str(crowd), "--method", "orb+tm", *batch, "--dst", parts, "-q"]) == 0
    assert main(["--src", parts, "--stage", "merge", "--dst", str(whole), "-q"]) == 0
    run = json.loads((whole / "run.json").read_text())
    assert (run["method"], run["threshold"], run["options"]["keypoints"]) == ("orb+tm", 0.25, 100)


def test_features_of_the_methods_are_cached_on_their_own(crowd, tmp_path):
    cache = tmp_path / "cache"
    icas.features(crowd, "orb", cache=cache)
    icas.features(crowd, "tm", cache=cache)
    flags = ["--method", "orb+tm", "--cache", str(cache), "--transfer", "none", "-q"]
    report = tmp_path / "out"
    assert main(["--src", str(crowd), *flags, "--threshold", "auto", "--dst", str(report)]) == 0
    counts = json.loads((report / "run.json").read_text())["features"]
    assert counts == {"cached": 48, "computed": 0}


def test_reference(crowd, tmp_path):
    new = tmp_path / "new"
    new.mkdir()
    for path in sorted(crowd.glob("1-*.jpg")):
        Image.open(path).resize((140, 105)).save(new / path.name)
    flags = ["--method", "orb+tm", "--threshold", "0.4", "--dst", str(tmp_path / "out"), "-q"]
    assert main(["--src", str(new), "--reference", str(crowd), *flags]) == 0
    with (tmp_path / "out" / "reference.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert {row["file"] for row in found} == {path.name for path in new.iterdir()}
    same = [row["file"].split("-")[1] == row["reference"].split("-")[1] for row in found]
    assert np.mean(same) == 1


def test_files_that_cannot_be_read_are_listed_once(crowd, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for path in sorted(crowd.iterdir())[:6]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    features = icas.features(folder, "orb+tm")
    assert len(features) == 6
    assert [lost.file for lost in features.unreadable] == ["broken.jpg"]


def test_estimator(pictures):
    model = icas.ImageClusterer(method="tm+orb", threshold="auto").fit(pictures)
    labels = icas.labels_at(model.forest_, model.threshold_)
    np.testing.assert_array_equal(labels, model.labels_)
    assert model.n_clusters_ >= 3


@pytest.mark.deep
def test_deep_with_orb(torch, crowd, tmp_path):
    features = icas.features(crowd, "deep+orb", **RANDOM)
    method = make_method(features.method, **features.settings)
    found = method.similarity(features, features)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 1)
    flags = ["--model", "squeezenet1_0", "--weights", "random", "--size", "64x64", "-q"]
    dst = tmp_path / "out"
    flags += ["--method", "auto", "--threshold", "auto", "--dst", str(dst), "--transfer", "none"]
    assert main(["--src", str(crowd), *flags]) == 0
    assert json.loads((dst / "run.json").read_text())["method"] == "deep+orb"


@pytest.mark.deep
def test_the_vectors_of_deep_help_to_find_candidates(torch, crowd):
    features = icas.features(crowd, "deep+orb", **RANDOM)
    method = make_method(features.method, **features.settings)
    assert method.sketched
    assert not make_method("deep", **RANDOM).sketched
    describe = method.sketch(features, 0)
    assert describe(features).shape[1] > features.arrays["0.vectors"].shape[1]


def test_the_class_of_a_fusion_is_made_once():
    assert method_class("orb+tm") is method_class("ORB+TM")

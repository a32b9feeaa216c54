"""A threshold from the folder itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import icas
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links
from icas.clusterimg.evaluation.scores import curve, evaluate, match_labels, read_labels
from icas.clusterimg.features.inputs import features_of
from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.base import Method
from icas.clusterimg.thresholds.auto import auto, choose, sample_of
from icas.clusterimg.thresholds.sample import Sample

SURE = ("copies", "video-frames", "deeppcb-pairs", "coil20")


def points_sample(points, images=None):
    """A sample whose similarity falls with the distance of points in the plane."""
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    similarities = np.exp(-apart).astype(np.float32)
    a, b = np.triu_indices(len(points), 1)
    order = np.argsort(-similarities[a, b], kind="stable")
    links = Links(a[order], b[order], similarities[a, b][order])
    features = FeatureSet("points", {"points": points})
    return Sample(features, len(points) if images is None else images, links)


@dataclass(frozen=True)
class Points(Method):
    """Similarity that falls with the distance of points."""

    name: str = "points"

    def extract(self, images):
        raise NotImplementedError

    def similarity(self, a, b):
        return np.exp(-np.linalg.norm(a.array[:, None] - b.array, axis=2)).astype(np.float32)


def groups(seed, count=8, each=10, spread=0.05, width=10):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, width, (count, 2))
    points = np.repeat(centres, each, axis=0) + rng.normal(0, spread, (count * each, 2))
    return points, np.repeat(np.arange(count), each)


@pytest.mark.parametrize("seed", range(8))
def test_groups_that_lie_apart_are_found(seed):
    points, truth = groups(seed)
    sample = points_sample(points)
    found = choose(sample, 0.5)
    best = max(point.f1 for point in curve(sample.forest, truth))
    assert evaluate(sample.labels_at(found.threshold), truth).f1 >= 0.85 * best
    assert "best cluster separation" in found.reason


def test_the_choice_does_not_depend_on_the_order_of_the_images():
    points, _ = groups(3)
    shuffled = points[np.random.default_rng(0).permutation(len(points))]
    one, other = choose(points_sample(points), 0.5), choose(points_sample(shuffled), 0.5)
    assert one.threshold == other.threshold


@pytest.mark.parametrize("count", [12, 20, 60, 150])
def test_unrelated_images_are_not_linked(count):
    sample = points_sample(np.random.default_rng(count).normal(0, 1, (count, 12)))
    found = choose(sample, 0.5)
    assert "no groups of similar images found" in found.reason
    assert np.isnan(found.wrong_share)
    assert (sample.labels_at(found.threshold) == -1).all()


@pytest.mark.parametrize("copies", [1, 5, 20])
def test_copies_among_unrelated_images_are_found(copies):
    rng = np.random.default_rng(0)
    points = rng.normal(0, 1, (100, 12))
    points = np.concatenate([points, points[:copies] + rng.normal(0, 0.01, (copies, 12))])
    truth = np.concatenate([np.arange(100), np.arange(copies)])
    sample = points_sample(points)
    assert evaluate(sample.labels_at(choose(sample, 0.5).threshold), truth).f1 >= 0.8


def test_many_small_groups_are_not_chained_into_one():
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 1, (150, 12))
    points = np.repeat(centres, 4, axis=0) + rng.normal(0, 0.08, (600, 12))
    truth = np.repeat(np.arange(150), 4)
    sample = points_sample(points)
    assert evaluate(sample.labels_at(choose(sample, 0.5).threshold), truth).f1 >= 0.95


def test_a_large_folder_gets_a_higher_threshold_than_its_sample_alone():
    points, _ = groups(1, spread=0.2)
    alone, of_many = choose(points_sample(points), 0.5), choose(points_sample(points, 10**6), 0.5)
    assert of_many.threshold > alone.threshold


@pytest.mark.parametrize("count", [1, 2, 7])
def test_few_images_get_the_method_s_default(count):
    found = choose(points_sample(np.zeros((count, 2))), 0.37)
    assert found.threshold == 0.37
    assert "default" in found.reason


def test_equal_images_are_one_cluster():
    sample = points_sample(np.zeros((20, 2)))
    found = choose(sample, 0.5)
    assert sample.labels_at(found.threshold).tolist() == [0] * 20


@pytest.mark.parametrize("method", ["imagehash", "tm", "minhash"])
@pytest.mark.parametrize("name", SURE)
def test_on_real_sets_it_comes_near_the_best_threshold(data, name, method):
    chosen = make_method(method)
    features = features_of(chosen, data / name / "images")
    matched = match_labels(
        {file: row for row, file in enumerate(features.files)},
        read_labels(data / name / "labels.csv"),
    )
    truth = matched.truth
    sample = sample_of(chosen, features[matched.clusters])
    best = max(point.f1 for point in curve(sample.forest, truth))
    found = auto(sample, chosen)
    assert evaluate(sample.labels_at(found.threshold), truth).f1 >= 0.6 * best


@pytest.mark.parametrize("method", ["imagehash", "tm", "minhash", "ssim"])
@pytest.mark.parametrize("count", [20, 282])
def test_photographs_of_different_subjects_are_not_linked(data, count, method):
    chosen = make_method(method)
    paths = sorted((data / "strangers" / "images").iterdir())[:count]
    sample = sample_of(chosen, features_of(chosen, paths))
    labels = sample.labels_at(auto(sample, chosen).threshold)
    assert (labels >= 0).mean() <= 0.03


def test_plain_surfaces_are_no_group_among_different_images():
    rng = np.random.default_rng(0)
    plain = [rng.normal(118, 8, (64, 64, 3)).clip(0, 255).astype(np.uint8) for _ in range(5)]
    shapes = [np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((16, 16, 1))) for _ in range(13)]
    chosen = make_method("tm")
    features = features_of(chosen, plain + [shape.astype(np.uint8) for shape in shapes])
    assert chosen.plain(features).tolist() == [True] * 5 + [False] * 13
    sample = sample_of(chosen, features)
    found = auto(sample, chosen)
    assert "no groups of similar images found" in found.reason
    assert (sample.labels_at(found.threshold) == -1).all()


@pytest.mark.parametrize("method", ["imagehash", "minhash", "ssim", "orb"])
def test_flat_dark_and_clipped_images_do_not_join_photographs(data, method):
    rng = np.random.default_rng(0)
    paths = sorted((data / "strangers" / "images").iterdir())[:30]
    photographs = [icas.read_image(path) for path in paths]
    slope = np.linspace(0, 60, 120)[:, None, None] * np.ones((1, 160, 3))
    plain = [np.full((120, 160, 3), value) for value in (0, 70, 140, 255)]
    plain += [rng.integers(0, 4, (120, 160, 3)), 255 - rng.integers(0, 4, (120, 160, 3))]
    plain += [slope, 200 - slope]
    images = photographs + [image.astype(np.uint8) for image in plain]
    chosen = make_method(method)
    features = features_of(chosen, images)
    if method != "minhash":  # its plain images have no corners, so they are not similar
        assert chosen.plain(features).tolist() == [False] * 30 + [True] * 8
    sample = sample_of(chosen, features)
    labels = sample.labels_at(auto(sample, chosen).threshold)
    assert (labels[:30] == -1).all()


def test_the_command_tells_the_number_and_the_reason(photos, tmp_path):
    report = icas.cluster(photos, method="orb", threshold="auto", dst=tmp_path / "out")
    assert report.threshold_reason.startswith("auto")
    assert report.sample is not None
    model = icas.ImageClusterer(method="orb").fit(photos)
    assert model.threshold_ == report.threshold


@pytest.mark.parametrize("seed", range(6))
def test_no_share_of_wrong_links_is_claimed_for_few_images(seed):
    points, _ = groups(seed, count=4, each=4, spread=1.2)
    found = choose(points_sample(points), 0.5)
    shares = ("no groups", "1 % or less", "not known with so few images")
    assert any(words in found.reason for words in shares)


@dataclass(frozen=True)
class Both(Method):
    """Points in two spaces; the fused similarity is the mean."""

    name = "both"
    parts = (Points("first"), Points("second"))

    def split(self, features):
        return tuple(FeatureSet(name, {"x": features.arrays[name]}) for name in ("first", "second"))

    def extract(self, images):
        raise NotImplementedError

    def similarity(self, a, b):
        raise NotImplementedError

    def fused(self, features, values):
        return np.mean(values, axis=0, dtype=np.float32)


def fused_sample(first, second):
    return sample_of(Both(), FeatureSet("both", {"first": first, "second": second}))


def test_a_fusion_finds_no_groups_where_its_parts_find_none():
    rng = np.random.default_rng(2)
    sample = fused_sample(rng.normal(0, 1, (60, 12)), rng.normal(0, 1, (60, 12)))
    found = auto(sample, Both())
    assert "no groups of similar images found" in found.reason
    assert (sample.labels_at(found.threshold) == -1).all()


@pytest.mark.parametrize("seed", [0, 3])
def test_a_fusion_follows_the_part_that_is_surest(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0, 1, (200, 6)), rng.normal(0, 1, (200, 12))
    first = np.concatenate([first, first[:10] + rng.normal(0, 0.3, (10, 6))])
    second = np.concatenate([second, second[:10] + rng.normal(0, 0.01, (10, 12))])
    sample = fused_sample(first, second)
    found = auto(sample, Both())
    truth = np.concatenate([np.arange(200), np.arange(10)])
    assert evaluate(sample.labels_at(found.threshold), truth).f1 >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("copied", [1, 3, 10])
def test_few_copies_among_photographs_are_found_by_a_fusion(data, torch, copied):
    rng = np.random.default_rng(copied)
    paths = sorted((data / "strangers" / "images").iterdir())
    images = [icas.read_image(paths[row]) for row in rng.permutation(len(paths))[:50]]
    shrunk = [image[8:-4, 4:-12] for image in images[:copied]]
    weights = data / "weights" / "mobilenet_v2_dequantized_fp16.pth"
    model = icas.ImageClusterer(
        method="deep+orb", threshold="auto", model="mobilenet_v2", weights=weights
    )
    labels = model.fit(images + shrunk).labels_
    assert evaluate(labels, [*range(50), *range(copied)]).f1 >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", ["deep", "deep+orb", "orb", "imagehash", "minhash", "ssim", "tm"]
)
def test_unrelated_photographs_are_not_clustered(data, tmp_path, torch, method):
    options = {}
    if "deep" in method:
        weights = data / "weights" / "mobilenet_v2_dequantized_fp16.pth"
        options = {"model": "mobilenet_v2", "weights": weights}
    report = icas.cluster(
        data / "strangers" / "images",
        method=method,
        threshold="auto",
        dst=tmp_path / "out",
        transfer="none",
        report=False,
        **options,
    )
    assert (report.labels >= 0).mean() <= 0.03

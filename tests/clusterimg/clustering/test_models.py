"""Clusters by models, batch by batch and merged: a part of coil20, and vectors made by hand."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest

import icas
from icas.clusterimg.commands.main import main
from icas.clusterimg.evaluation.scores import evaluate, match_labels, read_clusters, read_labels

pytestmark = pytest.mark.deep
OBJECTS = 6
EACH = 12


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """Few small pictures: threads would only wait for each other."""


@pytest.fixture(scope="module")
def coil(torch, data, tmp_path_factory):
    """Twelve views of each of six objects, mixed."""
    labels = read_labels(data / "coil20" / "labels.csv")
    folder = tmp_path_factory.mktemp("coil") / "views"
    folder.mkdir()
    for label in sorted(set(labels.values()))[:OBJECTS]:
        views = sorted(file for file, other in labels.items() if other == label)
        for file in views[:: len(views) // EACH][:EACH]:
            shutil.copy(data / "coil20" / "images" / file, folder / file)
    return folder


@pytest.fixture(scope="module")
def network(data):
    return {
        "method": "deep",
        "model": "mobilenet_v2",
        "weights": data / "weights" / "mobilenet_v2_dequantized_fp16.pth",
        "size": "64x64",
    }


def words_of(network):
    return [word for name, value in network.items() for word in (f"--{name}", str(value))]


def judged(data, found):
    """Adjusted Rand index of files and their clusters, an outlier as a cluster of its own."""
    truth = read_labels(data / "coil20" / "labels.csv")
    chosen = {file: truth[file] for file in found}
    matched = match_labels(found, chosen)
    return evaluate(matched.clusters, matched.truth).adjusted_rand


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_models_of_a_grid_are_tried_and_told(torch, data, coil, network, tmp_path):
    report = icas.cluster(
        coil, dst=tmp_path / "out", cluster_model="kmeans", clusters=[5, 10, 20], **network
    )
    rows = rows_of(tmp_path / "out" / "models.csv")
    assert [(row["kind"], row["clusters"]) for row in rows] == [
        ("kmeans", "5"),
        ("kmeans", "10"),
        ("kmeans", "20"),
    ]
    chosen = [row for row in rows if row["chosen"] == "1"]
    assert len(chosen) == 1
    assert int(chosen[0]["found"]) == report.clusters
    assert report.threshold is None
    text = (tmp_path / "out" / "run.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    told = json.loads(text)
    assert told["threshold"] is None
    assert told["models"][0]["kind"] == "kmeans"
    assert told["models"][0]["parameters"]["clusters"] == int(chosen[0]["clusters"])
    found = read_clusters(tmp_path / "out")
    assert len(found) == OBJECTS * EACH
    assert judged(data, found) > 0.6
    assert "NaN" not in json.dumps(report.as_dict())


@pytest.mark.parametrize("kind", ["kmeans", "hierarchy", "hdbscan", "dbscan", "gaussian"])
def test_clusters_of_batches_come_together(torch, data, coil, network, kind):
    grid = {"clusters": [6]} if kind in ("kmeans", "hierarchy", "gaussian") else {}
    model = icas.ImageClusterer(batch_size=24, cluster_model=kind, **grid, **network).fit(coil)
    found = dict(zip(model.files_, map(int, model.labels_), strict=True))
    assert len(found) == OBJECTS * EACH
    assert len(model.models_) == 4  # three batches and their merge
    assert {one.chosen.kind for one in model.models_} == {kind}
    of_batches = sum(one.chosen.clusters for one in model.models_[:-1])
    assert 4 <= model.n_clusters_ <= of_batches * 0.7
    assert np.isnan(model.threshold_)
    assert judged(data, found) > 0.55


def test_exact_merge_is_one_big_batch(torch, coil, network, tmp_path):
    options = {"cluster_model": "kmeans,hdbscan", "clusters": [4, 8], **network}
    one = icas.cluster(coil, dst=tmp_path / "one", **options)
    for number, size in enumerate((10, 60)):
        exact = icas.cluster(
            coil, dst=tmp_path / f"exact{number}", batch_size=size, merge="exact", **options
        )
        assert (exact.labels == one.labels).all()
        assert len(exact.models) == 1


def test_labels_do_not_depend_on_workers(torch, coil, network):
    options = {"cluster_model": "kmeans,hierarchy", "clusters": [4, 6], "batch_size": 40}
    one, two = (
        icas.ImageClusterer(jobs=jobs, **options, **network).fit(coil).labels_ for jobs in (1, 2)
    )
    assert (one == two).all()


@pytest.mark.parametrize("by", [["--cluster-model", "kmeans", "--clusters", "6"], []])
def test_batch_stage_then_merge_stage(torch, data, coil, network, tmp_path, by):
    words = [*words_of(network), *by, "-q"]
    parts, merged, whole = (tmp_path / name for name in ("parts", "merged", "whole"))
    batched = ["--batch-size", "24", "--dst"]
    assert main([str(coil), *words, "--stage", "batch", *batched, str(parts)]) == 0
    assert len(list((parts / "batches").iterdir())) == 3
    assert main([str(parts), "--stage", "merge", "--dst", str(merged), "-q"]) == 0
    assert main([str(coil), *words, *batched, str(whole)]) == 0
    found, wanted = read_clusters(merged), read_clusters(whole)
    assert sorted(name.split("/")[-1] for name in found) == sorted(wanted)
    told = json.loads((merged / "run.json").read_text())
    assert told["method"] == "deep"
    assert told["options"]["model"] == "mobilenet_v2"
    assert (told["threshold"] is None) == bool(by)
    if by:
        assert told["models"]
        by_name = {name.split("/")[-1]: cluster for name, cluster in found.items()}
        assert judged(data, by_name) > 0.55
    else:
        assert told["threshold"] == json.loads((whole / "run.json").read_text())["threshold"]


def test_a_small_last_batch_stands_for_itself(torch, coil, network, tmp_path):
    """Seventy-two images in batches of 23: three are left, too few for six clusters."""
    report = icas.cluster(
        coil, dst=tmp_path / "out", batch_size=23, cluster_model="kmeans", clusters=[6], **network
    )
    assert report.representative[-3:].all()
    assert (report.labels >= -1).all()
    rows = rows_of(tmp_path / "out" / "models.csv")
    small = [row for row in rows if row["batch"] == "3"]
    assert "too few" in small[0]["note"]


def vectors_of(points):
    """A network that answers with vectors that the first pixel of an image chooses."""

    def embed(images):
        return points[(images[:, 0, 0, 0] * 255).round().long()]

    return embed


def numbered(count):
    return [np.full((32, 32, 3), number, np.uint8) for number in range(count)]


def test_outliers_of_batches_take_part_in_the_merge(torch):
    """One image of a second class lies in each batch: alone there, together a cluster."""
    points = np.random.default_rng(0).normal(0, 0.0005, (30, 12))
    points[:, 0] += 1
    points[9::10] += 2 * np.eye(12)[1]
    model = icas.ImageClusterer(
        method="deep",
        model=vectors_of(torch.from_numpy(points).float()),
        size=(32, 32),
        batch_size=10,
        cluster_model="dbscan",
        eps=[0.9],
        min_samples=[2],
    ).fit(numbered(30))
    assert [one.chosen.outliers for one in model.models_] == [1, 1, 1, 0]
    wanted = np.zeros(30, np.int64)
    wanted[9::10] = 1
    assert model.labels_.tolist() == wanted.tolist()


def test_a_number_links_by_cosine(torch, coil, network):
    model = icas.ImageClusterer(threshold=0.6, **network).fit(coil)
    assert model.threshold_ == 0.6
    assert model.models_ == ()
    assert len(model.links_) > 0
    assert (model.links_["similarity"] >= np.float32(0.6)).all()
    links = icas.links(icas.features(coil, **network), 0.6)
    assert sorted(links.tolist()) == sorted(model.links_.tolist())
    with pytest.raises(icas.UsageError, match="cluster_model fits clustering models"):
        icas.ImageClusterer(threshold=0.6, cluster_model="kmeans", **network).fit(coil)


def test_too_many_clusters_for_the_first_batch_are_refused(torch):
    network = vectors_of(torch.eye(20))
    options = {"method": "deep", "model": network, "size": (32, 32), "cluster_model": "kmeans"}
    with pytest.raises(icas.UsageError, match="30 clusters, but only 20 images"):
        icas.ImageClusterer(clusters=[30], **options).fit(numbered(20))

"""A run in shards gives the clusters, forest and certificate of one comparison of all pairs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import icas
from icas.cli.console import Console
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.settings import ClusterSettings
from icas.clusterimg.shards.run import cluster_in_shards
from icas.clusterimg.shards.settings import ShardSettings
from icas.clusterimg.shards.store import Shards, write_shard

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")


def codes(count: int = 600, seed: int = 0) -> np.ndarray:
    """(n, 8) uint8: groups of near codes, mixed."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 256, (count // 3, 8), dtype=np.uint8)
    bits = np.unpackbits(centres[rng.integers(0, len(centres), count)], axis=1)
    return np.packbits(bits ^ (rng.random(bits.shape) < 0.03), axis=1)


@pytest.fixture
def parquet(tmp_path):
    """Two files of codes, and all of them."""
    folder, all_codes = tmp_path / "codes", codes()
    folder.mkdir()
    names = np.array([f"img{number}.jpg" for number in range(len(all_codes))])
    for number, part in enumerate((slice(0, 250), slice(250, None))):
        features = FeatureSet.from_bits(all_codes[part])
        replace(features, files=tuple(names[part])).to_parquet(folder / f"{number}.parquet")
    return folder, FeatureSet.from_bits(all_codes)


def forest_of(features: FeatureSet, threshold: float) -> icas.Forest:
    links = icas.links(features, threshold, jobs=1)
    order = np.lexsort((links["b"], links["a"], -links["similarity"]))
    joined, edges = list(range(len(features))), []

    def root(image: int) -> int:
        while joined[image] != image:
            image = joined[image]
        return image

    for a, b, similarity in links[order].tolist():
        if root(a) != root(b):
            joined[root(a)] = root(b)
            edges.append((a, b, similarity))
    a, b, similarity = map(np.array, zip(*edges, strict=True))
    return icas.Forest(len(features), a, b, similarity.astype(np.float32), threshold)


@pytest.mark.parametrize("size", [37, 90, 1000])
def test_clusters_and_forest_do_not_depend_on_the_shards(parquet, tmp_path, size):
    folder, features = parquet
    report = icas.cluster_shards(folder, tmp_path / "out", threshold=0.85, shard_size=size, jobs=1)
    expected = forest_of(features, 0.85)
    assert report.shards == -(-600 // size)
    for name in ("a", "b", "similarity"):
        np.testing.assert_array_equal(getattr(report.forest(), name), getattr(expected, name))
    np.testing.assert_array_equal(report.labels(), icas.labels_at(expected, 0.85))
    assert not (tmp_path / "out/.icas").exists()


def test_certificates_are_those_of_a_comparison_of_all_pairs(parquet, tmp_path):
    folder, features = parquet
    report = icas.cluster_shards(folder, tmp_path / "out", threshold=0.8, shard_size=100, jobs=1)
    labels, matrix = report.labels(), icas.similarity_matrix(features, jobs=1)
    table = pq.read_table(tmp_path / "out/certificate.parquet").to_pydict()
    for cluster in table["cluster"]:
        inside = np.flatnonzero(labels == cluster)
        values = matrix[np.ix_(inside, inside)]
        assert table["images"][cluster] == table["compared"][cluster] == len(inside)
        assert table["least_similar_pair"][cluster] == values.min()
        assert table["medoid"][cluster] == inside[values.sum(axis=1, dtype=float).argmax()]
        assert table["file"][cluster] == f"img{table['medoid'][cluster]}.jpg"
    above = float(np.nextafter(np.float32(min(table["weakest_link"])), np.float32(2)))
    assert icas.labels_at(report.forest(), above).tolist() != labels.tolist()


def test_thresholds_list_what_the_forest_gives(parquet, tmp_path):
    folder, _ = parquet
    report = icas.cluster_shards(folder, tmp_path / "out", threshold=0.8, shard_size=100, jobs=1)
    lines = (tmp_path / "out/thresholds.csv").read_text().splitlines()
    assert lines[0] == "threshold,clusters,clustered_images"
    assert len(lines) > 3
    for line in lines[1:]:
        threshold, clusters, clustered = line.split(",")
        labels = icas.labels_at(report.forest(), float(threshold))
        assert (labels.max() + 1, (labels >= 0).sum()) == (int(clusters), int(clustered))


def test_tables_name_every_image_once(parquet, tmp_path):
    folder, _ = parquet
    report = icas.cluster_shards(folder, tmp_path / "out", threshold=0.9, shard_size=128, jobs=1)
    table = pq.read_table(tmp_path / "out/clusters").to_pydict()
    assert table["file"] == [f"img{number}.jpg" for number in range(600)]
    assert table["image"] == list(range(600))
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert run == json.loads(json.dumps(report.as_dict()))
    assert run["comparisons"] == {"possible": 179700, "made": 179700, "skipped": 0}


def test_a_folder_of_images_gives_the_clusters_of_cluster(crowd, tmp_path, method_and_options):
    how = {**method_and_options, "threshold": 0.5, "jobs": 1, "cache": False}
    report = icas.cluster_shards(crowd, tmp_path / "shards", **how, shard_size=13)
    expected = icas.cluster(crowd, dst=tmp_path / "out", **how, dry_run=True, report=False)
    assert report.method == expected.method
    np.testing.assert_array_equal(report.labels(), expected.labels)
    table = pq.read_table(tmp_path / "shards/clusters").to_pydict()
    assert tuple(table["file"]) == expected.files


def test_unreadable_images_are_listed(crowd, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted(crowd.iterdir())[:6]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8nothing")
    report = icas.cluster_shards(
        folder, tmp_path / "out", method="imagehash", threshold=0.9, shard_size=2, jobs=1
    )
    assert (report.images, report.unreadable) == (6, 1)
    assert "broken.jpg" in (tmp_path / "out/unreadable.csv").read_text()


def test_auto_finds_a_threshold_on_a_sample(parquet, tmp_path):
    folder, _ = parquet
    report = icas.cluster_shards(folder, tmp_path / "out", sample=300, shard_size=100, jobs=1)
    assert report.threshold_reason.startswith("auto")


class Stop(Console):
    """Raises an error when the bar of some stage has moved a few times."""

    def __init__(self, what: str, after: int) -> None:
        super().__init__()
        object.__setattr__(self, "wanted", (what, after))

    def bar(self, total, what, unit):
        stop = self

        class Bar:
            moved = 0

            def __enter__(self):
                return self

            def __exit__(self, *error):
                pass

            def update(self, steps):
                self.moved += 1
                if (what, self.moved) == stop.wanted:
                    raise KeyboardInterrupt

        return Bar()


def settings_for(dst: Path, **more) -> ShardSettings:
    shared = ClusterSettings(threshold=0.85, jobs=1, dst=dst, **more)
    return ShardSettings(shard_size=100, cluster=shared)


@pytest.mark.parametrize("what", ["shards", "pairs of shards", "merges", "certificate"])
def test_an_interrupted_run_continues(parquet, tmp_path, what, monkeypatch):
    monkeypatch.setattr("icas.clusterimg.shards.forests.OPEN_FILES", 3)
    folder, features = parquet
    dst, after = tmp_path / "out", {"pairs of shards": 9}.get(what, 1)
    with pytest.raises(KeyboardInterrupt):
        cluster_in_shards(folder, settings_for(dst), Stop(what, after))
    work = dst / ".icas/shards"
    written = {path.name: path.stat().st_mtime_ns for path in work.glob("pair-*")}
    with pytest.raises(icas.ConflictError, match="repeat the command with resume"):
        cluster_in_shards(folder, settings_for(dst), Console())
    changed = ClusterSettings(threshold=0.9, jobs=1, dst=dst, resume=True)
    with pytest.raises(icas.ConflictError, match="has other images or settings"):
        cluster_in_shards(folder, replace(settings_for(dst), cluster=changed), Console())
    assert {path.name: path.stat().st_mtime_ns for path in work.glob("pair-*")} == written
    report = cluster_in_shards(folder, settings_for(dst, resume=True), Console())
    np.testing.assert_array_equal(report.labels(), icas.labels_at(forest_of(features, 0.85), 0.85))
    again = icas.cluster_shards(folder, dst, threshold=0.85, resume=True)
    assert again.as_dict() == report.as_dict()


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize(
    ("name", "damaged"),
    [
        ("00001-bits", lambda shards, _: shards.each[1].features()),
        ("00001-files.json", lambda shards, _: shards.each[1].files()),
        ("00001.json", lambda _, folder: Shards.read(folder, 6, 10**9)),
    ],
)
def test_a_damaged_shard_is_named_and_written_again(parquet, tmp_path, name, damaged):
    folder, features = parquet
    dst = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        cluster_in_shards(folder, settings_for(dst), Stop("shards", 6))
    work = dst / ".icas/shards"
    shards = Shards.read(work, 6, 10**9)
    cut_short(work / name)
    with pytest.raises(icas.IcasError, match=rf"{name} \(it is damaged\).*resume"):
        damaged(shards, work)
    (work / "00002-bits").unlink()
    with pytest.raises(icas.IcasError, match=r"00002-bits \(No such file"):
        shards.each[2].features()
    report = cluster_in_shards(folder, settings_for(dst, resume=True), Console())
    np.testing.assert_array_equal(report.labels(), icas.labels_at(forest_of(features, 0.85), 0.85))


def test_damaged_forests_are_computed_again(parquet, tmp_path):
    folder, features = parquet
    dst = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        cluster_in_shards(folder, settings_for(dst), Stop("pairs of shards", 9))
    work = dst / ".icas/shards"
    for name in ("pair-00000-00001", "pair-00000-00002"):
        cut_short(work / name)
    report = cluster_in_shards(folder, settings_for(dst, resume=True), Console())
    np.testing.assert_array_equal(report.labels(), icas.labels_at(forest_of(features, 0.85), 0.85))


def test_a_run_of_another_version_is_refused(parquet, tmp_path):
    folder, _ = parquet
    dst = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        cluster_in_shards(folder, settings_for(dst), Stop("shards", 1))
    plan = dst / ".icas/shards/plan.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "icas": "0.0.1"}))
    with pytest.raises(icas.ConflictError, match=r"is of icas 0\.0\.1: continue with that version"):
        cluster_in_shards(folder, settings_for(dst, resume=True), Console())


def test_shards_of_a_machine_with_another_byte_order_are_read(tmp_path):
    vectors = np.arange(8, dtype=">f4").reshape(2, 4)
    write_shard(tmp_path, 0, FeatureSet("deep", {"vectors": vectors}, {}))
    read = Shards.read(tmp_path, 1, 10**9).each[0].features().array
    assert read.dtype.isnative
    assert read.tolist() == vectors.tolist()


def test_files_of_a_run_that_was_killed_at_its_end_are_removed(parquet, tmp_path):
    folder, _ = parquet
    dst = tmp_path / "out"
    report = icas.cluster_shards(folder, dst, threshold=0.85, jobs=1)
    (dst / ".icas/shards").mkdir(parents=True)
    (dst / ".icas/shards/plan.json").write_text("{}")
    again = icas.cluster_shards(folder, dst, threshold=0.85, resume=True)
    assert again.as_dict() == report.as_dict()
    assert not (dst / ".icas").exists()


def test_more_images_than_the_main_process_may_hold_are_warned_of(
    parquet, tmp_path, monkeypatch, capsys
):
    folder, _ = parquet
    monkeypatch.setattr("icas.clusterimg.shards.run.IN_MAIN", 2_000_000)
    settings = settings_for(tmp_path / "out", memory=10**9)
    cluster_in_shards(folder, settings, Console(warnings=True))
    assert "600 images take about 1.2 GB in this process, more than --memory 1GB" in (
        capsys.readouterr().err
    )


RUN = """
import sys, icas
icas.cluster_shards(sys.argv[1], sys.argv[2], threshold=0.85, shard_size=25, jobs=1)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_run_continues(parquet, tmp_path):
    folder, features = parquet
    dst = tmp_path / "out"
    running = subprocess.Popen([sys.executable, "-c", RUN, str(folder), str(dst)])
    end = time.monotonic() + 120
    while len(list(dst.glob(".icas/shards/pair-*"))) < 9 and running.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    report = icas.cluster_shards(folder, dst, threshold=0.85, shard_size=25, jobs=1, resume=True)
    np.testing.assert_array_equal(report.labels(), icas.labels_at(forest_of(features, 0.85), 0.85))


def embeddings(path: Path, count: int = 400) -> None:
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(count // 4, 16)), 4, axis=0)
    vectors += 0.15 * rng.normal(size=vectors.shape)
    import pyarrow as pa

    pq.write_table(pa.table({"vector": vectors.astype(np.float32).tolist()}), path)


def test_cells_find_nearly_all_links_and_measure_it(tmp_path):
    embeddings(tmp_path / "vectors.parquet")
    how = {"threshold": 0.9, "shard_size": 150, "jobs": 1}
    exact = icas.cluster_shards(tmp_path / "vectors.parquet", tmp_path / "a", **how)
    cells = icas.cluster_shards(tmp_path / "vectors.parquet", tmp_path / "b", cells=20, **how)
    assert exact.clusters > 90
    assert cells.comparisons["made"] < exact.comparisons["made"] / 2
    assert cells.cells["count"] == 20
    assert cells.cells["joined"] > 0.95
    assert abs(cells.clusters - exact.clusters) <= 5


def test_what_cannot_work_is_refused_in_a_line(parquet, tmp_path):
    folder, _ = parquet
    (tmp_path / "note.txt").write_text("no features")
    wrong = [
        ({"src": tmp_path / "gone"}, r"gone does not exist"),
        ({"src": tmp_path / "note.txt"}, r"expected a folder of images or of Parquet files"),
        ({"method": "orb"}, r"method is for folders of images"),
        ({"cells": 4}, r"cells: method 'imagehash' compares all pairs"),
        ({"threshold": "pick"}, r"threshold pick"),
        ({"shard_size": 1}, r"shard_size 1"),
        ({"column": "colour"}, r"no column 'colour'"),
        ({"transfer": "copy"}, r"unknown keyword transfer"),
    ]
    for given, message in wrong:
        how = {"src": folder, "dst": tmp_path / "out", "threshold": 0.9, "jobs": 1, **given}
        with pytest.raises(icas.UsageError, match=message):
            icas.cluster_shards(**how)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("keep")
    with pytest.raises(icas.ConflictError, match="is not empty"):
        icas.cluster_shards(folder, tmp_path / "full", threshold=0.9)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]

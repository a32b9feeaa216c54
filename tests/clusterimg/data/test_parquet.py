"""Features, links and clusters as Parquet files."""

from __future__ import annotations

import json

import networkx
import numpy as np
import pytest

import icas
from icas.clusterimg.commands.main import main

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'icas[parquet]'")
pq = pytest.importorskip("pyarrow.parquet")
pandas = pytest.importorskip("pandas")


@pytest.mark.parametrize("method", ["imagehash", "minhash", "orb", "ssim", "tm"])
def test_features_survive(photos, tmp_path, method):
    features = icas.features(photos, method=method)
    features.to_parquet(tmp_path / "f.parquet")
    again = icas.FeatureSet.from_parquet(tmp_path / "f.parquet")
    assert (again.method, again.files) == (features.method, features.files)
    assert dict(again.settings) == dict(features.settings)
    assert list(again.arrays) == list(features.arrays)
    for name, array in features.arrays.items():
        assert again.arrays[name].dtype == array.dtype
        assert np.array_equal(again.arrays[name], array)
    assert np.array_equal(icas.links(again, 0.3), icas.links(features, 0.3))


def test_unreadable_files_and_several_row_groups_survive(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("icas.clusterimg.data.parquet._MOST_BYTES", 100)
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    features = icas.features([bad, *sorted(photos.iterdir())], method="imagehash", size="64x64")
    assert len(features.unreadable) == 1
    features.to_parquet(tmp_path / "f.parquet")
    assert pq.ParquetFile(tmp_path / "f.parquet").num_row_groups > 1
    again = icas.FeatureSet.from_parquet(tmp_path / "f.parquet")
    assert again.unreadable == features.unreadable
    assert np.array_equal(again.array, features.array)


def test_pandas_reads_features(photos, tmp_path):
    features = icas.features(photos, method="imagehash")
    features.to_parquet(tmp_path / "f.parquet")
    table = pandas.read_parquet(tmp_path / "f.parquet")
    assert tuple(table["file"]) == features.files
    assert table["bits"][0] == features.array[0].tobytes()


def test_codes_of_another_program(tmp_path):
    codes = [b"\xf0\x07", b"\xf1\x07", b"\x0f\xff"]
    pandas.DataFrame({"name": ["a", "b", "c"], "code": codes}).to_parquet(tmp_path / "c.parquet")
    features = icas.FeatureSet.from_parquet(tmp_path / "c.parquet", files="name")
    assert (features.method, features.files) == ("imagehash", ("a", "b", "c"))
    assert icas.links(features, 0.9)["similarity"].tolist() == [0.9375]


@pytest.mark.parametrize("kind", ["list", "large", "fixed"])
def test_embeddings_are_compared_by_cosine(tmp_path, kind):
    vectors = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    kinds = {"list": pa.list_, "large": pa.large_list, "fixed": lambda each: pa.list_(each, 8)}
    column = pa.array(vectors.tolist(), kinds[kind](pa.float32()))
    pq.write_table(pa.table({"vector": column, "x": range(20)}), tmp_path / "v.parquet")
    links = icas.links(icas.FeatureSet.from_parquet(tmp_path / "v.parquet"), 0.2)
    from sklearn.metrics.pairwise import cosine_similarity

    expected = np.triu(cosine_similarity(vectors), 1)
    assert set(zip(*np.nonzero(expected >= 0.2), strict=True)) == set(links[["a", "b"]].tolist())
    assert np.allclose(links["similarity"], expected[links["a"], links["b"]], atol=1e-5)


def test_links_and_clusters_of_a_result(photos, tmp_path):
    report = icas.cluster(
        photos, method="imagehash", threshold=0.7, dst=tmp_path / "out", batch_size=3, merge="exact"
    )
    links, clusters = icas.to_parquet(tmp_path / "out", tmp_path / "tables")
    table, images = pandas.read_parquet(links), pandas.read_parquet(clusters)
    features = icas.features(photos, method="imagehash")
    assert tuple(images["file"]) == features.files
    assert images["cluster"].tolist() == report.labels.tolist()
    assert table.to_records(index=False).tolist() == icas.links(features, 0.7).tolist()
    forest = icas.Forest.from_parquet(links, count=len(images))
    assert icas.labels_at(forest, forest.floor).tolist() == report.labels.tolist()


def test_clusters_of_links_in_any_order_are_those_of_networkx(tmp_path):
    rng = np.random.default_rng(1)
    pairs = np.array([sorted(rng.choice(60, 2, replace=False)) for _ in range(90)])
    frame = pandas.DataFrame({"b": pairs[:, 0], "a": pairs[:, 1], "similarity": rng.random(90)})
    frame.to_parquet(tmp_path / "links.parquet")
    forest = icas.Forest.from_parquet(tmp_path / "links.parquet", count=70)
    kept = frame[frame["similarity"].astype("float32") >= np.float32(0.5)]
    graph = networkx.Graph(kept[["a", "b"]].values.tolist())
    expected = {frozenset(each) for each in networkx.connected_components(graph)}
    labels = icas.labels_at(forest, 0.5)
    assert len(labels) == 70
    clusters = {frozenset(np.flatnonzero(labels == k).tolist()) for k in range(labels.max() + 1)}
    assert clusters == expected


def test_wrong_files_are_one_line(photos, tmp_path):
    path = tmp_path / "f.parquet"
    with pytest.raises(icas.UsageError, match="does not exist"):
        icas.FeatureSet.from_parquet(path)
    path.write_text("no columns")
    with pytest.raises(icas.UsageError, match="cannot read"):
        icas.FeatureSet.from_parquet(path)
    features = icas.features(photos, method="imagehash")
    with pytest.raises(icas.UsageError, match="exists: choose another name"):
        features.to_parquet(path)
    rows = {"u": [[1.0], [2.0, 3.0]], "v": [[1.0], [np.nan]], "w": [1, 2]}
    pandas.DataFrame(rows).to_parquet(path)
    for column, words in (
        (None, "name one with column="),
        ("u", "different lengths"),
        ("v", "NaN or infinity"),
        ("w", "not vectors"),
        ("y", "no column 'y', only u, v, w"),
    ):
        with pytest.raises(icas.UsageError, match=words):
            icas.FeatureSet.from_parquet(path, column=column)
    with pytest.raises(icas.UsageError, match="no column 'file2'"):
        icas.FeatureSet.from_parquet(path, column="u", files="file2")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"a": [0], "b": [1]}, "similarity"),
        ({"a": [-1], "b": [1], "similarity": [0.5]}, "image numbers from 0 on"),
        ({"a": [0.5], "b": [1], "similarity": [0.5]}, "image numbers from 0 on"),
        ({"a": [1], "b": [1], "similarity": [0.5]}, "linked with itself"),
        ({"a": [1], "b": [9], "similarity": [0.5]}, "image 9 of 5 images"),
        ({"a": [1], "b": [2], "similarity": ["x"]}, "must hold numbers"),
        ({"a": [1], "b": [2], "similarity": [None]}, "column 'similarity'"),
    ],
)
def test_wrong_links_are_one_line(tmp_path, rows, words):
    pandas.DataFrame(rows).to_parquet(tmp_path / "l.parquet")
    with pytest.raises(icas.UsageError, match=words) as caught:
        icas.Forest.from_parquet(tmp_path / "l.parquet", count=5)
    assert "\n" not in str(caught.value)


def test_damaged_metadata_is_one_line(tmp_path):
    for content in (b"{", json.dumps({"method": "tm"}).encode()):
        table = pa.table({"pixels": [[1.0]]}).replace_schema_metadata({b"icas": content})
        pq.write_table(table, tmp_path / "f.parquet")
        with pytest.raises(icas.UsageError, match="metadata is damaged"):
            icas.FeatureSet.from_parquet(tmp_path / "f.parquet")


def test_the_command(photos, tmp_path, capsys):
    icas.cluster(photos, method="imagehash", threshold=0.7, dst=tmp_path / "out")
    command = ["parquet", str(tmp_path / "out"), str(tmp_path / "tables")]
    assert main(command) == 0
    assert f"-> {tmp_path / 'tables' / 'links.parquet'}" in capsys.readouterr().out
    assert main(command) == 2
    assert "exists: choose another name" in capsys.readouterr().err


def test_a_name_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "codes.parquet"
    features = icas.FeatureSet(
        "imagehash", {"bits": np.zeros((1, 8), np.uint8)}, {}, ("a\udcff.png",)
    )
    with pytest.raises(
        icas.UsageError, match=r"^'a\\udcff.png' is not UTF-8, as Parquet files need"
    ):
        features.to_parquet(path)
    assert not list(tmp_path.iterdir())

"""Evaluation is scikit-learn's, and B-cubed as its definition says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import adjusted_rand_score, v_measure_score
from sklearn.metrics.cluster import pair_confusion_matrix

import icas
from icas.clusterimg.commands.main import main
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.evaluation.scores import (
    curve,
    evaluate,
    match_labels,
    read_clusters,
    read_labels,
)
from icas.clusterimg.graph.forest import labels_at, spanning_forest
from icas.clusterimg.linking.tiles import all_links
from icas.clusterimg.methods import make_method

labelings = st.integers(1, 30).flatmap(
    lambda count: st.tuples(
        st.lists(st.integers(-1, 4), min_size=count, max_size=count),
        st.lists(st.integers(0, 4), min_size=count, max_size=count),
    )
)


@given(labelings)
@settings(max_examples=150, deadline=None)
def test_values_are_scikit_learns(case):
    clusters, truth = np.array(case[0]), np.array(case[1])
    apart = np.where(clusters < 0, 100 + np.arange(len(clusters)), clusters)
    found = evaluate(clusters, truth)
    (_, wrong), (missed, right) = pair_confusion_matrix(truth, apart)
    assert found.precision == pytest.approx(right / (right + wrong) if right + wrong else 1)
    assert found.recall == pytest.approx(right / (right + missed) if right + missed else 1)
    assert found.adjusted_rand == pytest.approx(adjusted_rand_score(truth, apart))
    assert found.v_measure == pytest.approx(v_measure_score(truth, apart), abs=1e-9)


@given(labelings)
@settings(max_examples=80, deadline=None)
def test_b_cubed_is_the_mean_over_images(case):
    clusters, truth = np.array(case[0]), np.array(case[1])
    apart = np.where(clusters < 0, 100 + np.arange(len(clusters)), clusters)
    found = evaluate(clusters, truth)
    put, same = apart[:, None] == apart, truth[:, None] == truth
    assert found.bcubed_precision == pytest.approx(((put & same).sum(1) / put.sum(1)).mean())
    assert found.bcubed_recall == pytest.approx(((put & same).sum(1) / same.sum(1)).mean())


@given(st.integers(2, 30), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_the_curve_says_what_evaluation_says_at_each_threshold(count, seed):
    rng = np.random.default_rng(seed)
    features = FeatureSet.from_bits(rng.integers(0, 256, (count, 1), dtype=np.uint8))
    truth = rng.integers(0, 4, count)
    links = all_links(make_method("imagehash"), features, -np.inf)
    forest = spanning_forest(count, [links])
    for point in curve(forest, truth):
        labels = labels_at(forest, point.threshold)
        expected = evaluate(labels, truth)
        assert point.clusters == labels.max() + 1
        assert point.clustered_images == (labels >= 0).sum()
        assert point.precision == pytest.approx(expected.precision)
        assert point.recall == pytest.approx(expected.recall)
        assert point.f1 == pytest.approx(expected.f1)


def test_files_are_matched_by_name_then_by_last_part():
    clusters = {"a.jpg": 0, "sub/b.jpg": 0, "c.jpg": -1, "unlabelled.jpg": 1}
    matched = match_labels(clusters, {"a.jpg": "x", "b.jpg": "y", "c.jpg": "x"})
    labels, truth = matched.clusters, matched.truth
    assert labels.tolist() == [0, 0, -1]
    assert truth == ["x", "y", "x"]


def test_wrong_files_are_told(tmp_path):
    (tmp_path / "labels.csv").write_text("name,kind\na.jpg,x\n")
    with pytest.raises(icas.UsageError, match="no column 'file'"):
        read_labels(tmp_path / "labels.csv")
    with pytest.raises(icas.UsageError, match="cannot read"):
        read_clusters(tmp_path / "none.csv")
    (tmp_path / "clusters.csv").write_text("file,cluster\na.jpg,first\n")
    with pytest.raises(icas.UsageError, match="integer"):
        read_clusters(tmp_path)
    with pytest.raises(icas.UsageError, match="no file"):
        match_labels({"a.jpg": 0}, {"b.jpg": "x"})
    with pytest.raises(icas.UsageError, match="2 cluster numbers"):
        evaluate(np.array([0, 0]), ["x"])


TABLE = "file,label\na.png,x\nsub/b.png,y\nç.png,z\n"


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode(),
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        TABLE.encode("cp1252"),
        TABLE.replace(",", ";").encode(),
        TABLE.replace(",", "\t").encode(),
        TABLE.replace(",", " , ").encode(),
        TABLE.replace("file,label", "Label,File").replace("a.png,x", "x,a.png")
        .replace("sub/b.png,y", "y,sub/b.png").replace("ç.png,z", "z,ç.png").encode(),
        TABLE.replace("sub/", "sub\\").replace("a.png", "./a.png").encode(),
        TABLE.replace("ç", "c\u0327").encode(),
        (TABLE + "\n\na.png,x\n").encode(),
    ],
)  # fmt: skip
def test_tables_of_other_programs(tmp_path, content):
    (tmp_path / "labels.csv").write_bytes(content)
    assert read_labels(tmp_path / "labels.csv") == {"a.png": "x", "sub/b.png": "y", "ç.png": "z"}


def test_a_file_with_two_labels_is_an_error(tmp_path):
    (tmp_path / "labels.csv").write_text("file,label\na.png,x\n./a.png,y\n")
    with pytest.raises(icas.UsageError, match=r"a.png has two labels, 'x' and 'y'"):
        read_labels(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_text("file,label\na.png\n")
    with pytest.raises(icas.UsageError, match=r"row 2: 1 values for 2 columns"):
        read_labels(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_text("file,label\na.png,cat, black\n")
    with pytest.raises(icas.UsageError, match=r"row 2: 3 values for 2 columns: put values"):
        read_labels(tmp_path / "labels.csv")


def test_rows_without_a_label_and_empty_columns(tmp_path):
    """Of spreadsheets."""
    (tmp_path / "labels.csv").write_text("file,label,\na.png,x,\nb.png, ,\n,,\nc.png,y,,\n")
    assert read_labels(tmp_path / "labels.csv") == {"a.png": "x", "c.png": "y"}


def test_longer_paths_are_matched_and_the_rest_is_counted(tmp_path, capsys):
    truth = {"/data/photos/a.png": "x", "photos/sub/b.png": "x", "other.png": "y"}
    matched = match_labels({"a.png": 0, "sub/b.png": 0, "c.png": 1}, truth)
    assert matched.clusters.tolist() == [0, 0]
    assert matched.unlabelled == ("c.png",)
    assert matched.unused == ("other.png",)
    ambiguous = match_labels(
        {"b.png": 0, "a.png": 1}, {"x/b.png": "1", "y/b.png": "2", "a.png": "3"}
    )
    assert ambiguous.unlabelled == ("b.png",)
    absolute = {"C:/p/a.png": "1", "C:/p/s/a.png": "2", "C:/p/s/t/a.png": "3"}
    matched = match_labels({"a.png": 0, "s/a.png": 1, "s/t/a.png": 2}, absolute)
    assert (matched.truth, matched.unused) == (["1", "2", "3"], ())
    shared = match_labels({"s/a.png": 0, "t/a.png": 1, "b.png": 1}, {"a.png": "1", "b.png": "2"})
    assert shared.unlabelled == ("s/a.png", "t/a.png")
    (tmp_path / "clusters.csv").write_text("file,cluster\na.png,0\nb.png,0\n")
    (tmp_path / "labels.csv").write_text("file,label\na.png,x\nz.png,y\n")
    words = ["evaluate", str(tmp_path), "--labels", str(tmp_path / "labels.csv")]
    assert main(words) == 0
    error = capsys.readouterr().err
    assert "1 row in" in error
    assert "1 image has no label" in error

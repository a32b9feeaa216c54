"""The choice among models: indexes held against scikit-learn, ranks and choice against laws."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from icas.clusterimg.model_selection.search import Tried, choose, evaluate, numbered, ranked
from icas.clusterimg.results.saved import models_table

metrics = pytest.importorskip("sklearn.metrics")
NAN = float("nan")


def model(silhouette, davies_bouldin, calinski_harabasz, clusters=3, kind="kmeans"):
    return Tried(kind, {}, clusters, 0, silhouette, davies_bouldin, calinski_harabasz)


@st.composite
def labelled(draw):
    """Points on a coarse lattice (equal ones among them) and labels with noise."""
    count = draw(st.integers(3, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    points = rng.integers(0, 5, (count, 3)).astype(np.float64)
    return points, rng.integers(-1, draw(st.integers(1, 6)), count)


@given(labelled())
@settings(max_examples=100, deadline=None)
def test_indexes_are_scikit_learns_with_noise_as_one_more_group(case):
    points, labels = case
    found = evaluate(points, labels)
    groups = set(labels.tolist())
    if len(groups - {-1}) < 2 or len(groups) == len(points):
        assert np.isnan(found).all()
        return
    inside = sum(np.ptp(points[labels == label], axis=0).sum() for label in groups)
    assert found[0] == pytest.approx(metrics.silhouette_score(points, labels))
    assert found[1] == pytest.approx(metrics.davies_bouldin_score(points, labels))
    expected = metrics.calinski_harabasz_score(points, labels) if inside else np.inf
    assert found[2] == pytest.approx(expected)


@given(labelled(), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_indexes_do_not_hang_on_how_clusters_are_numbered(case, seed):
    points, labels = case
    numbers = np.random.default_rng(seed).permutation(10)
    renumbered = np.where(labels < 0, -1, numbers[labels])
    assert (numbered(labels) == numbered(renumbered)).all()
    np.testing.assert_array_equal(evaluate(points, labels), evaluate(points, renumbered))


def test_leaving_out_all_but_the_easy_images_does_not_win():
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(4) * 4, 25, axis=0)
    points = centres + rng.normal(0, 1, centres.shape)
    whole = np.repeat(np.arange(4), 25)
    near = np.linalg.norm(points - centres, axis=1) < 1.2
    picky = np.where(near & (whole < 2), whole, -1)
    tried = [
        Tried("hdbscan", {}, 2, int((picky < 0).sum()), *evaluate(points, picky)),
        Tried("kmeans", {}, 4, 0, *evaluate(points, whole)),
    ]
    assert tried[0].clusters == 2
    assert tried[0].outliers > 60
    assert choose(ranked(tried)) == 1


def test_the_least_mean_rank_wins():
    tried = ranked([model(0.5, 1.0, 10), model(0.4, 0.5, 30), model(0.6, 2.0, 5)])
    # ranks 2 2 2; 3 1 1; 1 3 3
    assert [one.rank for one in tried] == pytest.approx([2, 5 / 3, 7 / 3])
    assert choose(tried) == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from([-0.5, 0.0, 0.25, 1.0]),
            st.sampled_from([0.0, 0.5, 2.0, NAN, np.inf]),
            st.sampled_from([0.0, 3.0, NAN, np.inf]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_ranks_stand_equal_values_and_nan(values):
    tried = ranked([model(*value) for value in values])
    ranks = [one.rank for one in tried]
    assert sum(ranks) == pytest.approx(len(values) * (len(values) + 1) / 2)
    assert all(1 <= rank <= len(values) for rank in ranks)
    if len(set(map(str, values))) == 1:
        assert len(set(ranks)) == 1
    best = choose(tried)
    assert best is not None
    assert tried[best].rank == pytest.approx(min(ranks))


def test_nan_is_worse_than_any_number():
    tried = ranked([model(0.1, NAN, NAN), model(0.0, 9.0, 0.5), model(-0.2, 8.0, 0.6)])
    assert choose(tried) == 2


def test_equal_ranks_go_to_the_silhouette_then_to_fewer_clusters_then_to_the_first():
    silhouette = [model(0.4, 1, 20), model(0.5, 2, 20)]
    assert choose(ranked(silhouette)) == 1
    fewer = [model(0.5, 1, 20, clusters=9), model(0.5, 1, 20, clusters=4)]
    assert choose(ranked(fewer)) == 1
    first = [model(0.5, 1, 20, kind="kmeans"), model(0.5, 1, 20, kind="hierarchy")]
    assert choose(ranked(first)) == 0


def test_one_cluster_or_all_noise_is_taken_only_if_nothing_else_is_there():
    one = Tried("dbscan", {}, 1, 5, 0.9, 0.1, 1e6)
    noise = Tried("dbscan", {}, 0, 10)
    failed = Tried("kmeans", {}, note="20 clusters, but only 10 images")
    poor = model(-0.9, 50, 0.1, clusters=2)
    assert choose(ranked([one, noise, failed, poor])) == 3
    assert choose(ranked([failed, noise, one])) == 2
    assert choose(ranked([failed, noise])) == 1
    assert choose(ranked([failed])) is None
    assert np.isnan(ranked([one])[0].rank)


def test_the_table_has_a_line_for_every_model_of_every_batch():
    tried = ranked(
        [
            Tried("kmeans", {"clusters": 5, "max_iter": 300}, 5, 0, 0.25, 1.5, 40.0),
            Tried("dbscan", {"eps": 0.5, "min_samples": 3}, 0, 9, note="all noise"),
        ]
    )
    content = models_table([(tried, tried[0]), (tried[1:], tried[1])])
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert [(row["batch"], row["kind"], row["chosen"]) for row in rows] == [
        ("0", "kmeans", "1"),
        ("0", "dbscan", "0"),
        ("1", "dbscan", "1"),
    ]
    assert rows[0]["clusters"] == "5"
    assert rows[0]["eps"] == ""
    assert rows[0]["rank"] == "1"
    assert rows[1]["silhouette"] == ""
    assert rows[1]["note"] == "all noise"

"""Grouping by models: held against scikit-learn on random vectors, and on hand-made ones."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from icas.clusterimg.model_selection.estimators import (
    build_tree,
    grouping_space,
    judging_space,
    principal_components,
)
from icas.clusterimg.model_selection.grid import (
    KINDS,
    Grid,
    default_clusters,
    parse_kinds,
    parse_numbers,
    parse_whole_numbers,
)
from icas.clusterimg.model_selection.search import group
from icas.common.errors import UsageError
from icas.parallel.executors import start_workers

sklearn_cluster = pytest.importorskip("sklearn.cluster")
metrics = pytest.importorskip("sklearn.metrics")
ALL = tuple(KINDS)


def bunches(clusters=6, each=12, dims=40, spread=0.05, seed=0):
    """Unit vectors around random directions, and which direction each belongs to."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, dims))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    truth = np.repeat(np.arange(clusters), each)
    vectors = centres[truth] + rng.normal(0, spread, (len(truth), dims))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), truth


def agreement(found, truth) -> float:
    return metrics.adjusted_rand_score(truth, found)


@pytest.mark.parametrize("kind", ALL)
def test_each_kind_finds_plain_bunches_and_their_number(kind):
    vectors, truth = bunches()
    found = group(vectors, Grid((kind,)))
    assert agreement(found.labels, truth) == pytest.approx(1)
    assert found.chosen.clusters == 6
    assert found.labels.dtype == np.int64
    assert {one.kind for one in found.tried} == {kind}


def test_a_grid_tries_all_combinations_of_the_parameters_that_a_kind_has():
    vectors, _ = bunches()
    grid = Grid(ALL, clusters=(3, 6), max_iter=(5, 50), eps=(0.3, 0.6), min_samples=(2, 4))
    found = group(vectors, grid)
    counts = {kind: sum(one.kind == kind for one in found.tried) for kind in ALL}
    assert counts == {"kmeans": 4, "hierarchy": 2, "dbscan": 4, "gaussian": 4, "hdbscan": 8}
    assert all(set(one.parameters) <= set(KINDS[one.kind]) for one in found.tried)
    assert sum(one is found.chosen for one in found.tried) == 1


def test_the_same_answer_whatever_the_workers_and_by_seed():
    vectors, _ = bunches(spread=0.25)
    grid = Grid(ALL, clusters=(4, 6, 9))
    answers = []
    for jobs in (1, 1, 3):
        with start_workers("threads", jobs) as workers:
            found = group(vectors, grid, seed=7, workers=workers)
        scores = [
            (one.kind, dict(one.parameters), one.clusters, one.silhouette, one.davies_bouldin)
            for one in found.tried
        ]
        answers.append((found.labels.tolist(), repr(scores)))
    assert answers[0] == answers[1] == answers[2]


@given(st.integers(2, 40), st.integers(0, 2**32 - 1), st.data())
@settings(max_examples=50, deadline=None)
def test_a_cut_of_the_tree_is_a_fit_with_that_number(count, seed, data):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 3)).astype(np.float32)
    clusters = data.draw(st.integers(1, count))
    linkage = data.draw(st.sampled_from(["average", "ward"]))
    model = sklearn_cluster.AgglomerativeClustering(clusters, linkage=linkage)
    found = build_tree(vectors, linkage).cut(clusters)
    assert len(np.unique(found)) == clusters
    assert agreement(found, model.fit_predict(vectors)) == pytest.approx(1)


def test_dbscan_and_hdbscan_are_scikit_learns_on_vectors_as_they_are():
    vectors, _ = bunches(spread=0.12, seed=3)
    found = group(vectors, Grid(("dbscan",), eps=(0.9,), min_samples=(4,)), whiten=False)
    expected = sklearn_cluster.DBSCAN(eps=0.9, min_samples=4).fit_predict(vectors)
    assert (found.labels == expected).all()
    found = group(vectors, Grid(("hdbscan",), min_cluster_size=(4,)), whiten=False)
    expected = sklearn_cluster.HDBSCAN(min_cluster_size=4, copy=True).fit_predict(vectors)
    assert (found.labels == expected).all()


def test_noise_is_told_apart_from_clusters():
    vectors, truth = bunches(clusters=3, each=20)
    strays, _ = bunches(clusters=5, each=1, seed=9)
    found = group(np.concatenate([vectors, strays]), Grid(("dbscan",), min_samples=(3,)))
    assert found.chosen.clusters == 3
    assert found.chosen.outliers == 5
    assert (found.labels[-5:] == -1).all()
    assert agreement(found.labels[:-5], truth) == pytest.approx(1)


@pytest.mark.parametrize("value", [1.0, 0.0])
def test_equal_images_are_one_cluster(value):
    vectors = np.full((7, 4), value, np.float32)
    vectors[3] += np.float32(1e-7)
    found = group(vectors, Grid(ALL, clusters=(50,)))
    assert found.labels.tolist() == [0] * 7
    assert found.chosen.clusters == 1


def test_one_image_is_an_outlier():
    found = group(np.ones((1, 5), np.float32), Grid())
    assert found.labels.tolist() == [-1]
    assert (found.chosen.clusters, found.chosen.outliers) == (0, 1)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", ALL)
def test_a_few_images_give_an_answer(kind, count):
    vectors = np.eye(5, dtype=np.float32)[:count]
    found = group(vectors, Grid((kind,)))
    assert len(found.labels) == count
    assert np.isfinite(found.chosen.seconds)


def test_a_few_distinct_images_among_copies():
    vectors = np.repeat(np.eye(3, dtype=np.float32), [5, 4, 3], axis=0)
    found = group(vectors, Grid(("kmeans", "hierarchy"), clusters=(2, 3, 6)))
    assert found.chosen.clusters == 3
    assert agreement(found.labels, np.repeat([0, 1, 2], [5, 4, 3])) == pytest.approx(1)
    six = next(one for one in found.tried if one.parameters["clusters"] == 6)
    assert "3 clusters instead of 6" in six.note


def test_models_that_do_not_fit_are_left_out_with_a_note_or_refused_in_one_line():
    vectors, _ = bunches(clusters=3, each=4)
    found = group(vectors, Grid(("kmeans", "gaussian"), clusters=(3, 50)))
    assert found.chosen.clusters == 3
    assert [one.note for one in found.tried if one.parameters["clusters"] == 50] == [
        "50 clusters, but only 12 images"
    ] * 2
    with pytest.raises(UsageError, match="50 clusters, but only 12 images"):
        group(vectors, Grid(("kmeans", "hierarchy"), clusters=(50,)))


def test_a_fit_that_is_cut_short_is_noted_and_no_warning_shown():
    vectors, _ = bunches(spread=0.5, clusters=12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = group(vectors, Grid(("kmeans", "gaussian"), clusters=(9,), max_iter=(1,)))
    assert all("not converged after 1 rounds" in one.note for one in found.tried)


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (np.zeros((0, 4), np.float32), "shape"),
        (np.zeros(4, np.float32), "shape"),
        (np.array([[1, 0], [np.nan, 0]], np.float32), "image 1 are NaN or infinite"),
    ],
)
def test_what_are_no_vectors_is_refused(vectors, words):
    with pytest.raises(UsageError, match=words):
        group(vectors, Grid())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kinds": ()}, "cluster_model is empty"),
        ({"kinds": ("kmedoids",)}, "cluster_model kmedoids: choose from kmeans"),
        ({"kinds": ("kmeans", "kmeans")}, "give each model only once"),
        ({"clusters": (0,)}, "clusters 0: must be at least 1"),
        ({"clusters": ()}, "clusters"),
        ({"clusters": (2.5,)}, "clusters 2.5: expected integers"),
        ({"clusters": (True,)}, "clusters True: expected integers"),
        (
            {"eps": (0.5,)},
            "eps applies to cluster_model dbscan, not to kmeans,hierarchy,hdbscan",
        ),
        ({"kinds": ("gaussian",), "min_samples": (2,)}, "dbscan or hdbscan, not to"),
        ({"kinds": ("dbscan",), "eps": (float("nan"),)}, "eps nan"),
        ({"kinds": ("dbscan",), "eps": (3.0,)}, "eps 3.0: must be between"),
        ({"kinds": ("hdbscan",), "min_cluster_size": (1,)}, "min_cluster_size 1: must be"),
        ({"kinds": ("dbscan",), "clusters": (4,)}, "kmeans or hierarchy or gaussian, not to"),
    ],
)
def test_a_grid_that_cannot_be_meant_is_refused_by_its_flag(settings, words):
    with pytest.raises(UsageError, match=words):
        Grid(**settings)


def test_lists_are_read_as_they_are_typed():
    assert parse_kinds("KMeans, hdbscan") == ("kmeans", "hdbscan")
    assert parse_whole_numbers("5,10, 20") == (5, 10, 20)
    assert parse_numbers("0.4,1") == (0.4, 1.0)
    for parse, text in ((parse_whole_numbers, "5,x"), (parse_numbers, ""), (parse_numbers, "a")):
        with pytest.raises(ValueError, match="a list of"):
            parse(text)


@given(st.integers(2, 20_000), st.data())
def test_default_numbers_of_clusters_are_dense_and_leave_two_images_a_cluster(images, data):
    numbers = default_clusters(images)
    assert numbers[0] == 2
    assert numbers[-1] <= max(2, images // 2)
    true = data.draw(st.integers(2, max(2, images // 3)))
    assert min(max(true / number, number / true) for number in numbers) <= 1.25


@given(st.integers(2, 30), st.integers(1, 50), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_principal_components_are_those_of_the_singular_value_decomposition(count, dims, seed):
    vectors = np.random.default_rng(seed).normal(size=(count, dims)).astype(np.float32)
    found = principal_components(vectors, 5)
    centred = vectors.astype(np.float64) - vectors.astype(np.float64).mean(axis=0)
    values = np.linalg.svd(centred, compute_uv=False)
    expected = values[values > 1e-5 * values[0]][:5]
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), expected, rtol=1e-6)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-9)


def test_spaces_are_unit_vectors_of_64_and_coordinates_of_16_dimensions():
    vectors, _ = bunches(clusters=40, each=5, dims=200, spread=0.2)
    space = grouping_space(vectors)
    assert space.shape == (200, 64)
    assert space.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(space, axis=1), 1, atol=1e-6)
    assert judging_space(vectors).shape == (200, 16)

"""Clusters are connected components: held against scipy and networkx on random data."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

import icas
from icas.clusterimg.clustering.base import SingleLinkage
from icas.clusterimg.clustering.batches import cluster_batches
from icas.clusterimg.clustering.cohesion import cohesions_of
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links, join_links
from icas.clusterimg.graph.forest import (
    Trees,
    components,
    in_order,
    labels_at,
    members_of,
    number_clusters,
    spanning_forest,
    weakest_links,
)
from icas.clusterimg.kernels import numba_support
from icas.clusterimg.linking.tiles import all_links, links_within
from icas.clusterimg.methods import make_method
from icas.parallel.executors import start_workers

METHOD = make_method("imagehash")


@st.composite
def codes(draw, most=40):
    """Random 8-bit or 16-bit codes: few values, so many equal similarities."""
    count = draw(st.integers(1, most))
    width = draw(st.sampled_from([1, 2]))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    return FeatureSet.from_bits(rng.integers(0, 256, (count, width), dtype=np.uint8))


thresholds = st.sampled_from([0.25, 0.5, 0.625, 0.6875, 0.75, 0.8125, 0.875, 1.0])


def same_groups(labels, groups) -> bool:
    """Whether two numberings put the same images together; -1 = alone."""
    apart = np.where(labels < 0, -np.arange(len(labels)) - 1, labels)
    return all(
        (apart == apart[image]).tolist() == (groups == groups[image]).tolist()
        for image in range(len(labels))
    )


@given(codes(), thresholds, st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_clusters_are_scipys_components_of_the_full_matrix(features, threshold, jobs):
    matrix = METHOD.similarity(features, features)
    _, expected = connected_components(csr_array(matrix >= np.float32(threshold)), directed=False)
    with start_workers("threads", jobs) as workers:
        found = cluster_batches(
            SingleLinkage(METHOD, threshold), [(features, None)], workers=workers
        )
    assert same_groups(found.labels, expected)


@given(codes(), thresholds, st.integers(2, 12))
@settings(max_examples=80, deadline=None)
def test_exact_merging_of_any_batches_is_one_big_batch(features, threshold, size):
    whole = cluster_batches(SingleLinkage(METHOD, threshold), [(features, None)])
    parts = [(features[start : start + size], None) for start in range(0, len(features), size)]
    merged = cluster_batches(SingleLinkage(METHOD, threshold), parts, merge="exact")
    assert merged.labels.tolist() == whole.labels.tolist()
    assert merged.links().structured().tolist() == whole.links().structured().tolist()
    assert merged.cohesions == whole.cohesions
    assert merged.weakest_links() == whole.weakest_links()
    assert merged.compared == whole.compared == len(features) * (len(features) - 1) // 2


@given(codes(), thresholds, st.integers(2, 12))
@settings(max_examples=60, deadline=None)
def test_merging_by_representatives_is_components_of_batch_clusters_and_their_medoids(
    features, threshold, size
):
    parts = [(features[start : start + size], None) for start in range(0, len(features), size)]
    found = cluster_batches(SingleLinkage(METHOD, threshold), parts)
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(features)))
    matrix = METHOD.similarity(features, features)
    for a in range(len(features)):
        for b in range(a):
            together = found.batch[a] == found.batch[b]
            standing = found.representative[a] and found.representative[b]
            if matrix[a, b] >= np.float32(threshold) and (together or standing):
                graph.add_edge(a, b)
    expected = np.empty(len(features), np.int64)
    for number, group in enumerate(networkx.connected_components(graph)):
        expected[list(group)] = number
    assert same_groups(found.labels, expected)


@given(codes(), thresholds, thresholds)
@settings(max_examples=200, deadline=None)
def test_the_forest_gives_the_clusters_at_every_higher_threshold(features, floor, threshold):
    links = all_links(METHOD, features, floor)
    forest = spanning_forest(len(features), [links], floor)
    if threshold < floor:
        with pytest.raises(icas.UsageError, match="below"):
            labels_at(forest, threshold)
    else:
        fresh = cluster_batches(SingleLinkage(METHOD, threshold), [(features, None)]).labels
        assert labels_at(forest, threshold).tolist() == fresh.tolist()


@given(codes())
@settings(max_examples=40, deadline=None)
def test_the_forest_is_networkxs_maximum_spanning_forest_however_it_is_fed(features):
    tiny = make_method("imagehash")
    parts = list(links_within(tiny, features, -np.inf))
    whole = join_links(parts)
    pieces = [Links(whole.a[i::3], whole.b[i::3], whole.similarity[i::3]) for i in range(3)]
    graph = networkx.Graph()
    graph.add_weighted_edges_from(zip(whole.a, whole.b, whole.similarity.tolist(), strict=True))
    expected = networkx.maximum_spanning_tree(graph).size("weight")
    for fed in ([whole], pieces):
        forest = spanning_forest(len(features), fed)
        assert forest.similarity.sum() == pytest.approx(expected)
        assert len(forest.similarity) == len(features) - 1
        assert (np.diff(forest.similarity) <= 0).all()


def random_links(seed: int, count: int, most: int) -> Links:
    """Links between `count` images, of few or of many different similarities, some repeated."""
    rng = np.random.default_rng(seed)
    a, b = np.sort(rng.integers(0, count, (2, most)), axis=0)
    table = rng.uniform(-1, 1, (count, count)).astype(np.float32)
    if seed % 2:
        table = table.round(1)
    return Links(a, b, table[a, b]).select(a < b)


@pytest.mark.parametrize("seed", range(6))
def test_numba_and_numpy_join_the_same_trees(seed, monkeypatch):
    pytest.importorskip("numba", reason="numba is not installed: pip install 'icas[fast]'")
    links, found = in_order(90, random_links(seed, 90, 400)), []
    monkeypatch.setattr(numba_support, "WORTH", 0.0)
    for kernels in ("numba", "numpy"):
        monkeypatch.setattr(numba_support, "_READY", {})
        monkeypatch.setenv(numba_support.SWITCH, kernels)
        trees, joins = Trees(90, len(links)), []
        for start in range(0, len(links), 70):
            joins += trees.joining(links.part(start, start + 70)).tolist()
        found.append((joins, trees.roots().tolist()))
    assert found[0] == found[1]
    forest = spanning_forest(90, [links])
    assert forest.links().structured().tolist() == links.select(found[0][0]).structured().tolist()
    groups = np.array(found[0][1])
    assert (groups == [np.flatnonzero(groups == group)[0] for group in groups]).all()


@pytest.mark.parametrize("count", [60, 2**31 - 1])
@pytest.mark.parametrize("seed", range(4))
def test_links_are_ordered_by_similarity_then_images(seed, count):
    links = random_links(seed, 60, 300)
    expected = links.select(np.lexsort((links.b, links.a, -links.similarity)))
    assert in_order(count, links).structured().tolist() == expected.structured().tolist()


@given(st.lists(st.integers(-2, 6) | st.integers(10**6, 10**6 + 3)), st.integers(1, 3))
def test_groups_are_numbered_by_size_then_first_image(groups, least):
    kept = {group for group in groups if group >= 0 and groups.count(group) >= least}
    order = sorted(kept, key=lambda group: (-groups.count(group), groups.index(group)))
    expected = [order.index(group) if group in kept else -1 for group in groups]
    assert number_clusters(np.array(groups, np.int64), least).tolist() == expected


def test_the_largest_cluster_is_cluster_0_and_ties_go_by_the_first_image():
    assert number_clusters(np.array([7, 3, 3, 9, 9, 5, 1, 1, 1])).tolist() == [
        -1, 1, 1, 2, 2, -1, 0, 0, 0,
    ]  # fmt: skip


def test_a_chain_is_one_cluster():
    a, b = np.array([0, 1, 2]), np.array([1, 2, 3])
    assert components(5, a, b).tolist() == [0, 0, 0, 0, -1]


def test_no_images_no_clusters():
    assert components(0, np.empty(0, np.int64), np.empty(0, np.int64)).tolist() == []
    assert members_of(np.empty(0, np.int64)) == []


@given(codes(), thresholds)
@settings(max_examples=60, deadline=None)
def test_medoid_and_certificate_are_what_the_full_matrix_says(features, threshold):
    found = cluster_batches(SingleLinkage(METHOD, threshold), [(features, None)])
    matrix = METHOD.similarity(features, features).astype(np.float64)
    for members, one, weakest in zip(
        members_of(found.labels), found.cohesions, found.weakest_links(), strict=True
    ):
        inside = matrix[np.ix_(members, members)]
        assert one.medoid == members[np.argmax(inside.sum(axis=1))]
        assert one.least_similar_pair == inside.min()
        joined = [(inside >= step) for step in np.unique(inside)]
        whole = [connected_components(csr_array(step), directed=False)[0] == 1 for step in joined]
        assert weakest == np.unique(inside)[np.flatnonzero(whole)[-1]]


def test_cohesion_does_not_depend_on_the_tile():
    rng = np.random.default_rng(1)
    features = FeatureSet.from_bits(rng.integers(0, 256, (300, 8), dtype=np.uint8))
    labels = np.zeros(300, np.int64)

    class Small(type(METHOD)):
        tile = 7

    assert cohesions_of(Small(), features, labels) == cohesions_of(METHOD, features, labels)


def test_the_weakest_link_of_a_cluster_that_links_do_not_join_is_unknown():
    labels = np.array([0, 0, 0])
    links = Links(np.array([0]), np.array([1]), np.array([0.5], np.float32))
    assert np.isnan(weakest_links(labels, links)).all()

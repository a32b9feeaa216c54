"""What a sample tells of a folder: pairs, clusters, the pairs next to a threshold."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.graph.forest import Merges, components
from icas.clusterimg.methods.base import Method
from icas.clusterimg.thresholds.sample import Sample


class Table(Method):
    """A method whose similarities are given as a table."""

    name: ClassVar[str] = "table"
    default_threshold: ClassVar[float] = 0.5
    tile: ClassVar[int] = 5

    def __init__(self, similarities):
        self.similarities = similarities

    def extract(self, images):
        raise NotImplementedError

    def similarity(self, a, b):
        return self.similarities[np.ix_(a.array, b.array)]


def sample_of(similarities, images=None):
    count = len(similarities)
    features = FeatureSet("table", {"rows": np.arange(count)})
    return Sample.of(Table(similarities), features, count if images is None else images)


@st.composite
def tables(draw):
    count = draw(st.integers(2, 14))
    seed = draw(st.integers(0, 10**6))
    values = np.random.default_rng(seed).integers(0, draw(st.integers(2, 40)), (count, count))
    together = (np.triu(values, 1) + np.triu(values, 1).T) / 40
    np.fill_diagonal(together, 1)
    return together.astype(np.float32)


@given(tables(), st.floats(0, 1, width=32))
@settings(max_examples=60, deadline=None)
def test_a_sample_of_all_is_exact(similarities, threshold):
    sample = sample_of(similarities)
    a, b = np.nonzero(np.triu(similarities >= np.float32(threshold), 1))
    labels = components(len(similarities), a, b)
    found = sample.expected(threshold)
    assert found.pairs == pytest.approx(len(a))
    assert found.clusters == labels.max(initial=-1) + 1
    assert found.clustered_images == (labels >= 0).sum()


@given(tables(), st.floats(0, 1, width=32), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_the_pairs_around_a_threshold_are_the_next_ones(similarities, threshold, count):
    sample = sample_of(similarities)
    above, below = sample.pairs_around(threshold, count)
    values = np.sort(similarities[np.triu_indices(len(similarities), 1)])
    linked, others = values[values >= np.float32(threshold)], values[values < np.float32(threshold)]
    assert above.similarity.tolist() == linked[:count].tolist()
    assert below.similarity.tolist() == others[::-1][:count].tolist()
    for links in (above, below):
        assert (similarities[links.a, links.b] == links.similarity).all()


@given(tables())
@settings(max_examples=60, deadline=None)
def test_merges_tell_when_two_images_meet(similarities):
    sample = sample_of(similarities)
    merges = Merges.of(sample.forest)
    assert len(merges) == len(similarities) - 1
    for step in np.flatnonzero(merges.distinct):
        labels = sample.labels_at(float(merges.similarity[step]))
        together = (labels[:, None] == labels) & (labels >= 0) & (labels[:, None] >= 0)
        np.fill_diagonal(together, False)
        assert (together == (merges.meeting <= step)).all()
        sizes = np.bincount(labels[labels >= 0])
        assert merges.largest[step] == sizes.max()
        assert merges.clustered[step] == sizes.sum()
        assert merges.alive(np.ones(len(merges)))[step] == len(sizes)


def test_pairs_of_a_large_folder_grow_with_its_pairs():
    rng = np.random.default_rng(0)
    values = rng.random((100, 100)).astype(np.float32)
    values = np.maximum(values, values.T)
    small, large = sample_of(values), sample_of(values, 1000)
    assert large.expected(0.99).pairs == pytest.approx(
        small.expected(0.99).pairs * 1000 * 999 / (100 * 99)
    )
    assert large.expected(0.99).clustered_images <= 1000
    assert large.expected(0.99).clusters <= large.expected(0.99).clustered_images / 2


def test_clusters_of_a_large_folder_are_estimated_from_its_growth():
    count, each = 3000, 30
    truth = np.repeat(np.arange(count // each), each)
    rows = np.sort(np.random.default_rng(1).choice(count, 600, replace=False))
    same = truth[rows][:, None] == truth[rows]
    sample = sample_of(np.where(same, 0.9, 0.1).astype(np.float32), count)
    found = sample.expected(0.5)
    assert found.clusters == pytest.approx(count / each, rel=0.3)
    assert found.clustered_images == pytest.approx(count, rel=0.1)

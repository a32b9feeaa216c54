"""Whitening against scikit-learn's PCA, and its laws. It needs no torch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from icas.clusterimg.data.directions import directions, unit
from icas.clusterimg.networks.whitening import FEW, FLOOR, Whitening

shapes = st.tuples(st.integers(1, 30), st.integers(2, 12), st.integers(0, 2**32 - 1))


def vectors(images, dims, seed):
    """Rows of length 1 round a common direction, with spreads that differ."""
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.02, 0.5, dims)
    return unit(rng.standard_normal((images, dims)) * spread + rng.standard_normal(dims))


def by_scikit_learn(given, dims):
    """The same from the parts of scikit-learn's PCA: scores over the root of variance and floor."""
    decomposition = pytest.importorskip("sklearn.decomposition")
    pca = decomposition.PCA(n_components=dims, svd_solver="full").fit(given.astype(np.float64))
    images = len(given)
    variances = pca.explained_variance_ * (images - 1) / images
    floor = FLOOR * (1 + FEW / images)
    scores = pca.transform(given.astype(np.float64)) / np.sqrt(variances + floor)
    length = np.linalg.norm(given.mean(axis=0, dtype=np.float64))
    whole = np.column_stack([scores, np.full(images, length)])
    return whole / np.linalg.norm(whole, axis=1, keepdims=True)


def cosines(whitened):
    return whitened.astype(np.float64) @ whitened.T.astype(np.float64)


@pytest.mark.parametrize(
    ("images", "dims", "kept"), [(40, 8, 8), (40, 8, 3), (6, 12, 4), (7, 5, 2)]
)
def test_cosines_are_those_of_scikit_learns_pca(images, dims, kept):
    given = vectors(images, dims, seed=images)
    found = Whitening.fit(given, kept)(given)
    assert found.shape == (images, kept + 1)
    np.testing.assert_allclose(cosines(found), cosines(by_scikit_learn(given, kept)), atol=1e-5)


@given(shape=shapes, kept=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_rows_have_length_one_and_no_more_columns_than_asked_for(shape, kept):
    given = vectors(*shape)
    found = Whitening.fit(given, kept)(given)
    assert found.dtype == np.float32
    assert len(found) == shape[0]
    assert found.shape[1] <= min(kept, shape[0], shape[1]) + 1
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@given(shape=shapes, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_turning_all_vectors_changes_no_cosine(shape, seed):
    given = vectors(*shape)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((shape[1], shape[1])))[0]
    turned = unit(given @ turn)
    one = cosines(Whitening.fit(given, 128)(given))
    other = cosines(Whitening.fit(turned, 128)(turned))
    np.testing.assert_allclose(one, other, atol=1e-3)


@given(shape=shapes, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_images_does_not_matter(shape, seed):
    given = vectors(*shape)
    order = np.random.default_rng(seed).permutation(shape[0])
    one = cosines(Whitening.fit(given, 128)(given))
    other = cosines(Whitening.fit(given[order], 128)(given[order]))
    np.testing.assert_allclose(one[np.ix_(order, order)], other, atol=1e-3)


@given(dims=st.integers(2, 12), images=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_equal_vectors_stay_equal_and_of_length_one(dims, images, seed):
    given = np.repeat(vectors(1, dims, seed), images, axis=0)
    found = Whitening.fit(given, 128)(given)
    np.testing.assert_allclose(cosines(found), 1, atol=1e-6)


def test_two_nearly_equal_images_stay_alike_and_two_unlike_ones_do_not():
    near = unit(np.array([[1, 0, 0.01], [1, 0.01, 0]]))
    far = np.eye(2, dtype=np.float32)
    assert cosines(Whitening.fit(near, 128)(near))[0, 1] > 0.99
    assert cosines(Whitening.fit(far, 128)(far))[0, 1] < 0


def test_a_row_without_direction_is_given_one():
    given = np.array([[0, 0, 0], [3, 4, 0], [0, 0, 0]], np.float32)
    assert directions(given).tolist() == [
        [0, 0, 1],
        [np.float32(0.6), np.float32(0.8), 0],
        [0, 0, 1],
    ]
    assert not unit(given)[0].any()
    # Opposite vectors have a mean of length 0: those on the axis that is left out vanish.
    opposite = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], np.float32)
    opposite = unit(np.concatenate([opposite, opposite[:2]]))
    found = Whitening.fit(opposite, 1)(opposite)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_the_fingerprint_tells_folders_apart():
    one, other = vectors(20, 6, seed=1), vectors(20, 6, seed=2)
    assert Whitening.fit(one, 4).fingerprint == Whitening.fit(one.copy(), 4).fingerprint
    assert Whitening.fit(one, 4).fingerprint != Whitening.fit(other, 4).fingerprint
    assert Whitening.fit(one, 4).fingerprint != Whitening.fit(one, 3).fingerprint


def test_threads_of_the_linear_algebra_change_nothing():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    vectors = directions(np.random.default_rng(0).random((200, 1000)).astype(np.float32))
    found = []
    for threads in (1, 2, 4):
        with threadpoolctl.threadpool_limits(threads, user_api="blas"):
            whitening = Whitening.fit(vectors, 64)
            found.append((whitening.fingerprint, whitening(vectors).tobytes()))
    assert found == found[:1] * 3

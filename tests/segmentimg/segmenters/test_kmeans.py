"""kmeans_colors gives what scikit-learn's KMeans gives on the pixels as rows."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data as samples
from sklearn.cluster import KMeans

import icas

NAMES = ("astronaut", "coffee", "chelsea", "rocket", "immunohistochemistry")


def inertia(image, labels, centres):
    return float(((image.reshape(-1, 3).astype(float) - centres[labels.ravel()]) ** 2).sum())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("k", [1, 2, 5])
def test_inertia_is_within_a_hundredth_of_scikit_learns(name, k):
    image = getattr(samples, name)()[::2, ::2]
    ours = icas.kmeans_colors(image, k, seed=0)
    rows = image.reshape(-1, 3).astype(float)
    theirs = KMeans(n_clusters=k, random_state=0).fit(rows)
    assert inertia(image, ours.labels, ours.centres) <= 1.01 * theirs.inertia_


def test_real_pictures_too(data):
    paths = icas.find_images(data / "seg-bsds500" / "images")[:10]
    for path in paths:
        image = icas.read_image(path)
        ours = icas.kmeans_colors(image, 5, seed=0)
        theirs = KMeans(n_clusters=5, random_state=0).fit(image.reshape(-1, 3) / 255.0)
        assert inertia(image, ours.labels, ours.centres) <= 1.01 * theirs.inertia_ * 255**2


def test_labels_centres_and_picture_agree():
    image = samples.coffee()
    made = icas.kmeans_colors(image, 6, seed=3)
    assert made.labels.shape == image.shape[:2]
    assert made.labels.dtype == np.int32
    assert made.centres.shape == (6, 3)
    assert (made.picture == np.rint(made.centres).astype(np.uint8)[made.labels]).all()
    sizes = np.bincount(made.labels.ravel())
    assert (np.diff(sizes) <= 0).all()
    for number in range(6):
        inside = image[made.labels == number]
        assert made.centres[number] == pytest.approx(inside.mean(axis=0), abs=1e-6)


def test_the_same_seed_gives_the_same():
    image = samples.astronaut()
    one, two = icas.kmeans_colors(image, 7, seed=1), icas.kmeans_colors(image, 7, seed=1)
    assert (one.labels == two.labels).all()
    assert (one.centres == two.centres).all()


def test_fewer_colours_than_asked_for():
    image = np.zeros((10, 10, 3), np.uint8)
    image[6:] = 200
    made = icas.kmeans_colors(image, 5)
    assert made.centres.tolist() == [[0, 0, 0], [200, 200, 200]]
    assert (made.picture == image).all()


def test_wrong_numbers_are_reported():
    with pytest.raises(icas.UsageError, match="at least 1"):
        icas.kmeans_colors(samples.coffee(), 0)

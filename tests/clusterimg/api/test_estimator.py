"""ImageClusterer follows scikit-learn's conventions and gives what a run gives."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import base
from sklearn.base import clone

import icas


def pictures(photos):
    return [icas.read_image(path) for path in icas.find_images(photos)]


def test_arrays_paths_and_folder_give_the_same(photos, tmp_path):
    model = icas.ImageClusterer(method="orb", threshold=0.2)
    by_array = model.fit_predict(pictures(photos))
    assert by_array.tolist() == model.fit(icas.find_images(photos)).labels_.tolist()
    assert by_array.tolist() == model.fit(str(photos)).labels_.tolist()
    assert len(model.files_) == 14
    report = icas.cluster(photos, method="orb", threshold=0.2, dst=tmp_path / "out")
    assert by_array.tolist() == report.labels.tolist()


def test_attributes(photos):
    model = icas.ImageClusterer(method="ssim", threshold=0.8).fit(pictures(photos))
    assert model.labels_.dtype == np.int64
    assert model.links_.dtype.names == ("a", "b", "similarity")
    assert (model.links_["a"] < model.links_["b"]).all()
    assert (model.links_["similarity"] >= np.float32(0.8)).all()
    assert model.n_clusters_ == len(model.medoids_) == model.labels_.max() + 1
    assert icas.labels_at(model.forest_, 0.8).tolist() == model.labels_.tolist()
    higher = icas.ImageClusterer(method="ssim", threshold=0.95).fit(pictures(photos))
    assert icas.labels_at(model.forest_, threshold=0.95).tolist() == higher.labels_.tolist()


def test_parameters_come_and_go_as_scikit_learn_wants():
    model = icas.ImageClusterer("imagehash", 0.9, hash_size=16, batch_size=100)
    params = model.get_params()
    assert params["hash_size"] == 16
    assert params["threshold"] == 0.9
    copied = clone(model)
    assert copied is not model
    assert copied.get_params() == params
    assert model.set_params(hash_size=4, threshold=0.5) is model
    assert (model.get_params()["hash_size"], model.threshold) == (4, 0.5)
    assert copied.get_params()["hash_size"] == 16
    if hasattr(base, "is_clusterer"):  # since scikit-learn 1.6
        assert base.is_clusterer(model)
    assert "hash_size=4" in repr(model)


def test_one_image_and_none(photos):
    assert icas.ImageClusterer().fit_predict(pictures(photos)[:1]).tolist() == [-1]
    with pytest.raises(icas.UsageError, match="empty"):
        icas.ImageClusterer().fit_predict([])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"method": "sift"}, "choose from"),
        ({"threshold": "high"}, "a number, auto"),
        ({"merge": "half"}, "representatives"),
        ({"hash_sizes": 2}, "unknown keyword hash_sizes"),
        ({"batch_size": 0}, "at least 2"),
    ],
)
def test_wrong_parameters_are_told_at_fit(photos, params, words):
    with pytest.raises(icas.UsageError, match=words):
        icas.ImageClusterer(**params).fit(photos)


def test_what_is_no_image_is_told():
    shapes = ((4, 4, 2), np.uint8), ((0, 4, 3), np.uint8), ((4, 4), int)
    for wrong in (np.zeros(*given) for given in shapes):
        with pytest.raises(icas.UsageError, match="image 0"):
            icas.ImageClusterer().fit([wrong])
    with pytest.raises(icas.UsageError, match="cannot be mixed"):
        icas.ImageClusterer().fit(["a.png", np.zeros((4, 4, 3), np.uint8)])

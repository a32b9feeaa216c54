"""ImageClusterer follows scikit-learn's conventions and gives what a run gives."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from sklearn import base
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

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


# -- embeddings: rows of a table --

TRUTH = np.repeat([0, 1, 2], 5)


def embeddings():
    """(15, 64): five vectors near to each of three directions."""
    rng = np.random.default_rng(0)
    return np.repeat(rng.normal(size=(3, 64)), 5, axis=0) + 0.1 * rng.normal(size=(15, 64))


@pytest.mark.filterwarnings("ignore:Estimator ImageClusterer does not inherit")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.skipif(not hasattr(estimator_checks, "estimator_checks_generator"), reason="sklearn")
@pytest.mark.parametrize("params", [{}, {"method": "deep", "threshold": 0.9, "linkage": "average"}])
def test_it_passes_the_checks_of_scikit_learn(params):
    if "method" in params:
        pytest.importorskip("torch", reason="torch is not installed: pip install 'icas[deep]'")
    results = estimator_checks.check_estimator(icas.ImageClusterer(**params), on_fail=None)
    assert len(results) > 35  # those of two-dimensional input too
    assert [one for one in results if one["status"] == "failed"] == []
    # that one needs an environment variable, and icas computes with NumPy only
    skipped = {one["check_name"] for one in results if one["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_clustering,
        estimator_checks.check_dataframe_column_names_consistency,
        estimator_checks.check_non_transformer_estimators_n_iter,
    ],
)
def test_it_passes_the_checks_of_clusterers(check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check("ImageClusterer", icas.ImageClusterer())


def test_embeddings_are_compared_by_their_cosine():
    vectors = embeddings()
    model = icas.ImageClusterer(threshold=0.9).fit(vectors)
    cosines = cosine_similarity(vectors)
    pairs = [(a, b) for a, b in zip(*np.nonzero(cosines >= 0.9), strict=True) if a < b]
    assert model.links_[["a", "b"]].tolist() == pairs
    assert model.links_["similarity"] == pytest.approx([cosines[pair] for pair in pairs], abs=1e-5)
    assert model.labels_.tolist() == TRUTH.tolist()
    assert (model.n_features_in_, model.files_) == (64, ())
    assert icas.ImageClusterer().fit_predict(vectors).tolist() == TRUTH.tolist()  # auto


FORMS = {
    "float16": lambda vectors: vectors.astype(np.float16),
    "lists": lambda vectors: vectors.tolist(),
    "rows": list,
    "generator": iter,
    "huge": lambda vectors: vectors * 1e300,
    "tiny": lambda vectors: vectors * 1e-300,
}


@pytest.mark.parametrize("form", FORMS)
def test_embeddings_in_every_form(form):
    labels = icas.ImageClusterer(threshold=0.9).fit_predict(FORMS[form](embeddings()))
    assert labels.tolist() == TRUTH.tolist()


def test_embeddings_of_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(embeddings())
    series = pandas.Series(list(embeddings()), index=range(15, 0, -1))
    for given in (frame, series):
        labels = icas.ImageClusterer(threshold=0.9).fit_predict(given)
        assert labels.tolist() == TRUTH.tolist()


def test_embeddings_go_through_the_tools_of_scikit_learn(photos):
    vectors = embeddings()
    model = icas.ImageClusterer(threshold=0.9)
    assert make_pipeline(PCA(5), model).fit_predict(vectors).tolist() == TRUTH.tolist()
    score = {"scoring": lambda model, X, y: adjusted_rand_score(y, model.fit_predict(X))}
    splits = [(np.arange(15), np.arange(15))]
    grid = GridSearchCV(model, {"threshold": [0.999, 0.9]}, cv=splits, **score)
    assert grid.fit(vectors, TRUTH).best_params_ == {"threshold": 0.9}
    fitted = pickle.loads(pickle.dumps(model.fit(vectors)))
    assert fitted.labels_.tolist() == TRUTH.tolist()
    assert not hasattr(fitted.fit(pictures(photos)[:2]), "n_features_in_")


def test_clustering_models_and_whitening_of_embeddings():
    vectors = np.repeat(embeddings(), 3, axis=0)
    models = icas.ImageClusterer("deep", cluster_model="kmeans", clusters=3).fit(vectors)
    whitened = icas.ImageClusterer("deep", 0.5, dims=8).fit(vectors)
    for model in (models, whitened):
        assert adjusted_rand_score(np.repeat(TRUTH, 3), model.labels_) == 1
    assert models.models_


VECTORS = embeddings()
WRONG = {
    "another method": ({"method": "ssim"}, VECTORS, "compares images, not embeddings"),
    "option of a network": ({"method": "deep", "model": "vgg16"}, VECTORS, "model is for images"),
    "scale": ({"scale": 0.5}, VECTORS, "scale is for images"),
    "gray image": ({}, np.zeros((30, 40), np.uint8), r"array of shape \(30, 40\).*\[image\]"),
    "gray images": ({}, np.zeros((5, 30, 40), np.uint8), r"array .*\(5, 30, 40\).*list\(images"),
    "lengths": ({}, [VECTORS[0], VECTORS[1][:3]], "different lengths"),
    "NaN": ({}, np.full((3, 4), np.nan), "NaN or infinity"),
    "texts": ({}, np.array([["a.png", "b"]]), "of paths, give a single column"),
    "no rows": ({}, np.empty((0, 4)), "0 sample"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_embeddings_are_one_line(name):
    options, vectors, message = WRONG[name]
    with pytest.raises(icas.UsageError, match=message) as caught:
        icas.ImageClusterer(**{"threshold": 0.9, **options}).fit(vectors)
    assert "\n" not in str(caught.value)

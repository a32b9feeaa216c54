"""deep as users meet it: features, similarities, quality on real sets, and what it refuses."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import icas
from icas.clusterimg.commands.main import main
from icas.clusterimg.commands.thresholds import full_forest
from icas.clusterimg.data.featureset import concatenate
from icas.clusterimg.data.images import scan
from icas.clusterimg.evaluation.scores import curve, match_labels, read_labels
from icas.clusterimg.features.inputs import extract
from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.deep import Deep
from icas.common.errors import IcasError, UsageError
from icas.io.reading import read_image, resize

pytestmark = pytest.mark.deep
WEIGHTS = {
    "squeezenet1_0": "squeezenet1_0_deepcompressed_fp16.pth",
    "mobilenet_v2": "mobilenet_v2_dequantized_fp16.pth",
}
RANDOM = {"method": "deep", "model": "squeezenet1_0", "weights": "random", "size": (64, 64)}


@pytest.fixture(autouse=True)
def _with_torch(torch):
    """All of these need it."""


@pytest.fixture(scope="module")
def pictures(photos):
    return [read_image(path) for path in icas.find_images(photos)]


@pytest.fixture(scope="module")
def raw(torch, pictures):
    """Features of fourteen pictures, as the network gives them."""
    return icas.features(pictures, dims=0, **RANDOM)


def by_hand(torch, name, file, images, size):
    """Averaged maps of the last stage, by torchvision alone."""
    from torchvision import models

    network = models.get_model(name, weights=None).eval()
    network.load_state_dict(torch.load(file, weights_only=True))
    pixels = np.stack([resize(image, size) for image in images]).astype(np.float32) / 255
    pixels = (pixels - (0.485, 0.456, 0.406)) / np.array((0.229, 0.224, 0.225))
    with torch.no_grad():
        maps = network.float().features(torch.from_numpy(pixels).permute(0, 3, 1, 2).float())
    vectors = maps.mean((2, 3)).numpy()
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("size", [(96, 128), pytest.param((160, 160), marks=pytest.mark.slow)])
def test_features_are_the_maps_of_torchvision_averaged(torch, data, pictures, name, size):
    file = data / "weights" / WEIGHTS[name]
    wanted = by_hand(torch, name, file, pictures, size)
    found = icas.features(pictures, "deep", model=name, weights=file, size=size, dims=0).array
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    last = found[:, -wanted.shape[1] :] * np.sqrt(2)  # two stages, each of length 1, then both
    np.testing.assert_allclose(last, wanted, atol=1e-5)
    first = found[:, : -wanted.shape[1]]
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), np.sqrt(0.5), atol=1e-6)


def test_a_folder_its_files_and_its_arrays_give_the_same_features(torch, photos, pictures, raw):
    paths = icas.find_images(photos)
    for source in (photos, paths):
        found = icas.features(source, dims=0, **RANDOM)
        assert len(found.files) == 14
        np.testing.assert_allclose(found.array, raw.array, atol=1e-6)


@pytest.fixture(scope="module")
def many(pictures):
    """Enough pictures to whiten their features."""
    return [view for one in pictures for view in (one, one[:, ::-1], one[::-1])]


@pytest.mark.parametrize("dims", [0, 5, 128])
def test_similarity_is_symmetric_and_one_with_itself(torch, many, dims):
    features = icas.features(many, dims=dims, **RANDOM)
    matrix = icas.similarity_matrix(features)
    assert matrix.dtype == np.float32
    assert (matrix == matrix.T).all()
    assert (np.diag(matrix) == 1).all()
    assert matrix.max() == 1
    assert matrix.min() >= -1
    plain = features.array.astype(np.float64)
    np.testing.assert_allclose(matrix, plain @ plain.T, atol=2e-6)


def test_few_images_are_not_whitened(torch, pictures, raw):
    matrix = icas.similarity_matrix(pictures, **RANDOM)
    assert (matrix == matrix.T).all()
    assert (np.diag(matrix) == 1).all()
    cosines = raw.array.astype(np.float64) @ raw.array.T.astype(np.float64)
    np.testing.assert_allclose(matrix, 1 - (1 - cosines) / 0.3, atol=1e-5)
    apart = [icas.features(part, **RANDOM) for part in (pictures[:7], pictures[7:])]
    np.testing.assert_allclose(icas.similarity_matrix(*apart), matrix[:7, 7:], atol=1e-5)


def test_similarity_does_not_depend_on_the_tile(torch, pictures):
    features = icas.features(pictures, **RANDOM)
    method = Deep(model="squeezenet1_0")
    whole = method.similarity(features, features)
    for rows in range(14):
        for columns in (slice(0, 1), slice(3, 14)):
            tile = method.similarity(features[[rows]], features[columns])
            assert (tile == whole[[rows], columns]).all()


@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_links_do_not_depend_on_workers(torch, photos, executor, jobs):
    features = icas.features(photos, jobs=jobs, executor=executor, **RANDOM)
    wanted = icas.links(icas.features(photos, **RANDOM), 0.1, jobs=1)
    assert len(wanted) > 3
    found = icas.links(features, 0.1, jobs=jobs, executor=executor)
    assert (found == wanted).all()


def test_exact_merge_gives_the_links_of_one_batch(torch, photos):
    def links(**settings):
        model = icas.ImageClusterer(threshold=0.2, jobs=1, **settings, **RANDOM).fit(photos)
        found = sorted((int(a), int(b), float(s)) for a, b, s in model.links_)
        return model.labels_.tolist(), found

    wanted = links()
    assert len(wanted[1]) > 3
    for size in (2, 5, 13):
        assert links(batch_size=size, merge="exact") == wanted


def test_both_sides_are_looked_at_together(torch, pictures):
    together = icas.similarity_matrix(pictures, **RANDOM)
    apart = icas.similarity_matrix(pictures[:5], pictures[5:], **RANDOM)
    np.testing.assert_allclose(apart, together[:5, 5:], atol=2e-6)


def test_features_of_two_folders_or_networks_are_not_compared(torch, many, pictures):
    one, other = (icas.features(part, **RANDOM) for part in (many[:35], many[7:]))
    with pytest.raises(UsageError, match="cannot be compared"):
        icas.similarity_matrix(one, other)
    with pytest.raises(UsageError, match="whitened on different images"):
        Deep(model="squeezenet1_0").similarity(one, other)
    near = {**RANDOM, "model": "squeezenet1_1", "dims": 0}
    a, b = icas.features(pictures[:2], dims=0, **RANDOM), icas.features(pictures[:2], **near)
    assert a.array.shape == b.array.shape
    with pytest.raises(UsageError, match="different networks"):
        Deep(model="squeezenet1_0").similarity(a, b)


def test_equal_images_one_image_and_none(torch, pictures):
    image = pictures[0]
    assert (icas.similarity_matrix([image] * 40, **RANDOM) == 1).all()
    assert icas.similarity_matrix([image], **RANDOM).tolist() == [[1]]
    assert icas.features([], **RANDOM).array.shape[0] == 0
    for options in ({}, {"cluster_model": "kmeans"}, {"clusters": 2}):
        model = icas.ImageClusterer(**RANDOM, **options)
        assert model.fit([image] * 5).labels_.tolist() == [0] * 5
        assert model.fit([image]).labels_.tolist() == [-1]


def test_an_image_in_which_a_network_sees_nothing_is_like_itself(torch, pictures):
    dark = np.zeros_like(pictures[0])
    for dims in (0, 8):
        found = icas.similarity_matrix(
            [dark, pictures[0], dark], method="deep", model=lambda x: x.mean((2, 3)), dims=dims
        )
        assert (np.diag(found) == 1).all()
        assert found[0, 2] == 1


BEST = {"multiview": 1.0, "deeppcb-pairs": 0.92, "copies": 0.99, "faces-orl": 0.78}


@pytest.mark.parametrize(
    "name",
    [n if n == "deeppcb-pairs" else pytest.param(n, marks=pytest.mark.slow) for n in BEST],
)
def test_best_f1_on_real_sets(torch, data, name):
    file = data / "weights" / WEIGHTS["mobilenet_v2"]
    method = make_method("deep", model="mobilenet_v2", weights=file)
    features = extract(method, scan(data / name / "images").images)
    forest, _ = full_forest(method, features)
    truth = read_labels(data / name / "labels.csv")
    labels = match_labels(dict.fromkeys(features.files, 0), truth).truth
    assert max(point.f1 or 0 for point in curve(forest, labels)) >= BEST[name]


# ---- settings ----------------------------------------------------------------------------------


def test_lists_are_given_as_users_like():
    assert Deep(model="m", clusters=5).clusters == (5,)
    assert Deep(model="m", clusters=[5, 10]).clusters == (5, 10)
    assert Deep(model="m", clusters="5,10").clusters == (5, 10)
    assert Deep(model="m", eps="0.4,0.6").eps == (0.4, 0.6)
    assert Deep(model="m", cluster_model="KMeans,hdbscan").cluster_model == ("kmeans", "hdbscan")
    with pytest.raises(UsageError, match="clusters 5,x: expected a list of integers"):
        Deep(model="m", clusters="5,x")


def test_when_models_group_and_when_links():
    assert Deep(model="m").model_grid() is None
    assert Deep(weights="file.pt").model_grid() is not None
    assert Deep(weights="file.pt").by_links().model_grid() is None
    assert Deep(model="m", clusters=[3]).model_grid().kinds == ("kmeans", "hierarchy")
    assert Deep(model="m", eps=[0.3]).model_grid().kinds == ("dbscan",)
    with pytest.raises(UsageError, match="clusters fits clustering models"):
        Deep(model="m", clusters=[3]).by_links()


# ---- one clear line ------------------------------------------------------------------------------


def refused(capsys, photos, tmp_path, *words):
    """Exit code and the one line of a run that must not begin."""
    dst = tmp_path / "sorted"
    code = main([str(photos), "--method", "deep", "--dst", str(dst), *map(str, words)])
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("clusterimg: ")
    assert "unexpected error" not in lines[0]
    assert not dst.exists()
    return code, lines[0]


def test_wrong_weights(torch, data, photos, tmp_path, capsys):
    file = data / "weights" / WEIGHTS["squeezenet1_0"]
    model = ("--model", "mobilenet_v2", "--weights")
    code, line = refused(capsys, photos, tmp_path, *model, file)
    assert code == 2
    assert "does not match mobilenet_v2" in line
    for name, content in (("t.pth", b"hello"), ("cut.pth", file.read_bytes()[:99_999])):
        (tmp_path / name).write_bytes(content)
        code, line = refused(capsys, photos, tmp_path, *model, tmp_path / name)
        assert code == 2
        assert "cannot read weights from" in line
    code, line = refused(capsys, photos, tmp_path, *model, tmp_path / "none.pth")
    assert code == 2
    assert "no such file" in line
    code, line = refused(capsys, photos, tmp_path, "--weights", file)
    assert code == 2
    assert "not a network of clusterimg train" in line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--model nix", "unknown torchvision model"),
        ("--model timm:nix", "unknown timm model 'nix'"),
        ("--model squeezenet1_0 --weights random --size 8x8", "must be at least 32"),
        ("--model alexnet --weights random --size 64x40", "does not accept images of 64x40 pixels"),
        ("--model vit_b_16 --weights random --size 64x64", "this network requires 224x224"),
        ("--model squeezenet1_0 --weights random --clusters 30", "30 clusters, but only 14"),
        ("--model squeezenet1_0 --weights random --clusters 3 --threshold 0.5", "give only one"),
        ("--model squeezenet1_0 --weights random --cluster-model foo", "choose from kmeans"),
        ("--model squeezenet1_0 --weights random --cluster-model kmeans --eps 1", "applies to"),
        ("--model squeezenet1_0 --weights random --dims -1", "--dims"),
        ("--stage merge", "batches"),
    ],
)
def test_wrong_usage(torch, photos, tmp_path, capsys, words, told):
    if "timm" in words:
        pytest.importorskip("timm")
    code, line = refused(capsys, photos, tmp_path, *words.split())
    assert code == 2
    assert told in line


@pytest.mark.parametrize("model", ["resnet18", "timm:resnet10t"])
def test_weights_that_cannot_be_fetched(torch, photos, tmp_path, capsys, monkeypatch, model):
    if model.startswith("timm"):
        pytest.importorskip("timm")
        hub = pytest.importorskip("huggingface_hub")
        monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *place: None)

    def unreachable(*request, **options):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    code, line = refused(capsys, photos, tmp_path, "--model", model)
    assert code == 1
    assert f"cannot download the weights of {model}" in line
    assert "(no network)" in line
    assert "--weights FILE" in line


def test_unreadable_files_are_told_once(torch, own_photos, tmp_path, capsys):
    (own_photos / "broken.png").write_bytes(b"no picture")
    dst = tmp_path / "sorted"
    words = ["--model", "squeezenet1_0", "--weights", "random", "--size", "64x64"]
    for options in ([], ["--batch-size", "4", "--overwrite"]):
        words_now = [str(own_photos), "--method", "deep", *words, "--dst", str(dst), *options]
        assert main(words_now) == 3
        assert capsys.readouterr().err.count("broken.png") == 1
        assert (dst / "unreadable.csv").read_text().count("broken.png") == 1


def test_a_folder_of_nothing_that_can_be_read(torch, tmp_path, capsys):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "broken.png").write_bytes(b"no picture")
    words = ["--model", "squeezenet1_0", "--weights", "random", "--size", "64x64"]
    for options in ([], ["--clusters", "2"]):
        code = main([str(folder), "--method", "deep", *words, "--dry-run", *options])
        assert code in (1, 3)
        assert "unexpected error" not in capsys.readouterr().err


@pytest.mark.parametrize("weights", ["nan", "inf"])
def test_numbers_that_are_not_finite(torch, pictures, weights):
    with pytest.raises(IcasError, match="NaN or infinite"):
        icas.features(pictures, "deep", model=lambda x: x.mean((2, 3)) * float(weights))


def test_features_of_batches_are_the_features_of_all(torch, pictures, raw):
    parts = [icas.features(pictures[row : row + 1], dims=0, **RANDOM) for row in range(14)]
    np.testing.assert_allclose(concatenate(parts).array, raw.array, atol=1e-6)


def test_help_and_import_load_no_torch():
    code = (
        "import sys, icas\n"
        "from icas.clusterimg.commands.main import main\n"
        "from icas.clusterimg.methods import make_method\n"
        "make_method('deep', model='resnet18', clusters=[2])\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'torchvision', 'sklearn', 'timm'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

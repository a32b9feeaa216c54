"""Networks by name, from files, and of one's own."""

from __future__ import annotations

import importlib.util
import os

import numpy as np
import pytest

import icas
from icas.common.errors import IcasError, MissingExtraError, UsageError
from icas.io.reading import resize

pytestmark = pytest.mark.deep


@pytest.fixture(autouse=True)
def _with_torch(torch):
    """All of these need it."""


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (40, 50, 3), dtype=np.uint8) for _ in range(5)]


def features(images, **options):
    return icas.features(images, "deep", **{"dims": 0, "size": (64, 64), **options})


def test_random_weights_are_always_the_same_and_leave_chance_alone(torch, images):
    from icas.clusterimg.networks.embedders import _loaded

    torch.manual_seed(5)
    before = torch.get_rng_state()
    names = ["squeezenet1_0"]
    try:
        import timm
    except ImportError:
        pass
    else:
        names += [f"timm:{timm.list_models('test_*')[0]}"]
    for name in names:
        first = features(images, model=name, weights="random").array
        _loaded.cache_clear()
        torch.manual_seed(7)
        assert (features(images, model=name, weights="random").array == first).all()
        torch.set_rng_state(before)
    torch.manual_seed(5)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_file_that_changes_is_read_again(torch, images, tmp_path):
    from torchvision import models

    file = tmp_path / "net.pth"
    found = []
    for seed in (0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            torch.save(models.squeezenet1_0(weights=None).state_dict(), file)
        os.utime(file, ns=(seed, seed))
        found.append(features(images, model="squeezenet1_0", weights=file).array)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_a_file_with_more_around_its_weights(torch, images, tmp_path):
    from torchvision import models

    network = models.squeezenet1_0(weights=None)
    state = network.state_dict()
    wrapped = {"epoch": 3, "state_dict": {f"module.{name}": v for name, v in state.items()}}
    torch.save(state, tmp_path / "plain.pth")
    torch.save(wrapped, tmp_path / "wrapped.pth")
    one, other = (
        features(images, model="squeezenet1_0", weights=tmp_path / name).array
        for name in ("plain.pth", "wrapped.pth")
    )
    assert (one == other).all()


def test_what_inception_does_to_its_input_is_done_with_a_file_too(torch, tmp_path):
    from torchvision import models

    from icas.clusterimg.networks.embedders import _classifier

    torch.save(models.googlenet(init_weights=False).state_dict(), tmp_path / "net.pth")
    assert _classifier("googlenet", tmp_path / "net.pth").transform_input
    assert not _classifier("googlenet", "random").transform_input


def test_timm_with_a_file(torch, images, tmp_path):
    timm = pytest.importorskip("timm")
    name = "test_resnet"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = timm.create_model(name, pretrained=False)
    torch.save(network.state_dict(), tmp_path / "net.pth")
    found = features(images, model=f"timm:{name}", weights=tmp_path / "net.pth").array
    told = network.pretrained_cfg
    pixels = np.stack([resize(image, (64, 64)) for image in images]) / 255
    pixels = (pixels - np.array(told["mean"])) / np.array(told["std"])
    network.reset_classifier(0)
    with torch.no_grad():
        wanted = network.eval()(torch.from_numpy(pixels).permute(0, 3, 1, 2).float()).numpy()
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(UsageError, match="does not match timm:test_resnet"):
        features(images, model=f"timm:{name}", weights=tmp_path / "other.pth")


def test_timm_missing(torch, images, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *p: None if name == "timm" else find(name, *p)
    )
    with pytest.raises(MissingExtraError, match=r"'timm:resnet10t' needs timm: pip install"):
        features(images, model="timm:resnet10t", weights="random")


def test_a_module_of_ones_own(torch, images):
    class Own(torch.nn.Module):
        size = 32

        def __init__(self):
            super().__init__()
            self.drop = torch.nn.Dropout(0.9)

        def embed(self, pixels):
            assert pixels.shape[1:] == (3, 32, 32)
            assert 0 <= pixels.min() <= pixels.max() <= 1
            return self.drop(pixels.mean((2, 3)))

    found = features(images, model=Own(), size=None).array
    wanted = np.stack([resize(image, (32, 32)).mean((0, 1)) for image in images])
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    with pytest.raises(UsageError, match="size 64x64: this network requires 32x32"):
        features(images, model=Own())
    matrix = icas.similarity_matrix(images, method="deep", model=Own())
    assert (np.diag(matrix) == 1).all()
    labels = icas.ImageClusterer(method="deep", model=Own(), clusters=[2]).fit(images).labels_
    assert set(labels) == {0, 1}


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: x.mean((2, 3)),
        lambda x: x.mean((2, 3)).numpy(),
        lambda x: x.mean((2, 3)).half(),
        lambda x: x.mean((2, 3))[:, :, None, None],
        lambda x: x.mean((2, 3)).tolist(),
    ],
)
def test_a_function_of_ones_own(torch, images, answer):
    wanted = features(images, model=lambda x: x.mean((2, 3))).array
    np.testing.assert_allclose(features(images, model=answer).array, wanted, atol=1e-3)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda x: x.mean((1, 2, 3)), r"shape \(5,\) for 5 images"),
        (lambda x: x.mean((2, 3))[:2], r"shape \(2, 3\) for 5 images"),
        (lambda x: None, "returned a NoneType"),
        (lambda x: "text", "returned a str"),
        (lambda x: {"pooled": x}, "returned a dict"),
        (lambda x: x.mean((2, 3)) / 0, "NaN or infinite"),
    ],
)
def test_answers_that_are_no_features(torch, images, answer, told):
    with pytest.raises(IcasError, match=told) as error:
        features(images, model=answer)
    assert "\n" not in str(error.value)


def test_what_is_no_network(torch, images):
    for model in (3, object()):
        with pytest.raises(UsageError, match="a name, a module with embed"):
            features(images, model=model)
    with pytest.raises(UsageError, match="method 'deep' needs a network"):
        features(images)
    with pytest.raises(UsageError, match=r"unknown torchvision model; similar names: .*resnet18"):
        features(images, model="resnet18x")


def test_a_device_without_memory_is_told_as_such(torch, images):
    def full(pixels):
        raise RuntimeError("not enough memory: you tried to allocate 9 bytes.\nmore")

    with pytest.raises(IcasError, match="not enough memory for images of 64x64 pixels") as error:
        features(images, model=full)
    assert not isinstance(error.value, UsageError)
    assert "\n" not in str(error.value)

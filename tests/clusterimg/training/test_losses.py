"""Losses are those of torch; a perceptual one is 0 for equal pictures and never below."""

from __future__ import annotations

import pytest

import icas
from icas.clusterimg.training.settings import TrainSettings

pytestmark = pytest.mark.deep


@pytest.fixture
def pair(torch):
    generator = torch.Generator().manual_seed(2)
    return tuple(torch.rand((2, 3, 32, 32), generator=generator) for _ in range(2))


@pytest.fixture
def squeezenet(data):
    return {
        "loss_model": "squeezenet1_0",
        "loss_weights": data / "weights" / "squeezenet1_0_deepcompressed_fp16.pth",
    }


def loss_of(**options):
    from icas.clusterimg.training.losses import make_loss

    return make_loss(TrainSettings(size=32, **options))


def perceptual(**options):
    return loss_of(loss="perceptual", **options)


def test_losses_by_pixels_are_their_definitions(torch, pair):
    a, b = pair
    torch.testing.assert_close(loss_of(loss="mse")(a, b), ((a - b) ** 2).mean())
    torch.testing.assert_close(loss_of(loss="mae")(a, b), (a - b).abs().mean())


@pytest.mark.parametrize("difference", ["absolute", "squared"])
def test_features_are_compared_layer_by_layer(torch, pair, squeezenet, difference):
    from torchvision.models import squeezenet1_0
    from torchvision.transforms.functional import normalize

    loss = perceptual(**squeezenet, difference=difference, loss_layers="features.1,features.4")
    plain = squeezenet1_0().eval()
    held = torch.load(squeezenet["loss_weights"], weights_only=True)
    plain.load_state_dict({name: value.float() for name, value in held.items()})
    found = []
    with torch.no_grad():
        for images in pair:
            scaled = normalize(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
            found.append([plain.features[:last](scaled) for last in (2, 5)])
    power = {"absolute": 1, "squared": 2}[difference]
    wanted = sum(((a - b).abs() ** power).mean() for a, b in zip(*found, strict=True)) / 2
    torch.testing.assert_close(loss(*pair), wanted)


def test_equal_pictures_lose_nothing_and_others_something(pair, squeezenet):
    loss = perceptual(**squeezenet)
    assert loss(pair[0], pair[0]) == 0
    assert loss(*pair) > 0
    assert loss(*pair) == loss(*pair[::-1])


def test_the_other_network_is_frozen_and_the_picture_is_not(torch, pair, squeezenet):
    loss = perceptual(**squeezenet)
    output = pair[0].requires_grad_(True)
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    loss(output, pair[1]).backward()
    assert output.grad.abs().max() > 0
    assert not any(value.requires_grad for value in loss.parameters())
    assert not any(part.training for part in loss.features.modules())
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


@pytest.mark.parametrize(
    ("name", "side", "layers"),
    [
        ("vgg19", 32, ("features.3", "features.8", "features.17", "features.26")),
        ("resnet18", 32, ("relu", "layer1", "layer2", "layer3")),
        ("squeezenet1_0", 32, ("features.1", "features.5", "features.10")),
        ("inception_v3", 64, ("Conv2d_1a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")),
    ],
)
def test_the_last_layer_of_each_resolution_is_compared(torch, name, side, layers):
    from torchvision import models

    from icas.clusterimg.training.losses import default_layers

    quick = {"init_weights": False} if name in ("vgg19", "inception_v3") else {}
    network = models.get_model(name, weights=None, **quick).eval()
    assert default_layers(network, side, name) == layers


def test_a_network_of_one_size_alone_gets_its_size(torch, pair):
    loss = perceptual(loss_model="vit_b_32", loss_weights="random")
    assert [value.shape for value in loss._layers(pair[0])] == [(2, 768, 7, 7)]


def test_random_weights_follow_from_the_seed_and_leave_chance_alone(torch, pair):
    before = torch.get_rng_state()
    values = [
        perceptual(loss_model="squeezenet1_1", loss_weights="random", seed=seed)(*pair).item()
        for seed in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]
    assert torch.equal(torch.get_rng_state(), before)


def test_unknown_networks_and_layers_are_told_with_close_ones(torch):
    with pytest.raises(icas.UsageError, match=r"loss_model vgg91: .*vgg19"):
        perceptual(loss_model="vgg91", loss_weights="random")
    with pytest.raises(icas.UsageError, match=r"no layer 'features.99'; similar names: .*features"):
        perceptual(
            loss_model="alexnet", loss_weights="random", loss_layers="features.1,features.99"
        )


def test_weights_of_another_network_are_told(torch, data):
    weights = data / "weights" / "mobilenet_v2_dequantized_fp16.pth"
    with pytest.raises(
        icas.UsageError, match=r"does not match squeezenet1_0: .* is missing"
    ) as told:
        perceptual(loss_model="squeezenet1_0", loss_weights=weights)
    assert "\n" not in str(told.value)


def test_without_weights_and_network_one_line_tells_what_to_do(torch, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(icas.IcasError, match="loss_weights FILE") as told:
        perceptual()
    assert "VGG19_Weights.IMAGENET1K_V1" in str(told.value)
    assert "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth" in str(told.value)
    assert "\n" not in str(told.value)

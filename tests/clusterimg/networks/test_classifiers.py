"""Where classifiers of torchvision have their features: families that are built differently."""

from __future__ import annotations

import numpy as np
import pytest

from icas.clusterimg.methods.deep import Deep

pytestmark = pytest.mark.deep
STAGES = {
    "alexnet": (384, 256),
    "densenet121": (512, 1024),
    "efficientnet_b0": (320, 1280),
    "googlenet": (832, 1024),
    "mnasnet0_5": (160, 1280),
    "mobilenet_v2": (320, 1280),
    "mobilenet_v3_small": (96, 576),
    "regnet_y_400mf": (208, 440),
    "resnet18": (256, 512),
    "shufflenet_v2_x0_5": (192, 1024),
    "squeezenet1_0": (384, 512),
}
"""Channels of the last two stages, as the papers have them."""
LARGE = {
    "convnext_tiny": (384, 768),
    "inception_v3": (1280, 2048),
    "maxvit_t": (256, 512),
    "swin_t": (384, 768),
    "vgg11": (256, 512),
    "vit_b_16": (768,),
}


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """Many small networks: threads would only wait for each other."""


def expected(name):
    return {**STAGES, **LARGE}[name]


@pytest.mark.parametrize(
    "name", [*STAGES, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]
)
def test_every_family_has_two_stages_of_features(torch, name):
    from icas.clusterimg.networks.classifiers import find_stages, random_classifier

    stages = find_stages(random_classifier(name, 0).eval())
    assert tuple(stage.channels for stage in stages) == expected(name)
    kind = {"swin_t": "maps last", "vit_b_16": "head"}.get(name, "maps")
    assert {stage.kind for stage in stages} == {kind}

    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (96, 96, 3), dtype=np.uint8) for _ in range(3)]
    size = None if name in ("vit_b_16", "maxvit_t") else (96, 96)
    method = Deep(model=name.upper(), weights="random", size=size)
    first, second = method.extract(images).array, method.extract(images[:2]).array
    assert first.shape == (3, sum(expected(name)))
    assert np.isfinite(first).all()
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(first[:2], second, atol=1e-5)
    assert np.abs(first[0] - first[1]).max() > 1e-4


def test_averages_are_those_of_torchvisions_own_extractor(torch):
    from torchvision.models.feature_extraction import create_feature_extractor

    from icas.clusterimg.networks.classifiers import find_stages, pooled, random_classifier

    network = random_classifier("resnet18", 0).eval()
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    found = pooled(network, find_stages(network), images)
    with torch.no_grad():
        wanted = create_feature_extractor(network, ["layer3", "layer4"])(images)
    for vectors, maps in zip(found, wanted.values(), strict=True):
        assert torch.allclose(vectors, maps.mean((2, 3)), atol=1e-6)


def test_the_head_of_a_transformer_is_given_what_the_class_token_became(torch):
    from torchvision.models.vision_transformer import VisionTransformer

    from icas.clusterimg.networks.classifiers import find_stages, only_side, pooled

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = VisionTransformer(64, 16, 2, 2, 24, 48, num_classes=5).eval()
        torch.nn.init.normal_(network.heads.head.weight)
    stages = find_stages(network)
    assert [(stage.kind, stage.channels) for stage in stages] == [("head", 24)]
    assert only_side(network) == 64
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        answer = network.heads.head(pooled(network, stages, images)[0])
        assert torch.allclose(answer, network(images), atol=1e-5)


def test_networks_are_left_without_hooks(torch):
    from icas.clusterimg.networks.classifiers import find_stages, pooled, random_classifier

    network = random_classifier("squeezenet1_0", 0).eval()
    pooled(network, find_stages(network), torch.zeros(1, 3, 64, 64))
    assert not any(module._forward_hooks for module in network.modules())


def test_a_network_that_cuts_windows_takes_few_sizes(torch):
    from icas.clusterimg.networks.classifiers import TRIED, only_side

    class Windows(torch.nn.Module):
        def forward(self, images):
            return images.reshape(len(images), 3, -1, 7, images.shape[-1] // 7, 7)

    assert only_side(Windows()) == TRIED
    assert only_side(torch.nn.Flatten()) is None

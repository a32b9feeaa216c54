"""Autoencoders of every size have the shapes, the range and the memory that they promise."""

from __future__ import annotations

import math

import pytest

import icas
from icas.clusterimg.networks.strides import strides_of

pytestmark = pytest.mark.deep


@pytest.mark.parametrize("size", [2**power for power in range(5, 13)])
def test_strides_bring_every_size_down_to_four_pixels(size):
    strides = strides_of(size)
    assert math.prod(strides) == size // 4
    assert set(strides) <= ({2} if size <= 128 else {2, 4})
    if size >= 256:
        side = size // strides[0]
        for stride in strides[1:]:
            assert side <= 64 or stride == 4 or side // stride <= 64
            side //= stride


@pytest.mark.parametrize("size", [0, 1, 16, 48, 63, 8192, -64])
def test_other_sizes_are_refused(size):
    with pytest.raises(icas.UsageError, match="a power of two from 32 to 4096"):
        strides_of(size)


@pytest.mark.parametrize("size", [32, 64, 128, 256, 512, 1024])
def test_a_picture_comes_back_in_its_shape_and_range(torch, size):
    from icas.clusterimg.networks.autoencoder import make_autoencoder

    network = make_autoencoder(size, 24)
    images = torch.rand((2, 3, size, size), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        codes, back = network.embed(images), network(images)
        assert torch.equal(network.decode(codes), back)
        alone = network.embed(images[1:])
    assert codes.shape == (2, 24)
    assert back.shape == images.shape
    assert back.dtype == torch.float32
    assert 0 <= back.min() <= back.max() <= 1
    torch.testing.assert_close(alone, codes[1:], rtol=1e-4, atol=1e-5)


def test_maps_stay_bounded_in_large_pictures(torch):
    from icas.clusterimg.networks.autoencoder import make_autoencoder

    network, largest = make_autoencoder(1024, 8), []
    for part in (*network.encoder, *network.decoder[1:-1]):
        part.register_forward_hook(lambda part, given, out: largest.append(out[0].numel()))
    with torch.no_grad():
        network(torch.zeros((1, 3, 1024, 1024)))
    assert max(largest) <= 3 * 1024 * 1024  # no map holds more numbers than the picture


def test_weights_follow_from_the_seed_and_leave_chance_alone(torch):
    from icas.clusterimg.networks.autoencoder import make_autoencoder

    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (make_autoencoder(32, 8, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(first["encoder.0.0.weight"], other["encoder.0.0.weight"])

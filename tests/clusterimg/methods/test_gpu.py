"""Tiles by torch are those of the CPU bit for bit; here on torch's CPU, the device at hand."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import scan
from icas.clusterimg.data.links import links_in
from icas.clusterimg.methods import make_method, on_device
from icas.clusterimg.methods.base import OnDevice, settings_of
from icas.common.errors import UsageError
from icas.io.reading import read_image

pytestmark = pytest.mark.deep
METHODS = {
    "imagehash": {},
    "ssim": {"size": (40, 33)},
    "tm": {"size": (30, 21)},
}


@pytest.fixture(scope="module", params=sorted(METHODS))
def method(request, torch):
    return make_method(request.param, **METHODS[request.param])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 12), st.integers(1, 9), st.sampled_from((1, 20, 255)))
def test_similarities_are_the_same_bit_for_bit(method, seed, ours, theirs, contrast):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 256 - contrast, (1, 48, 60, 3))
    images = (base + rng.integers(0, contrast + 1, (ours + theirs, 48, 60, 3))).clip(0, 255)
    features = method.extract(list(images.astype(np.uint8)))
    a, b = features[:ours], features[ours:]
    there = OnDevice(method, "cpu")
    assert np.array_equal(there.similarity(a, b), method.similarity(a, b))
    everything = method.similarity(features, features)
    for threshold in (-np.inf, float(np.median(everything)), 1.0):
        found = there.links(features, features, threshold)
        assert np.array_equal(
            found.structured(), links_in(everything, threshold, triangle=True).structured()
        )


def test_real_pictures_have_the_same_links(method, data):
    refs = scan(data / "copies" / "images").images[:60]
    features = method.extract([read_image(ref.path) for ref in refs])
    found = OnDevice(method, "cpu").links(features, features, method.default_threshold)
    expected = links_in(
        method.similarity(features, features), method.default_threshold, triangle=True
    )
    assert np.array_equal(found.structured(), expected.structured())
    assert len(found)


def test_it_is_a_method_that_finds_links_with_the_settings_of_the_one_it_holds(method):
    there = OnDevice(method, "cpu")
    assert (there.name, there.default_threshold) == (method.name, method.default_threshold)
    assert settings_of(there) == settings_of(method)
    assert there.links_tile >= method.tile


def test_the_cpu_changes_nothing_and_a_device_that_is_not_there_is_told(method, torch):
    assert on_device(method, "cpu") is method
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="device cuda: torch finds no CUDA devices"):
            on_device(method, "cuda")
        assert on_device(method, "auto") is method


def test_methods_that_no_card_computes_say_which_ones_do(torch):
    with pytest.raises(UsageError, match="'orb' runs on the CPU only; imagehash"):
        on_device(make_method("orb"), "cuda")


def test_whole_bytes_of_codes_made_elsewhere(torch):
    rng = np.random.default_rng(0)
    codes = FeatureSet.from_bits(rng.integers(0, 256, (20, 5), dtype=np.uint8))
    method = make_method("imagehash")
    there = OnDevice(method, "cpu")
    assert np.array_equal(there.similarity(codes, codes), method.similarity(codes, codes))

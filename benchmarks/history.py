"""The kernels' times for pytest-benchmark, which keeps them and compares them with earlier ones.

``make history``; nothing else runs this file: no test depends on time.
"""

from __future__ import annotations

import pytest
from speed_pictures import photos

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.linking.tiles import all_links
from icas.clusterimg.methods import make_method

IMAGES = {"imagehash": 800, "minhash": 800, "orb": 200, "ssim": 400, "tm": 800}


@pytest.fixture(scope="module", params=sorted(IMAGES))
def features(request) -> FeatureSet:
    return make_method(request.param).extract(photos(IMAGES[request.param]))


def test_extraction(benchmark, features):
    method = make_method(features.method)
    pictures = photos(50)
    benchmark(method.extract, pictures)


def test_links(benchmark, features):
    method = make_method(features.method)
    benchmark(all_links, method, features, method.default_threshold)


def test_similarities(benchmark, features):
    method = make_method(features.method)
    some = features[: method.tile]
    benchmark(method.similarity, some, some)

"""Fixtures of the tests of clusterimg."""

from __future__ import annotations

import pytest

from icas.clusterimg.methods import METHODS


@pytest.fixture(params=METHODS)
def method_and_options(request):
    """Every method as keywords; the deep one with a small network of random weights."""
    if request.param != "deep":
        return {"method": request.param}
    request.getfixturevalue("torch")
    return {"method": "deep", "model": "squeezenet1_0", "weights": "random", "size": (64, 64)}

"""The page on how sorting works names the true size of features."""

from __future__ import annotations

import re

import pytest
from blocks import read

SIZES = re.findall(
    r"^\| `(\w+)` \| [^|]+ \| ([\d,]+) \|$", read("docs/how-it-works.md"), re.MULTILINE
)


@pytest.mark.parametrize(("method", "stated"), SIZES)
def test_features_have_the_stated_size(method, stated, photos):
    import icas

    features = icas.features(str(photos), method=method)
    assert features.nbytes / len(features.files) == int(stated.replace(",", ""))


def test_sizes_of_all_methods_but_deep_are_stated():
    from icas.clusterimg.methods import METHODS

    assert {method for method, _ in SIZES} == set(METHODS) - {"deep"}

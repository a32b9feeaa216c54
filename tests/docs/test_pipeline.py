"""The page on the way of an image names modules that exist, and features of their true size."""

from __future__ import annotations

import importlib
import re

import pytest
from blocks import read

PAGE = read("docs/pipeline.md")
MODULES = re.findall(r"^\| [^|]+ \| `(icas\.[\w.]+)` \| `(\w+)` \|$", PAGE, re.MULTILINE)
SIZES = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([\d,]+) \|$", PAGE, re.MULTILINE)


def test_modules_are_there():
    assert len(MODULES) > 10
    for module, name in MODULES:
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


@pytest.mark.parametrize(("method", "size"), SIZES)
def test_features_have_the_size_on_the_page(method, size, photos):
    import icas

    found = icas.features(str(photos), method=method)
    assert found.nbytes / len(found.files) == int(size.replace(",", ""))


def test_sizes_of_all_methods_but_deep_are_on_the_page():
    from icas.clusterimg.methods import METHODS

    assert {method for method, _ in SIZES} == set(METHODS) - {"deep"}

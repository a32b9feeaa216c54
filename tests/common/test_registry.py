"""Look-ups name the choices, missing extras name the line to type."""

from __future__ import annotations

import pytest

import icas
from icas.common.registry import Entry, lookup, need

TABLE = {"ssim": Entry("math:sqrt", "roots"), "ORB": Entry("math:floor", "floors")}


def test_case_does_not_matter():
    assert lookup(TABLE, "SSIM", "method")[0] == "ssim"
    assert lookup(TABLE, "orb", "method")[1].load()(2.5) == 2


def test_an_unknown_name_is_told_with_the_choices():
    with pytest.raises(icas.UsageError, match="unknown method 'sift': choose from ssim, ORB"):
        lookup(TABLE, "sift", "method")


def test_a_missing_extra_names_what_to_type():
    need("this", "test", "math")
    with pytest.raises(icas.MissingExtraError) as told:
        need("method 'deep'", "deep", "no_such_package", "sklearn")
    assert str(told.value) == (
        "method 'deep' needs no_such_package and scikit-learn: pip install 'icas[deep]'"
    )
    assert told.value.exit_code == 2

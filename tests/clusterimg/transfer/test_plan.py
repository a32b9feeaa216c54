"""A plan puts every image in one place and no two in the same."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import numpy as np
from hypothesis import given, strategies as st

from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.transfer.plan import plan_tree
from icas.io.files import LONGEST_NAME, distinct_names

names = st.lists(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
        lambda name: name not in (".", "..") and len(os.fsencode(name)) <= LONGEST_NAME
    ),
    max_size=12,
)


@given(names)
def test_names_become_distinct_and_stay_short(given_names):
    found = distinct_names(given_names + given_names)
    folded = {name.casefold() for name in found}
    assert len(folded) == len(found) == 2 * len(given_names)
    assert all(len(os.fsencode(name)) <= LONGEST_NAME for name in found)


def test_the_number_stands_before_the_suffix():
    assert distinct_names(["a.jpg", "A.JPG", "a.jpg", "a (2).jpg"]) == [
        "a.jpg",
        "A (2).JPG",
        "a (3).jpg",
        "a (2) (2).jpg",
    ]


def test_one_name_in_two_unicode_forms_is_one_name():
    composed, decomposed = "\u00e9.jpg", "e\u0301.jpg"
    assert distinct_names([composed, decomposed]) == [composed, "e\u0301 (2).jpg"]


def test_a_long_name_loses_from_its_stem():
    long = "x" * 251 + ".jpg"
    assert distinct_names([long, long])[1] == "x" * 247 + " (2).jpg"


def test_a_tree_has_clusters_in_order_then_outliers(tmp_path):
    images = [ImageRef(Path("src") / name, name) for name in ("a/1.png", "b/1.png", "2.png")]
    plan = plan_tree(tmp_path, PurePosixPath("result"), images, np.array([0, 0, -1]))
    assert [(move.source.as_posix(), str(move.target)) for move in plan.operations] == [
        ("src/a/1.png", "result/cluster_0/1.png"),
        ("src/b/1.png", "result/cluster_0/1 (2).png"),
        ("src/2.png", "result/outliers/2.png"),
    ]

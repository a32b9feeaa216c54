"""Folder names of classes: safe on every system, unique, and stable."""

from __future__ import annotations

import re

from hypothesis import given, strategies as st

from icas.dataset.classes import dataset_classes, safe_folder
from icas.io.files import folded

names = st.lists(st.text(st.characters(), min_size=1, max_size=120), min_size=1, max_size=8)


@given(names)
def test_folders_are_safe_and_unique(found):
    classes = dataset_classes(found)
    assert set(classes) == set(found)
    folders = [one.folder for one in classes.values()]
    assert folders == sorted(folders)
    assert [one.number for one in classes.values()] == list(range(len(folders)))
    assert len({folded(folder) for folder in folders}) == len(folders)
    for folder in folders:
        assert 0 < len(folder.encode()) <= 100
        assert not re.search(r'[<>:"/\\|?*\x00-\x1f]', folder)
        assert folder[0] not in ". "
        assert folder[-1] not in ". "
    assert dataset_classes(reversed(found)) == classes


def test_plain_names_are_kept():
    for name in ("cat", "Großer Hund", "猫", "a b", "v1.0", "train"):
        assert safe_folder(name) == name


def test_names_that_systems_refuse_are_changed():
    changed = {
        "a/b": "a_b", "..": "_", ".hidden": "_hidden", "CON": "CON_", "nul.txt": "nul_.txt",
        "cat.": "cat", " cat ": "cat", "a\nb": "a_b", "C:": "C_", "com1": "com1_",
    }  # fmt: skip
    assert {name: safe_folder(name) for name in changed} == changed


def test_colliding_names_get_folders_of_their_own():
    classes = dataset_classes(["Cat", "cat", "caf\u00e9", "cafe\u0301", "a/b", "a_b"])
    assert {name: one.folder for name, one in classes.items()} == {
        "Cat": "Cat", "cat": "cat_2", "caf\u00e9": "caf\u00e9", "cafe\u0301": "caf\u00e9_2",
        "a_b": "a_b", "a/b": "a_b_2",
    }  # fmt: skip

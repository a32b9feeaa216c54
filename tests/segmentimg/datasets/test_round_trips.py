"""Random paintings through every format and back: classes, objects and pixels are the same."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from making import contents, paint
from scipy.ndimage import gaussian_filter

import icas

FORMATS = ["coco", "yolo", "voc", "labelme"]
NAMES = ["cat", "dog's", 'a "b"', "x: y # z", "Ünïcode 犬", "- [1, 2]", "null", "<&>", "a,b;c"]
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@st.composite
def documents(draw):
    """Images with up to four objects each."""
    images = {}
    for number in range(draw(st.integers(1, 2))):
        size = draw(st.integers(1, 24)), draw(st.integers(1, 24))
        owner = draw(arrays.arrays(np.int8, size, elements=st.integers(-3, 4)))
        names = draw(st.lists(st.sampled_from(NAMES), min_size=4, max_size=4))
        masks = [(name, owner == place) for place, name in enumerate(names, start=1)]
        objects = [(name, mask, None) for name, mask in masks if mask.any()]
        images[f"img {number}.png"] = size, objects
    return images


def check(images, name, polygons=False):
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        out = paint(photos, images)
        exported = icas.export_instances(out, Path(folder, "set"), name, polygons=polygons)
        assert exported.left_out == []
        read = icas.import_instances(Path(folder, "set"), photos, name, out=Path(folder, "again"))
        assert read.left_out == read.notes == []
        assert read.overlapping == 0
        before, after = contents(photos), contents(photos, Path(folder, "again"))
        assert {k: set(v) for k, v in before.items()} == {k: set(v) for k, v in after.items()}
        assert exported.objects == read.objects == sum(map(len, before.values()))


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=10, **QUIET)
@given(images=documents())
def test_a_painting_comes_back(images, name):
    check(images, name)


@settings(max_examples=10, **QUIET)
@given(images=documents())
def test_a_painting_comes_back_from_polygons_of_coco(images):
    check(images, "coco", polygons=True)


@pytest.mark.parametrize("seed", range(3))
def test_polygons_of_labelme_keep_the_area(tmp_path, seed):
    size = (240, 320)
    noise = np.random.default_rng(seed).standard_normal(size)
    blobs = gaussian_filter(noise, 12) > 0.01
    out = paint(tmp_path / "photos", {"a.png": (size, [("blob", blobs, None)])})
    icas.export_instances(out, tmp_path / "set", "labelme", polygons=True)
    icas.import_instances(tmp_path / "set", tmp_path / "photos", out=tmp_path / "again")
    ((_, pixels),) = contents(tmp_path / "photos", tmp_path / "again")["a.png"]
    read = np.frombuffer(pixels, bool).reshape(size)
    assert (read != blobs).sum() <= 0.01 * blobs.sum()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "polygons"), [*((name, False) for name in FORMATS), ("coco", True)]
)
@settings(max_examples=500, **QUIET)
@given(images=documents())
def test_500_paintings_come_back(images, name, polygons):
    check(images, name, polygons)


@pytest.mark.parametrize("name", ["coco", "labelme"])
def test_entries_of_annotations_are_kept(tmp_path, name):
    mask = np.ones((4, 4), bool)
    extras = {"description": "left", "flags": {"checked": True}, "group_id": 7}
    if name == "coco":
        extras |= {"score": 0.25, "crowd": True}
    out = paint(tmp_path / "photos", {"a.png": ((4, 4), [("cat", mask, extras)])})
    icas.export_instances(out, tmp_path / "set", name)
    icas.import_instances(tmp_path / "set", tmp_path / "photos", out=tmp_path / "again")
    assert contents(tmp_path / "photos", tmp_path / "again") == contents(tmp_path / "photos")

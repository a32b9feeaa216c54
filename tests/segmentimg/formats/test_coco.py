"""COCO: run lengths against a plain loop and pycocotools; ids that stay; foreign files."""

from __future__ import annotations

import importlib.util
import json
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from icas import ConflictError, UsageError
from icas.segmentimg.document.palette import PaintClass, Painting, Palette
from icas.segmentimg.formats.coco import coco_bytes, decode_rle, encode_rle, read_coco

CLASSES = Palette([PaintClass("car", (204, 0, 0)), PaintClass("tree", (0, 102, 0))])
masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))
with_pycocotools = pytest.mark.skipif(
    importlib.util.find_spec("pycocotools") is None, reason="needs pycocotools"
)


def plain_runs(mask):
    """Run lengths by a loop down the columns."""
    values = [
        bool(mask[row, column]) for column in range(mask.shape[1]) for row in range(len(mask))
    ]
    runs = [(value, len(list(group))) for value, group in groupby(values)]
    return ([0] if runs[0][0] else []) + [length for _, length in runs]


def letters(counts):
    """COCO's compressed code of run lengths, as its description says."""
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + bits + (32 if more else 0))
    return text


def reported(path):
    return json.loads(path.read_text())


def update(path, file_name, painting):
    path.write_bytes(coco_bytes(path, file_name, painting))


def painting(*rows):
    return Painting(np.array(rows), CLASSES)


@given(masks)
@settings(max_examples=200, deadline=None)
def test_run_lengths_are_those_of_a_plain_loop_and_come_back(mask):
    rle = encode_rle(mask)
    assert rle == {"size": list(mask.shape), "counts": plain_runs(mask)}
    assert (decode_rle(rle) == mask).all()
    assert (decode_rle({**rle, "counts": letters(rle["counts"])}) == mask).all()


@given(masks, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_run_lengths_of_a_part_are_those_of_the_whole_image(mask, top, left, more):
    size = (mask.shape[0] + top + more, mask.shape[1] + left + more)
    whole = np.zeros(size, bool)
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    assert encode_rle(mask, (top, left), size) == encode_rle(whole)


@with_pycocotools
@given(masks)
@settings(max_examples=100, deadline=None)
def test_pycocotools_reads_and_writes_the_same(mask):
    from pycocotools import mask as coder

    packed = coder.frPyObjects(encode_rle(mask), *mask.shape)
    assert (coder.decode(packed) == mask).all()
    packed = coder.encode(np.asfortranarray(mask, dtype=np.uint8))
    plain = {"size": packed["size"], "counts": packed["counts"].decode()}
    assert (decode_rle(plain) == mask).all()
    assert plain["counts"] == letters(plain_runs(mask))


def test_large_runs_come_back_compressed():
    mask = np.zeros((3000, 40), bool)
    mask[:, 17:39] = True
    counts = encode_rle(mask)["counts"]
    assert counts == [51_000, 66_000, 3_000]
    assert (decode_rle({"size": [3000, 40], "counts": letters(counts)}) == mask).all()


def test_runs_that_do_not_fill_the_size_are_refused():
    with pytest.raises(UsageError, match="do not sum to 2x3"):
        decode_rle({"size": [3, 2], "counts": [1, 2]})


def test_an_annotation_a_class_with_area_and_box(tmp_path):
    path = tmp_path / "coco.json"
    update(path, "a.jpg", painting([0, 2, 2, 0], [0, 0, 2, 0], [1, 0, 0, 0]))
    data = reported(path)
    assert data["images"] == [{"id": 1, "file_name": "a.jpg", "width": 4, "height": 3}]
    assert [(one["id"], one["name"]) for one in data["categories"]] == [(1, "car"), (2, "tree")]
    assert data["annotations"] == [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "segmentation": {"size": [3, 4], "counts": letters([2, 1, 9])},
            "area": 1,
            "bbox": [0, 2, 1, 1],
            "iscrowd": 0,
        },
        {
            "id": 2,
            "image_id": 1,
            "category_id": 2,
            "segmentation": {"size": [3, 4], "counts": letters([3, 1, 2, 2, 4])},
            "area": 3,
            "bbox": [1, 0, 2, 2],
            "iscrowd": 0,
        },
    ]


def test_another_save_replaces_one_picture_and_keeps_all_ids(tmp_path):
    path = tmp_path / "coco.json"
    update(path, "a.jpg", painting([1, 2]))
    update(path, "b.jpg", painting([2, 0]))
    before = reported(path)
    update(path, "a.jpg", painting([0, 2]))
    after = reported(path)
    assert after["images"] == before["images"]
    assert after["categories"] == before["categories"]
    kept = [one for one in after["annotations"] if one["image_id"] == 2]
    assert kept == [one for one in before["annotations"] if one["image_id"] == 2]
    assert [(one["id"], one["area"]) for one in after["annotations"] if one["image_id"] == 1] == [
        (2, 1)
    ]
    update(path, "a.jpg", painting([1, 2]))
    ids = [one["id"] for one in reported(path)["annotations"]]
    assert len(ids) == len(set(ids)) == 3


def test_an_annotation_an_object_and_the_numbers_come_back(tmp_path):
    path = tmp_path / "coco.json"
    one = Painting(np.array([[1, 1, 2, 1]]), CLASSES, np.array([[1, 2, 5, 2]]))
    update(path, "a.jpg", one)
    found = [(entry["category_id"], entry["object"]) for entry in reported(path)["annotations"]]
    assert found == [(1, 1), (1, 2), (2, 5)]
    assert read_coco(path, "a.jpg", CLASSES).instance_map.tolist() == [[1, 2, 5, 2]]
    ids = {entry["object"]: entry["id"] for entry in reported(path)["annotations"]}
    update(path, "a.jpg", Painting(np.array([[0, 1, 2, 1]]), CLASSES, one.instance_map))
    assert {entry["object"]: entry["id"] for entry in reported(path)["annotations"]} == {
        number: ids[number] for number in (2, 5)
    }


def test_a_category_keeps_its_id_when_the_numbers_of_classes_change(tmp_path):
    path = tmp_path / "coco.json"
    update(path, "a.jpg", painting([1, 2]))
    turned = Palette([CLASSES[1], PaintClass("sky", (0, 153, 255)), CLASSES[0]])
    update(path, "b.jpg", Painting(np.array([[1, 2, 3]]), turned))
    data = reported(path)
    assert {one["name"]: one["id"] for one in data["categories"]} == {
        "car": 1,
        "tree": 2,
        "sky": 3,
    }
    found = {one["category_id"] for one in data["annotations"] if one["image_id"] == 2}
    assert found == {1, 2, 3}
    assert read_coco(path, "b.jpg", turned).class_map.tolist() == [[1, 2, 3]]


@given(
    hnp.arrays(
        np.int16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 2)
    )
)
@settings(max_examples=60, deadline=None)
def test_a_painting_comes_back(tmp_path_factory, class_map):
    path = tmp_path_factory.mktemp("coco") / "coco.json"
    update(path, "a.jpg", Painting(class_map, CLASSES))
    update(path, "b.jpg", painting([1]))
    found = read_coco(path, "a.jpg", Palette())
    colors = [(0, 0, 0), *(one.color for one in CLASSES)]
    back = [(0, 0, 0), *(one.color for one in found.classes)]
    assert found.class_map.shape == class_map.shape
    assert [back[n] for n in found.class_map.flat] == [colors[n] for n in class_map.flat]
    assert read_coco(path, "c.jpg", Palette()) is None


@pytest.mark.parametrize(
    "content",
    [
        '{"images": [], "annotations": [], "categories": []}',
        '{"info": {"description": "mine"}, "images": []}',
        '{"info": {"icas": "0"}, "images": {}, "annotations": [], "categories": []}',
        '{"info": {"icas": "0"}, "images": [{"na',
        "[]",
        "",
    ],
)
def test_a_file_that_is_not_ours_or_broken_is_left_as_it_is(tmp_path, content):
    path = tmp_path / "coco.json"
    path.write_text(content)
    with pytest.raises(ConflictError, match=r"coco\.json"):
        update(path, "a.jpg", painting([1]))
    assert path.read_text() == content


def test_a_damaged_annotation_is_reported_when_read(tmp_path):
    path = tmp_path / "coco.json"
    update(path, "a.jpg", painting([1, 2]))
    data = reported(path)
    data["annotations"][0]["segmentation"] = {"size": [1, 2], "counts": [7]}
    path.write_text(json.dumps(data))
    with pytest.raises(ConflictError, match=r"a\.jpg"):
        read_coco(path, "a.jpg", CLASSES)


@with_pycocotools
def test_pycocotools_opens_the_file(tmp_path):
    from pycocotools.coco import COCO

    class_map = np.random.default_rng(0).integers(0, 3, (20, 30))
    update(tmp_path / "coco.json", "a.jpg", Painting(class_map, CLASSES))
    coco = COCO(str(tmp_path / "coco.json"))
    for one in coco.loadAnns(coco.getAnnIds(imgIds=[1])):
        mask = coco.annToMask(one).astype(bool)
        assert (mask == (class_map == one["category_id"])).all()
        assert mask.sum() == one["area"]

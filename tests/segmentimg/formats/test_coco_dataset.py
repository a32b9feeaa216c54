"""COCO files of other programs: pixels as pycocotools, categories, names, what is left out."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from icas import UsageError
from icas.segmentimg.document.palette import PaintClass, Palette, default_palette
from icas.segmentimg.formats.coco import encode_rle
from icas.segmentimg.formats.coco_dataset import read_dataset
from icas.segmentimg.formats.inputs import ImageFile
from icas.segmentimg.formats.load import load_painting
from icas.segmentimg.formats.polygons import polygon_mask

SIZE = (40, 60)
CLASSES = Palette([PaintClass("car", (204, 0, 0))])
BOX = [[10, 5, 30, 5, 30, 20, 10, 20]]


def annotation(segmentation=BOX, category=3, image=7, **more):
    return {
        "id": 1,
        "image_id": image,
        "category_id": category,
        "segmentation": segmentation,
        "iscrowd": 0,
        **more,
    }


def dataset(folder, annotations, **more):
    content = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 60, "height": 40}],
        "categories": [{"id": 3, "name": "cup"}, {"id": 9, "name": "car"}],
        "annotations": annotations,
        **more,
    }
    path = folder / "coco.json"
    path.write_text(json.dumps(content))
    os.utime(path, ns=(1, hash(path.read_text()) % 10**15))
    return path


def read(folder, annotations, name="a.jpg", **more):
    found = read_dataset(dataset(folder, annotations, **more))
    return found.painting(folder / name, SIZE, CLASSES)


def mask_of(result, name):
    numbers = {entry.name: number for number, entry in enumerate(result.painting.classes, 1)}
    return result.painting.class_map == numbers[name]


def letters(rle):
    coder = pytest.importorskip("pycocotools.mask")
    packed = coder.frPyObjects(rle, *rle["size"])
    return {"size": rle["size"], "counts": packed["counts"].decode()}


def test_polygons_are_those_of_pycocotools():
    coder = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for turn in range(500):
        height, width = map(int, rng.integers(1, 50, 2))
        corners = rng.uniform(-20, 70, 2 * int(rng.integers(3, 12)))
        corners = np.round(corners * 2) / 2 if turn % 3 == 0 else corners
        packed = coder.frPyObjects([corners.tolist()], height, width)
        expected = coder.decode(packed)[..., 0] > 0
        assert (polygon_mask(corners.tolist(), (height, width)) == expected).all()


def test_polygons_on_whole_pixels_are_half_open():
    expected = np.zeros(SIZE, bool)
    expected[5:20, 10:30] = True
    assert (polygon_mask(BOX[0], SIZE) == expected).all()


def test_a_polygon_that_returns_along_its_way_has_a_hole(tmp_path):
    outer = [5, 5, 35, 5, 35, 35, 5, 35, 5, 5]
    inner = [15, 15, 15, 25, 25, 25, 25, 15, 15, 15]
    expected = np.zeros(SIZE, bool)
    expected[5:35, 5:35] = True
    expected[15:25, 15:25] = False
    found = mask_of(read(tmp_path, [annotation([[*outer, *inner]])]), "cup")
    assert (found == expected).mean() > 0.99


def test_several_polygons_are_one_object(tmp_path):
    found = mask_of(read(tmp_path, [annotation([*BOX, [40, 5, 50, 5, 50, 20]])]), "cup")
    expected = polygon_mask(BOX[0], SIZE) | polygon_mask([40, 5, 50, 5, 50, 20], SIZE)
    assert (found == expected).all()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("crowd", [0, 1])
def test_run_lengths(tmp_path, packed, crowd):
    mask = np.random.default_rng(0).integers(0, 2, SIZE) > 0
    rle = encode_rle(mask)
    result = read(tmp_path, [annotation(letters(rle) if packed else rle, iscrowd=crowd)])
    assert (mask_of(result, "cup") == mask).all()
    assert result.left_out == []


def test_objects_are_painted_over_crowds(tmp_path):
    everything = encode_rle(np.ones(SIZE, bool))
    result = read(tmp_path, [annotation(), annotation(everything, 9, iscrowd=1)])
    assert (mask_of(result, "cup") == polygon_mask(BOX[0], SIZE)).all()
    assert mask_of(result, "car").sum() + mask_of(result, "cup").sum() == 40 * 60


def test_all_categories_become_classes_by_name(tmp_path):
    result = read(tmp_path, [annotation()])
    assert [entry.name for entry in result.painting.classes] == ["car", "cup"]
    assert result.painting.classes[1].color == default_palette()[1].color


@pytest.mark.parametrize("categories", [[], None, [{"id": 3}], [{"name": "cup"}], 7])
def test_a_missing_category_gets_a_name(tmp_path, categories):
    result = read(tmp_path, [annotation()], categories=categories)
    assert mask_of(result, "category 3").sum() == 300


@pytest.mark.parametrize("name", ["a.jpg", "train\\a.jpg", "images/a.jpg", "./a.jpg"])
def test_images_are_found_by_their_name(tmp_path, name):
    result = read(tmp_path, [annotation()], images=[{"id": 7, "file_name": name}])
    assert mask_of(result, "cup").sum() == 300


def test_equal_names_are_told_apart_by_their_folders(tmp_path):
    images = [{"id": 1, "file_name": "x/a.jpg"}, {"id": 7, "file_name": "y/a.jpg"}]
    assert read(tmp_path, [annotation()], "y/a.jpg", images=images).painting.painted() == {2: 300}
    assert read(tmp_path, [annotation()], "x/a.jpg", images=images).painting.painted() == {}
    with pytest.raises(UsageError, match=r"several images named a\.jpg"):
        read(tmp_path, [annotation()], images=images)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (annotation([]), "no segmentation"),
        (annotation(None), "no segmentation"),
        (annotation([[1, 2, 3, 4]]), "fewer than 3 points"),
        (annotation([[1, 2, 3, 4, 5, 6, 7]]), "odd number of coordinates"),
        (annotation([[-9, -9, -5, -9, -5, -5]]), "no pixels in the image"),
        (annotation([[1, 2, 3, 4, 5, 1e9]]), "far outside"),
        (annotation([["a", 2, 3, 4, 5, 6]]), "not numbers"),
        (annotation({"size": [3, 4], "counts": [12]}), "run lengths for 4x3 pixels"),
        (annotation({"size": [40, 60], "counts": [12]}), "do not sum"),
        (annotation({"size": [40, 60], "counts": "~~~"}), ""),
        (annotation({"size": [40, 60]}), "no 'counts'"),
        (annotation("text"), "unknown type"),
        ({"id": 1, "image_id": 7, "segmentation": BOX}, "no 'category_id'"),
    ],
)
def test_an_invalid_annotation_is_left_out_and_the_others_are_taken(tmp_path, one, words):
    result = read(tmp_path, [{**one, "id": 5}, annotation(category=9)])
    assert result.painting.painted() == {1: 300}
    (line,) = result.left_out
    assert line.startswith(f"{tmp_path / 'coco.json'}: annotation 5 of a.jpg left out: ")
    assert words in line


def test_the_usable_parts_of_an_annotation_are_taken(tmp_path):
    result = read(tmp_path, [annotation([[1, 2, 3, 4], *BOX, [1, 1, 2, 2]])])
    assert result.painting.painted() == {2: 300}
    path = tmp_path / "coco.json"
    reason = "polygon with fewer than 3 points"
    assert result.left_out == [f"{path}: annotation 1 (in part) of a.jpg left out: {reason}"]


def test_run_lengths_in_a_list(tmp_path):
    rle = {"size": [40, 60], "counts": [100, 50, 2250]}
    result = read(tmp_path, [annotation([rle])])
    assert (result.painting.painted(), result.left_out) == ({2: 50}, [])


@pytest.mark.parametrize("number", ["7", 7.0])
def test_ids_of_other_types(tmp_path, number):
    assert read(tmp_path, [annotation(image=number)]).painting.painted() == {2: 300}
    image = {"id": number, "file_name": "a.jpg", "width": 0, "height": 0}
    assert read(tmp_path, [annotation()], images=[image]).painting.painted() == {2: 300}


def test_the_case_of_a_name_matters_only_where_it_decides(tmp_path):
    images = [{"id": 7, "file_name": "A.JPG"}, {"id": 8, "file_name": "b.jpg"}]
    assert read(tmp_path, [annotation()], images=images).painting.painted() == {2: 300}
    images[1]["file_name"] = "a.jpg"
    assert read(tmp_path, [annotation()], images=images).painting.painted() == {}


def test_annotations_of_no_image_are_reported(tmp_path):
    result = read(tmp_path, [annotation(image=8)])
    assert "annotation 1 of no listed image" in result.left_out[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a COCO file"),
        ('{"images": []}', "not a COCO file"),
        ('{"images": {}, "annotations": []}', "not a COCO file"),
    ],
)
def test_other_files_are_refused(tmp_path, content, words):
    (tmp_path / "coco.json").write_text(content)
    with pytest.raises(UsageError, match=words):
        read_dataset(tmp_path / "coco.json")


def test_another_size_is_refused(tmp_path):
    images = [{"id": 7, "file_name": "a.jpg", "width": 61, "height": 40}]
    with pytest.raises(UsageError, match="61x40 pixels, the image is 60x40"):
        read(tmp_path, [annotation()], images=images)


@pytest.mark.parametrize("place", ["out", "."])
def test_a_dataset_beside_the_results_or_the_image_is_loaded(tmp_path, place):
    picture = ImageFile(tmp_path / "a.jpg", tmp_path / "out", "a")
    picture.out.mkdir()
    path = dataset(tmp_path / place, [annotation()])
    found = load_painting(picture, SIZE, CLASSES)
    assert found.files == [path]
    assert found.painting.painted() == {2: 300}
    other = ImageFile(tmp_path / "b.jpg", tmp_path / "out", "b")
    assert load_painting(other, SIZE, CLASSES).unlisted == (path,)

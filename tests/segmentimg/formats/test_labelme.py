"""labelme's files: masks come back exactly, outlines are scikit-image's; notes and errors."""

from __future__ import annotations

import base64
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from skimage import draw

from icas import UsageError
from icas.segmentimg.document.palette import PaintClass, Painting, Palette, default_palette
from icas.segmentimg.formats.labelme import is_labelme_of, labelme_bytes, read_labelme

CLASSES = Palette([PaintClass("car", (204, 0, 0)), PaintClass("tree", (0, 102, 0))])
class_maps = hnp.arrays(
    np.int16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 2)
)


def write(folder, shapes, size=(40, 60), **more):
    path = folder / "a.json"
    reported = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": "a.jpg"}
    height, width = size
    path.write_text(json.dumps({**reported, "imageHeight": height, "imageWidth": width, **more}))
    return path


def shape(kind, points, label="car", **more):
    return {"label": label, "points": points, "shape_type": kind, "flags": {}, **more}


def drawn(folder, kind, points, size=(40, 60)):
    painting, notes = read_labelme(write(folder, [shape(kind, points)], size), size, CLASSES)
    assert notes == []
    return painting.class_map == 1


def away(start, end, size=(40, 60)):
    """Distance of each pixel from a line between two points."""
    row, column = np.mgrid[: size[0], : size[1]]
    (x0, y0), (x1, y1) = start, end
    along = ((column - x0) * (x1 - x0) + (row - y0) * (y1 - y0)) / math.dist(start, end) ** 2
    along = np.clip(along, 0, 1)
    return np.hypot(column - x0 - along * (x1 - x0), row - y0 - along * (y1 - y0))


@given(class_maps)
@settings(max_examples=120, deadline=None)
def test_masks_come_back_exactly(tmp_path_factory, class_map):
    path = tmp_path_factory.mktemp("labelme") / "a.json"
    path.write_bytes(labelme_bytes(Painting(class_map, CLASSES), "../a.jpg"))
    found, notes = read_labelme(path, class_map.shape, CLASSES)
    assert (found.class_map == class_map).all()
    assert found.classes == CLASSES
    assert notes == []


def test_the_file_is_as_labelme_writes_it():
    class_map = np.zeros((7, 9), int)
    class_map[2:5, 3:8] = 2
    class_map[3, 4] = 0
    reported = json.loads(labelme_bytes(Painting(class_map, CLASSES), "../yard/a.jpg"))
    assert {key: reported[key] for key in ("flags", "imagePath", "imageData")} == {
        "flags": {},
        "imagePath": "../yard/a.jpg",
        "imageData": None,
    }
    assert (reported["imageHeight"], reported["imageWidth"]) == (7, 9)
    (one,) = reported["shapes"]
    assert (one["label"], one["shape_type"], one["group_id"]) == ("tree", "mask", None)
    assert one["points"] == [[3, 2], [7, 4]]
    crop = np.asarray(Image.open(io.BytesIO(base64.b64decode(one["mask"]))))
    assert (crop.astype(bool) == (class_map[2:5, 3:8] == 2)).all()


@pytest.mark.parametrize(
    "points",
    [
        [[5, 5], [50, 8], [40, 35], [12, 30]],
        [[5.5, 5.2], [50.7, 8.1], [20.2, 20.9], [40.4, 35.3]],
        [[-20, -20], [80, 10], [30, 70]],
    ],
)
def test_polygons_are_those_of_scikit_image_but_for_the_border(tmp_path, points):
    rows, columns = [y for _, y in points], [x for x, _ in points]
    expected = np.zeros((40, 60), bool)
    expected[draw.polygon(rows, columns, (40, 60))] = True
    sides = zip(points, [*points[1:], points[0]], strict=True)
    border = np.min([away(*side) for side in sides], axis=0) <= 1
    differ = drawn(tmp_path, "polygon", points) != expected
    assert not (differ & ~border).any()


@pytest.mark.parametrize("corners", [[[10, 5], [30, 25]], [[30, 25], [10, 5]], [[30, 5], [10, 25]]])
def test_rectangles_hold_both_corners_in_any_order(tmp_path, corners):
    expected = np.zeros((40, 60), bool)
    expected[5:26, 10:31] = True
    assert (drawn(tmp_path, "rectangle", corners) == expected).all()


def test_an_oriented_rectangle_is_its_four_corners(tmp_path):
    corners = [[30, 5], [45, 20], [30, 35], [15, 20]]
    found = drawn(tmp_path, "oriented_rectangle", corners)
    assert (found == drawn(tmp_path, "polygon", corners)).all()


def test_circles_are_a_centre_and_a_point_on_it(tmp_path):
    row, column = np.mgrid[:40, :60]
    distance = np.hypot(row - 20, column - 30)
    found = drawn(tmp_path, "circle", [[30, 20], [36, 28]])
    assert found[distance <= 9.5].all()
    assert not found[distance >= 11].any()


def test_what_has_no_area_is_reported(tmp_path):
    shapes = [
        shape("line", [[0, 0], [9, 9]]),
        shape("point", [[3, 3]], "tree"),
        shape("linestrip", [[0, 0], [9, 9], [3, 4]]),
        shape("rectangle", [[0, 0], [3, 3]], "tree"),
    ]
    painting, notes = read_labelme(write(tmp_path, shapes), (40, 60), CLASSES)
    assert len(notes) == 3
    assert all(word in notes[1] for word in ("a.json", "shape 2", "point", "'tree'"))
    assert painting.painted() == {2: 16}


def test_labels_go_by_name_and_new_ones_get_the_next_free_colour(tmp_path):
    box = [[0, 0], [3, 3]]
    labels = ["dog", "tree", "cat", "dog"]
    shapes = [
        shape("rectangle", [[x + 5 * number, y] for x, y in box], label)
        for number, label in enumerate(labels)
    ]
    painting, _ = read_labelme(write(tmp_path, shapes), (40, 60), CLASSES)
    ours = [one.color for one in default_palette()]
    assert [one.name for one in painting.classes] == ["car", "tree", "dog", "cat"]
    assert [one.color for one in painting.classes[2:]] == ours[1:3]
    assert painting.class_map[0, ::5][:4].tolist() == [3, 2, 4, 3]


def test_the_later_shape_wins(tmp_path):
    shapes = [shape("rectangle", [[0, 0], [9, 9]]), shape("rectangle", [[5, 0], [9, 9]], "tree")]
    painting, _ = read_labelme(write(tmp_path, shapes), (40, 60), CLASSES)
    assert painting.painted() == {1: 50, 2: 50}


def test_more_labels_than_colours_are_reported(tmp_path):
    shapes = [shape("rectangle", [[0, 0], [3, 3]], f"label {number}") for number in range(25)]
    with pytest.raises(UsageError, match="more labels than the default palette has colours"):
        read_labelme(write(tmp_path, shapes), (40, 60))


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (shape("polygon", [[0, 0], [1, 1]]), "polygon with 2 points"),
        (shape("rectangle", [[0, 0]]), "rectangle with 1 points"),
        (shape("spiral", [[0, 0]]), "spiral"),
        (shape("polygon", [[0, 0], [1, math.nan], [2, 2]]), "far outside"),
        (shape("polygon", [[0, 0], [1, 1e30], [2, 2]]), "far outside"),
        (shape("polygon", None), "shape 2"),
        (shape("polygon", [[0, 0, 0]]), "shape 2"),
        (shape("rectangle", [[0, 0], [1, 1]], None), "label None is not text"),
        (shape("rectangle", [[0, 0], [1, 1]], ""), "class name"),
        (shape("mask", [[0, 0], [1, 1]]), "no 'mask'"),
        (shape("mask", [[0, 0], [1, 1]], mask="%%%"), "mask is damaged"),
        ({"points": []}, "no 'label'"),
        ("nonsense", "shape 2"),
    ],
)
def test_a_wrong_shape_is_reported_with_its_number(tmp_path, one, words):
    path = write(tmp_path, [shape("rectangle", [[0, 0], [1, 1]]), one])
    with pytest.raises(UsageError, match=words) as reported:
        read_labelme(path, (40, 60), CLASSES)
    assert f"{path}: shape 2" in str(reported.value)
    assert "\n" not in str(reported.value)


def test_a_mask_beyond_the_picture_is_reported(tmp_path):
    reported = json.loads(labelme_bytes(Painting(np.ones((4, 4), int), CLASSES), "a.jpg"))
    reported["shapes"][0]["points"] = [[58, 38], [61, 41]]
    with pytest.raises(UsageError, match="beyond the image"):
        read_labelme(write(tmp_path, reported["shapes"]), (40, 60), CLASSES)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"shapes": [', "not valid JSON"),
        ("[]", "not a labelme file"),
        ('{"shapes": [], "imagePath": "a", "imageHeight": 40, "imageWidth": 61}', "61x40"),
    ],
)
def test_a_wrong_file_is_reported(tmp_path, content, words):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UsageError, match=words):
        read_labelme(tmp_path / "a.json", (40, 60))


def test_a_file_without_a_size_is_taken(tmp_path):
    path = write(tmp_path, [shape("rectangle", [[0, 0], [3, 3]])], imageHeight=None)
    assert read_labelme(path, (40, 60), CLASSES)[0].painted() == {1: 16}


def test_a_namesake_s_file_is_not_a_pictures_own(tmp_path):
    for name in ("a.jpg", "a.png"):
        (tmp_path / name).touch()
    path = write(tmp_path, [], imagePath="..\\yard\\a.jpg")
    assert is_labelme_of(path, tmp_path / "a.jpg")
    assert not is_labelme_of(path, tmp_path / "a.png")
    (tmp_path / "a.jpg").unlink()
    assert is_labelme_of(path, tmp_path / "a.png")
    path.write_text('{"made by": "another program"}')
    assert not is_labelme_of(path, tmp_path / "a.png")
    path.write_text('{"shapes": [], "imagePath": "a.p')
    assert is_labelme_of(path, tmp_path / "a.png")

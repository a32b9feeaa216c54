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
from PIL import Image, ImageDraw
from skimage import draw

from icas import UsageError
from icas.segmentimg.document.palette import PaintClass, Painting, Palette, default_palette
from icas.segmentimg.formats.labelme import (
    is_labelme_of,
    labelme_bytes,
    read_labelme,
    read_shapes,
)

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
    painting, *lines = read_labelme(write(folder, [shape(kind, points)], size), size, CLASSES)
    assert lines == [[], []]
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
    found, *lines = read_labelme(path, class_map.shape, CLASSES)
    assert (found.class_map == class_map).all()
    assert found.classes == CLASSES
    assert lines == [[], []]


@given(class_maps, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_objects_come_back_as_groups(tmp_path_factory, class_map, seed):
    path = tmp_path_factory.mktemp("labelme") / "a.json"
    numbers = np.random.default_rng(seed).integers(1, 4, class_map.shape) * (class_map > 0)
    one = Painting(class_map, CLASSES, numbers)
    path.write_bytes(labelme_bytes(one, "../a.jpg"))
    found, *_ = read_labelme(path, class_map.shape, CLASSES)
    assert (found.class_map == class_map).all()
    assert (found.instance_map == numbers).all()
    again = labelme_bytes(one, "../a.jpg", read_shapes(path, class_map.shape))
    assert again == path.read_bytes()


def test_shapes_of_a_label_and_group_are_one_object(tmp_path):
    groups = [None, 4, 4, 0, 0, None, -1, 10**9]
    shapes = [
        shape("rectangle", [[6 * n, 0], [6 * n + 3, 3]], group_id=group)
        for n, group in enumerate(groups)
    ]
    shapes.append(shape("rectangle", [[0, 20], [3, 23]], "tree", group_id=4))
    path = write(tmp_path, shapes)
    painting = read_labelme(path, (40, 60), CLASSES).painting
    assert painting.instance_map[0, 0::6][:8].tolist() == [1, 4, 4, 2, 2, 3, 5, 6]
    assert painting.instance_map[20, 0] == 4
    data = json.loads(labelme_bytes(painting, "a.jpg", read_shapes(path, (40, 60))))
    kept = [(entry["label"], entry["group_id"]) for entry in data["shapes"]]
    assert kept.count(("car", 4)) == 2
    assert ("car", 0) in kept
    assert ("tree", 4) in kept
    path.write_text(json.dumps(data))
    again = read_labelme(path, (40, 60), CLASSES).painting
    assert (again.class_map == painting.class_map).all()
    assert len(np.unique(again.instance_map)) == len(np.unique(painting.instance_map))


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
    painting, notes, left_out = read_labelme(write(tmp_path, shapes), (40, 60), CLASSES)
    assert (len(notes), left_out) == (3, [])
    assert all(word in notes[1] for word in ("a.json", "shape 2", "point", "'tree'"))
    assert painting.painted() == {2: 16}


def test_labels_go_by_name_and_new_ones_get_the_next_free_colour(tmp_path):
    box = [[0, 0], [3, 3]]
    labels = ["dog", "tree", "cat", "dog"]
    shapes = [
        shape("rectangle", [[x + 5 * number, y] for x, y in box], label)
        for number, label in enumerate(labels)
    ]
    painting, *_ = read_labelme(write(tmp_path, shapes), (40, 60), CLASSES)
    ours = [one.color for one in default_palette()]
    assert [one.name for one in painting.classes] == ["car", "tree", "dog", "cat"]
    assert [one.color for one in painting.classes[2:]] == ours[1:3]
    assert painting.class_map[0, ::5][:4].tolist() == [3, 2, 4, 3]


def test_the_later_shape_wins(tmp_path):
    shapes = [shape("rectangle", [[0, 0], [9, 9]]), shape("rectangle", [[5, 0], [9, 9]], "tree")]
    painting, *_ = read_labelme(write(tmp_path, shapes), (40, 60), CLASSES)
    assert painting.painted() == {1: 50, 2: 50}


def test_more_labels_than_default_colors_get_distinct_ones(tmp_path):
    shapes = [
        shape("rectangle", [[number % 60, number // 60]] * 2, f"label {number}")
        for number in range(300)
    ]
    painting, *_ = read_labelme(write(tmp_path, shapes), (40, 60))
    colors = [entry.color for entry in painting.classes]
    assert len(colors) == len(set(colors)) == 300
    assert colors[:24] == [entry.color for entry in default_palette()]
    assert painting.class_map.ravel()[:300].tolist() == list(range(1, 301))


def mask_entry(mask, points, **more):
    data = io.BytesIO()
    Image.fromarray(np.asarray(mask, np.uint8)).save(data, "PNG")
    return shape("mask", points, mask=base64.b64encode(data.getvalue()).decode(), **more)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (shape("polygon", [[0, 0], [1, 1]]), "polygon with 2 points"),
        (shape("rectangle", [[0, 0]]), "rectangle with 1 point"),
        (shape("rectangle", [[0, 0], [1, 1], [2, 3]]), "rectangle with 3 points"),
        (shape("circle", [[0, 0], [1, 1], [2, 3]]), "circle with 3 points"),
        (shape("cuboid", [[0, 0], [1, 1], [2, 3]]), "cuboid with 3 points"),
        (shape("spiral", [[0, 0]]), "unknown type 'spiral'"),
        (shape("polygon", [[0, 0], [1, math.nan], [2, 2]]), "far outside"),
        (shape("polygon", [[0, 0], [1, 1e30], [2, 2]]), "far outside"),
        (shape("polygon", [[70, 0], [80, 1], [75, 9]]), "without pixels in the image"),
        (shape("polygon", None), "points are not pairs of numbers"),
        (shape("polygon", [[0]]), "points are not pairs of numbers"),
        (shape("polygon", [{"x": 1, "y": 2}]), "points are not pairs of numbers"),
        (shape("rectangle", [[0, 0], [1, 1]], None), "no label"),
        (shape("rectangle", [[0, 0], [1, 1]], ""), "label is blank"),
        (shape("rectangle", [[0, 0], [1, 1]], [1]), "not text"),
        (shape("mask", [[0, 0], [1, 1]]), "no mask"),
        (shape("mask", [[0, 0], [1, 1]], mask="%%%"), "mask is damaged"),
        (shape("mask", [[0, 0], [1, 1]], mask=7), "no mask"),
        (mask_entry([[1]], []), "mask without a position"),
        (mask_entry([[1, 1]], [[60, 3], [61, 3]]), "without pixels in the image"),
        (mask_entry(np.ones((200, 200)), [[0, 0], [199, 199]]), "larger than the image"),
        ({"points": []}, "no label"),
        ("nonsense", "not an object"),
        (None, "not an object"),
    ],
)
def test_an_invalid_shape_is_left_out_and_the_others_are_taken(tmp_path, one, words):
    box = shape("rectangle", [[0, 0], [1, 1]])
    path = write(tmp_path, [box, one, {**box, "label": "tree", "points": [[5, 5], [6, 6]]}])
    painting, notes, left_out = read_labelme(path, (40, 60), CLASSES)
    assert painting.painted() == {1: 4, 2: 4}
    assert notes == []
    (line,) = left_out
    assert line.startswith(f"{path}: shape 2 is left out: ")
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("label", "name"), [(7, "7"), (1.5, "1.5"), ("a\nb", "a b"), ("猫", "猫"), ("e\u0301", "é")]
)
def test_labels_become_one_line_of_text(tmp_path, label, name):
    path = write(tmp_path, [shape("rectangle", [[0, 0], [1, 1]], label)])
    painting, notes, left_out = read_labelme(path, (40, 60), CLASSES)
    assert painting.classes[-1].name == name
    assert (notes, left_out) == ([], [])


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "I;16"])
def test_masks_of_every_mode(tmp_path, mode):
    mask = np.arange(16).reshape(4, 4) % 3 > 0
    gray = Image.fromarray(mask.astype(np.uint8) * 255)
    image = Image.fromarray(np.asarray(gray).astype(np.uint16)) if mode == "I;16" else None
    data = io.BytesIO()
    (image or gray.convert(mode)).save(data, "PNG")
    text = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
    path = write(tmp_path, [shape("mask", [[10, 5], [13, 8]], mask=text)])
    painting, *lines = read_labelme(path, (40, 60), CLASSES)
    assert lines == [[], []]
    assert (painting.class_map[5:9, 10:14] == mask).all()
    assert painting.painted() == {1: mask.sum()}


def test_transparent_pixels_of_a_mask_are_not_painted(tmp_path):
    alpha = np.zeros((4, 4), np.uint8)
    alpha[1, 2] = 255
    pixels, data = np.full((4, 4, 4), 255, np.uint8), io.BytesIO()
    pixels[..., 3] = alpha
    Image.fromarray(pixels).save(data, "PNG")
    text = base64.b64encode(data.getvalue()).decode()
    path = write(tmp_path, [shape("mask", [[10, 5], [13, 8]], mask=text)])
    assert read_labelme(path, (40, 60), CLASSES).painting.painted() == {1: 1}


@pytest.mark.parametrize("corner", [(58, 38), (-2, -2), (-1, 39), (58, -2)])
def test_a_mask_over_the_border_is_clipped(tmp_path, corner):
    mask = np.arange(16).reshape(4, 4) % 3 > 0
    x, y = corner
    path = write(tmp_path, [mask_entry(mask, [[x, y], [x + 3, y + 3]])])
    painting, _, left_out = read_labelme(path, (40, 60), CLASSES)
    whole = np.zeros((80, 100), bool)
    whole[20 + y : 24 + y, 20 + x : 24 + x] = mask
    assert ((painting.class_map == 1) == whole[20:60, 20:80]).all()
    assert left_out == [f"{path}: shape 1 is clipped: the mask extends beyond the image"]


def test_a_mask_at_a_fraction_of_a_pixel_is_placed_as_labelme_does(tmp_path):
    path = write(tmp_path, [mask_entry(np.ones((4, 4)), [[10.7, 5.5], [13.7, 8.5]])])
    painting, *lines = read_labelme(path, (40, 60), CLASSES)
    assert painting.class_map[5:9, 10:14].all()
    assert painting.painted() == {1: 16}
    assert lines == [[], []]


# What labelme and X-AnyLabeling fill, drawn with Pillow.
SQUARE = [[20, 5], [45, 12], [38, 30], [13, 23]]


def filled(draw):
    canvas = Image.new("1", (60, 40))
    draw(ImageDraw.Draw(canvas))
    return np.asarray(canvas)


def ellipse_mask(centre, first, second):
    """Pixels within an ellipse given by its half axes."""
    y, x = np.mgrid[:40, :60].astype(float)
    offset = np.stack([x - centre[0], y - centre[1]])
    turned = np.linalg.solve(np.array([first, second], float).T, offset.reshape(2, -1))
    return (turned**2).sum(axis=0).reshape(40, 60)


@pytest.mark.parametrize(
    ("kind", "points", "draw"),
    [
        ("polygon", SQUARE[:3], lambda draw: draw.polygon([*map(tuple, SQUARE[:3])], 1, 1)),
        (None, SQUARE, lambda draw: draw.polygon([*map(tuple, SQUARE)], 1, 1)),
        ("Polygon", SQUARE, lambda draw: draw.polygon([*map(tuple, SQUARE)], 1, 1)),
        ("rectangle", [[5, 9], [20, 30]], lambda draw: draw.rectangle((5, 9, 20, 30), 1, 1)),
        ("rectangle", SQUARE, lambda draw: draw.polygon([*map(tuple, SQUARE)], 1, 1)),
        ("rotation", SQUARE, lambda draw: draw.polygon([*map(tuple, SQUARE)], 1, 1)),
        ("oriented_rectangle", SQUARE, lambda draw: draw.polygon([*map(tuple, SQUARE)], 1, 1)),
        ("quadrilateral", SQUARE, lambda draw: draw.polygon([*map(tuple, SQUARE)], 1, 1)),
        (
            "cuboid",
            [*SQUARE, [50, 5], [59, 5], [59, 30], [50, 30]],
            lambda draw: draw.polygon([*map(tuple, SQUARE)], 1, 1),
        ),
        ("circle", [[30, 20], [36, 28]], lambda draw: draw.ellipse((20, 10, 40, 30), 1, 1)),
        ("ellipse", [[10, 5], [40, 25]], lambda draw: draw.ellipse((10, 5, 40, 25), 1, 1)),
    ],
)
def test_shapes_are_filled_as_their_programs_do(tmp_path, kind, points, draw):
    assert (drawn(tmp_path, kind, points) == filled(draw)).all()


@pytest.mark.parametrize(
    ("points", "first", "second"),
    [
        ([[10, 20], [30, 5], [50, 20], [30, 35]], (20, 0), (0, 15)),
        ([[10, 5], [50, 5], [50, 35], [10, 35]], (20, 0), (0, 15)),
        ([[20, 10], [35, 15], [40, 30], [25, 25]], (10, 10), (5, -5)),
        ([[20, 10], [40, 30], [45, 25], [25, 5]], (10, 10), (-2.5, 2.5)),
    ],
)
def test_ellipses_of_four_points(tmp_path, points, first, second):
    found = drawn(tmp_path, "ellipse", points)
    distance = ellipse_mask(np.mean(points, axis=0), first, second)
    assert found[distance <= 0.7].all()
    assert not found[distance >= 2.0].any()


def test_groups_flags_and_descriptions_are_kept(tmp_path):
    extra = {"group_id": 4, "flags": {"occluded": True}, "description": "left", "score": 0.5}
    shapes = [
        shape("rectangle", [[0, 0], [9, 9]], **extra),
        shape("rectangle", [[20, 0], [29, 9]], group_id=0),
        shape("rectangle", [[40, 0], [49, 9]]),
        shape("rectangle", [[0, 20], [9, 29]], "tree", description="old"),
        shape("linestrip", [[0, 0], [9, 9]], "road", group_id=2),
    ]
    path = write(tmp_path, shapes, flags={"night": True})
    size = (40, 60)
    painting, *_ = read_labelme(path, size, CLASSES)
    grown = painting.class_map.copy()
    grown[30:34, 0:10] = 2  # more of the tree
    grown[5:10, 0:10] = 0
    again = Painting(grown, painting.classes)
    data = json.loads(labelme_bytes(again, "a.jpg", read_shapes(path, size)))
    assert data["flags"] == {"night": True}
    first, second, third, tree, line = data["shapes"]
    assert {key: first[key] for key in extra} == extra
    assert (second["group_id"], third["group_id"]) == (0, None)
    assert tree["description"] == "old"
    assert line == shapes[-1]
    path.write_text(json.dumps(data))
    found, notes, left_out = read_labelme(path, size, CLASSES)
    assert (found.class_map == grown).all()
    assert (len(notes), left_out) == (1, [])


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
    assert read_labelme(path, (40, 60), CLASSES).painting.painted() == {1: 16}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "gb18030", "cp932"])
def test_files_in_other_encodings(tmp_path, encoding):
    label = "カップ" if encoding == "cp932" else "杯子"
    path = write(tmp_path, [shape("rectangle", [[0, 0], [3, 3]], label)])
    text = json.dumps(json.loads(path.read_text()), ensure_ascii=False)
    path.write_bytes(text.encode(encoding))
    assert is_labelme_of(path, tmp_path / "a.jpg")
    assert read_labelme(path, (40, 60)).painting.classes[-1].name == label


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

"""Round trips through labelme itself, 6.3.1 or later: its writer, its reader and its masks."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from icas.segmentimg.commands.main import main
from icas.segmentimg.document.palette import PaintClass, Painting, Palette
from icas.segmentimg.formats.labelme import labelme_bytes, read_shapes

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
label_file = pytest.importorskip(
    "labelme._label_file", reason="labelme is not installed: pip install 'labelme>=6.3.1'"
)
utils = pytest.importorskip("labelme.utils", reason="labelme.utils cannot be imported")

SIZE = (40, 60)
CLASSES = Palette([PaintClass("car", (204, 0, 0)), PaintClass("tree", (0, 102, 0))])
VALUES = {"car": 1, "tree": 2}

coordinates = st.one_of(
    st.integers(-15, 75), st.floats(-15, 75, allow_nan=False).map(lambda value: round(value, 4))
)
points = st.tuples(coordinates, coordinates).map(list)
COUNTS = {"polygon": (3, 9), "rectangle": (2, 2), "oriented_rectangle": (4, 4), "circle": (2, 2)}


@st.composite
def drawn_shapes(draw):
    kind = draw(st.sampled_from(list(COUNTS)))
    least, most = COUNTS[kind]
    return {
        "label": draw(st.sampled_from(list(VALUES))),
        "points": draw(st.lists(points, min_size=least, max_size=most)),
        "shape_type": kind,
        "group_id": draw(st.none() | st.integers(0, 5)),
        "flags": draw(st.dictionaries(st.text(max_size=4), st.booleans(), max_size=2)),
        "description": draw(st.text(max_size=5)),
    }


@st.composite
def mask_shapes(draw):
    """A mask within the image, as labelme writes it."""
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    top, left = draw(st.integers(0, 40 - height)), draw(st.integers(0, 60 - width))
    bits = draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(bits).reshape(height, width)
    mask[0, 0] = True
    return {
        "label": draw(st.sampled_from(list(VALUES))),
        "points": [[left, top], [left + width - 1, top + height - 1]],
        "shape_type": "mask",
        "mask": utils.img_arr_to_b64(mask.astype(np.uint8)),
        "group_id": None,
        "flags": {},
        "description": "",
    }


def save(folder, shapes, **more):
    """A file that labelme has written, beside an image."""
    Image.new("RGB", SIZE[::-1], (90, 120, 30)).save(folder / "a.png")
    path = folder / "a.json"
    where = {"image_path": "a.png", "image_height": SIZE[0], "image_width": SIZE[1]}
    label_file.LabelFile().save(str(path), shapes=shapes, **where, **more)
    return path


def class_map_of_labelme(path):
    shapes = label_file.LabelFile(str(path)).shapes
    return utils.shapes_to_label(SIZE, shapes, VALUES)[0]


def own_class_map(path):
    found = read_shapes(path, SIZE)
    numbers = np.array([0, *(VALUES[name] for name in found.names)])
    return numbers[found.owner], found


@given(st.lists(drawn_shapes() | mask_shapes(), min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_shapes_have_the_pixels_that_labelme_gives_them(tmp_path_factory, shapes):
    path = save(tmp_path_factory.mktemp("labelme"), shapes)
    class_map, found = own_class_map(path)
    np.testing.assert_array_equal(class_map, class_map_of_labelme(path))
    empty = [
        shape
        for shape in shapes
        if shape["shape_type"] != "mask"
        and not utils.shape_to_mask(SIZE, shape["points"], shape["shape_type"]).any()
    ]
    assert len(found.left_out) == len(empty)  # outside the image: said
    assert found.notes == []


@given(st.lists(st.integers(0, 2), min_size=SIZE[0] * SIZE[1] // 100, max_size=24))
@settings(max_examples=60, deadline=None)
def test_labelme_reads_paintings(tmp_path_factory, cells):
    folder = tmp_path_factory.mktemp("painting")
    Image.new("RGB", SIZE[::-1]).save(folder / "a.png")
    class_map = np.resize(np.kron(np.array(cells), np.ones(7, int)), SIZE)
    (folder / "a.json").write_bytes(labelme_bytes(Painting(class_map, CLASSES), "a.png"))
    if class_map.any():
        np.testing.assert_array_equal(class_map_of_labelme(folder / "a.json"), class_map)
    else:
        assert label_file.LabelFile(str(folder / "a.json")).shapes == []


def test_a_file_of_labelme_comes_back_with_groups_flags_and_descriptions(tmp_path):
    square = [[2, 3], [20, 3], [20, 30], [2, 30]]
    one = {"label": "car", "points": square, "shape_type": "polygon", "group_id": 7}
    two = {**one, "label": "tree", "points": [[30, 5], [55, 35]], "shape_type": "rectangle"}
    line = {**one, "points": [[0, 0], [5, 5]], "shape_type": "line", "flags": {}}
    shapes = [
        {**one, "flags": {"occluded": True}, "description": "left"},
        {**two, "flags": {}, "description": "right", "score": 0.5},
        {**line, "description": "edge"},
    ]
    (tmp_path / "p").mkdir()
    path = save(tmp_path / "p", shapes, flags={"day": True}, other_data={"checked": True})
    before, out = class_map_of_labelme_without_lines(path), tmp_path / "out"
    assert main([str(tmp_path / "p"), "--no-gui", "--save", "labelme", "--out", str(out)]) == 0
    saved = label_file.LabelFile(str(out / "a_labelme.json"))
    assert [(one["label"], one["group_id"], one["description"]) for one in saved.shapes] == [
        ("car", 7, "left"),
        ("tree", 7, "right"),
        ("car", 7, "edge"),
    ]
    assert [one["flags"] for one in saved.shapes] == [{"occluded": True}, {}, {}]
    assert saved.shapes[1]["other_data"] == {"score": 0.5}
    assert (saved.flags, saved.other_data) == ({"day": True}, {"checked": True})
    after = class_map_of_labelme_without_lines(out / "a_labelme.json")
    np.testing.assert_array_equal(after, before)
    assert (out / "a_labelme.json").parent.joinpath(saved.image_path).is_file()


def class_map_of_labelme_without_lines(path):
    shapes = [one for one in label_file.LabelFile(str(path)).shapes if one["shape_type"] != "line"]
    return utils.shapes_to_label(SIZE, shapes, VALUES)[0]


def test_turned_photographs_and_embedded_pixels(tmp_path):
    """labelme stores sizes of the upright image, and may store the pixels."""
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", SIZE, (9, 90, 9)).save(tmp_path / "a.jpg", exif=exif)  # 40x60, upright 60x40
    pixels = label_file.read_image_file(str(tmp_path / "a.jpg"))
    square = {"label": "car", "points": [[2, 3], [20, 3], [20, 30]], "shape_type": "polygon"}
    label_file.write_label_file(
        str(tmp_path / "a.json"),
        shapes=[square],
        image_path="a.jpg",
        image_height=SIZE[0],
        image_width=SIZE[1],
        image_data=pixels,
    )
    out = tmp_path / "out"
    words = ["--no-gui", "--save", "labels,labelme", "--out", str(out)]
    assert main([str(tmp_path / "a.jpg"), *words]) == 0
    expected = utils.shape_to_mask(SIZE, square["points"], "polygon")
    with Image.open(out / "a_labels.png") as labels:
        np.testing.assert_array_equal(np.asarray(labels) > 0, expected)
    np.testing.assert_array_equal(class_map_of_labelme(out / "a_labelme.json") > 0, expected)
    assert json.loads((out / "a_labelme.json").read_bytes())["imageData"] is None

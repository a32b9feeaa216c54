"""Classes and colours: ours, from pictures, from texts; what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from icas import UsageError
from icas.segmentimg.document.palette import (
    PaintClass,
    Painting,
    Palette,
    class_of,
    default_palette,
    read_palette,
)

RED, BLUE = PaintClass("red", (204, 0, 0)), PaintClass("blue", (0, 0, 255))


def text_file(tmp_path, content):
    path = tmp_path / "classes.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def flat_picture(colors, side=40):
    """Squares of flat colours in rows of four."""
    rows = -(-len(colors) // 4)
    image = np.full((rows * side, 4 * side, 3), colors[-1], np.uint8)
    for number, color in enumerate(colors):
        row, column = divmod(number, 4)
        image[row * side : (row + 1) * side, column * side : (column + 1) * side] = color
    return image


def lab_of(colors):
    return rgb2lab(np.array(colors, float)[None] / 255)[0]


def test_each_of_our_colours_is_the_farthest_from_those_before():
    ours = [one.color for one in default_palette()]
    axis = range(0, 256, 51)
    grid = [(red, green, blue) for red in axis for green in axis for blue in axis]
    chosen = [(204, 0, 0), (0, 0, 0), (255, 255, 255)]
    lab = lab_of(grid)
    while len(chosen) < len(ours):
        apart = np.linalg.norm(lab[:, None] - lab_of(chosen)[None], axis=2).min(axis=1)
        chosen.append(grid[int(np.argmax(np.round(apart, 3)))])
    assert ours == [chosen[0], *chosen[3:], *chosen[1:3]]


def test_our_colours_are_easy_to_tell_apart():
    palette = default_palette()
    lab = lab_of([one.color for one in palette])
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2) + 1000 * np.eye(len(palette))
    assert len(palette) == 24
    assert apart.min() > 35
    assert palette[0] == RED
    assert {"black", "white"} <= {one.name for one in palette}


@pytest.mark.parametrize("color", [(256, 0, 0), (0, -1, 0), (0, 0), (0, 0, 0, 0)])
def test_a_colour_that_is_none_is_refused(color):
    with pytest.raises(UsageError, match="must be 0 to 255"):
        PaintClass("car", color)


@pytest.mark.parametrize("name", ["", "  ", "a\nb"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(UsageError, match="class name"):
        PaintClass(name, (0, 0, 0))


def test_numpy_colours_become_plain_ones():
    assert PaintClass("x", tuple(np.array([1, 2, 3], np.uint8))) == PaintClass("x", (1, 2, 3))


def test_a_palette_holds_no_colour_and_no_name_twice():
    with pytest.raises(UsageError, match="have the same colour #cc0000"):
        Palette([RED, PaintClass("car", RED.color)])
    with pytest.raises(UsageError, match="two classes have the name 'red'"):
        Palette([RED, PaintClass("red", (1, 2, 3))])


def test_joined_keeps_numbers_adds_new_colours_and_makes_names_differ():
    joined = Palette([RED]).joined([PaintClass("car", RED.color), PaintClass("red", (1, 2, 3))])
    assert joined == (RED, PaintClass("red (2)", (1, 2, 3)))
    assert joined.numbers() == {RED.color: 1, (1, 2, 3): 2}


def test_a_colour_without_a_name_gets_ours_or_its_number():
    assert class_of((204, 0, 0)) == RED
    assert class_of((1, 2, 255)).name == "#0102ff"


@pytest.mark.parametrize(
    ("class_map", "words"),
    [
        (np.array([[0, 3]]), "0 to 2, got 0 to 3"),
        (np.array([[-1, 0]]), "got -1 to 0"),
        (np.zeros((2, 2)), "float64"),
        (np.zeros((0, 2), int), "shape"),
        (np.zeros(4, int), "shape"),
    ],
)
def test_a_painting_is_checked_at_birth(class_map, words):
    with pytest.raises(UsageError, match=words):
        Painting(class_map, (RED, BLUE))


def test_painted_counts_pixels():
    assert Painting(np.array([[0, 2, 2]]), (RED, BLUE)).painted() == {2: 2}


def test_a_text_gives_a_class_a_line(tmp_path):
    content = "\ufeff# classes of the yard\r\n\r\n#\r\ncar,#CC0000\r\n house, big ,#0000ff\r\n"
    expected = (PaintClass("car", (204, 0, 0)), PaintClass("house, big", (0, 0, 255)))
    assert read_palette(text_file(tmp_path, content)) == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("car,#cc0000\ntree,#12345\n", "line 2: colour '#12345': expected #rrggbb"),
        ("car,#cc0000\ntree\n", "line 2: 'tree': expected name,#rrggbb"),
        (",#cc0000\n", "line 1: "),
        ("car,#cc0000\n\ncar,#0000ff\n", "line 3: name 'car' is already used in line 1"),
        ("car,#cc0000\ntree,#CC0000\n", "line 2: colour #cc0000 is already used in line 1"),
        ("# nothing\n\n", "has no classes"),
        ("", "has no classes"),
        ("car".encode("utf-16"), "line 1: 'car': expected name,#rrggbb"),
        (b"\xff\xfec\x00a\x00r", "neither an image nor a text file"),
    ],
)
def test_a_wrong_text_is_reported_with_file_and_line(tmp_path, content, words):
    path = text_file(tmp_path, content)
    with pytest.raises(UsageError, match=words) as reported:
        read_palette(path)
    assert str(path) in str(reported.value)
    assert "\n" not in str(reported.value)


def test_a_missing_palette_is_reported(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_palette(tmp_path / "nothing.png")


def test_a_cut_off_picture_is_reported(tmp_path):
    Image.fromarray(flat_picture([(1, 2, 3)] * 4)).save(tmp_path / "p.png")
    data = (tmp_path / "p.png").read_bytes()
    (tmp_path / "p.png").write_bytes(data[: len(data) - 40])
    with pytest.raises(UsageError, match="cannot read palette"):
        read_palette(tmp_path / "p.png")


@pytest.mark.parametrize("count", [1, 5, 24, 40])
def test_a_flat_picture_gives_exactly_its_colours_in_reading_order(tmp_path, count):
    rng = np.random.default_rng(count)
    colors = [tuple(map(int, color)) for color in rng.choice(256, (count, 3), replace=True)]
    Image.fromarray(flat_picture(colors)).save(tmp_path / "p.png")
    assert [one.color for one in read_palette(tmp_path / "p.png")] == colors


def test_a_jpeg_of_flat_colours_gives_about_these(tmp_path):
    colors = [one.color for one in default_palette()][:8]
    Image.fromarray(flat_picture(colors, 60)).save(tmp_path / "p.jpg", quality=85)
    found = [one.color for one in read_palette(tmp_path / "p.jpg")]
    assert len(found) == len(colors)
    assert np.abs(np.array(found) - np.array(colors)).max() <= 4


def test_a_photo_gives_a_few_different_colours(photos):
    palette = read_palette(photos / "coffee-1.png")
    colors = np.array([one.color for one in palette], float)
    apart = np.linalg.norm(colors[:, None] - colors[None], axis=2) + 1000 * np.eye(len(colors))
    assert 4 <= len(palette) <= 32
    assert apart.min() > 10
    assert palette == read_palette(photos / "coffee-1.png")


def test_saved_classes_are_matched_by_name_then_by_color():
    palette = Palette([PaintClass("cat", (1, 1, 1)), PaintClass("dog", (2, 2, 2))])
    cases = [
        ([("dog", (9, 9, 9))], ["dog"]),  # another color
        ([("hound", (2, 2, 2))], ["dog"]),  # another name
        ([("cat", (2, 2, 2)), ("dog", (1, 1, 1))], ["cat", "dog"]),
        ([("cat", (9, 9, 9)), ("old", (1, 1, 1))], ["cat", "old"]),  # stay two classes
        ([("color 1", (7, 7, 7))], ["color 1"]),
    ]
    for saved, names in cases:
        entries = [PaintClass(name, color) for name, color in saved]
        classes, mapped = palette.adopted(entries)
        assert [entry.name for entry in mapped] == names
        assert classes[:2] == palette[:2]
        assert len(set(mapped)) == len(mapped)
        assert set(mapped) <= set(classes)

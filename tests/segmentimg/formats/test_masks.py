"""Paintings on disk: what comes back, what is replaced, what stays, and saves that break off."""

from __future__ import annotations

import errno
import itertools
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from icas import IcasError, UsageError
from icas.common.errors import ConflictError, UnreadableImageError
from icas.segmentimg.document.palette import PaintClass, Painting, Palette, default_palette
from icas.segmentimg.formats import masks
from icas.segmentimg.formats.folder_classes import folder_classes, write_listed_classes
from icas.segmentimg.formats.inputs import ImageFile, saved_record
from icas.segmentimg.formats.labelme import labelme_bytes
from icas.segmentimg.formats.load import load_painting
from icas.segmentimg.formats.masks import mask_name, save_painting

CAR, TREE, NIGHT = (
    PaintClass("car", (204, 0, 0)),
    PaintClass("tree", (1, 22, 255)),
    PaintClass("night", (0, 0, 0)),
)
CLASSES = Palette([CAR, TREE, NIGHT])
ABOUT = {"icas": "1", "image": "a.jpg", "method": "graph", "segments": 7}
NAMES = ["a", "a_mask_(R:1,G:2,B:3)", "img*?[1]", "ä (2)", "a_labels", "x.jpg", "%s{}", "a_mask_("]
class_maps = hnp.arrays(
    np.int16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 3)
)
LOADED = ("masks", "labels", "coco", "labelme")
"""Formats that are read again."""
some_saves = st.lists(st.sampled_from(LOADED), min_size=1, max_size=4, unique=True)


def picture_in(folder, name="a"):
    return ImageFile(folder / f"{name}.jpg", folder / "out", name)


@pytest.fixture
def picture(tmp_path):
    return picture_in(tmp_path)


def painting(*rows, classes=CLASSES):
    return Painting(np.array(rows), classes)


def save(picture, one, saves=("masks", "labels"), **more):
    return save_painting(picture, one, dict(ABOUT), saves, **more)


def names(picture):
    return sorted(path.name for path in picture.out.iterdir())


def colors_of(one):
    """What a person sees: the colour of each pixel; (-1, -1, -1) where there is none."""
    table = np.array([(-1, -1, -1), *(each.color for each in one.classes)])
    return table[one.class_map].tolist()


def loaded(picture, shape, palette=()):
    return load_painting(picture, shape, palette).painting


def put(path, mask, **more):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(mask).save(path, **more)


def white(rows):
    return np.array(rows, np.uint8) * 255


# What comes back


@given(class_maps, some_saves, st.sampled_from(NAMES), st.booleans())
@settings(max_examples=150, deadline=None)
def test_what_is_saved_comes_back(tmp_path_factory, class_map, saves, name, portable):
    picture = picture_in(tmp_path_factory.mktemp("round"), name)
    one = Painting(class_map, CLASSES)
    written = save(picture, one, saves, portable=portable)
    assert sorted(path.name for path in written) == names(picture)
    back = loaded(picture, class_map.shape, CLASSES)
    assert (back.class_map == class_map).all()
    assert back.classes == CLASSES
    alone = loaded(picture, class_map.shape)
    assert colors_of(alone) == colors_of(one)
    painted = {CLASSES[number - 1] for number in one.painted()}
    assert {alone.classes[number - 1] for number in alone.painted()} == painted


@given(class_maps, some_saves, st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_objects_come_back_whatever_is_saved(tmp_path_factory, class_map, saves, seed):
    picture = picture_in(tmp_path_factory.mktemp("objects"))
    numbers = np.random.default_rng(seed).integers(1, 4, class_map.shape) * (class_map > 0)
    one = Painting(class_map, CLASSES, numbers)
    save(picture, one, saves)
    back = loaded(picture, class_map.shape, CLASSES)
    assert (back.class_map == class_map).all()
    found = np.where(class_map > 0, 1, 0) if back.instance_map is None else back.instance_map
    assert (found == numbers).all()
    save(picture, Painting(class_map, CLASSES, (class_map > 0).astype(int)), saves)
    assert not loaded(picture, class_map.shape, CLASSES).several_objects


def test_object_numbers_are_listed_and_stay_out_of_plain_saves(picture):
    one = Painting(np.array([[1, 1, 2, 0]]), CLASSES, np.array([[1, 3, 1, 0]]))
    save(picture, one)
    numbers = np.asarray(Image.open(picture.file("_instances.png")))
    assert (numbers.dtype, numbers.tolist()) == (np.uint16, [[1, 3, 1, 0]])
    first, second = json.loads(picture.record_file.read_text())["classes"]
    assert first["objects"] == [
        {"number": 1, "pixels": 1, "box": [0, 0, 1, 1]},
        {"number": 3, "pixels": 1, "box": [1, 0, 1, 1]},
    ]
    assert [entry["number"] for entry in second["objects"]] == [1]
    save(picture, Painting(np.array([[1, 1, 2, 0]]), CLASSES, np.array([[1, 1, 1, 0]])))
    assert not picture.file("_instances.png").exists()
    save(picture, one, ("instances",))
    assert names(picture) == ["a.json", "a_instances.png", "a_labels.png"]


def test_pixels_added_to_a_mask_join_the_nearest_object(picture):
    one = Painting(np.array([[1, 0, 0, 1, 0, 0]]), CLASSES, np.array([[1, 0, 0, 2, 0, 0]]))
    save(picture, one)
    put(picture.out / mask_name("a", CLASSES[0].color), white([[1, 1, 0, 1, 1, 1]]))
    assert loaded(picture, (1, 6), CLASSES).instance_map.tolist() == [[1, 1, 0, 2, 2, 2]]


@given(st.lists(st.tuples(class_maps, some_saves), min_size=2, max_size=3))
@settings(max_examples=100, deadline=None)
def test_the_last_save_is_the_one_that_comes_back(tmp_path_factory, script):
    picture = picture_in(tmp_path_factory.mktemp("again"))
    shape = script[-1][0].shape
    for class_map, saves in script:
        save(picture, Painting(np.resize(class_map, shape), CLASSES), saves)
    assert (loaded(picture, shape, CLASSES).class_map == script[-1][0]).all()


@given(class_maps)
@settings(max_examples=60, deadline=None)
def test_masks_are_white_on_black_disjoint_and_the_size_of_the_picture(tmp_path_factory, class_map):
    picture = picture_in(tmp_path_factory.mktemp("masks"))
    save(picture, Painting(class_map, CLASSES))
    labels = np.asarray(Image.open(picture.file("_labels.png")))
    assert labels.dtype == np.uint16
    assert (labels == class_map).all()
    assert (cv2.imread(str(picture.file("_labels.png")), cv2.IMREAD_UNCHANGED) == class_map).all()
    for number, one in enumerate(CLASSES, start=1):
        path = picture.out / mask_name("a", one.color)
        assert path.exists() == (class_map == number).any()
        if path.exists():
            with Image.open(path) as opened:
                assert opened.mode == "L"
                assert (np.asarray(opened) == white(class_map == number)).all()
            pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert pixels.dtype == np.uint8
            assert (pixels == white(class_map == number)).all()


def test_the_names_of_masks_tell_the_colour(picture):
    assert mask_name("a", (204, 0, 7)) == "a_mask_(R:204,G:0,B:7).png"
    assert mask_name("a", (204, 0, 7), portable=True) == "a_mask_(R=204,G=0,B=7).png"
    save(picture, painting([1, 2, 0]), portable=True)
    assert "a_mask_(R=204,G=0,B=0).png" in names(picture)
    save(picture, painting([1, 2, 0]))
    assert [name for name in names(picture) if "mask" in name] == [
        "a_mask_(R:1,G:22,B:255).png",
        "a_mask_(R:204,G:0,B:0).png",
    ]


def test_the_json_has_image_classes_and_files(picture):
    written = save(picture, painting([1, 2, 2, 0]), LOADED)
    assert written[-1] == picture.file(".json")
    reported = json.loads(picture.file(".json").read_text())
    assert {key: reported[key] for key in ABOUT} == ABOUT
    assert reported["classes"] == [
        {
            "number": 1,
            "name": "car",
            "color": [204, 0, 0],
            "pixels": 1,
            "mask": "a_mask_(R:204,G:0,B:0).png",
        },
        {
            "number": 2,
            "name": "tree",
            "color": [1, 22, 255],
            "pixels": 2,
            "mask": "a_mask_(R:1,G:22,B:255).png",
        },
    ]
    assert reported["painted_files"] == [name for name in names(picture) if name != "a.json"]
    assert set(reported) == {*ABOUT, "classes", "painted_files"}
    save(picture, painting([1, 0, 0, 0]), ("labels",))
    assert saved_record(picture)["classes"][0]["mask"] is None


def test_the_labelme_file_leads_to_the_picture(picture):
    save(picture, painting([1]), ("labelme",))
    reported = json.loads(picture.file("_labelme.json").read_text())
    assert (picture.out / reported["imagePath"]).resolve() == picture.path.resolve()


# What is replaced and what stays


def test_masks_of_colours_no_longer_painted_go_and_nothing_else(picture):
    for name in NAMES[1:]:
        save(picture_in(picture.path.parent, name), painting([1, 2, 3]), LOADED[:2])
    others = set(names(picture))
    save(picture, painting([1, 2, 3]))
    for foreign in ("a_mask_(R:9,G:9,B:9).png", "a_overlay.png", "b.png", "a_mask_(R:1).png"):
        put(picture.out / foreign, white([[1, 0, 0]]))
        others.add(foreign)
    save(picture, painting([1, 0, 0]))
    assert set(names(picture)) - others == {
        "a.json",
        "a_labels.png",
        "a_mask_(R:204,G:0,B:0).png",
    }
    assert others <= set(names(picture))


def test_names_that_the_json_lists_wrongly_are_not_removed(picture):
    save(picture, painting([1, 2]))
    reported = saved_record(picture)
    victims = ["b_mask_(R:1,G:1,B:1).png", "a_segments.png", "keep.png", "../a.jpg", "coco.json"]
    for name in victims:
        (picture.out / name).write_bytes(b"x")
    reported["painted_files"] += [*victims, 7]
    reported["unfinished_save"] = {
        "parts": {"a_labels.png": "keep.png"},
        "stale": ["a_segments.png"],
    }
    picture.file(".json").write_text(json.dumps(reported))
    save(picture, painting([1, 0]))
    assert all((picture.out / name).exists() for name in victims)
    assert not (picture.out / mask_name("a", TREE.color)).exists()


def test_the_keys_of_a_json_of_ours_are_kept(picture):
    picture.out.mkdir()
    picture.file(".json").write_text('{"icas": "0", "centres": [[1, 2, 3]], "segments": 3}')
    save(picture, painting([1]))
    reported = saved_record(picture)
    assert reported["centres"] == [[1, 2, 3]]
    assert (reported["segments"], reported["icas"]) == (7, "1")


@pytest.mark.parametrize(
    ("name", "content", "saves"),
    [
        ("a.json", "[]", ("masks",)),
        ("a.json", '{"icas": ', ("masks",)),
        ("coco.json", '{"images": []}', ("masks", "coco")),
        ("a_labelme.json", '{"icas": "of the picture a_labelme"}', ("labelme",)),
    ],
)
def test_another_program_s_file_is_a_conflict_and_nothing_is_written(picture, name, content, saves):
    picture.out.mkdir()
    (picture.out / name).write_text(content)
    with pytest.raises(ConflictError, match=name):
        save(picture, painting([1]), saves)
    assert names(picture) == [name]
    assert (picture.out / name).read_text() == content


def test_a_picture_called_coco_is_reported(tmp_path):
    with pytest.raises(ConflictError, match=r"coco\.json"):
        save(picture_in(tmp_path, "coco"), painting([1]), ("coco",))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("saves", [(), ("masks", "paint")])
def test_a_wrong_save_is_reported(picture, saves):
    with pytest.raises(UsageError, match="masks, labels, coco, labelme, instances"):
        save(picture, painting([1]), saves)


def test_masks_that_were_there_are_taken_over_and_can_be_unpainted(picture):
    foreign = picture.out / mask_name("a", TREE.color)
    put(foreign, white([[0, 1, 1]]))
    found = load_painting(picture, (1, 3), CLASSES)
    assert found.painting.class_map.tolist() == [[0, 2, 2]]
    assert found.files == [foreign]
    save(picture, painting([1, 0, 0]))
    assert foreign.exists()
    again = load_painting(picture, (1, 3), CLASSES)
    assert again.painting.class_map.tolist() == [[1, 0, 0]]
    assert str(foreign) in again.notes[0]
    save(picture, painting([1, 2, 0]))
    assert load_painting(picture, (1, 3), CLASSES).notes == []
    save(picture, painting([1, 0, 0]))
    assert not foreign.exists()


def test_a_mask_made_since_the_save_is_taken_over(picture):
    save(picture, painting([1, 0, 0]))
    put(picture.out / mask_name("a", (9, 8, 7)), white([[0, 0, 1]]))
    found = loaded(picture, (1, 3), CLASSES)
    assert found.class_map.tolist() == [[1, 0, 4]]
    assert found.classes[3] == PaintClass("#090807", (9, 8, 7))


# What is loaded


def test_a_picture_without_files_starts_unpainted(picture):
    assert load_painting(picture, (2, 2), CLASSES) is None
    picture.out.mkdir()
    put(picture.out / mask_name("a_2", CAR.color), white([[1]]))
    put(picture.out / mask_name("A", CAR.color), white([[1]]))
    assert load_painting(picture, (2, 2), CLASSES) is None


def test_a_picture_saved_with_no_paint_stays_so(picture):
    (picture.path.with_suffix(".json")).write_bytes(labelme_bytes(painting([1, 2]), "a.jpg"))
    for saves in (("masks",), ("coco",), ("labelme",), ("masks", "coco")):
        save(picture, painting([0, 2]), ("masks", "labelme", "coco"))
        save(picture, painting([0, 0]), saves)
        assert not load_painting(picture, (1, 2), CLASSES).painting.class_map.any()


def test_masks_that_somebody_took_away_are_gone(picture):
    save(picture, painting([1, 2]), ("masks",))
    (picture.out / mask_name("a", CAR.color)).unlink()
    assert loaded(picture, (1, 2), CLASSES).class_map.tolist() == [[0, 2]]
    (picture.out / mask_name("a", TREE.color)).unlink()
    assert load_painting(picture, (1, 2), CLASSES) is None


def rgba(gray, alpha):
    return np.dstack([gray, gray, gray, alpha]).astype(np.uint8)


GRAY = np.array([[0, 127, 128, 255]], np.uint8)
RED_PAINT = np.array([[(0, 0, 0), (127, 0, 0), (204, 0, 0), (255, 255, 255)]], np.uint8)


@pytest.mark.parametrize(
    "edited",
    [
        Image.fromarray(GRAY),
        Image.fromarray(RED_PAINT),
        Image.fromarray(GRAY >= 128),
        Image.fromarray(GRAY.astype(np.uint16) * 256),
        Image.fromarray(rgba(GRAY, np.full_like(GRAY, 255))),
        Image.fromarray(rgba(np.full_like(GRAY, 255), GRAY)),
        Image.fromarray(np.dstack([np.full_like(GRAY, 255), GRAY])),
        Image.fromarray(RED_PAINT).convert("P", palette=Image.Palette.ADAPTIVE),
    ],
    ids=["gray", "rgb", "1 bit", "16 bit", "rgba", "clear", "gray with alpha", "palette"],
)
def test_edited_masks_count_from_half_white_on(picture, edited):
    picture.out.mkdir()
    edited.save(picture.out / mask_name("a", CAR.color))
    assert loaded(picture, (1, 4), CLASSES).class_map.tolist() == [[0, 0, 1, 1]]


def test_of_overlapping_masks_the_later_by_name_wins(picture):
    put(picture.out / "a_mask_(R:204,G:0,B:0).png", white([[1, 1, 0]]))
    put(picture.out / "a_mask_(R:1,G:22,B:255).png", white([[0, 1, 1]]))
    assert loaded(picture, (1, 3), CLASSES).class_map.tolist() == [[1, 1, 2]]


def test_both_spellings_are_one_colour(picture):
    put(picture.out / "a_mask_(R:204,G:0,B:0).png", white([[1, 0, 0]]))
    put(picture.out / "a_mask_(R=204,G=0,B=0).png", white([[0, 1, 0]]))
    assert loaded(picture, (1, 3), CLASSES).class_map.tolist() == [[1, 1, 0]]


def test_names_of_classes_come_from_the_palette_then_the_json_then_ours(picture):
    save(picture, painting([1, 2, 3]))
    found = loaded(picture, (1, 3), [PaintClass("truck", CAR.color)])
    assert [one.name for one in found.classes] == ["truck", "tree", "night"]
    picture.file(".json").unlink()
    found = loaded(picture, (1, 3))
    assert {one.color: one.name for one in found.classes} == {
        CAR.color: "red",
        TREE.color: "#0116ff",
        NIGHT.color: "black",
    }


def test_labels_without_a_json_go_by_the_palette_then_by_ours(picture):
    put(picture.file("_labels.png"), np.array([[0, 2, 3, 5]], np.uint16))
    ours = default_palette()
    found = loaded(picture, (1, 4), [CAR, TREE])
    # red, the first of ours, is there as car
    assert [one.color for one in found.classes[2:]] == [ours[1].color, ours[3].color]
    assert found.class_map.tolist() == [[0, 2, 3, 4]]
    plain = loaded(picture, (1, 4))
    seen = [plain.classes[number - 1] for number in plain.class_map[0][1:]]
    assert seen == [ours[1], ours[2], ours[4]]


def test_labels_edited_since_keep_the_classes_that_are_listed(picture):
    save(picture, painting([0, 2, 3, 3]), ("labels",))
    put(picture.file("_labels.png"), np.array([[9, 2, 3, 9]], np.uint8))
    found = loaded(picture, (1, 4))
    seen = [found.classes[number - 1] for number in found.class_map[0]]
    assert seen[1:3] == [TREE, NIGHT]
    assert seen[0] == seen[3] == default_palette()[0]


def test_labels_of_more_classes_than_colours_are_reported(picture):
    picture.out.mkdir()
    put(picture.file("_labels.png"), np.array([[0, 400]], np.uint16))
    with pytest.raises(UsageError, match=r"a_labels\.png: class 400.*palette"):
        load_painting(picture, (1, 2), CLASSES)


def test_labelme_s_own_file_beside_the_picture_is_loaded(picture):
    path = picture.path.with_suffix(".json")
    reported = json.loads(labelme_bytes(painting([1, 2, 0]), "a.jpg"))
    reported["shapes"].append({"label": "x", "points": [[0, 0]], "shape_type": "point"})
    path.write_text(json.dumps(reported))
    found = load_painting(picture, (1, 3), [TREE])
    assert found.painting.class_map.tolist() == [[2, 1, 0]]
    assert [one.name for one in found.painting.classes] == ["tree", "car"]
    assert found.files == [path]
    assert "point" in found.notes[0]


@pytest.mark.parametrize("content", ['{"a": 1}', "[1]", '{"version": 1, "flags": {}}'])
def test_another_program_s_json_beside_the_picture_is_passed_over(picture, content):
    picture.path.with_suffix(".json").write_text(content)
    assert load_painting(picture, (1, 3)) is None


@pytest.mark.parametrize(
    "content",
    [b"not json", b"", b"\xff\xfe", b"\x81\xff\0", b"[" * 100_000, b'{"shapes": 7, "flags": {}}'],
)
def test_a_json_beside_the_picture_that_cannot_be_read_is_refused(picture, content):
    path = picture.path.with_suffix(".json")
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"a\.json"):
        load_painting(picture, (1, 3))


def test_labelme_s_file_in_the_folder_of_the_results_is_loaded_and_kept(tmp_path):
    picture = ImageFile(tmp_path / "a.jpg", tmp_path, "a")
    labelme = picture.file(".json")
    labelme.write_bytes(content := labelme_bytes(painting([1, 0]), "a.jpg"))
    assert loaded(picture, (1, 2), CLASSES).class_map.tolist() == [[1, 0]]
    save(picture, painting([0, 1]))
    assert labelme.read_bytes() == content
    assert picture.record_file == tmp_path / "a.icas.json"
    assert saved_record(picture)["classes"][0]["name"] == "car"
    assert loaded(picture, (1, 2), CLASSES).class_map.tolist() == [[0, 1]]
    labelme.unlink()
    assert loaded(picture, (1, 2), CLASSES).class_map.tolist() == [[0, 1]]


def test_annotations_newer_than_an_empty_save_are_loaded(picture):
    save(picture, painting([0, 0]))
    path = picture.path.with_suffix(".json")
    path.write_bytes(labelme_bytes(painting([1, 0]), "a.jpg"))
    saved = picture.record_file.stat().st_mtime
    os.utime(path, (saved - 10, saved - 10))
    assert loaded(picture, (1, 2), CLASSES).class_map.tolist() == [[0, 0]]
    os.utime(path, (saved + 10, saved + 10))
    assert loaded(picture, (1, 2), CLASSES).class_map.tolist() == [[1, 0]]


def test_a_label_has_one_color_in_all_images_of_a_folder(tmp_path):
    pictures = []
    for name, label in (("a", "cat"), ("b", "dog"), ("c", "cat")):
        pictures.append(ImageFile(tmp_path / f"{name}.jpg", tmp_path / "out", name))
        own = Palette([PaintClass(label, (1, 2, 3))])
        data = labelme_bytes(Painting(np.ones((1, 2), int), own), f"{name}.jpg")
        (tmp_path / f"{name}.json").write_bytes(data)
    palette = folder_classes(pictures, CLASSES)
    assert [entry.name for entry in palette] == ["car", "tree", "night", "cat", "dog"]
    save(pictures[1], loaded(pictures[1], (1, 2), palette))
    (tmp_path / "a.json").unlink()  # dog keeps the color that it was saved with
    again = folder_classes(pictures, CLASSES)
    assert {entry.name: entry.color for entry in again} == {
        entry.name: entry.color for entry in palette
    }


@pytest.mark.parametrize("saves", [("masks",), ("labels",), ("labelme",), ("coco",)])
def test_another_size_is_reported_with_the_file(picture, saves):
    path = save(picture, painting([1, 1, 1], [1, 1, 1]), saves)[0]
    with pytest.raises(UsageError, match=r"3x2.*move") as reported:
        load_painting(picture, (3, 2), CLASSES)
    assert str(path) in str(reported.value)


@pytest.mark.parametrize("saves", [("masks",), ("labels",)])
def test_a_file_cut_short_anywhere_is_reported(picture, saves):
    noise = np.random.default_rng(0).integers(0, 2, (30, 30))
    path = save(picture, Painting(noise, CLASSES), saves)[0]
    whole = path.read_bytes()
    for kept in range(len(whole) - 12):  # the last chunk is empty
        path.write_bytes(whole[:kept])
        with pytest.raises(
            UnreadableImageError, match="not a valid PNG: repair it or move"
        ) as reported:
            load_painting(picture, (30, 30), CLASSES)
        assert str(path) in str(reported.value)


@pytest.mark.parametrize("saves", [("masks",), ("labels",)])
def test_a_damaged_file_is_reported_or_harmless(picture, saves):
    noise = np.random.default_rng(0).integers(0, 2, (30, 30))
    path = save(picture, Painting(noise, CLASSES), saves)[0]
    whole = path.read_bytes()
    reported = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            assert (loaded(picture, (30, 30), CLASSES).class_map == noise).all()
        except IcasError:
            reported += 1
    assert reported > len(whole) - 30


def test_a_mask_of_no_colour_is_reported(picture):
    put(picture.out / "a_mask_(R:256,G:0,B:0).png", white([[1]]))
    with pytest.raises(UsageError, match=r"R:256.*must be 0 to 255"):
        load_painting(picture, (1, 1))


def test_labels_in_colour_are_reported(picture):
    put(picture.out / "a_labels.png", RED_PAINT)
    with pytest.raises(UsageError, match="not a label map"):
        load_painting(picture, (1, 4))


@pytest.mark.parametrize(
    "classes", [7, [1], [{"number": 1}], [{"number": 1, "name": "a", "color": [1, 2, 300]}]]
)
def test_a_json_with_odd_classes_is_reported(picture, classes):
    save(picture, painting([1]))
    picture.file(".json").write_text(json.dumps({"icas": "1", "classes": classes}))
    with pytest.raises(UsageError, match=r"a\.json: the list of classes is damaged"):
        load_painting(picture, (1, 1))


# Saves that break off


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("written", range(3))  # a mask, the labels, the JSON that switches over
def test_a_full_disk_leaves_what_was_there(picture, monkeypatch, written):
    save(picture, painting([1, 2, 0]))
    before = {path.name: path.read_bytes() for path in picture.out.iterdir()}
    count = itertools.count()
    real = masks.write_whole
    monkeypatch.setattr(
        masks, "write_whole", lambda *given: (real if next(count) < written else full_disk)(*given)
    )
    with pytest.raises(IcasError, match=r"cannot write to .*out: no space") as reported:
        save(picture, painting([0, 3, 3]))
    assert reported.value.exit_code == 1
    assert {path.name: path.read_bytes() for path in picture.out.iterdir()} == before


def test_a_first_save_on_a_full_disk_leaves_an_empty_folder(picture, monkeypatch):
    monkeypatch.setattr(masks, "write_whole", full_disk)
    with pytest.raises(IcasError, match="no space left"):
        save(picture, painting([1]))
    assert names(picture) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_folder_that_may_not_be_written_is_reported(picture):
    picture.out.mkdir(mode=0o500)
    with pytest.raises(IcasError, match="permission denied"):
        save(picture, painting([1]))


def test_a_file_in_place_of_the_folder_is_reported(picture):
    picture.out.write_text("a file")
    with pytest.raises(IcasError, match="cannot write to"):
        save(picture, painting([1]))
    with pytest.raises(IcasError, match="cannot read folder"):
        load_painting(picture, (1, 1))


def test_names_that_the_disk_refuses_undo_the_save(picture, monkeypatch):
    save(picture, painting([1, 0]), portable=True)
    before = {path.name: path.read_bytes() for path in picture.out.iterdir()}
    real = Path.replace

    def without_colons(path, target):
        if ":" in str(target):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return real(path, target)

    monkeypatch.setattr(Path, "replace", without_colons)
    with pytest.raises(IcasError, match="portable_names"):
        save(picture, painting([1, 2]))
    assert {path.name: path.read_bytes() for path in picture.out.iterdir()} == before
    save(picture, painting([1, 2]), portable=True)
    assert loaded(picture, (1, 2), CLASSES).class_map.tolist() == [[1, 2]]


@pytest.mark.skipif(os.name == "nt", reason="names may be longer there")
def test_a_name_too_long_for_masks_is_reported(tmp_path):
    picture = picture_in(tmp_path, "n" * 245)
    with pytest.raises(IcasError, match="too long"):
        save(picture, painting([1, 2]))
    assert names(picture) == []


class Killed(BaseException):
    """As if the process had ended there."""


def killed_at(step, monkeypatch, run):
    """Call `run`, let the disk be changed `step` times; False where it came to its end."""
    count = itertools.count()

    def counted(real):
        def call(*given, **more):
            if next(count) >= step:
                raise Killed
            return real(*given, **more)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", counted(Path.replace))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        try:
            run()
        except Killed:
            return True
    return False


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("masks", "labels"), ("masks", "labels")),
        (("masks",), ("labels",)),
        (LOADED, ("coco",)),
        (("coco",), ("labelme",)),
        (("labelme",), LOADED),
    ],
)
def test_a_save_killed_at_any_step_loads_as_before_or_as_after(
    tmp_path, monkeypatch, first, second
):
    before, after, third = painting([1, 2, 0, 2]), painting([0, 3, 2, 2]), painting([0, 0, 1, 1])
    seen = []
    for step in itertools.count():
        folder = tmp_path / str(step)
        folder.mkdir()
        picture = picture_in(folder)
        save(picture, before, first)
        killed = killed_at(step, monkeypatch, lambda picture=picture: save(picture, after, second))
        seen.append(colors_of(loaded(picture, (1, 4))))
        assert seen[-1] in (colors_of(before), colors_of(after))
        save(picture, third)
        assert colors_of(loaded(picture, (1, 4))) == colors_of(third)
        assert [name for name in names(picture) if "mask" in name] == [mask_name("a", CAR.color)]
        assert "unfinished_save" not in saved_record(picture)
        if not killed:
            break
    switch = seen.index(colors_of(after))
    assert seen == [colors_of(before)] * switch + [colors_of(after)] * (len(seen) - switch)
    assert switch > 0


def test_hidden_files_of_a_save_that_broke_off_go_with_the_next(picture, monkeypatch):
    save(picture, painting([1, 2]))
    parts = 3  # two masks, the label map
    assert killed_at(parts + 1, monkeypatch, lambda: save(picture, painting([2, 1])))
    assert sum(name.endswith(".part") for name in names(picture)) == parts
    found = load_painting(picture, (1, 2), CLASSES)
    assert found.painting.class_map.tolist() == [[2, 1]]
    assert all(path.name.startswith("a_mask") for path in found.files)
    save(picture, painting([1, 1]))
    assert not any(name.endswith(".part") for name in names(picture))


def test_edited_classes_are_listed_and_found_again(picture):
    edited = Palette([PaintClass("cat", (1, 2, 3)), *CLASSES])
    write_listed_classes(picture.out, edited)
    assert folder_classes([picture], default_palette()) == edited
    given = Palette([PaintClass("car", (9, 9, 9))])
    found = folder_classes([picture], given)
    assert [entry.name for entry in found] == ["car", "cat", "tree", "night"]
    assert found[0] == given[0]
    (picture.out / "classes.txt").write_text("mine\n")
    with pytest.raises(ConflictError, match="another program"):
        write_listed_classes(picture.out, edited)
    assert folder_classes([picture], given) == given

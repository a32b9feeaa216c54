"""Annotations of other programs, by the command: files, messages, exit codes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from icas.segmentimg.commands.main import main

BOX = [[4, 3], [16, 3], [16, 12], [4, 12]]


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "src"
    source.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.arange(432, dtype=np.uint8).reshape(18, 24)).save(source / f"{name}.png")
    return source


def annotate(folder, *shapes, **more):
    content = {"version": "5.5.0", "shapes": shapes, "imagePath": "a.png", **more}
    (folder / "a.json").write_text(json.dumps(content))


def shape(label="cup", points=BOX):
    return {"label": label, "points": points, "shape_type": "polygon", "flags": {}}


def run(folder, *words):
    return main([str(folder), "--no-gui", "--method", "edge", "--save", "masks,labels", *words])


def painted(out, name="a"):
    return int(np.count_nonzero(np.asarray(Image.open(out / f"{name}_labels.png"))))


def test_new_labels_need_no_palette(folder, tmp_path, capsys):
    annotate(folder, shape(), shape("cat", BOX[:3]))
    assert run(folder) == 0
    assert capsys.readouterr().err == ""
    record = json.loads((tmp_path / "src_segmented" / "a.json").read_text())
    assert [entry["name"] for entry in record["classes"]] == ["cup", "cat"]


def test_an_invalid_shape_is_listed_and_the_folder_is_finished(folder, tmp_path, capsys):
    annotate(folder, shape(), shape(points=BOX[:2]))
    assert run(folder) == 3
    line = f"{folder / 'a.json'}: shape 2 is left out: polygon with 2 points"
    assert capsys.readouterr().err.splitlines() == [line]
    assert painted(tmp_path / "src_segmented") == 130
    assert painted(tmp_path / "src_segmented", "b") == 0


@pytest.mark.parametrize("damage", ["", '{"version": "5", "shapes": [{"la'])
def test_an_unreadable_file_is_listed_and_its_image_is_not_saved(folder, tmp_path, capsys, damage):
    (folder / "a.json").write_text(damage)
    assert run(folder) == 3
    reason = f"{folder / 'a.json'} is not valid JSON: repair it or move it away"
    assert capsys.readouterr().err.splitlines() == [f"unreadable: {folder / 'a.png'}: {reason}"]
    assert not (tmp_path / "src_segmented" / "a_labels.png").exists()
    assert painted(tmp_path / "src_segmented", "b") == 0


def test_results_in_the_folder_of_labelme_keep_its_file(folder, capsys):
    annotate(folder, shape())
    before = (folder / "a.json").read_bytes()
    assert run(folder, "--out", str(folder)) == 0
    assert (folder / "a.json").read_bytes() == before
    assert (folder / "a.icas.json").is_file()
    assert (folder / "b.json").is_file()
    assert painted(folder) == 130


def test_images_that_a_coco_file_does_not_list_are_counted(folder, tmp_path, capsys):
    ring = [part for point in BOX for part in point]
    content = {
        "images": [{"id": 7, "file_name": "train/a.png"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "segmentation": [ring]}],
    }
    (folder / "coco.json").write_text(json.dumps(content))
    assert run(folder) == 0
    assert capsys.readouterr().err == f"{folder / 'coco.json'} does not list 1 image: b.png\n"
    record = json.loads((tmp_path / "src_segmented" / "a.json").read_text())
    assert [entry["name"] for entry in record["classes"]] == ["category 3"]


def test_a_file_that_names_another_image_is_ignored_with_a_note(folder, capsys):
    """A copy, or a renamed file."""
    annotate(folder, shape(), imagePath="b.png")
    assert run(folder) == 0
    line = f"{folder / 'a.json'}: of b.png, by its imagePath: ignored"
    assert capsys.readouterr().err.splitlines() == [line]


def test_upper_case_suffix_and_name_of_roboflow(folder, tmp_path):
    annotate(folder, shape())
    (folder / "a.json").rename(folder / "a.JSON")
    dataset = {
        "images": [{"id": 0, "file_name": "b.png"}],
        "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "segmentation": [BOX]}],
        "categories": [{"id": 1, "name": "cup"}],
    }
    (folder / "_annotations.coco.json").write_text(json.dumps(dataset))
    assert run(folder) == 0
    assert painted(tmp_path / "src_segmented") == 130
    assert painted(tmp_path / "src_segmented", "b") == 108


def test_masks_of_zeros_and_ones(folder, tmp_path):
    mask = np.zeros((18, 24), np.uint8)
    mask[3:9, 4:9] = 1
    (tmp_path / "src_segmented").mkdir()
    Image.fromarray(mask).save(tmp_path / "src_segmented" / "a_mask_(R=204,G=0,B=0).png")
    assert run(folder) == 0
    assert painted(tmp_path / "src_segmented") == 30

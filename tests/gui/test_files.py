"""What a sitting at the windows writes, and what the next one begins with."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import icas

pytestmark = pytest.mark.gui

RED, BLUE = (204, 0, 0), (0, 0, 255)


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_through_a_folder_and_back(sit):
    one = sit("")
    driver = one.driver
    place = one.places(1)[0]
    driver.click(place)
    one.document.fill(*place, RED)
    driver.press("space")
    one.check()
    driver.image("chelsea.png")
    driver.click((80, 100))
    driver.press("n")
    driver.image("coffee.png")
    driver.press("n")  # there is no further one
    driver.click((100, 100))
    driver.press("p")
    driver.image("chelsea.png")
    driver.press("p")
    driver.image("astronaut.png")
    driver.press("p")
    driver.press("q")
    code, out, err = driver.end("q")
    assert (code, err) == (0, "")
    assert out == (f"3 images, 1 saved, 2 painted but not saved, 0 unreadable -> {one.out}\n")
    assert names(one.out) == [
        "astronaut.json",
        "astronaut_labels.png",
        "astronaut_mask_(R:204,G:0,B:0).png",
    ]


def test_every_kind_of_file(sit):
    one = sit("coffee", "--save", "masks,labels,coco,labelme", "--portable-names", "-v")
    first, second = one.places(2)
    one.driver.click(first)
    one.document.fill(*first, RED)
    one.driver.press("2")
    one.driver.click(second)
    one.document.fill(*second, BLUE)
    one.save()
    ended = one.driver.end("q")
    masks = one.document.masks()
    assert names(one.out) == [
        "coco.json",
        "coffee.json",
        "coffee_labelme.json",
        "coffee_labels.png",
        "coffee_mask_(R=0,G=0,B=255).png",
        "coffee_mask_(R=204,G=0,B=0).png",
    ]
    assert ended.code == 0
    assert ended.out.startswith("saved ")
    coco = json.loads((one.out / "coco.json").read_text())
    category = {entry["id"]: entry["name"] for entry in coco["categories"]}
    area = dict.fromkeys(("red", "blue"), 0)
    for entry in coco["annotations"]:
        area[category[entry["category_id"]]] += entry["area"]
    assert area == {"red": masks[RED].sum(), "blue": masks[BLUE].sum()}
    labelme = json.loads((one.out / "coffee_labelme.json").read_text())
    assert {shape["label"] for shape in labelme["shapes"]} == {"red", "blue"}
    labels = np.asarray(Image.open(one.out / "coffee_labels.png"))
    assert (labels == masks[RED] + 2 * masks[BLUE]).all()


def test_a_second_sitting_starts_painted(sit):
    one = sit()
    first, second, third = one.places(3)
    one.driver.click(first)
    one.document.fill(*first, RED)
    one.save()
    one.driver.press("2")
    one.driver.click(second)
    one.document.fill(*second, BLUE)
    one.driver.press("q")
    assert "1 painted but not saved" in one.driver.end("q").out

    again = sit()
    again.driver.press("Escape")  # takes the message away
    shown = again.driver.shown().astype(float)
    for place, color in ((first, RED), (second, BLUE)):
        here = np.clip(shown[place], 0, 255)
        assert np.abs(here - (one.document.image[place] + np.array(color)) / 2).max() <= 1
    again.document = one.document
    again.driver.click(third)
    again.document.fill(*third, RED)
    again.save()
    assert again.driver.end("q").code == 0

    whole = sit()
    whole.document = one.document
    assert whole.driver.end("q").code == 0
    whole.check()


def test_masks_edited_by_another_program_are_painted(sit):
    one = sit()
    place = one.places(1)[0]
    one.driver.click(place)
    one.driver.press("s")
    one.driver.end("q")
    (path,) = one.out.glob("*_mask_*")
    edited = np.zeros((160, 240), np.uint8)
    edited[20:60, 30:90] = 255
    Image.fromarray(edited).save(path)
    again = sit()
    again.document.stamp(edited > 0, RED)
    again.driver.press("2")
    again.driver.click((120, 200))
    again.document.fill(120, 200, BLUE)
    again.save()


def test_templates_are_found_and_painted(sit, tmp_path):
    image = np.asarray(Image.open(tmp_path / "pictures" / "coffee.png"))
    folder = tmp_path / "templates"
    folder.mkdir()
    Image.fromarray(image[60:100, 60:110]).save(folder / "a.png")
    Image.fromarray(image[10:40, 150:190]).save(folder / "b.png")
    one = sit("coffee", "--templates", folder)
    templates = [
        icas.make_template(image[60:100, 60:110], color=RED, name="a"),
        icas.make_template(image[10:40, 150:190], color=BLUE, name="b"),
    ]
    found = icas.paint_templates(image, templates, threshold=None)
    for color, mask in found.masks.items():
        one.document.stamp(mask, color)
    one.driver.press("t")
    one.driver.until("it is painted", lambda: _is_red(one.driver.shown(), image))
    one.save()
    one.driver.press("z")
    one.driver.press("s")
    assert one.saved() == {}


def _is_red(shown, image):
    """Whether the middle of the first template is redder than the image by far."""
    before, now = (part[65:95, 65:105].astype(int) for part in (image, shown))
    redness = [(part[..., 0] - part[..., 1:].mean(axis=2)).mean() for part in (before, now)]
    return redness[1] > redness[0] + 25


def test_no_templates_is_reported_in_the_window(sit):
    one = sit()
    before = one.driver.bar()
    one.driver.press("t")
    assert (one.driver.bar() != before).any()
    assert one.driver.end("q").code == 0


def test_a_picture_that_cannot_be_read_is_reported_and_passed(start, pictures, tmp_path):
    (pictures / "broken.png").write_bytes((pictures / "coffee.png").read_bytes()[:2000])
    driver = start(pictures, "--out", tmp_path / "out")
    driver.until("the picture is open", lambda: driver.find("Painting"))
    driver.image("astronaut.png")
    driver.press("n")
    driver.press("s", shows=True)
    driver.press("n")
    driver.image("chelsea.png")
    ended = driver.end("q")
    assert ended.code == 3
    assert f"unreadable: {pictures / 'broken.png'}: " in ended.err
    assert "Traceback" not in ended.err

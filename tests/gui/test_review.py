"""The review of carried masks in real windows."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import icas
from icas.segmentimg.document.palette import PaintClass, Painting
from icas.segmentimg.formats.inputs import find_image_files
from icas.segmentimg.formats.masks import save_painting

pytestmark = pytest.mark.gui


def decided(out):
    """States of the decisions on disk, sorted."""
    texts = [path.read_text() for path in out.glob("*.json")]
    states = [json.loads(text).get("propagated", {}).get("state") for text in texts]
    return sorted(state for state in states if state in ("accepted", "fixed", "rejected"))


def test_masks_are_accepted_and_rejected_by_keys(start, pictures, tmp_path):
    out = tmp_path / "out"
    for picture in find_image_files([pictures / "coffee.png"], out):
        class_map = np.zeros(icas.read_image(picture.path).shape[:2], np.int16)
        class_map[30:140, 50:210] = 1
        painting = Painting(class_map, (PaintClass("cup", (204, 0, 0)),))
        save_painting(picture, painting, {"image": "coffee.png"})
    words = ("--clusters", "one", "--accept", "1", "--jobs", "1", "--out", out)
    driver = start("propagate", pictures, *words, "--review")
    driver.until("the review opens", lambda: driver.box("Painting")[2] > 1, 120)
    driver.until("the colours are there", lambda: driver.find("Colours"))
    driver.image("1 of 2")
    driver.press("x")
    driver.image("2 of 2")
    driver.type("space")
    # of two keys that come while the program saves, Qt keeps only the last
    driver.until("both decisions are saved", lambda: decided(out) == ["accepted", "rejected"])
    ended = driver.end("q")
    assert (ended.code, ended.err) == (0, "")
    assert "2 images reviewed: 1 accepted, 0 fixed, 1 without the object; 0 left" in ended.out
    with (out / "propagated.csv").open(newline="") as file:
        states = {row["file"]: row["state"] for row in csv.DictReader(file)}
    assert sorted(states.values()) == ["accepted", "rejected"]

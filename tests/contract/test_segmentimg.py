"""What users of segmentimg rely on, name by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

import icas
import icas.io.reading
from icas.segmentimg.commands.main import PROGRAM, main

METHODS = "edge superpixel kmeans slickmeans chanvese chanvase felzenszwalb quickshift graph"
FLAGS = (
    "--method --out --no-gui --preview --save --jobs --resume -q -v --debug --region-size --ruler"
    " --k --color-importance --scale --sigma --min-size --kernel-size --max-dist --ratio"
    " --work-size --bins --version --help --sam-checkpoint --sam-model --sam-mode --device --box"
    " --point --templates --attentions --segments --masks --template-threshold --palette"
    " --classes --polygons --portable-names --ahead --help-all"
)


def test_every_flag_is_there():
    known = {
        flag for action in PROGRAM.parser("segment")._actions for flag in action.option_strings
    }
    assert set(FLAGS.split()) <= known


@pytest.mark.parametrize("method", METHODS.split())
def test_every_method_gives_labels(method):
    labels = icas.segment(samples.chelsea()[::2, ::2], method)
    assert labels.dtype == np.int32
    assert labels.shape == samples.chelsea()[::2, ::2].shape[:2]
    assert labels.max() > 1


def test_python():
    image = samples.coffee()
    labels = icas.segment(image, "superpixel", region_size=30)
    assert labels.min() == 1
    made = icas.kmeans_colors(image, 5, seed=0)
    assert made.centres.shape == (5, 3)
    tree = icas.merge_tree(image, labels)
    assert icas.labels_at(tree, 10).max() == 10


def test_files(photos, tmp_path):
    picture = photos / "coffee-1.png"
    assert main([str(picture), "--no-gui", "--out", str(tmp_path), "-q"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "coffee-1.json",
        "coffee-1_overlay.png",
        "coffee-1_segments.png",
    ]


def test_painting_from_python():
    image = samples.coffee()[:120, :160]
    doc = icas.PaintDocument(image, icas.segment(image))
    doc.fill(60, 80, (204, 0, 0))
    doc.cut((0, 0), (119, 159))
    doc.undo()
    doc.redo()
    doc.unfill(10, 100)
    assert set(doc.masks()) == {(204, 0, 0)}
    assert doc.masks()[204, 0, 0].shape == (120, 160)
    found = icas.paint_templates(image, [image[20:50, 30:70]], threshold=0.05)
    assert (found.places[0].row, found.places[0].col) == (20, 30)
    assert list(found.masks) == [(204, 0, 0)]


def test_files_of_painting(photos, tmp_path):
    templates = tmp_path / "templates"
    templates.mkdir()
    cup = icas.read_image(photos / "coffee-1.png")[60:100, 90:150]
    icas.io.reading.write_image(templates / "cup.png", cup)
    words = [str(photos / "coffee-1.png"), "--no-gui", "--templates", str(templates), "-q"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {
        "coffee-1.json",
        "coffee-1_labels.png",
        "coffee-1_mask_(R:204,G:0,B:0).png",
        "coffee-1_overlay.png",
        "coffee-1_segments.png",
    } == names
    assert main([*words, "--out", str(tmp_path / "other"), "--portable-names"]) == 0
    assert (tmp_path / "other" / "coffee-1_mask_(R=204,G=0,B=0).png").exists()


def test_grabcut_from_python():
    image = samples.coffee()[:200, :300]
    strokes = np.zeros(image.shape[:2], bool)
    strokes[90:110, 140:160] = True
    outside = np.zeros(image.shape[:2], bool)
    outside[:5] = True
    mask = icas.grabcut(image, box=None, foreground=strokes, background=outside, rounds=5)
    assert mask.dtype == bool
    assert mask.shape == image.shape[:2]
    assert mask[strokes].all()
    assert not mask[outside].any()
    assert not icas.grabcut(image, (20, 20, 280, 180))[:20].any()


@pytest.mark.parametrize("name", ["coco", "yolo", "voc", "labelme", "hf"])
def test_data_sets_both_ways(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("photos_segmented").mkdir()
    Image.new("RGB", (40, 30), "gray").save("photos/a.png")
    mask = Image.new("L", (40, 30))
    mask.paste(255, (5, 5, 20, 20))
    mask.save("photos_segmented/a_mask_(R=204,G=0,B=0).png")
    assert main(["export", "photos_segmented", "--format", name, "--to", "set"]) == 0
    if name == "hf":
        return
    words = ["import", "set", "--format", name, "--images", "photos", "--out", "again"]
    assert main(words) == 0
    labels = np.asarray(Image.open("again/a_labels.png"))
    np.testing.assert_array_equal(labels > 0, np.asarray(mask) > 0)


def test_masks_are_carried_to_images_without_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("photos_segmented").mkdir()
    image = samples.coffee()[::4, ::4]
    for name in "ab":
        Image.fromarray(image).save(f"photos/{name}.png")
    mask = np.zeros(image.shape[:2], bool)
    mask[10:80, 20:110] = True
    Image.fromarray(mask).save("photos_segmented/a_mask_(R=204,G=0,B=0).png")
    Path("clusters.csv").write_text("file,cluster\na.png,0\nb.png,0\n")
    words = ["--clusters", "clusters.csv", "--accept", "0.95", "--chain", "off", "--jobs", "1"]
    assert main(["propagate", "photos", *words]) == 0
    assert main(["propagate", "photos", *words, "--resume"]) == 0
    header, row = Path("photos_segmented/propagated.csv").read_text().splitlines()
    assert header == "file,class,instance,source,route,confidence,state"
    assert row.startswith("b.png,red,1,a.png,geometry,")
    assert row.rpartition(",")[2] in ("carried", "accepted", "fixed", "rejected")
    labels = np.asarray(Image.open("photos_segmented/b_labels.png"))
    assert ((labels > 0) & mask).sum() > 0.95 * ((labels > 0) | mask).sum()

    done = icas.propagate([image, image], {0: mask}, weights=None)
    assert done.masks[1].shape == mask.shape
    assert done.confidence[0] == 1
    assert set(done.queue()) <= {1}
    done.correct(1, mask)
    assert done.queue() == []

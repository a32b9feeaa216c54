"""Painting from the command line without a window: templates, earlier paint, what is written."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

import icas
from icas.io.reading import write_image
from icas.segmentimg.commands.main import main
from icas.segmentimg.formats.autosave import autosave_path, read_autosave, write_autosave
from icas.segmentimg.formats.inputs import find_image_files
from icas.segmentimg.settings import SegmentSettings

RED, BLUE = (204, 0, 0), (0, 0, 255)


@pytest.fixture
def folders(tmp_path):
    """A folder `pictures` with two pictures, and a folder `templates` with a part of one."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "templates").mkdir()
    write_image(tmp_path / "pictures" / "cat.png", samples.chelsea()[:240, 60:360])
    write_image(tmp_path / "pictures" / "cup.png", samples.coffee()[100:340, 100:400])
    write_image(tmp_path / "templates" / "eye.png", samples.chelsea()[80:120, 160:210])
    return tmp_path


def mask_of(out, name, color=RED):
    path = out / f"{name}_mask_(R:{color[0]},G:{color[1]},B:{color[2]}).png"
    return np.array(Image.open(path)) > 0


def run(folders, *words):
    return main(
        [str(folders / "pictures"), "--no-gui", "--templates", str(folders / "templates"), *words]
    )


def test_templates_are_found_and_painted(folders, capsys):
    assert run(folders, "--template-threshold", "0.001") == 0
    out = folders / "pictures_segmented"
    mask = mask_of(out, "cat")
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (80, 119, 100, 149)
    assert "1 template match," in capsys.readouterr().out
    reported = json.loads((out / "cup.json").read_text())
    assert reported["classes"] == []
    assert reported["painted_files"] == ["cup_labels.png"]
    assert not np.array(Image.open(out / "cup_labels.png")).any()
    assert (out / "cat_segments.png").exists()


def test_the_best_place_is_painted_without_a_threshold(folders):
    assert run(folders) == 0
    out = folders / "pictures_segmented"
    assert mask_of(out, "cat").sum() == mask_of(out, "cup").sum() > 0


def test_resume_leaves_finished_pictures_out_and_other_templates_do_not(folders, capsys):
    assert run(folders) == 0
    capsys.readouterr()
    assert run(folders, "--resume") == 0
    assert "(2 done before)" in capsys.readouterr().out
    assert run(folders, "--resume", "--template-threshold", "0.2") == 0
    assert "done before" not in capsys.readouterr().out


def opened(folders, **options):
    settings = SegmentSettings(**options)
    [picture, *_] = find_image_files([folders / "pictures" / "cat.png"])
    return settings.make_opener().open(picture)


def test_what_was_painted_by_hand_stays_under_the_templates(folders):
    work = opened(folders)
    work.document.fill(200, 20, BLUE)
    painted = work.document.masks()[BLUE]
    autosave_path(work.picture).parent.mkdir(parents=True)
    write_autosave(autosave_path(work.picture), work.snapshot())
    assert run(folders) == 0
    out = folders / "pictures_segmented"
    assert (mask_of(out, "cat", BLUE) == painted).all()
    kept = read_autosave(autosave_path(work.picture))
    assert kept is not None
    assert kept.saved
    again = opened(folders)
    assert set(again.document.masks()) == {RED, BLUE}
    assert not again.unsaved


def test_another_run_starts_over_where_no_hand_has_painted(folders):
    assert run(folders) == 0
    out = folders / "pictures_segmented"
    assert mask_of(out, "cup").any()
    assert run(folders, "--template-threshold", "0.001") == 0
    assert not list(out.glob("cup_mask_*"))
    assert mask_of(out, "cat").any()


def test_no_resume_starts_over(folders):
    assert run(folders) == 0
    shutil.rmtree(folders / "templates")
    words = [str(folders / "pictures"), "--no-gui", "--save", "masks,labels", "--no-resume"]
    assert main(words) == 0
    out = folders / "pictures_segmented"
    assert not list(out.glob("*_mask_*"))
    assert not np.array(Image.open(out / "cat_labels.png")).any()


def test_masks_become_coco_and_labelme_later(folders):
    assert run(folders) == 0
    pictures, out = str(folders / "pictures"), folders / "pictures_segmented"
    assert main([pictures, "--no-gui", "--save", "masks,coco,labelme"]) == 0
    reported = json.loads((out / "coco.json").read_text())
    assert [one["file_name"] for one in reported["images"]] == ["cat.png", "cup.png"]
    assert [one["area"] for one in reported["annotations"]] == [mask_of(out, "cat").sum()] * 2
    shapes = json.loads((out / "cat_labelme.json").read_text())["shapes"]
    assert [shape["shape_type"] for shape in shapes] == ["mask"]


def test_a_palette_names_the_classes(folders):
    (folders / "classes.txt").write_text("eye,#0000ff\nfur,#808080\n")
    assert run(folders, "--palette", str(folders / "classes.txt"), "--portable-names") == 0
    out = folders / "pictures_segmented"
    assert (out / "cat_mask_(R=0,G=0,B=255).png").exists()
    reported = json.loads((out / "cat.json").read_text())
    assert reported["classes"][0]["name"] == "eye"
    assert np.array(Image.open(out / "cat_labels.png")).max() == 1


def test_an_exif_turn_gives_upright_masks(folders):
    picture = Image.fromarray(samples.chelsea()[:240, 60:360])
    exif = picture.getexif()
    exif[274] = 6
    picture.save(folders / "pictures" / "turned.jpg", exif=exif, quality=95)
    assert run(folders) == 0
    upright = icas.read_image(folders / "pictures" / "turned.jpg")
    assert upright.shape[:2] == (300, 240)
    assert mask_of(folders / "pictures_segmented", "turned").shape == (300, 240)


def test_templates_that_do_not_fit_are_reported_before_any_work(folders, capsys):
    write_image(folders / "templates" / "more.png", samples.coffee()[:20, :20])
    (folders / "segments").mkdir()
    write_image(folders / "segments" / "eye.png", samples.coffee()[:40, :50] // 255 * 255)
    assert run(folders, "--segments", str(folders / "segments")) == 2
    assert "2 templates" in capsys.readouterr().err
    assert not (folders / "pictures_segmented").exists()


def test_paint_templates_in_python():
    image = samples.chelsea()
    found = icas.paint_templates(image, [image[80:120, 160:210]], threshold=0.001)
    [place] = found.places
    assert (place.row, place.col, place.similarity) == (80, 160, 1.0)
    [(color, mask)] = found.masks.items()
    assert color == RED
    assert mask.sum() <= 40 * 50


def test_grabcut_by_box_and_points_gives_segments_and_a_mask(folders):
    out = folders / "cut"
    words = ["--method", "grabcut", "--no-gui", "--box", "60,40,240,220", "--point", "150,150,1"]
    assert main([str(folders / "pictures" / "cup.png"), *words, "--out", str(out)]) == 0
    image = icas.read_image(folders / "pictures" / "cup.png")
    labels = icas.segment(image, "grabcut", boxes=[(60, 40, 240, 220)], points=[(150, 150, 1)])
    assert (np.array(Image.open(out / "cup_segments.png")) == labels).all()
    mask = mask_of(out, "cup")
    assert mask[150, 150]
    assert not mask[:40].any()
    assert {*labels[mask]}.isdisjoint({*labels[~mask]})
    other = ["--method", "grabcut", "--no-gui", "--box", "80,60,230,200", "--out", str(out)]
    assert main([str(folders / "pictures" / "cup.png"), *other]) == 0
    again = np.array(Image.open(out / "cup_labels.png"))  # the box of before is forgotten
    assert (again == icas.grabcut(image, (80, 60, 230, 200))).all()


def test_a_method_that_is_reported_nothing_says_so(folders, capsys):
    words = [str(folders / "pictures" / "cup.png"), "--method", "grabcut", "--no-gui"]
    assert main(words) == 2
    assert "needs --box" in capsys.readouterr().err

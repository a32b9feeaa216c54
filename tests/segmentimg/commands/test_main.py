"""The command segmentimg: files, words, exit codes."""

from __future__ import annotations

import hashlib
import json
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

import icas
from icas.segmentimg import pipeline
from icas.segmentimg.commands.main import PROGRAM, main


@pytest.fixture
def folder(photos, tmp_path):
    made = tmp_path / "pictures"
    made.mkdir()
    for name in ("coffee-1.png", "rocket-2.jpg", "astronaut-10.bmp"):
        shutil.copy(photos / name, made / name)
    return made


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_gives_three_files_a_picture(folder, capsys):
    assert main([str(folder), "--method", "graph", "--no-gui"]) == 0
    out = folder.parent / "pictures_segmented"
    names = [
        f"{name}{ending}"
        for name in ("astronaut-10", "coffee-1", "rocket-2")
        for ending in (".json", "_overlay.png", "_segments.png")
    ]
    assert files(out) == sorted(names)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("3 images, ")
    assert last.endswith(f"0 unreadable -> {out}")
    labels = cv2.imread(str(out / "coffee-1_segments.png"), cv2.IMREAD_UNCHANGED)
    image = icas.read_image(folder / "coffee-1.png")
    assert labels.dtype == np.uint16
    assert (labels == icas.segment(image, "graph")).all()
    reported = json.loads((out / "coffee-1.json").read_text())
    assert reported["segments"] == labels.max()
    assert reported["sha256"] == hashlib.sha256((folder / "coffee-1.png").read_bytes()).hexdigest()
    assert (reported["width"], reported["height"], reported["method"]) == (240, 180, "graph")
    overlay = icas.read_image(out / "coffee-1_overlay.png")
    assert overlay.shape == image.shape
    assert 0.01 < (overlay != image).any(axis=2).mean() < 0.9


def test_resume_segments_nothing_twice(folder, monkeypatch, capsys):
    words = [str(folder), "--method", "graph", "--no-gui"]
    assert main(words) == 0
    runs = []
    real = pipeline.run_segmenter
    monkeypatch.setattr(pipeline, "run_segmenter", lambda *given: runs.append(1) or real(*given))
    assert main([*words, "--resume"]) == 0
    assert runs == []
    assert "3 images (3 done before)" in capsys.readouterr().out
    out = folder.parent / "pictures_segmented"
    (out / "coffee-1_overlay.png").unlink()
    shutil.copy(folder / "rocket-2.jpg", folder / "astronaut-10.bmp")
    assert main([*words, "--resume"]) == 0
    assert len(runs) == 2
    assert main([*words, "--resume", "--min-size", "80"]) == 0
    assert len(runs) == 5


def test_names_that_two_pictures_share_keep_their_suffix(folder):
    Image.open(folder / "coffee-1.png").save(folder / "coffee-1.jpg")
    out = folder.parent / "o"
    assert main([str(folder / "coffee-1.png"), "--no-gui", "--out", str(out)]) == 0
    assert files(out)[0] == "coffee-1.png.json"


def test_unreadable_pictures_are_reported(folder, capsys):
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert main([str(folder), "--no-gui"]) == 3
    out, err = capsys.readouterr()
    assert "broken.jpg" in err
    assert "1 unreadable" in out


def test_centres_are_saved(folder):
    out = folder.parent / "o"
    words = ["--method", "kmeans", "--k", "5", "--position-weight", "0", "--no-gui"]
    words += ["--save", "centres,json", "--out", str(out)]
    assert main([str(folder / "coffee-1.png"), *words]) == 0
    assert files(out) == ["coffee-1.json", "coffee-1_centres.png"]
    made = icas.kmeans_colors(icas.read_image(folder / "coffee-1.png"), 5, seed=0)
    assert (icas.read_image(out / "coffee-1_centres.png") == made.picture).all()
    reported = json.loads((out / "coffee-1.json").read_text())
    assert np.allclose(reported["centres"], made.centres, atol=0.01)


def test_preview_shows_all_methods(folder, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    assert main([str(folder / "coffee-1.png"), "--preview", str(sheet)]) == 0
    out = capsys.readouterr().out
    for method in ("superpixel", "edge", "chanvese", "graph"):
        assert f"{method}: " in out
    assert min(icas.read_image(sheet).shape[:2]) > 800


def test_evaluate_prints_the_three_measures(data, capsys):
    words = ["evaluate", "--images", str(data / "seg-bsds500" / "images")]
    words += ["--truth", str(data / "seg-bsds500" / "gt_png"), "--method", "graph", "--json"]
    assert main(words) == 0
    reported = json.loads(capsys.readouterr().out)
    assert reported["pictures"] == 30
    assert reported["achievable_accuracy"] > 0.9


@pytest.mark.parametrize(
    ("words", "code", "reported"),
    [
        ([], 2, "no image: segmentimg PATH"),
        (["{picture}", "--save", "overlay"], 2, "needs --no-gui"),
        (["nowhere.jpg", "--no-gui"], 2, "does not exist"),
        (["{empty}", "--no-gui"], 1, "no images"),
        (["{picture}", "--method", "sam", "--no-gui"], 2, "needs --sam-checkpoint"),
        (["{picture}", "--method", "magic", "--no-gui"], 2, "choose from"),
        (["{picture}", "--templates", "x"], 2, "no folder"),
        (["{picture}", "--attentions", "x"], 2, "goes with --templates"),
        (["{picture}", "--palette", "x.txt"], 2, "x.txt"),
        (["{picture}", "--no-gui", "--palette", "x.txt"], 2, "x.txt"),
        (["{picture}", "--no-gui", "--ruler", "5", "--method", "graph"], 2, "no option of method"),
        (["{picture}", "--no-gui", "--k", "0", "--method", "kmeans"], 2, "between 1 and"),
        (["{picture}", "--no-gui", "--save", "pdf"], 2, "segments, overlay"),
        (["{picture}", "--no-gui", "--save", "centres"], 2, "kmeans"),
        (["{empty}", "--preview", "x.png"], 2, "needs one image file"),
        (["evaluate", "--images", "{empty}", "--truth", "{empty}"], 2, "label map"),
    ],
)
def test_errors_are_one_line(folder, tmp_path, capsys, words, code, reported):
    (tmp_path / "empty").mkdir()
    places = {"picture": folder / "coffee-1.png", "empty": tmp_path / "empty"}
    assert main([word.format(**places) for word in words]) == code
    err = capsys.readouterr().err
    assert reported in err
    assert err.startswith("segmentimg: ")
    assert err.count("\n") == 1


def test_help_names_every_flag_with_its_default():
    parser = PROGRAM.parser("segment")
    known = {flag for action in parser._actions for flag in action.option_strings}
    wanted = "--region-size --ruler --k --color-importance --scale --sigma --min-size"
    assert set(f"{wanted} --kernel-size --max-dist --ratio --bins --mu".split()) <= known
    for action in parser._actions:
        if action.option_strings and action.dest not in ("help", "help_all", "version"):
            assert "default: " in (action.help or ""), action.option_strings


def test_a_flag_that_two_methods_share_serves_both(folder):
    out = folder.parent / "o"
    picture = str(folder / "coffee-1.png")
    words = ["--no-gui", "--out", str(out)]
    assert main([picture, "--method", "graph", "--k", "60.5", *words]) == 0
    assert main([picture, "--method", "kmeans", "--k", "12", *words]) == 0


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version(flag, capsys):
    with pytest.raises(SystemExit) as left:
        main([flag])
    assert left.value.code == 0
    assert capsys.readouterr().out


def test_scaled_depths_are_noted_once(tmp_path, capsys):
    for number in range(3):
        values = np.indices((40, 50)).sum(0) * (number + 9) % 4096
        Image.fromarray(values.astype(np.uint16)).save(tmp_path / f"{number}.png")
    out, preview = str(tmp_path / "out"), str(tmp_path / "all.png")
    for words in ([str(tmp_path), "--no-gui"], [str(tmp_path / "0.png"), "--preview", preview]):
        assert main([*words, "--out", out, "--method", "graph"]) == 0
        assert capsys.readouterr().err.count("scaled by the bits used") == 1


@pytest.mark.parametrize("flag", ["--sam-model", "--points-per-side", "--ratio"])
def test_a_flag_of_another_method_is_named_as_typed(folder, capsys, flag):
    value = "vit_b" if flag == "--sam-model" else "2"
    assert main([str(folder), "--no-gui", "--method", "edge", flag, value]) == 2
    assert f"{flag} is no option of method 'edge'; it has --closing" in capsys.readouterr().err

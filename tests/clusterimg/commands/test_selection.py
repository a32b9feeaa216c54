"""Commands that select images: quality, best."""

from __future__ import annotations

import json
import os

import pytest
from PIL import Image
from skimage import data

from icas.clusterimg.commands.main import main


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    cup = Image.fromarray(data.coffee()).resize((300, 200))
    cup.save(folder / "cup.jpg")
    Image.fromarray(data.rocket()).resize((300, 200)).save(folder / "rocket.jpg")
    Image.new("RGB", (300, 200)).save(folder / "more" / "black.png")
    return folder


def test_quality_writes_a_table_and_a_page_beside_the_folder(photos, capsys):
    assert main(["quality", "photos"]) == 0
    out = capsys.readouterr().out
    assert out == "2 images, no issues found, 0 unreadable -> photos_quality/quality.csv\n"
    assert sorted(path.name for path in (photos.parent / "photos_quality").iterdir()) == [
        "quality.csv",
        "quality.html",
    ]


def test_quality_as_json(photos, capsys):
    words = ["quality", "--src", "photos", "--recursive", "--json", "--out", "a.csv", "--no-report"]
    assert main(words) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["images"] == 3
    assert summary["issues"]["dark"] == ["more/black.png"]
    assert summary["out"] == "a.csv"
    assert not (photos.parent / "a.html").exists()


def test_quality_lists_unreadable_files(photos, capsys):
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["quality", "photos", "--jobs", "1"]) == 3
    captured = capsys.readouterr()
    assert "1 unreadable" in captured.out.splitlines()[-1]
    assert captured.err.startswith("unreadable: broken.png: ")


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        (["nowhere"], "no folder 'nowhere'", 2),
        (["photos", "--jobs", "0"], "--jobs 0: must be at least 1", 2),
        (["photos/more", "--out", "photos/cup.jpg"], "", 1),
        ([], "no source folder", 2),
    ],
)
def test_quality_refuses_in_one_line(photos, capsys, words, says, code):
    assert main(["quality", *words]) == code
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_best_prints_the_plan_and_moves_the_others(photos, capsys):
    cup = Image.open(photos / "cup.jpg")
    cup.resize((150, 100)).save(photos / "small.jpg")
    run = ["photos", "--method", "imagehash", "--threshold", "0.8", "--transfer", "none", "-q"]
    assert main([*run, "--dst", "dup"]) == 0
    capsys.readouterr()
    words = ["best", "dup", "--by", "largest,name", "--move-others", "others"]
    assert main([*words, "--dry-run", "-v"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("plan: move 1 image (")
    assert lines[1].endswith(f"small.jpg -> others{os.sep}small.jpg")
    assert lines[-1].endswith("-> dup/best.csv (dry run, nothing written)")
    assert main(words) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "1 cluster, 1 image to keep, 1 other, 1 moved to others -> dup/best.csv"
    assert not (photos / "small.jpg").exists()
    assert main([*words, "--resume", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["moved"], summary["others"]) == (1, ["small.jpg"])
    assert main(words) == 1
    assert "others is not empty" in capsys.readouterr().err
    assert main(["undo", "others", "-q"]) == 0
    assert (photos / "small.jpg").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], "is not the result of a finished clusterimg run"),
        (["photos", "--by", "prettiest"], "--by prettiest: choose from largest"),
        (["photos", "--resume"], ""),
        ([], "DST"),
    ],
)
def test_best_refuses_in_one_line(photos, capsys, words, says):
    assert main(["best", *words]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1

"""Printed paths are relative where the paths on the command line are."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from icas.clusterimg.commands.main import main as clusterimg
from icas.io.files import as_typed, beside
from icas.segmentimg.commands.main import main as segmentimg

PROGRAMS = {"clusterimg": clusterimg, "segmentimg": segmentimg}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder with ``photos``: two pairs of equal images, and a file that is none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    Path("photos").mkdir()
    for number in range(4):
        noise = np.random.default_rng(number // 2).integers(0, 256, (8, 8, 3), np.uint8)
        cv2.imwrite(f"photos/{number}.png", cv2.resize(noise, (64, 64)))
    Path("photos/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path


def run(capsys, line: str) -> str:
    """What the command line prints on both streams."""
    program, *words = line.split()
    PROGRAMS[program](words)
    out, err = capsys.readouterr()
    return out + err


CLUSTER = "clusterimg photos --method imagehash --threshold 0.9 --no-cache"
LINES = [
    (f"{CLUSTER} --dry-run -v", "plan: copy photos/0.png -> result/cluster_0/0.png"),
    (f"{CLUSTER} --transfer move", "2 clusters, 0 outliers, 1 unreadable -> photos_clustered\n"),
    ("clusterimg undo photos_clustered --dry-run -v", " -> photos/0.png\n"),
    ("clusterimg undo photos_clustered", "0 left in photos_clustered\n"),
    (CLUSTER, " -> photos_clustered\n"),
    (CLUSTER, "clusterimg: result folder photos_clustered is not empty"),
    (f"{CLUSTER} --resume", " -> photos_clustered\n"),
    ("clusterimg photos_clustered --dst photos_clustered --resume", "not of photos_clustered\n"),
    ("clusterimg split photos_clustered cluster_0 --dry-run -v", "photos_clustered/result/"),
    ("clusterimg decide photos_clustered must-link 0.png nothing.png", " photos_clustered"),
    ("clusterimg thresholds photos --no-cache --out a.csv --plot b.png", " -> a.csv, b.png\n"),
    ("clusterimg cache info --cache kept", "kept"),
    (f"{CLUSTER} --stage batch --batch-size 2 --dst parts", " -> parts\n"),
    ("clusterimg parts --stage merge --no-cache", " -> parts_clustered\n"),
    (f"{CLUSTER} --reference parts/batches --recursive --dst known", " -> known\n"),
    ("clusterimg undo nowhere", "nowhere"),
    ("segmentimg photos --no-gui -v", " -> photos_segmented\n"),
    ("segmentimg photos --no-gui -v", "photos/0.png: "),
    ("segmentimg photos/0.png --no-gui --out masks", " -> masks\n"),
    ("segmentimg photos/0.png --preview preview.png", " -> preview.png\n"),
    ("segmentimg photos", "no display"),
    ("segmentimg nowhere --no-gui", "nowhere does not exist"),
    ("segmentimg evaluate --images photos --truth photos_segmented", "photos"),
]


def test_relative_paths_stay_relative(here, capsys):
    for line, shown in LINES:
        printed = run(capsys, line)
        assert shown in printed, line
        assert str(here) not in printed, line


def test_absolute_paths_stay_absolute(here, capsys):
    printed = run(capsys, CLUSTER.replace("photos", str(here / "photos")))
    assert f" -> {here}{os.sep}photos_clustered\n" in printed
    printed = run(capsys, f"segmentimg {here / 'photos'} --no-gui")
    assert f" -> {here}{os.sep}photos_segmented\n" in printed


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("photos", "photos_x"),
        ("./photos/", "photos_x"),
        (".", "../{here}_x"),
        ("photos/..", "../{here}_x"),
        ("photos/../photos", "photos/../photos_x"),
    ],
)
def test_the_default_result_is_beside_the_source(here, source, result):
    found = beside(Path(source), "_x")
    assert found == Path(result.format(here=here.name))
    assert found.resolve() == Path(os.path.realpath(source) + "_x")


def test_the_result_of_a_link_is_beside_its_target(here, tmp_path_factory):
    target = tmp_path_factory.mktemp("elsewhere") / "images"
    target.mkdir()
    Path("link").symlink_to(target)
    assert beside(Path("link"), "_x") == target.resolve().with_name("images_x")


def test_recorded_paths_are_shown_as_others_are_typed(here):
    inside = here.resolve() / "photos" / "0.png"
    assert as_typed(inside, Path("out")) == Path("photos/0.png")
    assert as_typed(inside, here) == inside
    assert as_typed("/somewhere/else.png", Path("out")) == Path("/somewhere/else.png")


def test_one_folder_named_in_two_ways_has_one_result(here, capsys):
    printed = run(capsys, f"segmentimg photos/0.png {here / 'photos' / '0.png'} --no-gui")
    assert "would write" in printed

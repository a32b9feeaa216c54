"""The page on files has the columns and fields that real runs write."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys

import pytest
from blocks import read
from running import main_of

import icas
from icas.clusterimg.results.best_images import CRITERIA
from icas.clusterimg.review.apply import apply_review, plan_review
from icas.clusterimg.review.session import open_review

PAGE = "docs/files.md"
ITEM = re.compile(r"^- ((?:`[^`]+`(?:, )?)+)( \()?", re.MULTILINE)
NAME = re.compile(r"`([^`]+)`")


def section(heading: str) -> str:
    return re.split(r"\n#+ ", read(PAGE).split(f"# {heading}\n")[1])[0]


def documented(heading: str) -> list[str]:
    """Names at the start of the list items under a heading."""
    return [name for names, _ in ITEM.findall(section(heading)) for name in NAME.findall(names)]


def always(heading: str) -> set[str]:
    """Those without a note in parentheses on when they occur."""
    return {name.strip("`") for name, note in ITEM.findall(section(heading)) if not note}


def run(*words: str) -> None:
    assert main_of(words[0])(list(words[1:])) == 0


def columns(path) -> list[str]:
    with path.open(newline="") as stream:
        return next(csv.reader(stream))


@pytest.fixture
def in_workspace(workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    return workspace


@pytest.fixture
def results(in_workspace):
    """A plain run, one with decisions and candidates, a look-up, and one that was cut again."""
    orb = ("--method", "orb", "--candidates", "3", "--batch-size", "6", "--dst", "some")
    levels = ("photos", "--dst", "levels", "--threshold")
    run("clusterimg", "photos", "--dst", "plain")
    run("clusterimg", "decide", "plain", "must-link", "moon.png", "page.png")
    run("clusterimg", "label", "plain", "moon.png=sky")
    run("clusterimg", "photos", *orb)
    run("clusterimg", "decide", "plain", "forget", "all")
    run("clusterimg", "photos", "--reference", "archive", "--dst", "found")
    run("clusterimg", *levels, "0.5")
    run("clusterimg", *levels, "0.8", "--resume")
    run("clusterimg", "split", "levels", "cluster_0")
    run("clusterimg", "best", "levels", "--by", ",".join(CRITERIA))
    with open_review(in_workspace / "levels") as session:
        session.execute("merge", {"clusters": [0, 1]}, 0, "merge")
        apply_review(session, plan_review(session).key, 1, "apply")
    return in_workspace


TABLES = {
    "clusters.csv": "plain/clusters.csv",
    "certificate.csv": "plain/certificate.csv",
    "similarities/batch_0.csv … merge.csv": "some/similarities/merge.csv",
    "labels.csv": "some/labels.csv",
    "best.csv": "levels/best.csv",
    "unreadable.csv": "plain/unreadable.csv",
    "reference.csv": "found/reference.csv",
}


def test_what_clusterimg_writes_is_documented(results):
    for heading, path in TABLES.items():
        assert documented(heading) == columns(results / path), heading
    kept = {path.name for path in results.glob("*/.icas/*")}
    assert kept <= {name.split("/")[0] for name in documented(".icas")}
    runs = [json.loads((path / "run.json").read_text()) for path in results.glob("*/")
            if (path / "run.json").exists()]  # fmt: skip
    names = documented("run.json")
    assert len(runs) == 4
    assert set().union(*runs) == set(names) - {"models", "added"}
    assert set.intersection(*map(set, runs)) - {"features"} == always("run.json")
    plain = json.loads((results / "plain" / "run.json").read_text())
    assert list(plain) == [name for name in names if name in plain]
    listed = re.search(r"## A result of clusterimg.*?```text\n(.*?)```", read(PAGE), re.DOTALL)[1]
    for path in [*results.glob("plain/*"), *results.glob("some/*"), *results.glob("found/*")]:
        assert path.name in listed, path


def test_the_caches_files_are_documented(results):
    import os
    from pathlib import Path

    found = {path.name for path in Path(os.environ["ICAS_CACHE"]).iterdir()}
    assert {name for name in found if "-" not in name} <= set(documented("The cache"))


def test_what_is_written_of_thresholds_is_documented(in_workspace):
    run("clusterimg", "thresholds", "photos", "--labels", "labels.csv", "--out", "curve.csv")
    assert documented("thresholds --out curve.csv") == columns(in_workspace / "curve.csv")


def test_what_is_written_of_models_and_training_is_documented():
    from dataclasses import fields

    from icas.clusterimg.results.saved import COLUMNS
    from icas.clusterimg.training.report import Epoch

    assert documented("models.csv") == list(COLUMNS)
    assert documented("train --out model.pt") == [field.name for field in fields(Epoch)]


def test_what_segmentimg_writes_is_documented(in_workspace):
    run("segmentimg", "img.png", "--no-gui", "--out", "cut")
    run("segmentimg", "img.png", "--no-gui", "--out", "cut", "--save", "centres", "--method",
        "kmeans")  # fmt: skip
    run("segmentimg", "img.png", "--no-gui", "--out", "painted", "--palette", "classes.txt",
        "--templates", "coins", "--template-threshold", "0.05", "--save",
        "masks,labels,coco,labelme")  # fmt: skip
    cut, painted = (json.loads((in_workspace / name / "img.json").read_text())
                    for name in ("cut", "painted"))  # fmt: skip
    names = documented("NAME.json")
    icas.import_instances("painted", "img.png", "coco", out="imported")
    imported = json.loads((in_workspace / "imported/img.json").read_text())
    found = {*cut, *painted, *imported, *carried(in_workspace)}
    assert found == set(names) - {"set_aside", "unfinished_save"}
    assert set(cut) & set(painted) - {"unattended"} == always("NAME.json")
    for heading, file in (("coco.json", "coco.json"), ("NAME_labelme.json", "img_labelme.json")):
        assert documented(heading) == list(
            json.loads((in_workspace / "painted" / file).read_text())
        )
    for heading, folder in (("Without a window", "cut"), ("Painted", "painted")):
        shown = {name.replace("NAME", "img") for name in documented(heading)}
        found = {path.name.replace("=", ":") for path in (in_workspace / folder).iterdir()}
        assert found <= shown, found - shown


def carried(folder):
    """The record of an image that masks were carried to; its table is compared too."""
    shutil.copy("img.png", "photos/img.png")
    shutil.copy("img.png", "photos/twin.png")
    run("segmentimg", "photos/img.png", "--no-gui", "--out", "both", "--templates", "coins")
    words = ("photos/img.png", "photos/twin.png", "--out", "both", "--clusters", "one", "-q")
    run("segmentimg", "propagate", *words, "--jobs", "1")
    assert documented("propagated.csv") == columns(folder / "both" / "propagated.csv")
    return json.loads((folder / "both" / "twin.json").read_text())


def test_a_table_survives_names_that_are_no_text(in_workspace):
    if sys.platform != "linux":
        pytest.skip("file names are bytes on Linux alone")
    subprocess.run(["bash", "-c", r"cp img.png $'photos/\xff.png'"], check=True)
    run("clusterimg", "photos", "--dst", "odd", "--transfer", "none")
    text = (in_workspace / "odd" / "clusters.csv").read_text(errors="surrogateescape")
    assert "\udcff.png" in text

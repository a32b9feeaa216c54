"""Leaks: images that are in several splits of a data set."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

import icas
from icas.clusterimg.commands.main import main
from icas.clusterimg.quality.registration import Registration

NAMES = ("astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "page", "moon")


def picture(name):
    return Image.fromarray(getattr(samples, name)()).convert("RGB").resize((300, 220))


@pytest.fixture
def splits(tmp_path, monkeypatch):
    """train with four images, val with two others, test with two others and two copies."""
    monkeypatch.chdir(tmp_path)
    for split, names in (("train", NAMES[:4]), ("val", NAMES[4:6]), ("test", NAMES[6:])):
        (tmp_path / split).mkdir()
        for name in names:
            picture(name).save(tmp_path / split / f"{name}.png")
    picture("coffee").save(tmp_path / "test" / "exact.bmp")
    near = picture("rocket").crop((12, 8, 290, 210)).resize((200, 150))
    near.save(tmp_path / "test" / "near.jpg", quality=60)
    return tmp_path


def table(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_copies_across_splits_are_listed(splits, capsys):
    assert main(["audit", "train", "val", "test"]) == 1
    exact, near = table(splits / "leaks.csv")
    assert exact == {
        "split_a": "train", "a": "coffee.png", "split_b": "test", "b": "exact.bmp",
        "kind": "exact", "similarity": "1.0", "method": "pixels",
    }  # fmt: skip
    assert (near["a"], near["b"], near["kind"]) == ("rocket.png", "near.jpg", "near")
    assert 0.94 <= float(near["similarity"]) <= 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "train/coffee.png  test/exact.bmp  (same pixels)"
    assert out[-2] == "test: 2 of 4 images also in train"
    assert out[-1] == "10 images in 3 splits, 2 leaks (1 exact) -> leaks.csv"


def test_no_leaks_are_an_answer_and_replace_an_earlier_table(splits, capsys):
    assert main(["audit", "train", "test", "-q"]) == 1
    assert main(["audit", "train", "val"]) == 0
    assert capsys.readouterr().out.endswith("6 images in 2 splits, 0 leaks -> leaks.csv\n")
    assert table(splits / "leaks.csv") == []


def test_a_pair_of_one_split_is_no_leak(splits):
    shutil.copy(splits / "train" / "coffee.png", splits / "train" / "again.png")
    report = icas.audit("train", "val")
    assert report.leaks == ()


def test_python_and_json_give_the_same(splits, capsys):
    report = icas.audit("train", "test")
    assert main(["audit", "train", "test", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {**report.as_dict(), "out": "leaks.csv"}
    assert report.leaked("train", "test") == (2, 2)
    assert report.to_pandas()["kind"].tolist() == ["exact", "near"]
    assert "2 leaks" in report._repr_html_()


def test_another_method_takes_the_place_of_auto(splits):
    leaks = icas.audit("train", "test", method="imagehash", threshold=0.8).leaks
    assert [(one.b, one.method) for one in leaks] == [
        ("exact.bmp", "pixels"),
        ("near.jpg", "imagehash"),
    ]
    assert len(icas.audit("train", "test", method="imagehash", threshold=1).leaks) == 1
    assert len(icas.audit("train", "test", method="tm", threshold=0).leaks) == 16


def test_the_number_of_workers_changes_nothing(splits):
    alone = icas.audit("train", "val", "test", jobs=1)
    assert icas.audit("train", "val", "test", jobs=3) == alone


def test_sub_folders_are_included_when_requested(splits):
    (splits / "test" / "cups").mkdir()
    picture("astronaut").save(splits / "test" / "cups" / "a.png")
    files = [one.b for one in icas.audit("train", "test", recursive=True).leaks]
    assert files == ["cups/a.png", "exact.bmp", "near.jpg"]


def test_unreadable_files_are_listed(splits, capsys):
    (splits / "val" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno image")
    assert main(["audit", "train", "val"]) == 3
    out, err = capsys.readouterr()
    assert "cannot read val/broken.png: " in err
    assert "0 leaks, 1 unreadable -> leaks.csv" in out


def test_folders_of_one_name_are_named_by_path(splits):
    for parent in ("a", "b"):
        (splits / parent).mkdir()
        shutil.copytree(splits / "val", splits / parent / "images")
    report = icas.audit("a/images", "b/images")
    assert list(report.splits) == ["a/images", "b/images"]
    assert len(report.leaks) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train", "audit needs two folders or more"),
        ("train none", "none is not a folder"),
        ("train train", "train and train overlap"),
        ("train . --recursive", "train and . overlap"),
        ("train test --threshold 0.9", "--threshold 0.9: --method auto has its own"),
        ("train test --method orb --threshold 2", "--threshold 2.0: expected a number up to 1"),
        ("train test --method deep", "needs --model or --weights"),
        ("train test --hash-size 4", "--hash-size: --method auto takes no options"),
        ("train test --method orbb", "unknown method 'orbb': choose from "),
        ("train empty", "no images in empty (use --recursive"),
        ("train test --jobs 0", "--jobs 0"),
    ],
)
def test_wrong_usage_is_one_line(splits, capsys, words, said):
    (splits / "empty").mkdir()
    assert main(["audit", *words.split()]) in (1, 2)
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (splits / "leaks.csv").exists()


def test_a_foreign_table_is_kept(splits, capsys):
    (splits / "leaks.csv").write_text("mine\n")
    assert main(["audit", "train", "test"]) == 1
    assert "leaks.csv is not an earlier table of leaks" in capsys.readouterr().err
    assert (splits / "leaks.csv").read_text() == "mine\n"


def test_the_similarity_is_symmetric_and_at_most_1():
    rng = np.random.default_rng(0)
    coffee = np.asarray(picture("coffee"))
    images = [coffee, coffee[5:, 9:], coffee[::-1], np.asarray(picture("moon"))]
    images += [np.clip(coffee + rng.normal(0, 20, coffee.shape), 0, 255).astype(np.uint8)]
    method = Registration()
    features = method.extract(images)
    matrix = method.similarity(features, features)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_array_equal(np.diag(matrix), 1)
    assert matrix.max() <= 1
    assert matrix[0, 1] > 0.95
    assert matrix[0, 4] > 0.95
    assert matrix[0, 2] == matrix[0, 3] == 0


def test_images_without_content_are_not_near():
    dark, light = (np.full((50, 60, 3), value, np.uint8) for value in (3, 4))
    method = Registration()
    features = method.extract([dark, light, dark])
    assert method.similarity(features, features).tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gtsrb-tracks", "coil100", "copies"])
def test_injected_copies_are_found(data, tmp_path, monkeypatch, name):
    monkeypatch.syspath_prepend("benchmarks")
    from leaks import measured

    recall, wrong = measured(data / name, tmp_path, 200, "auto", 3).split(" | ")[3:5]
    assert float(recall) >= 0.98
    assert float(wrong) <= 1

"""``icas.quality``: whole folders, on real files."""

from __future__ import annotations

import csv
import os
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

import icas
from icas.clusterimg.quality.report import COLUMNS

GOOD = ("astronaut", "coffee", "chelsea", "rocket")


def sample(name):
    image = getattr(data, name)()
    return cv2.resize(image, (300, 200), interpolation=cv2.INTER_AREA)


@pytest.fixture
def folder(tmp_path):
    """Twelve good photographs."""
    where = tmp_path / "photos"
    where.mkdir()
    for name in GOOD:
        image = sample(name)
        for number, one in enumerate((image, image[:, ::-1], image[::-1])):
            Image.fromarray(np.ascontiguousarray(one)).save(where / f"{name}-{number}.jpg")
    return where


def rows(path):
    with Path(path).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_folder_of_good_images_has_no_issues(folder):
    report = icas.quality(folder)
    assert report.summary() == "12 images, no issues found, 0 unreadable"
    assert report.counts() == {}
    assert all(report.issues(image) == () for image in range(12))


def test_each_defect_is_found_and_nothing_else(folder):
    image = sample("coffee")
    defects = {
        "blurred": cv2.GaussianBlur(image, (0, 0), 4),
        "dark": image // 12,
        "bright": np.clip(image.astype(int) * 3 + 120, 0, 255).astype(np.uint8),
        "low_contrast": (image // 12 + 110).astype(np.uint8),
        "odd_size": cv2.resize(image, (24, 16), interpolation=cv2.INTER_AREA),
        "odd_aspect": image[:40],
        "grayscale": np.repeat(image[..., 1:2], 3, axis=2),
    }
    for name, one in defects.items():
        Image.fromarray(np.ascontiguousarray(one)).save(folder / f"{name}.png")
    report = icas.quality(folder)
    for name in defects:
        assert f"{name}.png" in [report.files[one] for one in report.found(name)]
    flagged = {file for row, file in enumerate(report.files) if report.issues(row)}
    assert flagged == {f"{name}.png" for name in defects}
    assert set(report.files[: len(defects)]) == flagged, "worst first"


def test_duplicates_are_equal_pixels_in_any_format(folder):
    image = Image.open(folder / "coffee-0.jpg")
    image.save(folder / "same.png")
    image.save(folder / "same.bmp")
    shutil.copy(folder / "coffee-0.jpg", folder / "again.jpg")
    changed = np.array(image)
    changed[5, 5, 0] ^= 1
    Image.fromarray(changed).save(folder / "one bit.png")
    report = icas.quality(folder)
    found = report.as_dict()["duplicates"]
    assert found == {"coffee-0.jpg": "again.jpg", "same.png": "again.jpg", "same.bmp": "again.jpg"}


def test_a_large_jpeg_and_its_pixels_are_duplicates(tmp_path):
    """The JPEG is decoded at a quarter of its size to be measured."""
    large = cv2.resize(data.astronaut(), (2400, 1800), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(large).save(tmp_path / "a.jpg", quality=60)
    Image.open(tmp_path / "a.jpg").save(tmp_path / "b.png", compress_level=1)
    assert icas.quality(tmp_path).as_dict()["duplicates"] == {"b.png": "a.jpg"}


def test_reduced_decoding_keeps_the_measures(tmp_path):
    large = cv2.resize(data.astronaut(), (2048, 1536), interpolation=cv2.INTER_CUBIC)
    for name, image in (("sharp", large), ("soft", cv2.GaussianBlur(large, (0, 0), 16))):
        Image.fromarray(image).save(tmp_path / f"{name}.jpg", quality=95)
        Image.open(tmp_path / f"{name}.jpg").save(tmp_path / f"{name}.bmp")
    report = icas.quality(tmp_path)
    at = {file: row for row, file in enumerate(report.files)}
    for name in ("sharp", "soft"):
        jpeg, whole = at[f"{name}.jpg"], at[f"{name}.bmp"]
        for measure in ("blur", "contrast", "entropy"):
            column = report.measures[measure]
            assert column[jpeg] == pytest.approx(column[whole], rel=0.05), measure
        assert report.found("blurred").count(jpeg) == report.found("blurred").count(whole)


def test_the_result_does_not_depend_on_the_workers(folder, tmp_path):
    shutil.copy(folder / "coffee-0.jpg", folder / "again.jpg")
    for jobs in (1, 3):
        icas.quality(folder, out=tmp_path / str(jobs), jobs=jobs)
    for name in ("quality.csv", "quality.html"):
        one, other = ((tmp_path / jobs / name).read_bytes() for jobs in "13")
        assert one == other


def test_the_table_has_a_line_for_each_image(folder, tmp_path):
    Image.new("RGB", (300, 200)).save(folder / "black, really.png")
    report = icas.quality(folder, out=tmp_path / "out")
    table = rows(report.out)
    assert tuple(table[0]) == COLUMNS
    assert len(table) == 13
    assert table[0]["file"] == "black, really.png"
    assert table[0]["issues"] == "dark;low_contrast;low_information"
    assert table[0]["bytes"] == str((folder / "black, really.png").stat().st_size)
    assert float(table[0]["score"]) == 1
    scores = [float(row["score"]) for row in table]
    assert scores == sorted(scores, reverse=True)


def test_out_may_be_a_table(folder, tmp_path):
    report = icas.quality(folder, out=tmp_path / "a" / "b.csv")
    assert report.out == tmp_path / "a" / "b.csv"
    assert sorted(path.name for path in report.out.parent.iterdir()) == ["b.csv", "b.html"]
    icas.quality(folder, out=tmp_path / "c.csv", report=False)
    assert not (tmp_path / "c.html").exists()


def test_its_own_files_are_replaced_and_no_others(folder, tmp_path):
    out = tmp_path / "out"
    icas.quality(folder, out=out)
    before = (out / "quality.csv").read_bytes()
    Image.new("RGB", (300, 200)).save(folder / "black.png")
    icas.quality(folder, out=out)
    assert (out / "quality.csv").read_bytes() != before
    for name in ("quality.csv", "quality.html"):
        foreign = tmp_path / f"foreign-{name}"
        foreign.mkdir()
        (foreign / name).write_text("my notes")
        with pytest.raises(icas.ConflictError, match="was not written by clusterimg quality"):
            icas.quality(folder, out=foreign)
        assert [path.name for path in foreign.iterdir()] == [name]


def test_unreadable_files_are_listed(folder):
    (folder / "broken.jpg").write_bytes((folder / "coffee-0.jpg").read_bytes()[:200])
    report = icas.quality(folder)
    assert [lost.file for lost in report.unreadable] == ["broken.jpg"]
    assert len(report.files) == 12
    for one in folder.iterdir():
        one.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(icas.IcasError, match="could be read"):
        icas.quality(folder)


def test_source_images_are_left_alone(folder):
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    icas.quality(folder, out=folder / "quality")
    assert before == {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.iterdir()
        if path.is_file()
    }


def test_the_page_shows_the_issues_and_needs_nothing_else(folder, tmp_path):
    Image.new("RGB", (300, 200)).save(folder / "<b>black & white.png")
    icas.quality(folder, out=tmp_path / "out")
    page = (tmp_path / "out" / "quality.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;black &amp; white.png" in page
    assert "<b>black" not in page
    assert "<script" not in page
    assert not re.search(r'(src|href)="(https?:|//)', page)
    links = re.findall(r'<a href="(\.\./[^"]+)"', page)
    assert links
    assert all((tmp_path / "out" / re.sub("%3C", "<", link)).parent.is_dir() for link in links)
    assert page.count("data:image/jpeg") == 3


def test_the_page_says_that_nothing_was_found(folder, tmp_path):
    icas.quality(folder, out=tmp_path / "out")
    page = (tmp_path / "out" / "quality.html").read_text(encoding="utf-8")
    assert "No issues found" in page
    assert "data:image/jpeg" not in page


needs_sets = pytest.mark.skipif("ICAS_DATA" not in os.environ, reason="ICAS_DATA is not set")


@needs_sets
@pytest.mark.parametrize("name", ["strangers", "multiview", "seg-bsds500", "coil100"])
def test_sets_of_good_photographs_have_no_bad_exposure_or_blur(name):
    folder = Path(os.environ["ICAS_DATA"], name, "images")
    if not folder.is_dir():
        pytest.skip(f"no set {name} in ICAS_DATA")
    counts = icas.quality(folder).counts()
    assert counts.keys() <= {"grayscale"}

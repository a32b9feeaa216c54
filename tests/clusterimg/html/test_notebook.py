"""What a notebook shows of a run: small, safe, and there also when the files are not."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import icas
from icas.clusterimg.clustering.cohesion import Certificate
from icas.clusterimg.data.images import Unreadable
from icas.clusterimg.html.notebook import CLUSTERS, ROW, SIDE

MOST = 300_000


class Seen(HTMLParser):
    """Texts, links and pictures; every tag has to be closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        html.encode()
        self.open: list[str] = []
        self.text, self.links, self.pictures = "", [], []
        self.feed(html)
        assert self.open == []
        assert len(html) < MOST

    def handle_starttag(self, tag, attrs) -> None:
        given = dict(attrs)
        assert tag not in ("script", "style")
        if tag == "img":
            assert given["src"].startswith("data:image/jpeg;base64,")
            data = base64.b64decode(given["src"].partition(",")[2])
            self.pictures.append((given["alt"], Image.open(io.BytesIO(data)).size))
        elif tag != "br":
            self.open.append(tag)
        if tag == "a":
            self.links.append(given["href"])

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(**settings) -> icas.ClusterReport:
    given = {"method": "tm", "threshold": 0.97, "dst": "sorted", **settings}
    return icas.cluster("photos", **given)


def seen(report: icas.ClusterReport) -> Seen:
    return Seen(report._repr_html_())


def test_it_shows_clusters_outliers_and_what_could_not_be_read(own_photos, here) -> None:
    (own_photos / "no<b>&.png").write_bytes(b"nonsense")
    report = run()
    shown = seen(report)
    assert report.summary() in shown.text
    for number, one in enumerate(report.certificates):
        assert f"cluster_{number} · {one.images} images" in shown.text
    assert f"outliers · {report.outliers} image" in shown.text
    assert re.search(r"unreadableno<b>&\.png: .", shown.text)
    assert shown.links == ["sorted/report.html"]
    assert {alt for alt, _ in shown.pictures} == {f"Thumbnail of {file}" for file in report.files}
    assert all(max(size) <= SIDE for _, size in shown.pictures)


@pytest.mark.parametrize("transfer", ["none", "move", "copy"])
def test_pictures_come_from_where_the_files_are(own_photos, here, transfer) -> None:
    (own_photos / "more").mkdir()
    for path in own_photos.glob("*.*"):
        shutil.copy(path, own_photos / "more" / path.name)  # the same names once more
    report = run(transfer=transfer, recursive=True, report=False)
    if transfer == "copy":
        shutil.rmtree(own_photos)
    shown = seen(report)
    assert len(shown.pictures) == 28
    assert shown.links == []


def test_a_name_stays_when_its_file_is_gone(own_photos, here) -> None:
    report = run(transfer="none")
    for path in own_photos.glob("coffee*"):
        path.unlink()
    shown = seen(report)
    assert len(shown.pictures) == len(report.files) - 4
    assert shown.text.count("no longer readable") == 4
    assert "coffee-1.png" in shown.text
    shutil.rmtree("sorted")
    shutil.rmtree(own_photos)
    assert seen(report).pictures == []


def test_a_dry_run_and_another_folder(own_photos, here) -> None:
    report = run(dry_run=True)
    assert "nothing written" in seen(report).text
    report = run()
    (here / "elsewhere").mkdir()
    os.chdir(here / "elsewhere")
    moved = replace(report, dst=here / "sorted")
    assert seen(moved).links == [(here / "sorted" / "report.html").as_uri()]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text(own_photos, here) -> None:
    shutil.copy(own_photos / "moon.png", os.fsencode(own_photos) + b"/moon\xff\n<i>.png")
    shown = seen(run(dst="sor\udcffted"))
    assert r"moon\xff\n<i>.png" in shown.text
    assert shown.links == ["sor%FFted/report.html"]
    assert len(shown.pictures) == 15


def test_a_broken_cache_takes_no_picture_away(own_photos, here) -> None:
    report = run(cache=here / "cache")
    shutil.rmtree(here / "cache")
    (here / "cache").write_bytes(b"a file where a folder was")
    assert len(seen(report).pictures) == len(report.files)


def test_pictures_that_pack_badly_are_fewer(here) -> None:
    rng = np.random.default_rng(0)
    (here / "photos").mkdir()
    for number in range(CLUSTERS * ROW):
        noise = rng.integers(0, 256, (200, 200, 3), np.uint8)
        Image.fromarray(noise).save(here / "photos" / f"{number}.png")
    report = run(dry_run=True)
    labels = np.arange(len(report.files)) // ROW
    certificates = [Certificate(one, ROW, 1.0, 1.0, f"{one * ROW}.png") for one in range(CLUSTERS)]
    shown = seen(replace(report, labels=labels, certificates=tuple(certificates)))
    assert CLUSTERS <= len(shown.pictures) < CLUSTERS * ROW
    left_out = sum(map(int, re.findall(r"… and (\d+) more", shown.text)))
    assert len(shown.pictures) + left_out == CLUSTERS * ROW


def test_many_clusters_make_a_small_cell(own_photos, here) -> None:
    count = 10_000
    report = run(dry_run=True)
    files = tuple(f"{number:05}.png" for number in range(3 * count))
    labels = np.arange(3 * count) % count
    labels[:2] = -1
    sizes = np.bincount(labels[labels >= 0])
    certificates = [
        Certificate(one, int(size), 0.5, 0.5, files[count + one]) for one, size in enumerate(sizes)
    ]
    unreadable = tuple(Unreadable(f"{number}.png", "empty file") for number in range(500))
    large = replace(
        report,
        files=files,
        labels=labels,
        certificates=tuple(certificates),
        unreadable=unreadable,
    )
    shown = seen(large)
    assert f"… and {count - CLUSTERS:,} smaller clusters" in shown.text
    assert "… and 495 more in unreadable.csv" in shown.text
    assert shown.text.count("no longer readable") == 2 + 2 * 2 + 6 * 3

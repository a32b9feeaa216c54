"""The report page: whole, safe, bounded, and the same for the same run."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from PIL import Image as PillowImage

from icas.cli.console import Console
from icas.clusterimg.clustering.cohesion import Certificate
from icas.clusterimg.data.images import ImageRef, Unreadable
from icas.clusterimg.html import (
    groups as report_clusters,
    groups as report_pictures,
    page as report_module,
)
from icas.clusterimg.html.groups import OUTLIERS_ROW, ROW
from icas.clusterimg.html.page import report_page
from icas.clusterimg.html.thumbnails import MOST, Thumbnail
from icas.clusterimg.pipeline.pipeline import run
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.settings import ClusterSettings
from icas.io.reading import write_image

VOID = {"meta", "link", "img", "input", "br"}
MAX_PIXELS = 10_000_000


class Page(HTMLParser):
    """A parsed page; fails where tags are not nested well."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.names: list[str] = []
        self.feed(content.decode("utf-8"))
        self.close()
        assert self.open == [], "tags are left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        assert len(given) == len(attrs), f"<{tag}> has an attribute twice"
        self.tags.append((tag, given))
        if tag not in VOID:
            self.open.append(tag)
        if "name" in given.get("class", "").split():
            self.names.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.open and self.open[-1] in ("span", "td") and self.names and not self.names[-1]:
            self.names[-1] = data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [given for name, given in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def make_report(files: Sequence[str], labels: Sequence[int], **changed: Any) -> ClusterReport:
    """A report whose clusters have their last member as medoid."""
    numbers = np.asarray(labels, dtype=np.int64)
    certificates = []
    for one in range(int(numbers.max(initial=-1)) + 1):
        members = np.flatnonzero(numbers == one)
        certificates.append(Certificate(one, len(members), 0.9126, 0.8333, files[members[-1]]))
    plain = ClusterReport(
        dst=Path("sorted"),
        method="imagehash",
        threshold=0.85,
        threshold_reason="as given",
        files=tuple(files),
        labels=numbers,
        batch=np.zeros(len(files), np.int64),
        representative=np.zeros(len(files), np.bool_),
        certificates=tuple(certificates),
        unreadable=(),
        ignored=(),
        comparisons={"possible": 4950, "made": 4000, "skipped": 950},
        seconds={"scan": 0.5, "features": 1.25, "links": 2.0, "merge": 0.0, "transfer": 0.0},
        peak_memory_mb=123.4,
        settings={"transfer": "copy", "stage": "all", "jobs": 2, "size": None},
        options={"hash_size": 8},
        source="/home/someone/holiday",
    )
    return replace(plain, **changed)


def make_page(report: ClusterReport, folder: Path) -> bytes:
    images = [ImageRef(folder / file, file) for file in report.files]
    return report_page(report, images, MAX_PIXELS, Console())


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 12 pictures, 0.png … 11.png."""
    random = np.random.default_rng(0)
    for number in range(12):
        picture = random.integers(0, 256, (60, 90, 3), dtype=np.uint8)
        write_image(tmp_path / f"{number}.png", picture)
    return tmp_path


FILES = [f"{number}.png" for number in range(12)]
LABELS = [0, 0, 0, 0, 0, 1, 1, 1, -1, 2, 2, -1]


def test_page_shows_every_image_with_its_name(pictures: Path) -> None:
    page = Page(make_page(make_report(FILES, LABELS), pictures))
    assert sorted(page.names) == sorted(FILES)
    assert [attributes["alt"] for attributes in page.all("img")] == [
        f"Thumbnail of {number}.png" for number in (4, 0, 1, 2, 3, 7, 5, 6, 10, 9, 8, 11)
    ]
    assert [attributes["id"] for attributes in page.all("h3") if "id" in attributes] == [
        "cluster_0",
        "cluster_1",
        "cluster_2",
    ]
    assert page.words.count("medoid") == 3 + 1  # one a cluster, and one where it is explained


def test_page_tells_how_the_run_went(pictures: Path) -> None:
    report = make_report(
        FILES,
        LABELS,
        unreadable=(Unreadable("torn.jpg", "truncated"),),
        ignored=("Thumbs.db",),
    )
    shown = Page(make_page(report, pictures)).text
    for words in (
        "12 images 3 clusters 2 outliers 1 unreadable",
        "imagehash",
        "0.85",
        "as given",
        "weakest link 0.913 least similar pair 0.833",
        "torn.jpg truncated",
        "Thumbs.db",
        "possible 4,950 made 4,000 (80.8%)",
        "features 1.25 s",
        "peak memory 123 MB",
        "hash size 8",
        "size not set",
    ):
        assert words in shown


def test_settings_are_words(pictures: Path) -> None:
    settings = {"dry_run": False, "size": [96, 64], "jobs": None, "scale": 0.5, "<b>": ["&", 1]}
    content = make_page(make_report(FILES, LABELS, settings=settings, options={}), pictures)
    for words in (
        "<dt>dry run</dt><dd>no</dd>",
        "<dt>size</dt><dd>96x64</dd>",
        "<dt>jobs</dt><dd>not set</dd>",
        "<dt>scale</dt><dd>0.5</dd>",
        "<dt>&lt;b&gt;</dt><dd>&amp;, 1</dd>",
        '<h3>Options of imagehash</h3>\n<p class="quiet">none</p>',
    ):
        assert words in content.decode()


def test_thumbnails_are_small_jpegs(pictures: Path) -> None:
    page = Page(make_page(make_report(FILES, LABELS), pictures))
    for attributes in page.all("img"):
        kind, _, data = attributes["src"].partition(",")
        assert kind == "data:image/jpeg;base64"
        with PillowImage.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert picture.size == (90, 60)
        assert (attributes["width"], attributes["height"]) == ("90", "60")


def test_page_needs_nothing_from_elsewhere(pictures: Path) -> None:
    content = make_page(make_report(FILES, LABELS), pictures)
    page = Page(content)
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            assert not re.match(r"(?i)\s*([a-z]+:)?//|javascript:", attributes.get(name, ""))
    policy = next(
        attributes["content"] for attributes in page.all("meta") if "http-equiv" in attributes
    )
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("script", "style"):
        found = re.findall(f"<{tag}>(.*?)</{tag}>", content.decode(), re.DOTALL)
        assert len(found) == 1
        digest = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_same_run_gives_the_same_page(pictures: Path) -> None:
    report = make_report(FILES, LABELS)
    assert make_page(report, pictures) == make_page(report, pictures)


NASTY = [
    "<script>alert(1)<",
    "'\"><img src=x onerror=alert(1)>.jpg",
    "</script><b>.jpg",
    "$title ${x} $$.jpg",
    "&lt;tag&gt;&amp;.jpg",
    "bad\udcff\udc80.jpg",
    "two\nlines\r\t.jpg",
    "turned\u202egpj.exe",
    "写真 🏞️.jpg",
    "50% #1?.jpg",
]


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_text_and_nothing_else(name: str, tmp_path: Path) -> None:
    harmless = make_report(["a.jpg", "b.jpg"], [0, 0], source="/a.jpg")
    report = make_report(
        [name, "b" + name],
        [0, 0],
        source="/" + name.replace("/", ""),
        unreadable=(Unreadable("c" + name, name),),
        ignored=("d" + name,),
        threshold_reason=name,
        settings={**harmless.settings, "dst": name, name: name},
    )
    content = make_page(report, tmp_path)
    page = Page(content)
    scripts = [tag for tag, _ in page.tags if tag in ("script", "img", "b", "style")]
    assert scripts == [
        tag
        for tag, _ in Page(make_page(harmless, tmp_path)).tags
        if tag in ("script", "img", "b", "style")
    ]
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    # the medoid, the last of the two, comes first
    assert page.names == [_seen(prefix + name) for prefix in ("b", "", "c", "d")]


def _seen(name: str) -> str:
    for letter, shown in (("\udcff", r"\xff"), ("\udc80", r"\x80"), ("\n", r"\n"), ("\r", r"\r")):
        name = name.replace(letter, shown)
    return name.replace("\t", r"\t").replace("\u202e", r"\u202e")


def test_a_link_leads_to_where_the_image_is_put(pictures: Path) -> None:
    (pictures / "sub").mkdir()
    (pictures / "sub" / "0.png").write_bytes((pictures / "0.png").read_bytes())
    report = make_report(["0.png", "sub/0.png", "bad\udcff #%.png"], [0, 0, -1])
    links = [
        unquote_to_bytes(attributes["href"])
        for attributes in Page(make_page(report, pictures)).all("a")
        if attributes["href"].startswith("result/")
    ]
    assert links == [
        b"result/cluster_0/0 (2).png",
        b"result/cluster_0/0.png",
        os.fsencode("result/outliers/bad\udcff #%.png"),
    ]


@pytest.mark.parametrize("settings", [{"transfer": "none"}, {"transfer": "copy", "stage": "batch"}])
def test_no_links_where_no_result_is_made(settings: dict[str, str], pictures: Path) -> None:
    content = make_page(make_report(FILES, LABELS, settings=settings), pictures)
    assert b'href="result' not in content
    assert sorted(Page(content).names) == sorted(FILES)


def test_an_image_that_is_gone_leaves_a_blank(pictures: Path) -> None:
    (pictures / "3.png").unlink()
    (pictures / "8.png").write_bytes(b"no picture any more")
    page = Page(make_page(make_report(FILES, LABELS), pictures))
    assert len(page.all("img")) == 10
    assert page.words.count("no longer readable") == 2
    assert sorted(page.names) == sorted(FILES)


@pytest.mark.parametrize(
    ("files", "labels", "words"),
    [
        (FILES[:3], [-1, -1, -1], "No clusters: no two images are similar enough"),
        (FILES[:3], [0, 0, 0], "No outliers"),
        ([], [], "0 images 0 clusters 0 outliers 0 unreadable"),
    ],
)
def test_empty_parts_say_so(
    files: list[str], labels: list[int], words: str, pictures: Path
) -> None:
    report = make_report(files, labels, comparisons={"possible": 0}, seconds={}, options={})
    page = Page(make_page(replace(report, peak_memory_mb=None), pictures))
    assert words in page.text
    assert "All images could be read." in page.text
    assert len(page.all("img")) == len(files)


def test_a_large_cluster_shows_some_and_names_the_rest(pictures: Path) -> None:
    files = [f"{number}.png" for number in range(ROW + 37 + OUTLIERS_ROW + 2)]
    labels = [0] * (ROW + 37) + [-1] * (OUTLIERS_ROW + 2)
    page = Page(make_page(make_report(files, labels), pictures))
    assert "+37 more" in page.words
    assert "+2 more" in page.words
    assert sorted(page.names) == sorted(files)
    blanks = page.words.count("no longer readable")
    assert blanks + len(page.all("img")) == ROW + OUTLIERS_ROW


def test_ten_thousand_images_stay_within_the_budget(tmp_path: Path) -> None:
    count = 10_000
    noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    write_image(tmp_path / "noise.png", noise)
    names = tuple(f"holiday/2024-01/IMG_{number:05}.jpg" for number in range(count))
    report = make_report(names, np.repeat(np.arange(count // 20), 20).tolist())
    images = [ImageRef(tmp_path / "noise.png", name) for name in names]
    report = replace(report, settings={})  # one file stands for all, so no links
    content = report_page(report, images, MAX_PIXELS, Console())
    page = Page(content)
    assert 1_000 < len(page.all("img")) < MOST
    assert len(page.names) == count
    assert 20e6 < len(content) < 30e6  # of noise, which JPEG packs worst


def test_beyond_the_limits_the_page_refers_to_the_tables(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SECTIONS", 2), ("NAMES", 3), ("ROW", 1)):
        monkeypatch.setattr(report_clusters, name, value)
    monkeypatch.setattr(report_module, "ROWS", 1)
    monkeypatch.setattr(report_pictures, "MOST", 3)
    broken = tuple(Unreadable(f"{number}.jpg", "torn") for number in range(3))
    report = make_report(FILES, LABELS, unreadable=broken, ignored=("a.txt", "b.txt"))
    shown = Page(make_page(report, pictures)).text
    for words in (
        "1 smaller cluster not shown; clusters.csv lists all of them.",
        "3 more in clusters.csv.",
        "2 more in unreadable.csv.",
        "1 more not listed.",
    ):
        assert words in shown


def test_clusters_that_may_be_two_are_marked(pictures: Path) -> None:
    plain = make_report(FILES, LABELS)
    assert "may be" not in Page(make_page(plain, pictures)).text
    first, second, third = plain.certificates
    certificates = (replace(first, bridge=(3, 2)), replace(second, images=7, bridge=(3, 2)), third)
    page = Page(make_page(replace(plain, certificates=certificates), pictures))
    assert "may be two: 3 and 2 images" in page.text
    assert "may be several: 3, 2 and 2 images" in page.text
    assert page.text.count("2 clusters may be two or more") == 1
    assert [one["href"] for one in page.all("a") if one["href"].startswith("#cluster_")] == [
        "#cluster_0",
        "#cluster_1",
    ]


def test_known_thumbnails_are_not_made_again(pictures: Path) -> None:
    report = make_report(FILES, LABELS)
    images = [ImageRef(pictures / file, file) for file in FILES]
    known = {"3.png": Thumbnail("data:image/jpeg;base64,AAAA", 30, 20)}
    targets = {image: PurePosixPath(f"elsewhere/{image}") for image in range(11)}
    content = report_page(report, images, MAX_PIXELS, Console(), known=known, targets=targets)
    page = Page(content)
    assert [one["alt"] for one in page.all("img") if one["src"].endswith("AAAA")] == [
        "Thumbnail of 3.png"
    ]
    assert len(page.all("img")) == 12
    assert {one["href"] for one in page.all("a") if one["href"].startswith("else")} == {
        str(target) for target in targets.values()
    }


def test_a_run_writes_the_page(data: Path, tmp_path: Path) -> None:
    settings = ClusterSettings(dst=tmp_path / "sorted", transfer="symlink", method="imagehash")
    report = run(data / "video-frames" / "images", settings)
    page = Page((tmp_path / "sorted" / "report.html").read_bytes())
    assert set(page.names) == set(report.files)
    assert {"threshold", "pairs", "clusters"} <= {one.get("id") for one in page.all("h2")}
    for attributes in page.all("a"):
        if attributes["href"].startswith("result/"):
            place = os.fsdecode(unquote_to_bytes(attributes["href"]))
            assert (tmp_path / "sorted" / place).exists()

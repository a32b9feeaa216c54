"""Names that would be markup, script or formulas somewhere: they stay names."""

from __future__ import annotations

import csv
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import icas
from icas.common.errors import IcasError

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")

MARKUP = (
    "<img src=x onerror=document.title='taken'>.jpg",
    '"><img src=x onerror="document.title=`taken`">.jpg',
    "'><svg onload=document.title='taken'>.jpg",
    "<script>document.title='taken'<!--.jpg",
    '"><iframe srcdoc="<script>parent.document.title=1">.jpg',
    "javascript:document.title='taken'.jpg",
    "data:text&colon;html,<b>.jpg",
    "&lt;script&gt;.jpg",
    "</title><script>document.title=1.jpg",
    "-->]]>{{7*7}}${document.title=`taken`}.jpg",
    "%3Cscript%3E%2e%2e%2f.jpg",
    "a..%2f..%2fetc.jpg",
    "line\nbreak\ttab.jpg",
    "turned\u202egpj.exe.jpg",
)
FORMULAS = (
    "=cmd|' C calc'!A0.jpg",
    "+1+1.jpg",
    "-2+3.jpg",
    "@SUM(A1).jpg",
    '=HYPERLINK("http:x","y").jpg',
    "\t=1+1.jpg",
    'a,"b".jpg',
)


@pytest.fixture(scope="module")
def hostile(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of such names, with unreadable and other files of such names; and its result."""
    folder = tmp_path_factory.mktemp("hostile") / "<b onclick=alert(1)>'\"&amp;"
    folder.mkdir()
    pictures = sorted(photos.glob("*.jpg"))
    for number, name in enumerate((*MARKUP, *FORMULAS)):
        for one in (name, f"bad {name}"):
            (folder / one).parent.mkdir(exist_ok=True)  # a name with a slash is in a folder
        shutil.copy(pictures[number % len(pictures)], folder / name)
        (folder / f"bad {name}").write_text("no picture")
        (folder / f"{name}.csv").write_text("a companion")
    sub = folder / "<i onmouseover=alert(1)>"
    sub.mkdir()
    shutil.copy(pictures[0], sub / "plain.jpg")
    dst = folder.parent / "<u>sorted"
    icas.cluster(
        folder, dst=dst, method="imagehash", threshold=0.9, recursive=True, cache=False,
        reference=None,
    )  # fmt: skip
    return folder, dst


class Parsed(HTMLParser):
    """Tags and attributes as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))


@posix
def test_the_page_has_no_tag_of_a_name(hostile: tuple[Path, Path]) -> None:
    page = Parsed((hostile[1] / "report.html").read_text())
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not {"iframe", "object", "embed", "base", "form", "i", "u"} & {
        tag for tag, _ in page.tags
    }
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "img":
            assert (attributes["src"] or "").startswith("data:image/jpeg;base64,")
        if tag == "a":
            assert (attributes["href"] or "").startswith(("#", "result/")), attributes


@posix
def test_every_link_of_the_page_leads_to_its_file(hostile: tuple[Path, Path]) -> None:
    from urllib.parse import unquote_to_bytes

    page = Parsed((hostile[1] / "report.html").read_text())
    links = {one["href"] for tag, one in page.tags if tag == "a" and one["href"][:1] != "#"}
    assert len(links) == len(MARKUP) + len(FORMULAS) + 1
    for link in links:
        assert hostile[1].joinpath(os.fsdecode(unquote_to_bytes(link))).is_file()


def _browser_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "report_browser", Path(__file__).parents[1] / "html" / "test_browser.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["report_browser"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    module = _browser_module()
    program = next(filter(None, map(shutil.which, module.BROWSERS)), None)
    if program is None or os.name == "nt":
        pytest.skip("no chromium")
    started = module.Browser(program, tmp_path_factory.mktemp("profile"))
    started.screen = module.DESK
    yield started
    started.close()


@posix
def test_nothing_of_a_name_is_run_in_a_browser(hostile: tuple[Path, Path], browser: Any) -> None:
    browser.open(hostile[1] / "report.html", browser.screen)
    title = browser.run("document.title")
    assert "clusters" in title
    assert "taken" not in title
    browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    # Every name as text that one can see, and searched for as people do.
    shown = browser.run("document.body.textContent")
    for name in MARKUP[:11]:
        assert name in shown
    for word in ("<img", "onerror", "javascript:", '">'):
        browser.run(
            "(() => { const box = document.querySelector('input[type=search]');"
            f" if (box) {{ box.value = {word!r};"
            " box.dispatchEvent(new Event('input', {bubbles: true})); }})()"
        )
        browser.settle()
    assert browser.run("document.title") == title
    assert browser.run("document.querySelectorAll('img[src=x], iframe, svg[onload]').length") == 0
    assert not [one for one in browser.complaints if "taken" in str(one)]


@posix
def test_tables_hold_names_as_they_are(hostile: tuple[Path, Path]) -> None:
    """Scripts read them; docs/how-to/move-and-undo.md says how to open them in a spreadsheet."""
    folder, dst = hostile
    with (dst / "clusters.csv").open(newline="", encoding="utf-8") as file:
        names = {row["file"] for row in csv.DictReader(file)}
    assert {*MARKUP, *FORMULAS} <= names
    for name in names:
        assert (folder / name).is_file()
    with (dst / "unreadable.csv").open(newline="", encoding="utf-8") as file:
        assert {row["file"] for row in csv.DictReader(file)} == {
            f"bad {name}" for name in (*MARKUP, *FORMULAS)
        }


@posix
def test_labels_are_words_not_markup(hostile, tmp_path, capsys) -> None:
    """A labels file decides numbers; what it holds is shown in messages at most, escaped."""
    from icas.clusterimg.commands.main import main

    _, dst = hostile
    labels = tmp_path / "labels.csv"
    with labels.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "label"))
        for number, name in enumerate((*MARKUP, *FORMULAS)):
            writer.writerow(
                (name, ("<script>alert(1)</script>", "=1+1", "\x1b[31mred")[number % 3])
            )
    assert main(["evaluate", str(dst), "--labels", str(labels)]) in (0, 1, 2)
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    labels.write_text("file,label\n\x1b]0;taken\x07.jpg,a\n" + "x" * 200_000 + ",b\n")
    assert main(["evaluate", str(dst), "--labels", str(labels)]) in (1, 2)
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    assert "Traceback" not in told.err


@posix
def test_messages_name_files_without_their_control_signs(tmp_path, photos, capsys) -> None:
    from icas.clusterimg.commands.main import main

    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    (folder / "\x1b[2J\x1b]0;taken\x07.jpg").write_text("no picture")
    words = ["--no-cache", "--threshold", "0.9", "-v", "--dst", str(tmp_path / "out")]
    assert main([str(folder), *words]) == 3
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    assert "\x07" not in told.out + told.err
    with pytest.raises(IcasError):
        icas.cluster(tmp_path / "none\x1b", dst=tmp_path / "other")

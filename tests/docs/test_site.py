"""The site: built without a warning, whole, and read in a browser that has no network."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from blocks import PAGES, TOP, blocks, read

DOCS = [page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")]
LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as `make docs` builds it: any warning is an error there."""
    for module in ("mkdocs", "material", "mkdocstrings", "latex2mathml"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install 'icas[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=TOP,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WARNING" not in done.stderr
    return folder


def page_of(site: Path, page: str) -> Path:
    return site / f"{page.removesuffix('.md')}.html"


class Loaded(HTMLParser):
    """Addresses that a page loads by itself, and those that it links."""

    def __init__(self, page: Path):
        super().__init__()
        self.loads, self.links = set(), set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "a":
            self.links.add(given.get("href") or "")
        elif tag in LOADS and given.get("rel") != "canonical":
            self.loads.add(given.get(LOADS[tag]) or "")


def test_every_page_is_reached_from_the_menu(site):
    home = Loaded(site / "index.html")
    reached = {(site / unquote(urlsplit(link).path)).resolve() for link in home.links}
    for tab in list(reached):
        if tab.suffix == ".html" and tab.exists():
            inside = {unquote(urlsplit(link).path) for link in Loaded(tab).links}
            reached |= {(tab.parent / link).resolve() for link in inside}
    shown = [page for page in DOCS if not page.startswith("decisions/")]
    for page in [*shown, "CHANGELOG.md"]:
        assert page_of(site, page).resolve() in reached, page


def test_nothing_is_loaded_from_elsewhere(site):
    for page in site.rglob("*.html"):
        for address in Loaded(page).loads:
            assert not urlsplit(address).netloc, f"{page.name}: {address}"
            if address and not address.startswith("data:"):
                assert (page.parent / unquote(urlsplit(address).path)).exists() or (
                    page.name == "404.html"
                ), f"{page.name}: {address}"
    styles = "".join(path.read_text(errors="replace") for path in site.rglob("*.css"))
    assert not re.findall(r"(?:url\(|@import)\s*[\"']?https?:", styles)


def test_no_link_leads_nowhere(site):
    for page in site.rglob("*.html"):
        for link in Loaded(page).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not parts.path or page.name == "404.html":
                continue
            assert (page.parent / unquote(parts.path)).exists(), f"{page.name}: {link}"


def test_equations_are_there_and_nothing_of_them_is_left_over(site):
    for page in DOCS:
        fenced = [block for block in blocks(f"docs/{page}") if block.language == "math"]
        inline = re.findall(r"\$`[^`\n]+`\$", read(f"docs/{page}"))
        html = page_of(site, page).read_text(encoding="utf-8")
        assert html.count("<math ") == len(fenced) + len(inline), page
    assert "<math " in page_of(site, "how-it-works.md").read_text()
    assert "<munderover>" in page_of(site, "performance.md").read_text()


def test_the_search_knows_every_page(site):
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    known = {entry["location"].partition("#")[0] or "index.html" for entry in index["docs"]}
    assert {page_of(site, page).relative_to(site).as_posix() for page in DOCS} <= known


def test_pages_of_the_root_link_into_the_site(site):
    html = (site / "CHANGELOG.html").read_text(encoding="utf-8")
    assert "<h1" in html
    assert 'href="docs/' not in html


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    place = TOP / "tests" / "clusterimg" / "html" / "test_browser.py"
    spec = importlib.util.spec_from_file_location("report_browser", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    program = next(filter(None, map(shutil.which, module.BROWSERS)), None)
    if program is None or os.name == "nt":
        pytest.skip("no chromium")
    started = module.Browser(program, tmp_path_factory.mktemp("profile"))
    started.call("Network.enable")
    yield started
    started.close()


SCREENS = {
    "desktop": {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    "phone": {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True},
}
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
BROKEN = """[...document.images].filter(image => image.complete
  ? !image.naturalWidth : image.loading !== 'lazy').map(image => image.src)"""


SOME = (
    "index.md",
    "how-it-works.md",
    "performance.md",
    "files.md",
    "methods.md",
    "decisions/index.md",
)


@pytest.mark.parametrize("screen", SCREENS)
def test_pages_show_without_error_or_request_to_others(site, browser, screen):
    firsts = {page.rpartition("/")[0]: page for page in reversed(DOCS)}
    for page in {*SOME, *firsts.values()}:
        look_at(page_of(site, page), browser, screen)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("screen", SCREENS)
def test_all_pages_show_without_error_or_request_to_others(site, browser, screen):
    for page in site.rglob("*.html"):
        if page.name != "404.html":
            look_at(page, browser, screen)


def look_at(page, browser, screen):
    browser.open(page, SCREENS[screen], dark=screen == "phone")
    browser.settle()
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert all(urlsplit(url).scheme in ("file", "data", "blob") for url in asked), page
    assert not browser.complaints, page
    assert browser.run("document.querySelector('article h1').textContent.length") > 2, page
    assert browser.run(BROKEN) == [], page
    assert browser.run(TOO_WIDE) <= 0, f"{page} is wider than the screen"


FIND = """new Promise(done => {
  const field = document.querySelector('.md-search__input');
  document.querySelector('#__search').click();
  field.focus(); field.value = 'lacks its contrib modules';
  field.dispatchEvent(new Event('input', {bubbles: true}));
  field.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true}));
  const look = left => {
    const found = [...document.querySelectorAll('.md-search-result__link')].map(a => a.href);
    if (found.length || !left) done(found); else setTimeout(look, 100, left - 1);
  };
  look(100);
})"""


def test_the_search_finds_a_message_in_pages_opened_as_files(site, browser):
    browser.open(page_of(site, "index.md"), SCREENS["desktop"])
    found = browser.run(FIND)
    assert any("troubleshooting.html" in link for link in found)
    assert not browser.complaints


def test_an_equation_is_drawn_and_not_spelled_out(site, browser):
    browser.open(page_of(site, "performance.md"), SCREENS["desktop"])
    height = "document.querySelector('.equation mfrac').getBoundingClientRect().height"
    assert browser.run(height) > 25

"""Links of the README and the pages of docs: to pages, headings and pictures; abroad, slowly."""

from __future__ import annotations

import re
import unicodedata
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import pytest
from blocks import PAGES, TOP, read

LINK = re.compile(r"(!?)\[(?:[^\[\]]|\[[^\]]*\])*\]\((<[^>]*>|[^()\s]+(?:\([^()]*\))?)\)")
FENCED = re.compile(r"^ *(`{3,}).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
OTHERS = [name for name in ("RELEASING.md", "SECURITY.md") if (TOP / name).exists()]
OPENED = [*PAGES, *OTHERS, "CHANGELOG.md"]


def links(page: str) -> Iterator[str]:
    """Targets of all links and pictures of a page; what only stands in code is none."""
    text = re.sub(r"`[^`\n]*`", "", FENCED.sub("", read(page)))
    for _, target in LINK.findall(text):
        yield target.strip("<>")
    yield from re.findall(r"""<(?:img|a)\b[^>]*\b(?:src|href)=["']([^"']+)""", text)


def headings(page: str) -> set[str]:
    """Names of the places in a page that a link can lead to."""
    found: dict[str, int] = {}
    for title in re.findall(r"^#{1,6} +(.+?)(?: +#+)? *$", FENCED.sub("", read(page)), re.M):
        name = slug(title, page)
        found[name] = found.get(name, -1) + 1
        if found[name]:
            found[f"{name}_{found[name]}"] = 0
    ids = re.findall(r"""\bid=["']([^"']+)["']|\{[^}]*#([\w.-]+)[^}]*\}""", read(page))
    objects = re.findall(r"^::: ([\w.]+)", read(page), re.MULTILINE)
    return {*found, *objects, *(one or other for one, other in ids)}


def slug(title: str, page: str) -> str:
    """The anchor of a heading: the site makes other ones than GitHub, which shows the root."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
    plain = re.sub(r"[`*]", "", plain).strip().lower()
    if page.startswith("docs/"):
        ascii_only = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
        return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_only).strip())
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", plain))


def abroad(target: str) -> bool:
    return urlsplit(target).scheme in ("http", "https")


@pytest.mark.parametrize("page", OPENED)
def test_what_a_page_links_is_there(page):
    for target in links(page):
        if abroad(target) or target.startswith("mailto:"):
            continue
        place, _, anchor = unquote(target).partition("#")
        assert not place.startswith("/"), f"{page}: {target}: not relative"
        path = (TOP / page).parent / place if place else TOP / page
        if path.parent == TOP / "docs" / "notebooks" and not path.exists():
            path = TOP / "examples" / f"{path.stem}.ipynb"  # the site makes a page of it
        assert path.exists(), f"{page}: {target}: no such file"
        if page.startswith("docs/") and path.suffix != ".ipynb":
            assert path.resolve().is_relative_to(TOP / "docs"), f"{page}: {target}: off the site"
        if anchor and path.suffix == ".md":
            other = path.resolve().relative_to(TOP).as_posix()
            assert anchor in headings(other), f"{page}: {target}: no such heading"


@pytest.mark.parametrize("page", OPENED)
def test_addresses_abroad_are_well_formed(page):
    for target in filter(abroad, links(page)):
        parts = urlsplit(target)
        assert parts.scheme == "https", f"{page}: {target}: not https"
        assert re.fullmatch(r"([\w-]+\.)+[a-z]{2,}", parts.netloc), f"{page}: {target}"
        assert not re.search(r"[\s<>\"'`]|[.,;:]$", target), f"{page}: {target}"


def test_pictures_say_what_they_show():
    for page in OPENED:
        for words in re.findall(r"!\[([^\]]*)\]\(", FENCED.sub("", read(page))):
            assert len(words.split()) >= 2, f"{page}: a picture without words"


def test_every_picture_of_docs_is_shown_somewhere():
    shown = {
        (TOP / page).parent.joinpath(target.partition("#")[0]).resolve()
        for page in OPENED
        for target in links(page)
        if not abroad(target)
    }
    files = {path.resolve() for path in TOP.glob("docs/images/**/*") if path.is_file()}
    unused = sorted(path.name for path in files - shown)
    assert not unused


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_addresses_abroad_answer():
    found = sorted({target.partition("#")[0] for page in OPENED for target in links(page)
                    if abroad(target)})  # fmt: skip
    answers = {address: asked(address) for address in found}
    if all(answer is None for answer in answers.values()):
        pytest.skip("no network")
    wrong = {address: code for address, code in answers.items() if code in (None, 404, 410)}
    assert not wrong


def asked(address: str) -> int | None:
    """The status that a server answers with; None where there is no answer."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0 (icas docs)"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return None

"""The prose of README and docs is short: pages, words, sentences."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from statistics import median

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "scripts"))

from prose import measure, pages  # noqa: E402

PAGES = [TOP / "README.md", *pages(TOP)]
ODD_WORDS = re.compile(r"\b(told|anew|whoever|alike|meant)\b", re.IGNORECASE)


def test_sentences_and_words_are_counted():
    text = "# Title\n\nOne `a b c` two. [Three four](x.md) five!\n\n- six seven\n"
    text += "\n```sh\ncode. code\n```\n"
    assert measure(text).sentences == ["One code two.", "Three four five!", "six seven"]
    assert measure(text + "| a | b. c |\n<!-- d e -->\n").sentences == measure(text).sentences


GENERATED = {"clusterimg.md", "segmentimg.md"}
"""Pages made from the parsers, which are as long as the programs have flags."""


def test_the_docs_are_short():
    assert len(pages(TOP)) <= 50
    written = [page for page in pages(TOP) if page.name not in GENERATED]
    assert sum(measure(page.read_text("utf-8")).words for page in written) <= 32_000


def test_half_of_the_sentences_are_short():
    lengths = [n for page in PAGES for n in measure(page.read_text("utf-8")).lengths]
    assert median(lengths) <= 16


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_no_sentence_is_long(page):
    longest = 25 if page.name == "README.md" else 40
    sentences = measure(page.read_text("utf-8")).sentences
    assert [text for text in sentences if len(text.split()) > longest] == []


def test_the_readme_is_short():
    assert len((TOP / "README.md").read_text("utf-8").splitlines()) <= 120


def test_odd_words_are_rare():
    files = [TOP / "README.md", *(TOP / "docs").rglob("*.md"), *(TOP / "src").rglob("*.py")]
    lines = [line for path in files for line in path.read_text("utf-8").splitlines()]
    assert sum(bool(ODD_WORDS.search(line)) for line in lines) <= 30
